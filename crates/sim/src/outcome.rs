//! What one policy's run on a trace came to.

mod latency;
mod reliability;

use pilotlight_model::start::StartKind;
use pilotlight_policy::{Bytes, VersionId};

pub use crate::engine::forecasts::{Entry, Ledger, SourceKind};
pub use crate::engine::seat::Held;
pub use latency::Latency;
pub use reliability::{Reliability, TENTHS, Tenth};

use crate::engine::seat::Seats;
use crate::options::Minute;

/// Everything that is counted during a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// By function, as in the trace.
    pub functions: Vec<PerFunction>,
    /// What requests waited for their instance, over all requests.
    pub latency: Latency,
    /// Memory-time of zygotes that the policy wanted, in MB·s.
    pub zygotes_mb_s: f64,
    /// Starts that no request waited for.
    pub ahead: u64,
    /// Forecasts, and what came of them.
    pub ledger: Ledger,
    /// Most memory of nodes that was taken at once, zygotes not counted: what there was weighed, or was promised.
    pub peak: Bytes,
    /// Numbers about the run itself.
    pub tally: Tally,
}

/// What came to the requests of one function.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PerFunction {
    /// Arrivals: what shares of a function are taken of.
    pub arrivals: u64,
    /// Arrivals that paid user init.
    pub cold_arrivals: u64,
    /// Requests by kind of start, in the order of [`StartKind::ALL`].
    pub kinds: [u64; 5],
    /// Memory-time.
    pub held: Held,
}

impl PerFunction {
    /// Requests of any kind.
    pub fn requests(&self) -> u64 {
        self.kinds.iter().sum()
    }

    /// Requests that paid user init.
    pub fn cold(&self) -> u64 {
        self.kinds[StartKind::Zygote as usize] + self.kinds[StartKind::Booted as usize]
    }

    /// The share of arrivals that paid user init; none without arrivals.
    pub fn cold_share(&self) -> Option<f64> {
        (self.arrivals > 0).then(|| self.cold_arrivals as f64 / self.arrivals as f64)
    }
}

/// Numbers about a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that the policy was told.
    pub events: u64,
    /// Actions that it ordered.
    pub actions: u64,
    /// Actions that made no sense when they came.
    pub ignored: u64,
    /// Times that a start found too little room.
    pub pressures: u64,
    /// What was left for want of room although the policy was asked for it.
    pub no_room: u64,
    /// Requests that waited when the trace ended, and are in no other figure.
    pub unserved: u64,
}

/// Whether a start pays user init.
pub fn is_cold(kind: StartKind) -> bool {
    matches!(kind, StartKind::Zygote | StartKind::Booted)
}

impl Outcome {
    pub(crate) fn new(functions: usize) -> Self {
        Self {
            functions: vec![PerFunction::default(); functions],
            latency: Latency::default(),
            zygotes_mb_s: 0.0,
            ahead: 0,
            ledger: Ledger::default(),
            peak: Bytes(0),
            tally: Tally::default(),
        }
    }

    /// Requests that came in one minute, of which the first got such a start and the others were warm.
    pub(crate) fn arrived(
        &mut self,
        version: VersionId,
        requests: u32,
        first: StartKind,
        minute: Minute,
    ) {
        let function = &mut self.functions[version.0 as usize];
        function.arrivals += match minute {
            Minute::One => 1,
            Minute::Requests => u64::from(requests),
        };
        function.cold_arrivals += u64::from(is_cold(first));
        function.kinds[first as usize] += 1;
        function.kinds[StartKind::Warm as usize] += u64::from(requests - 1);
    }

    /// Requests that got such starts.
    pub(crate) fn served(&mut self, version: VersionId, requests: u32, kind: StartKind) {
        let function = &mut self.functions[version.0 as usize];
        let requests = u64::from(requests);
        function.arrivals += requests;
        function.cold_arrivals += if is_cold(kind) { requests } else { 0 };
        function.kinds[kind as usize] += requests;
    }

    pub(crate) fn close(&mut self, seats: &Seats, ledger: Ledger, tally: Tally) {
        for (version, function) in (0..).zip(&mut self.functions) {
            function.held = seats.held(VersionId(version));
        }
        self.ledger = ledger;
        self.peak = seats.peak();
        self.tally = tally;
    }
}
