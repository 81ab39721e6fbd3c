//! `pilot replay`: a recorded trace on a live platform, beside what the simulator says of the very same requests.

mod drive;
mod functions;
mod node;
mod report;
mod tally;

use std::time::Duration;

use anyhow::Context;
use pilotlight_model::node::WhyAnswer;
use pilotlight_policy::Bytes;
use pilotlight_policy::policies::speed;
use pilotlight_sim::options::{Ladder, Room};
use pilotlight_sim::profile::ClassName;
use pilotlight_sim::schedule::Plan;
use pilotlight_sim::{Model, Options, Profile, Schedule, by_names, outcome, read};

use crate::cli::ReplayArgs;
use crate::client::Client;
use crate::exit::Exit;
use crate::output;
use functions::Functions;
use report::{Report, Settings};
use tally::Tally;

/// What functions of a replay can be written in.
const CLASSES: [ClassName; 2] = [ClassName::Python, ClassName::Node];

/// Deploys, calls, deletes, simulates, prints.
pub(crate) async fn run(args: ReplayArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let profile = profile(&args)?;
    let options = options(&args);
    let trace = read::read(&args.traces, &mut |file| eprintln!("reading {file}"))?;
    let plan = Plan {
        speed: args.speed,
        minutes: args.minutes,
        most: args.most,
    };
    let schedule = Schedule::new(&trace, &profile, &options, plan, &CLASSES);
    drop(trace);
    eprintln!(
        "{} functions, {} requests in {} s",
        schedule.functions.len(),
        schedule.trace.requests.len(),
        schedule.trace.requests.last().map_or(0, |it| it.at_ms) / 1_000,
    );
    let options = Options {
        cluster: node::cluster(&client).await?,
        ..options
    };
    let functions = Functions::deploy(&client, &schedule.functions, args.without_templates).await;
    let driven = match &functions {
        Ok(functions) => replay(&client, functions, &schedule, args.speed).await,
        Err(_) => Ok(None),
    };
    // Whatever came of it, nothing is left behind.
    functions::delete(&client, schedule.functions.len()).await;
    functions?;
    let Some(Replayed {
        policy,
        kept,
        live,
        slowest,
    }) = driven?
    else {
        return Ok(Exit::Usage);
    };
    let named = by_names(std::slice::from_ref(&policy))?.pop();
    let simulated = outcome(
        &schedule.trace,
        &kept.weighed(profile),
        &options,
        named.context("a name makes a policy")?,
    )?;
    let settings = Settings {
        policy,
        speed: args.speed,
        seed: args.seed,
        templates: !args.without_templates,
        functions: schedule.functions.len(),
        left_out: schedule.left_out,
    };
    let report = Report::new(settings, &live, &Tally::simulated(&simulated), slowest);
    output::print(&match args.output {
        crate::cli::Format::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
        crate::cli::Format::Table => report.table(),
    })?;
    Ok(Exit::Done)
}

/// What a replay came to.
struct Replayed {
    /// The node's policy.
    policy: String,
    /// What it had made of the ladder when the replay began.
    kept: node::Kept,
    live: Tally,
    slowest: Vec<drive::Called>,
}

/// Calls the functions; nothing where the policy runs at another speed.
async fn replay(
    client: &Client,
    functions: &Functions,
    schedule: &Schedule,
    wanted: u32,
) -> anyhow::Result<Option<Replayed>> {
    let Some(first) = functions.names().first() else {
        anyhow::bail!("nothing in the trace is called");
    };
    let path = format!("/pilotlight/v1/why?function={first}");
    let WhyAnswer { versions, .. } = client.get(&path).await?;
    let told = versions.into_iter().next();
    let node = told.context("the platform tells no policy")?.why.policy;
    let (is, policy) = speed(&node)?;
    if is != wanted {
        eprintln!(
            "error: the platform's policy is {node}, at {is} times its speed: give --speed {is}, or start the \
             platform with name = \"{wanted}x:{policy}\" in [policy]"
        );
        return Ok(None);
    }
    functions.settle(client).await?;
    let kept = node::Kept::of(client, functions.names(), &schedule.functions).await?;
    let called = drive::drive(client, functions.names(), &schedule.trace).await;
    let live = Tally::live(schedule.functions.len(), &called);
    Ok(Some(Replayed {
        policy: node,
        kept,
        live,
        slowest: drive::slowest(called),
    }))
}

fn profile(args: &ReplayArgs) -> anyhow::Result<Profile> {
    let Some(path) = &args.profile else {
        return Ok(Profile::default());
    };
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    Profile::read(&text).with_context(|| format!("profile {shown}"))
}

/// A platform as this one is, in the simulator.
fn options(args: &ReplayArgs) -> Options {
    let memory = args.memory.map(|memory| Bytes::mib(u64::from(memory)));
    Options {
        model: Model::Concurrent,
        seed: args.seed,
        runtime: args.runtime,
        memory: memory.unwrap_or(Options::default().memory),
        same_memory: memory.is_some(),
        room: Room::Promised,
        ladder: Some(if args.without_templates {
            Ladder::Never
        } else {
            Ladder::Spare
        }),
        arrivals: args.arrivals,
        duration: Duration::from_millis(args.duration),
        ..Options::default()
    }
}
