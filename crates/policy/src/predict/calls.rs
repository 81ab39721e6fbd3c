//! Which versions a version calls, learned from requests that name their cause and from declared chains.

use std::time::Duration;

use crate::VersionId;

/// Callees that are followed for each caller: the strongest.
pub const CALLEES: usize = 8;
/// What an old request of the caller is worth one request later: about the last two hundred matter.
const KEEP: f32 = 0.995;
/// The same for what tells that calls have changed: about the last five matter.
const KEEP_RECENT: f32 = 0.8;
/// Standard errors by which the last few must differ from all to be believed instead. Low, since a caller with a few
/// requests a day would else have its callees expected for days after it calls others.
const CLEARLY: f32 = 0.7;
/// Requests that a declaration is worth.
const DECLARED: f32 = 5.0;
/// Requests of the caller for which one callee more is watched beside those that are followed.
const TRIAL: u32 = 8;
/// A caller's request that a callee is not tied to.
const NO_REQUEST: u64 = u64::MAX;
/// Delays that were not seen or declared: a call comes at once, or when a caller that takes its time is over.
const UNKNOWN: (f32, f32) = (1e-4, 40.0);
/// What the first delay says of the others: they may be so many times shorter, and so many times longer. Narrower, a short
/// first one had the forecasts of ten calls end before they came; wider, it kept more in vain than it foresaw.
const FIRST: (f32, f32) = (2.0, 1.5);
/// Steps by which quantiles of delays move, as parts of their value; the first ones are longer, by so much of a step
/// divided by the calls seen, since they begin at one delay.
const STEP: f32 = 0.1;
const FIRST_STEPS: f32 = 5.0;

/// One caller's callees; 100 bytes for each, and 24 for one that is watched beside eight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Callees {
    edges: Box<[Edge]>,
    requests: f32,
    /// The last few alone.
    recent: f32,
    watched: Option<Box<Watched>>,
}

/// A callee that would take the place of the weakest that is followed. Were each new one to take it, of a caller with
/// more callees than are followed none would stay for long enough to be known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Watched {
    callee: VersionId,
    /// The caller's request that was seen last to call it.
    request: u64,
    /// Requests of the caller meanwhile, and those that called.
    requests: u32,
    calling: u32,
}

/// What is known of one caller's calls to one callee.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// Version that is called.
    pub callee: VersionId,
    /// Decayed requests of the caller that made the call.
    calling: f32,
    /// Those of the last few requests alone.
    recent: f32,
    /// Decayed calls.
    calls: f32,
    /// Whether a definition says so.
    declared: bool,
    /// The caller's request that was seen last to make one.
    request: u64,
    /// The 10th, 50th and 90th percentile of the delay, in seconds.
    early: f32,
    middle: f32,
    late: f32,
    /// What forecasts over this edge were worth.
    pub record: EdgeRecord,
}

/// What forecasts over an edge were worth: only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EdgeRecord {
    /// Requests of the caller that made a call likely, whether the callee was ready anyway or not.
    pub forecasts: u32,
    /// Those that a call met.
    pub hits: u32,
    /// Calls over the edge, each of the caller's requests counted once.
    pub calls: u32,
    /// From the callee's being ready to its call, summed over hits, in seconds.
    pub lead_s: f32,
    /// MB·s that the callee was ready for calls that did not come.
    pub wasted_mb_s: f32,
}

impl Edge {
    /// Median and 90th percentile of the time from the caller's request to its call; what was declared, or may be, of a
    /// call that was not seen.
    pub fn delay(&self) -> [Duration; 2] {
        [self.middle, self.late].map(Duration::from_secs_f32)
    }

    /// Whether a definition says that the one calls the other.
    pub fn is_declared(&self) -> bool {
        self.declared
    }
}

impl EdgeRecord {
    /// The share of forecasts that a call met.
    pub fn precision(&self) -> f32 {
        self.hits as f32 / self.forecasts.max(1) as f32
    }

    /// The share of calls that the callee was made ready for.
    pub fn recall(&self) -> f32 {
        self.hits as f32 / self.calls.max(1) as f32
    }

    /// Mean time that the callee was ready before its call.
    pub fn lead(&self) -> Duration {
        Duration::from_secs_f32(self.lead_s / self.hits.max(1) as f32)
    }
}

/// A call to come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Version that will be called.
    pub callee: VersionId,
    /// How sure.
    pub probability: f32,
    /// Calls at once, if any.
    pub fan_out: f32,
    /// After the caller's request, not earlier.
    pub from: Duration,
    /// Nine of ten come sooner.
    pub late: Duration,
    /// Not later.
    pub until: Duration,
}

impl Callees {
    /// The caller has a request.
    pub fn request(&mut self) {
        self.requests = self.requests * KEEP + 1.0;
        self.recent = self.recent * KEEP_RECENT + 1.0;
        for edge in &mut self.edges {
            edge.calling *= KEEP;
            edge.recent *= KEEP_RECENT;
            edge.calls *= KEEP;
        }
        if let Some(watched) = &mut self.watched {
            watched.requests += 1;
        }
        self.watched.take_if(|it| it.requests > TRIAL);
    }

    /// A request of the caller has called, so long after it came. Whether it has not called that one before, as far as
    /// is known.
    pub fn called(&mut self, callee: VersionId, request: u64, after: Duration) -> bool {
        if self.edges.len() >= CALLEES && self.to(callee).is_none() {
            match self.watch(callee, request) {
                Ok(calling) => {
                    // The call that is counted below is among them.
                    let recent = calling / self.requests.max(1.0) * self.recent;
                    let edge = self.edge(callee, UNKNOWN);
                    (edge.calling, edge.calls) = (calling, calling);
                    edge.recent = recent;
                }
                Err(counts) => return counts,
            }
        }
        let after = after.as_secs_f32().clamp(1e-4, 86_400.0);
        // A caller whose own requests were not seen has at least those that called.
        let edge = self.edge(callee, (after, after));
        edge.calls += 1.0;
        if edge.request == request {
            return false;
        }
        if edge.record.calls == 0 {
            // What was declared of it is known better now; of how much it varies, one delay says little.
            (edge.early, edge.middle, edge.late) = (after / FIRST.0, after, after * FIRST.1);
        }
        edge.request = request;
        edge.calling += 1.0;
        edge.recent += 1.0;
        edge.record.calls += 1;
        let step = STEP * (1.0 + FIRST_STEPS / edge.record.calls as f32);
        edge.early = quantile(edge.early, after, 0.1, step);
        edge.middle = quantile(edge.middle, after, 0.5, step).max(edge.early);
        edge.late = quantile(edge.late, after, 0.9, step).max(edge.middle);
        let (calling, recent) = (edge.calling, edge.recent);
        self.requests = self.requests.max(calling);
        self.recent = self.recent.max(recent);
        true
    }

    /// A definition says that the caller calls. Said again, it says no more.
    pub fn declared(&mut self, callee: VersionId, part: f32, after: Option<Duration>) {
        let after = after.map(|after| after.as_secs_f32().clamp(1e-4, 86_400.0));
        let edge = self.edge(callee, after.map_or(UNKNOWN, |after| (after, after)));
        if std::mem::replace(&mut edge.declared, true) {
            return;
        }
        edge.calling += DECLARED * part.clamp(0.0, 1.0);
        edge.recent += DECLARED * part.clamp(0.0, 1.0);
        edge.calls += DECLARED * part.clamp(0.0, 1.0);
        self.requests = self.requests.max(DECLARED);
        self.recent = self.recent.max(DECLARED);
    }

    /// No definition says so any more. What was seen stays.
    pub fn declared_no_more(&mut self, callee: VersionId) {
        let stays = |edge: &Edge| edge.callee != callee || !edge.declared || edge.record.calls > 0;
        self.change(|edges| edges.retain(stays));
        if let Some(edge) = self.to(callee) {
            edge.declared = false;
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Vec<Edge>)) {
        let mut edges = std::mem::take(&mut self.edges).into_vec();
        change(&mut edges);
        self.edges = edges.into_boxed_slice();
    }

    fn weakest(&self) -> usize {
        let calling = |a: &(usize, &Edge), b: &(usize, &Edge)| a.1.calling.total_cmp(&b.1.calling);
        let edges = self.edges.iter().enumerate();
        edges.min_by(calling).map_or(0, |(place, _)| place)
    }

    /// A callee that is not followed was called. What its calls before come to, decayed, if it is called more often than
    /// the weakest that is followed; or else whether this is the first call of the request.
    fn watch(&mut self, callee: VersionId, request: u64) -> Result<f32, bool> {
        let weakest = self.edges.get(self.weakest());
        let watched = self.watched.get_or_insert_with(|| {
            Box::new(Watched {
                callee,
                request: NO_REQUEST,
                requests: 1,
                calling: 0,
            })
        });
        if watched.callee != callee {
            // Whichever of them is called first would be watched again and again.
            let begins = watched.requests == 1 && watched.calling <= 1;
            if begins && lot(callee, request) < lot(watched.callee, request) {
                (watched.callee, watched.request) = (callee, request);
                watched.calling = 1;
            }
            return Err(true);
        }
        if watched.request == request {
            return Err(false);
        }
        watched.request = request;
        watched.calling += 1;
        // Requests that ran already when the watch began may call, too.
        let requests = watched.requests.max(watched.calling);
        // One call fewer than was seen, against one more of the weakest, which may be about to come: so that of callees
        // that are called equally often those that are followed stay.
        let before = (watched.calling - 1) as f32 / requests as f32;
        let holds = weakest.map_or(0.0, |it| (it.calling + 1.0) / (self.requests + 1.0));
        if before <= holds {
            return Err(true);
        }
        self.watched = None;
        Ok(before * self.requests)
    }

    fn edge(&mut self, callee: VersionId, after: (f32, f32)) -> &mut Edge {
        let known = self.edges.iter().position(|edge| edge.callee == callee);
        let place = known.unwrap_or_else(|| {
            let new = Edge {
                callee,
                calling: 0.0,
                recent: 0.0,
                calls: 0.0,
                declared: false,
                request: NO_REQUEST,
                early: after.0,
                middle: after.0,
                late: after.1,
                record: EdgeRecord::default(),
            };
            if self.edges.len() >= CALLEES {
                let weakest = self.weakest();
                self.edges[weakest] = new;
                return weakest;
            }
            self.change(|edges| edges.push(new));
            self.edges.len() - 1
        });
        &mut self.edges[place]
    }

    /// What the caller's request that came just now will call.
    pub fn expected(&self) -> impl Iterator<Item = Expected> + '_ {
        self.edges.iter().map(|edge| self.over(edge))
    }

    /// What a request of the caller will call over one of its edges.
    pub fn over(&self, edge: &Edge) -> Expected {
        Expected {
            callee: edge.callee,
            probability: self.probability(edge),
            fan_out: edge.calls / edge.calling.max(1e-3),
            from: Duration::from_secs_f32(edge.early * 0.9),
            late: Duration::from_secs_f32(edge.late),
            until: Duration::from_secs_f32(edge.late * 1.5 + 0.05),
        }
    }

    /// By all that is remembered, unless the last few requests say clearly otherwise.
    fn probability(&self, edge: &Edge) -> f32 {
        // One more request that did not call: so that one call alone is no certainty.
        let usual = (edge.calling / (self.requests + 1.0)).min(1.0);
        let requests = self.recent.max(1.0);
        let recent = ((edge.recent + usual) / (requests + 1.0)).min(1.0);
        let error = ((usual * (1.0 - usual) + 1.0 / requests) / requests).sqrt();
        let clearly = (recent - usual).abs() > CLEARLY * error;
        if clearly { recent } else { usual }
    }

    /// The edge to a callee.
    pub fn to(&mut self, callee: VersionId) -> Option<&mut Edge> {
        self.edges.iter_mut().find(|edge| edge.callee == callee)
    }

    /// All edges, in no order.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

/// Of several callees, another has the least of these for each request.
fn lot(callee: VersionId, request: u64) -> u64 {
    (u64::from(callee.0) ^ request.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xff51_afd7_ed55_8ccd)
        .rotate_left(32)
        .wrapping_mul(0xc4ce_b9fe_1a85_ec53)
}

/// Moves an estimate towards its quantile by one value.
fn quantile(estimate: f32, value: f32, share: f32, step: f32) -> f32 {
    if value > estimate {
        (estimate * (1.0 + step * share)).min(value)
    } else {
        (estimate / (1.0 + step * (1.0 - share))).max(value)
    }
}

#[cfg(test)]
mod tests;
