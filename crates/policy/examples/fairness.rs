//! What the queue of starts takes with many requests waiting: `cargo run --release -p pilotlight-policy --example
//! fairness -- [REQUESTS]`. They are of 100 accounts with 100 versions each, one of which has half of them all. Prints
//! how long each step took, by kind.

use std::time::{Duration, Instant as Clock};

use pilotlight_policy::Ticket;
use pilotlight_policy::fairness::{Fair, Flow, Party};

type Queue = Fair<String, (String, String)>;

/// Times of one kind of step.
#[derive(Default)]
struct Times(Vec<u32>);

impl Times {
    fn of<T>(&mut self, step: impl FnOnce() -> T) -> T {
        let begin = Clock::now();
        let result = step();
        let took = begin.elapsed().as_nanos().min(u128::from(u32::MAX));
        self.0.push(took as u32);
        result
    }

    fn print(mut self, name: &str) {
        self.0.sort_unstable();
        let Some(last) = self.0.len().checked_sub(1) else {
            return;
        };
        let at = |share: f64| f64::from(self.0[(share * last as f64) as usize]) / 1e3;
        println!(
            "{name:9} {:8} steps  p50 {:6.2} us  p99 {:6.2}  p99.9 {:7.2}",
            last + 1,
            at(0.5),
            at(0.99),
            at(0.999),
        );
    }
}

fn main() {
    let requests: u64 = std::env::args()
        .nth(1)
        .and_then(|it| it.parse().ok())
        .unwrap_or(100_000);
    let names: Vec<(String, (String, String))> = (0..10_000)
        .map(|number| {
            let account = format!("{:012}", number / 100);
            let version = (account.clone(), format!("function-{number}"));
            (account, version)
        })
        .collect();
    let flow = |ticket: u64| {
        let spread = ticket.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let (account, version) = match ticket % 2 {
            0 => &names[0],
            _ => &names[spread as usize % names.len()],
        };
        Flow { account, version }
    };
    let mut queue = Queue::default();
    let (mut wait, mut take, mut left) = (Times::default(), Times::default(), Times::default());
    let (mut hold, mut judge) = (Times::default(), Times::default());
    for ticket in 0..requests {
        wait.of(|| queue.wait(flow(ticket), Ticket(ticket)));
    }
    for step in 0..requests / 2 {
        // Each start makes an instance, and one that is free is judged.
        let next = take.of(|| {
            let next = match step % 2 {
                0 => queue.first(),
                _ => queue.neediest(),
            };
            if let Some(next) = next {
                queue.take(flow(next.0), next, Duration::from_millis(1 + step % 90));
            }
            next
        });
        let (Some(next), Some(needs)) = (next, queue.neediest()) else {
            break;
        };
        hold.of(|| queue.holds(flow(next.0), 1 + step % 7));
        let party = |ticket: Ticket| Party {
            flow: flow(ticket.0),
            share: 1,
            settled: true,
        };
        judge.of(|| std::hint::black_box(queue.gives_way(&party(next), &party(needs))));
    }
    for ticket in 0..requests {
        left.of(|| queue.left(flow(ticket), Ticket(ticket)));
    }
    assert!(queue.is_empty());
    wait.print("wait");
    take.print("take");
    hold.print("hold");
    judge.print("give way");
    left.print("leave");
}
