//! Which functions of a machine call which: the steps that may follow each other, with how often and after which waits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Does, Machine, State};

/// What is less likely is not followed, as loops never end.
const UNLIKELY: f64 = 0.01;
/// Steps that are looked at in all; of a machine with more ways the last are not known.
const MOST_STEPS: usize = 100_000;

/// A call that a definition declares: a step follows another.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredCall {
    /// Function of the step before, as the definition names it.
    pub caller: String,
    /// Function of the step that follows.
    pub callee: String,
    /// The part of the first one's requests that the second follows, more than 0 and at most 1: a choice goes each way as
    /// often.
    pub part: f64,
    /// Waits between them that the definition tells, in the mean.
    pub waits: Duration,
}

/// A machine as a graph, without the machines inside it.
#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Default)]
struct Node<'a> {
    function: Option<&'a str>,
    waits: Duration,
    /// Where it goes on, and how likely.
    ways: Vec<(usize, f64)>,
}

/// Steps of one function that follow another's, all together.
#[derive(Default)]
struct Sum {
    part: f64,
    waits: f64,
}

impl Machine {
    /// All calls, each pair of functions once.
    pub fn calls(&self) -> Vec<DeclaredCall> {
        let mut graph = Graph::default();
        let end = graph.add(Node::default());
        graph.machine(self, end);
        graph.calls()
    }
}

impl<'a> Graph<'a> {
    fn add(&mut self, node: Node<'a>) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Adds a machine that goes on at `end`; returns where it begins.
    fn machine(&mut self, machine: &'a Machine, end: usize) -> usize {
        let places: BTreeMap<&str, usize> = machine
            .states
            .keys()
            .map(|name| (name.as_str(), self.add(Node::default())))
            .collect();
        for (name, state) in &machine.states {
            let ways: Vec<usize> = match state.ways.is_empty() {
                true => vec![end],
                false => state.ways.iter().map(|way| places[way.as_str()]).collect(),
            };
            let each = 1.0 / ways.len() as f64;
            let ways = ways.into_iter().map(|way| (way, each)).collect();
            let node = self.state(state, ways);
            self.nodes[places[name.as_str()]] = node;
        }
        places[machine.start.as_str()]
    }

    fn state(&mut self, state: &'a State, ways: Vec<(usize, f64)>) -> Node<'a> {
        let mut node = Node::default();
        match &state.does {
            Does::Parallel(branches) if !branches.is_empty() => {
                // Which branch is the last, and so the one that is followed, is not known.
                let each = 1.0 / branches.len() as f64;
                let joins = ways.iter().map(|(way, part)| (*way, part * each));
                let join = Node {
                    ways: joins.collect(),
                    ..Node::default()
                };
                let join = self.add(join);
                let branches = branches.iter();
                node.ways = branches.map(|it| (self.machine(it, join), 1.0)).collect();
                return node;
            }
            Does::Map(each) => {
                let join = self.add(Node {
                    ways,
                    ..Node::default()
                });
                node.ways = vec![(self.machine(each, join), 1.0)];
                return node;
            }
            Does::Task(function) => node.function = function.as_deref(),
            Does::Wait(waits) => node.waits = waits.unwrap_or_default(),
            Does::Parallel(_) | Does::Nothing => {}
        }
        node.ways = ways;
        node
    }

    fn calls(&self) -> Vec<DeclaredCall> {
        let mut steps = BTreeMap::<&str, u32>::new();
        let mut sums = BTreeMap::<(&str, &str), Sum>::new();
        let mut left = MOST_STEPS;
        for node in &self.nodes {
            let Some(caller) = node.function else {
                continue;
            };
            *steps.entry(caller).or_default() += 1;
            let mut open: Vec<(usize, f64, Duration)> = node
                .ways
                .iter()
                .map(|(to, part)| (*to, *part, Duration::ZERO))
                .collect();
            while let Some((at, part, waits)) = open.pop() {
                if part < UNLIKELY || left == 0 {
                    continue;
                }
                left -= 1;
                let next = &self.nodes[at];
                if let Some(callee) = next.function {
                    let sum = sums.entry((caller, callee)).or_default();
                    sum.part += part;
                    sum.waits += part * waits.as_secs_f64();
                    continue;
                }
                let waits = waits.saturating_add(next.waits);
                open.extend(next.ways.iter().map(|(to, of)| (*to, part * of, waits)));
            }
        }
        let call = |((caller, callee), sum): ((&str, &str), Sum)| DeclaredCall {
            caller: caller.to_owned(),
            callee: callee.to_owned(),
            // Each of a function's steps is as likely to be the one that a request is for.
            part: (sum.part / f64::from(steps[caller])).min(1.0),
            waits: Duration::try_from_secs_f64(sum.waits / sum.part).unwrap_or(Duration::MAX),
        };
        // Who comes after itself is ready.
        let calls = sums
            .into_iter()
            .filter(|((caller, callee), _)| caller != callee);
        calls.map(call).collect()
    }
}
