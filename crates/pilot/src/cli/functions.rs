//! Options of the commands that work with functions.

use std::path::PathBuf;

use clap::Args;
use pilotlight_model::limits::WARM_UP_INSTANCES;
use pilotlight_model::{FunctionName, RuntimeName};

use super::values::{cold, pair, runtime};
use super::{Format, Target};

/// Options of `pilot deploy`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot deploy my-function                       a folder with lambda_function.py, or with a bootstrap
  pilot deploy build/fn.zip --name resize --runtime python3.11 --handler app.main
  pilot deploy orders.jar --handler com.shop.Orders::handle
  pilot deploy . --name resize --memory 512 --timeout 30 --env STAGE=test --env DEBUG=1

What a project depends on is installed or built first, by its own tools: pip for requirements.txt, npm for
package.json, Maven or Gradle for Java, cargo for Rust.

Runtime and handler are found for a folder with an executable `bootstrap` (provided.al2023), or with
lambda_function.py, app.py, handler.py or main.py that defines a handler (python3.11), or with index.mjs,
index.js or index.cjs (nodejs20.x, index.handler). A jar, or a folder with Java classes or with jars in `lib`,
is for java17; its handler has to be given.")]
pub(crate) struct DeployArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Folder, zip or jar with the code.
    pub(crate) source: PathBuf,
    /// Function name; the folder's or file's own name unless given.
    #[arg(long)]
    pub(crate) name: Option<FunctionName>,
    /// Runtime.
    #[arg(long, value_parser = runtime)]
    pub(crate) runtime: Option<RuntimeName>,
    /// Handler, as `module.function`; for Java as `package.Class::method` or `package.Class`.
    #[arg(long)]
    pub(crate) handler: Option<String>,
    /// Memory of an instance in MiB; CPU follows it.
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u32>,
    /// Longest run of one invocation in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// Environment variable; can be repeated. Any given replace all that the function had.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// ARN of a layer's version; can be repeated, the lowest first. Any given replace all that the function had.
    #[arg(long = "layer", value_name = "ARN")]
    pub(crate) layers: Vec<String>,
    /// Role ARN. Kept and shown, as the API requires one; nothing is checked against it.
    #[arg(long, value_name = "ARN")]
    pub(crate) role: Option<String>,
    /// Do without the trial init that shows what a package's dependencies cost.
    #[arg(long)]
    pub(crate) no_trial: bool,
    /// How to print the function.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot invoke`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot invoke word-stats --payload '{\"text\": \"to be or not to be\"}'
  pilot invoke word-stats --payload @event.json --tail
  echo '{}' | pilot invoke word-stats --payload -
  pilot invoke word-stats --cold --waterfall     a new instance, and where its time went
  pilot invoke word-stats --cold=booted          one that starts from nothing

The answer goes to standard output unchanged. Exit code 3: the function answered with an error.")]
pub(crate) struct InvokeArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN.
    pub(crate) function: String,
    /// The event: JSON, @FILE, or - for standard input.
    #[arg(long, short, default_value = "{}", value_name = "JSON|@FILE|-")]
    pub(crate) payload: String,
    /// Do without idle instances: the best cold start that the function has, or one of that kind (spare,
    /// forked, zygote or booted; where it has none of that kind, the next below).
    #[arg(
        long, value_name = "KIND", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_parser = cold
    )]
    pub(crate) cold: Option<String>,
    /// Print the end of the log to standard error.
    #[arg(long, conflicts_with = "event")]
    pub(crate) tail: bool,
    /// Only queue the event; it is run later, and tried again if it fails.
    #[arg(long, conflicts_with_all = ["cold", "waterfall"])]
    pub(crate) event: bool,
    /// Draw the phases of this invocation to standard error.
    #[arg(long)]
    pub(crate) waterfall: bool,
}

/// Options of `pilot warm`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pilot warm word-stats --instances 5            started and initialised; the handler is not called
  pilot warm word-stats:live --instances 2 --payload '{\"path\": \"/health\"}'
  pilot warm word-stats -n 5 --schedule 'cron(55 7 ? * MON-FRI *)' --timezone Europe/Berlin

With a payload the handler of each instance is called once; client_context.custom has
\"pilotlight-warm-up\": \"true\". Exit code 1: there are fewer idle instances than were asked for.")]
pub(crate) struct WarmArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Function: name, name:qualifier or ARN.
    pub(crate) function: String,
    /// Idle instances that there are to be at least.
    #[arg(long, short = 'n', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(WARM_UP_INSTANCES)))]
    pub(crate) instances: u32,
    /// Call the handler with this event: JSON.
    #[arg(long, short, value_name = "JSON")]
    pub(crate) payload: Option<String>,
    /// Not now, but at these times: rate(…), cron(…) or at(…) of EventBridge Scheduler. Makes a schedule, or
    /// changes the one that is there.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) schedule: Option<String>,
    /// Time zone of the schedule.
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "UTC",
        requires = "schedule"
    )]
    pub(crate) timezone: String,
    /// Name of the schedule; warm-FUNCTION unless given.
    #[arg(long, requires = "schedule")]
    pub(crate) name: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}

/// Options of `pilot ls`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  pilot ls --output json | jq -r '.[].name'")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How to print.
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) output: Format,
}
