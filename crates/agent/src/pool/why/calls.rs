//! The graph of calls that the policy has learned, in pages.

use pilotlight_model::function::VersionKey;
use pilotlight_model::node::{CallsAnswer, CallsAsked, CallsOf};
use pilotlight_policy::VersionId;

use super::explained;
use crate::pool::Pool;
use crate::pool::state::State;

/// Versions that are looked at while everybody else waits for the pool: some tens of microseconds.
const AT_A_TIME: u32 = 512;

impl Pool {
    /// Calls of functions by functions. Versions that have gone, and their calls, are not there any more.
    pub(crate) fn calls(&self, asked: &CallsAsked, policy: &str) -> CallsAnswer {
        let mut answer = CallsAnswer {
            policy: policy.to_owned(),
            calls: Vec::new(),
            next: None,
        };
        let mut from = asked.from;
        loop {
            let mut state = self.lock();
            state.mind.tell();
            let end = state.mind.numbers.len();
            for _ in 0..AT_A_TIME {
                if from >= end {
                    return answer;
                }
                if answer.calls.len() >= asked.limit {
                    answer.next = Some(from);
                    return answer;
                }
                state.add_calls_of(VersionId(from), asked, &mut answer.calls);
                from += 1;
            }
        }
    }
}

impl State {
    fn add_calls_of(&self, caller: VersionId, asked: &CallsAsked, calls: &mut Vec<CallsOf>) {
        let Some(numbered) = self.mind.numbers.at(caller) else {
            return;
        };
        let key = &numbered.spec.key;
        if key.account != asked.account || key.region != asked.region {
            return;
        }
        let Some(explained) = self.mind.explain(self.now, caller) else {
            return;
        };
        let is = |key: &VersionKey| asked.function.as_ref().is_none_or(|name| key.name == *name);
        let edges = explained.callees.edges().iter();
        let first = calls.len();
        calls.extend(edges.filter_map(|edge| {
            let callee = &self.mind.numbers.at(edge.callee)?.spec.key;
            (is(key) || is(callee)).then(|| CallsOf {
                caller: key.to_string(),
                calls: explained::calls(explained.callees, edge, callee),
            })
        }));
        calls[first..]
            .sort_by(|one, other| other.calls.probability.total_cmp(&one.calls.probability));
    }
}
