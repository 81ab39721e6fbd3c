//! State machines in the Amazon States Language, as far as they say which step follows which: definitions of AWS Step
//! Functions. Nothing here runs one.
//! Source: <https://states-language.net/>; of tasks, "Invoke an AWS Lambda function with Step Functions" in the AWS Step
//! Functions developer guide.

mod calls;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

pub use calls::DeclaredCall;

/// States of a machine, those within states among them.
pub const MOST_STATES: usize = 1_000;
/// Machines within machines: branches of Parallel states and what Map states repeat.
const DEEPEST: usize = 16;

/// A machine, or what a state has inside.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Where it begins.
    pub start: String,
    /// Its states, by name.
    pub states: BTreeMap<String, State>,
}

/// One state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// What it does.
    pub does: Does,
    /// Where it may go on: one way, several of a choice, none at an end. Ways that errors take are left out.
    pub ways: Vec<String>,
}

/// What a state does.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// It calls a function, as the definition names it, or does something else, or what only its run can tell.
    Task(Option<String>),
    /// It waits so long, where its run is not needed to tell.
    Wait(Option<Duration>),
    /// All of these at the same time.
    Parallel(Vec<Machine>),
    /// This for each of some items.
    Map(Box<Machine>),
    /// Nothing that takes time: Pass, Choice, Succeed, Fail.
    Nothing,
}

/// Why a definition is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWorkflow {
    /// A machine lacks its states, or where it begins.
    #[error("a state machine has no {0}")]
    Lacks(&'static str),
    /// A way leads to a state that there is not.
    #[error("there is no state '{0}'")]
    NoState(String),
    /// A state does not say what it is.
    #[error("the state '{0}' has no Type that is known")]
    Type(String),
    /// It has too many states.
    #[error("there are more than {MOST_STATES} states")]
    Large,
    /// It has machines within machines within machines.
    #[error("states are nested more than {DEEPEST} deep")]
    Deep,
}

impl Machine {
    /// Reads a definition. In what its tasks call, `${NAME}` stands for what `substitutions` have under that name, as in
    /// templates of CloudFormation and SAM.
    pub fn read(
        definition: &Value,
        substitutions: &BTreeMap<String, String>,
    ) -> Result<Self, InvalidWorkflow> {
        let mut reader = Reader {
            substitutions,
            states: 0,
        };
        reader.machine(definition, 0)
    }
}

struct Reader<'a> {
    substitutions: &'a BTreeMap<String, String>,
    states: usize,
}

impl Reader<'_> {
    fn machine(&mut self, value: &Value, depth: usize) -> Result<Machine, InvalidWorkflow> {
        if depth > DEEPEST {
            return Err(InvalidWorkflow::Deep);
        }
        let start = value["StartAt"].as_str();
        let start = start.ok_or(InvalidWorkflow::Lacks("StartAt"))?.to_owned();
        let given = value["States"].as_object();
        let given = given.ok_or(InvalidWorkflow::Lacks("States"))?;
        let mut states = BTreeMap::new();
        for (name, state) in given {
            self.states += 1;
            if self.states > MOST_STATES {
                return Err(InvalidWorkflow::Large);
            }
            states.insert(name.clone(), self.state(name, state, depth)?);
        }
        let ways = states.values().flat_map(|state: &State| &state.ways);
        let missing = ways.chain([&start]).find(|way| !states.contains_key(*way));
        if let Some(missing) = missing {
            return Err(InvalidWorkflow::NoState(missing.clone()));
        }
        Ok(Machine { start, states })
    }

    fn state(&mut self, name: &str, value: &Value, depth: usize) -> Result<State, InvalidWorkflow> {
        let does = match value["Type"].as_str() {
            Some("Task") => Does::Task(self.function(value)),
            Some("Wait") => {
                // The longest that an execution may take is a year.
                let seconds = value["Seconds"].as_f64();
                let seconds = seconds.map(|it| it.clamp(0.0, 31_536_000.0));
                Does::Wait(seconds.map(Duration::from_secs_f64))
            }
            Some("Parallel") => {
                let branches = value["Branches"].as_array().into_iter().flatten();
                let branches = branches.map(|branch| self.machine(branch, depth + 1));
                Does::Parallel(branches.collect::<Result<_, _>>()?)
            }
            Some("Map") => {
                // `Iterator` is what the processor was called before.
                let each = value.get("ItemProcessor").or(value.get("Iterator"));
                let each = each.unwrap_or(&Value::Null);
                Does::Map(Box::new(self.machine(each, depth + 1)?))
            }
            Some("Pass" | "Choice" | "Succeed" | "Fail") => Does::Nothing,
            _ => return Err(InvalidWorkflow::Type(name.to_owned())),
        };
        let choices = value["Choices"].as_array().into_iter().flatten();
        let mut ways: Vec<String> = choices
            .filter_map(|choice| choice["Next"].as_str())
            .chain(value["Default"].as_str())
            .map(str::to_owned)
            .collect();
        if ways.is_empty() {
            ways.extend(value["Next"].as_str().map(str::to_owned));
        }
        Ok(State { does, ways })
    }

    /// The function that a task calls: its resource, or a member of what it hands to `lambda:invoke`.
    fn function(&self, task: &Value) -> Option<String> {
        let resource = self.substituted(task["Resource"].as_str()?)?;
        let name = match resource.contains(":states:::lambda:invoke") {
            true => {
                let member = |of: &str| task[of]["FunctionName"].as_str();
                self.substituted(member("Parameters").or(member("Arguments"))?)?
            }
            false if resource.contains(":lambda:") => resource,
            false => return None,
        };
        // What JSONata computes is not known.
        (!name.starts_with("{%")).then_some(name)
    }

    /// The text with its placeholders filled in; nothing where one is not known.
    fn substituted(&self, text: &str) -> Option<String> {
        let mut parts = text.split("${");
        let mut whole = parts.next()?.to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}')?;
            whole.push_str(self.substitutions.get(name)?);
            whole.push_str(rest);
        }
        Some(whole)
    }
}

#[cfg(test)]
mod tests;
