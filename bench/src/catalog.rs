//! What a large catalog costs: the same calls in turn to a platform with few functions and to one with many,
//! each with versions. Their rows are written next to each other into the database, as copies of one that
//! was deployed: deploying them all would take an hour and show the same.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::{Connection as Database, params};
use serde_json::{Value, json};

use crate::http::{Answer, Connection, request};
use crate::invoke::{invocation, invoke};
use crate::platform::Platform;
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;
use crate::{Bench, POOLED};

const SEED: &str = "seed";
/// Functions of the small platform: one whole page.
const FEW: usize = 60;
/// Published versions of each function.
const VERSIONS: usize = 5;
/// Versions that the node keeps ready; the same for both.
const INSTANCES: u64 = 50;
const FUNCTIONS: &str = "/2015-03-31/functions";
/// How much longer a call may take with many functions than with few.
const FLAT: f64 = 1.5;

/// One of the two.
struct Side {
    platform: Platform,
    connection: Connection,
    functions: usize,
    /// Of the next page.
    marker: String,
    /// How long it took until it was ready.
    ready: Duration,
}

/// Lists, gets, creates and invokes with few and with many functions.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let title = format!(
        "{} functions with {VERSIONS} versions each, beside {FEW}",
        bench.functions
    );
    let mut section = Section::begin(title);
    let mut sides = [
        Side::open(bench, "few", FEW)?,
        Side::open(bench, "many", bench.functions)?,
    ];
    type Call = fn(&mut Side, usize) -> anyhow::Result<Duration>;
    let calls: [(&str, usize, Call); 6] = [
        ("list, a page of 50", bench.samples, Side::list),
        ("get", bench.samples, Side::get),
        ("get, a version", bench.samples, Side::get_version),
        ("create", bench.samples.min(50), Side::create),
        ("invoke, warm", bench.samples, Side::invoke_seed),
        (
            "invoke, for the first time",
            bench.samples.min(50),
            Side::invoke_first,
        ),
    ];
    for (name, samples, call) in calls {
        let mut times = [Samples::default(), Samples::default()];
        for number in 0..samples {
            for (side, times) in sides.iter_mut().zip(&mut times) {
                times.push(call(side, number).with_context(|| name.to_owned())?);
            }
        }
        let [few, many] = [FEW, bench.functions].map(|count| format!("{name}: {count} functions"));
        section.time(&few, &times[0]);
        section.time(&many, &times[1]);
        let ratio = section.ratio(&many, &few)?;
        section.at_most(format!("{name}, many / few"), ratio, FLAT);
    }
    for side in &sides {
        let name = format!("ready after, with {} functions", side.functions);
        section.figure(name, side.ready.as_secs_f64() * 1e3, "ms");
    }
    Ok(section.end())
}

impl Side {
    fn open(bench: &Bench, name: &str, functions: usize) -> anyhow::Result<Self> {
        let data_dir = bench.data_dir_of(&format!("catalog-{name}"))?;
        let start = || Platform::start_with(&bench.pilot, &data_dir, POOLED, INSTANCES);
        let platform = start()?;
        platform.deploy(&PYTHON, Path::new(PYTHON.hello), SEED)?;
        let mut connection = platform.connect()?;
        for version in 0..VERSIONS {
            // What has not changed is no new version.
            let path = format!("{FUNCTIONS}/{SEED}/configuration");
            let change = json!({ "Description": version.to_string() }).to_string();
            expect(connection.call(&request("PUT", &path, &[], change.as_bytes()))?)?;
            settled(&mut connection)?;
            let path = format!("{FUNCTIONS}/{SEED}/versions");
            expect(connection.call(&request("POST", &path, &[], b"{}"))?)?;
        }
        drop(platform);
        multiply(&data_dir, functions - 1)?;
        let begin = Instant::now();
        let platform = start()?;
        let ready = begin.elapsed();
        platform.settle()?;
        let mut connection = platform.connect()?;
        invoke(&mut connection, &invocation(SEED, None, "{}"))?;
        Ok(Self {
            platform,
            connection,
            functions,
            marker: String::new(),
            ready,
        })
    }

    fn list(&mut self, _: usize) -> anyhow::Result<Duration> {
        let path = format!("{FUNCTIONS}?MaxItems=50{}", self.marker);
        let answer = expect(self.connection.call(&request("GET", &path, &[], b""))?)?;
        let page: Value = serde_json::from_slice(&answer.body)?;
        let whole = page["Functions"]
            .as_array()
            .is_some_and(|all| all.len() == 50);
        // Only whole pages are like each other.
        self.marker = match page["NextMarker"].as_str() {
            Some(marker) if self.functions > 100 => format!("&Marker={marker}"),
            _ => String::new(),
        };
        ensure!(whole, "not a whole page");
        Ok(answer.first_byte)
    }

    fn get(&mut self, number: usize) -> anyhow::Result<Duration> {
        let path = format!("{FUNCTIONS}/{}", self.name(number));
        let answer = expect(self.connection.call(&request("GET", &path, &[], b""))?)?;
        Ok(answer.first_byte)
    }

    fn get_version(&mut self, number: usize) -> anyhow::Result<Duration> {
        let version = number % VERSIONS + 1;
        let path = format!("{FUNCTIONS}/{}?Qualifier={version}", self.name(number));
        let answer = expect(self.connection.call(&request("GET", &path, &[], b""))?)?;
        Ok(answer.first_byte)
    }

    fn create(&mut self, number: usize) -> anyhow::Result<Duration> {
        let name = format!("new-{number}");
        let body = json!({
            "FunctionName": name, "Runtime": "provided.al2023", "Handler": "bootstrap",
            "Role": "arn:aws:iam::123456789012:role/bench",
            "Code": { "ZipFile": BASE64_STANDARD.encode(EMPTY_ZIP) },
        });
        let body = body.to_string();
        let answer =
            expect(
                self.connection
                    .call(&request("POST", FUNCTIONS, &[], body.as_bytes()))?,
            )?;
        let path = format!("{FUNCTIONS}/{name}");
        expect(self.connection.call(&request("DELETE", &path, &[], b""))?)?;
        Ok(answer.first_byte)
    }

    fn invoke_seed(&mut self, _: usize) -> anyhow::Result<Duration> {
        let invoked = invoke(&mut self.connection, &invocation(SEED, None, "{}"))?;
        Ok(invoked.first_byte)
    }

    /// Of the functions at the end, which were not made ready at the start.
    fn invoke_first(&mut self, number: usize) -> anyhow::Result<Duration> {
        self.platform.settle()?;
        let name = format!("f{:06}", self.functions - 2 - number);
        let cold = invocation(&name, Some("zygote"), "{}");
        Ok(invoke(&mut self.connection, &cold)?.first_byte)
    }

    /// Strewn over all of them.
    fn name(&self, number: usize) -> String {
        format!("f{:06}", number * 7_919 % (self.functions - 1))
    }
}

/// A zip of one empty file.
const EMPTY_ZIP: &[u8] = b"PK\x03\x04\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0bootstrap\
    PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0!\0\0\0\0\0\0\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\0\0\0\0\xed\x81\0\0\0\0bootstrap\
    PK\x05\x06\0\0\0\0\x01\0\x01\x007\0\0\0'\0\0\0\0\0";

/// Waits until the last change of the seed has been made ready.
fn settled(connection: &mut Connection) -> anyhow::Result<()> {
    let path = format!("{FUNCTIONS}/{SEED}/configuration");
    loop {
        let answer = expect(connection.call(&request("GET", &path, &[], b""))?)?;
        let found: Value = serde_json::from_slice(&answer.body)?;
        match found["LastUpdateStatus"].as_str() {
            Some("Successful") => return Ok(()),
            Some("Failed") => anyhow::bail!("the seed was not made ready: {found}"),
            _ => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn expect(answer: Answer) -> anyhow::Result<Answer> {
    let text = String::from_utf8_lossy(&answer.body);
    ensure!(answer.status < 300, "answered {}: {text}", answer.status);
    Ok(answer)
}

/// Copies the seed and its versions so many times.
fn multiply(data_dir: &Path, copies: usize) -> anyhow::Result<()> {
    let mut database = Database::open(data_dir.join("catalog.sqlite"))?;
    let transaction = database.transaction()?;
    let seed: i64 =
        transaction.query_row("SELECT id FROM function WHERE name = ?1", [SEED], |row| {
            row.get(0)
        })?;
    let last: i64 =
        transaction.query_row("SELECT max(revision) FROM version", [], |row| row.get(0))?;
    for (table, key) in [("function", "id"), ("version", "function")] {
        let columns = columns(&transaction, table)?;
        // Everything as it is but for what must differ.
        let value = |column: &String| match (table, column.as_str()) {
            ("function", "id") | ("version", "function") => "?2".to_owned(),
            ("function", "name") => "?3".to_owned(),
            ("version", "revision") => "revision + ?4".to_owned(),
            ("version", "serving") => {
                "json_set(serving, '$.key.name', ?3, '$.revision', revision + ?4)".to_owned()
            }
            _ => column.clone(),
        };
        let values: Vec<_> = columns.iter().map(value).collect();
        let mut copy = transaction.prepare(&format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {table} WHERE {key} = ?1 AND ?3 != '' AND ?4 >= 0",
            columns.join(", "),
            values.join(", ")
        ))?;
        for number in 0..copies as i64 {
            copy.execute(params![
                seed,
                seed + 1 + number,
                format!("f{number:06}"),
                (number + 1) * last
            ])?;
        }
    }
    transaction.execute(
        "UPDATE setting SET value = ?1 WHERE name = 'revision'",
        [((copies as i64 + 2) * last).to_string()],
    )?;
    transaction.commit()?;
    Ok(())
}

fn columns(database: &Database, table: &str) -> anyhow::Result<Vec<String>> {
    let mut query = database.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let names = query.query_map([table], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}
