//! Sandboxes, for real: what they run, what they keep in, and what is left of them. Needs root, a C compiler, erofs-utils
//! and nftables.
//!
//! The host's network stays as it is: a namespace stands for it.

// Tests without the standard harness are not recognised as such.
#![allow(clippy::unwrap_used)]

#[path = "it/companions.rs"]
mod companions;
#[path = "it/contained.rs"]
mod contained;
#[path = "it/gone.rs"]
mod gone;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/runs.rs"]
mod runs;
#[path = "it/templates.rs"]
mod templates;
#[path = "it/world.rs"]
mod world;

use libtest_mimic::{Arguments, Trial};
use pilotlight_sandbox::launcher_main_if_asked;
use pilotlight_sandbox::network::NetNs;

fn main() {
    launcher_main_if_asked();
    if gone::node_main_if_asked() {
        return;
    }
    let mut arguments = Arguments::from_args();
    // Some look at what their process has left.
    arguments.test_threads = Some(1);
    let trials: Vec<Trial> = [
        runs::trials(),
        companions::trials(),
        contained::trials(),
        gone::trials(),
        templates::trials(),
        hostile::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    let host = NetNs::create().expect("these tests need root");
    host.enter(|| libtest_mimic::run(&arguments, trials))
        .expect("these tests need root")
        .exit();
}
