//! The price of memory: what a minute of an average version's template must save, as a share of a request,
//! to be worth it. A slow controller sets it so that what is spent stays within the budget.

use std::time::Duration;

use pilotlight_model::start::Instant;

use super::shadow::KEEP_ALIVE;
use super::{Budget, Ledger};

/// Between two looks at the account.
pub const EVERY: Duration = Duration::from_secs(60);
/// The price that the shadow of ten minutes begins with. What balances the day series of the Azure Functions 2019 data
/// is 5e-5; less spends what there is before a short trace is over.
const FIRST: f64 = 2e-5;
/// The price of a node's memory when it is scarce, and what is made ready while it is free is held against.
const SCARCE: f64 = 5e-5;
/// Nothing is worth so little that the shadow of ten minutes could buy it and have enough for what comes.
const LOWEST: f64 = 3e-8;
const HIGHEST: f64 = 1.0;
/// Below that part of what a node, or a budget of memory, has, memory is free.
const FREE: f64 = 0.95;
/// Over how long a surplus or a debt is evened out.
const HORIZON_S: f64 = 2.0 * 3_600.0;
/// How fast the price follows: by so much of the logarithm of what is spent over what may be, each minute.
const FOLLOW: f64 = 0.05;
/// By how much what is spent is taken to be over what may be, where nothing is left.
const SHORT: f64 = 8.0;
/// No decision holds for longer before it is looked at again, nor for more than half of a shadow's keep-alive; the
/// account keeps a reserve for so long.
const LEASE: Duration = Duration::from_secs(300);
/// And for no less than so long.
const SHORTEST: Duration = Duration::from_secs(5);
/// What is learned of spending per minute is forgotten over so many minutes.
const SMOOTH: f64 = 1.0 / 60.0;

/// The controller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    budget: Budget,
    price: f64,
    looked: Option<Look>,
    spending: f64,
    income: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Look {
    at: Instant,
    spent: f64,
    shadow: f64,
}

impl Price {
    /// A price for that budget.
    pub fn new(budget: Budget) -> Self {
        let price = match budget {
            // The last moment that the shadow keeps is worth about one part in its time: hazards fall as one over
            // the time that has passed.
            Budget::Shadow(keep_alive) => {
                (FIRST * shorter(keep_alive)).clamp(lowest(keep_alive), HIGHEST)
            }
            Budget::Node | Budget::Bytes(_) => 0.0,
        };
        Self {
            budget,
            price,
            looked: None,
            spending: 0.0,
            income: 0.0,
        }
    }

    /// The price; 0 where memory is free.
    pub fn now(&self) -> f64 {
        self.price
    }

    /// Whether memory is free: there is enough of what the budget allows.
    pub fn is_free(&self) -> bool {
        self.price <= 0.0
    }

    /// Whether a template that is there stays, whatever it is worth, until others need its room: idle instances leave
    /// what starts find.
    pub fn leaves_templates(&self) -> bool {
        !matches!(self.budget, Budget::Shadow(_))
    }

    /// The price at which something is made ready that is not: where memory is free, that of scarce memory, lest
    /// what was given up for want of room is made again as soon as there is some.
    pub fn to_make(&self) -> f64 {
        if self.is_free() { SCARCE } else { self.price }
    }

    /// For how long a decision holds at most.
    pub fn lease(&self) -> Duration {
        match self.budget {
            Budget::Shadow(keep_alive) => (keep_alive / 2).clamp(SHORTEST, LEASE),
            Budget::Node | Budget::Bytes(_) => LEASE,
        }
    }

    /// When to look next.
    pub fn due(&self) -> Option<Instant> {
        self.looked
            .map(|look| Instant(look.at.0 + EVERY.as_nanos() as u64))
    }

    /// Whether nothing may be kept that the shadow does not keep: the surplus would not last until every
    /// decision was looked at again.
    pub fn is_short(&self, ledger: &Ledger) -> bool {
        if !matches!(self.budget, Budget::Shadow(_)) {
            return false;
        }
        ledger.shadow() - ledger.spent() < ledger.bytes() * self.lease().as_secs_f64()
    }

    /// Looks at the account, which has been settled.
    pub fn look(&mut self, now: Instant, ledger: &Ledger, fill: f64) {
        let look = Look {
            at: now,
            spent: ledger.spent(),
            shadow: ledger.shadow(),
        };
        let Some(last) = self.looked.replace(look) else {
            return;
        };
        let seconds = now.since(last.at).as_secs_f64().max(1.0);
        let smooth = (SMOOTH * seconds / EVERY.as_secs_f64()).min(1.0);
        self.spending += smooth * ((look.spent - last.spent) / seconds - self.spending);
        self.income += smooth * ((look.shadow - last.shadow) / seconds - self.income);
        match self.budget {
            Budget::Shadow(keep_alive) => {
                let surplus = (look.shadow - look.spent) / HORIZON_S;
                let may = (self.income + surplus).max(self.income * 0.05);
                // Being short saves at random: the price has been too low.
                let short = self.is_short(ledger);
                let is = if short { may * SHORT } else { self.spending };
                self.follow(is, may, seconds, lowest(keep_alive));
            }
            Budget::Node | Budget::Bytes(_) if fill < FREE => self.price = 0.0,
            Budget::Node | Budget::Bytes(_) => self.price = SCARCE,
        }
    }

    fn follow(&mut self, is: f64, may: f64, seconds: f64, lowest: f64) {
        if is <= 0.0 || may <= 0.0 {
            return;
        }
        let step =
            FOLLOW * (is / may).ln().clamp(-1.0, 2.0) * (seconds / EVERY.as_secs_f64()).min(10.0);
        self.price = (self.price * step.exp()).clamp(lowest, HIGHEST);
    }
}

/// How many times that keep-alive goes into ten minutes.
fn shorter(keep_alive: Duration) -> f64 {
    KEEP_ALIVE.as_secs_f64() / keep_alive.as_secs_f64().max(1e-3)
}

/// The lowest price. The longer the shadow keeps, the more of what it would spend is left over in any case.
fn lowest(keep_alive: Duration) -> f64 {
    LOWEST * shorter(keep_alive).min(1.0).powi(2)
}
