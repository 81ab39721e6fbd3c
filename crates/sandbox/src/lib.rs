//! Linux isolation: programs run in sandboxes that are made ahead of time.
//!
//! ```text
//! agent ── launcher ─ builder ──fork──▶ init (pid 1) ──fork──▶ program          one of each per slot
//!   │        (one      (cgroup,            │ net, pid, mount, ipc,  │ user namespace, no capability,
//!   │         thread)   network)           │ uts, cgroup namespaces │ seccomp: parked before execve
//!   │                                      │ /proc, /dev, /tmp ready│
//!   └──────── launch: limits; root ────────┘                        │
//!                     argv, env, pipes ────────────────────────────▶┘
//! ```
//!
//! A [`Slot`] has everything that does not depend on the function. [`Slot::launch`] writes its limits, hands init the
//! function's [`Root`] and the parked program what to execute; init moves the prepared mounts into the root, switches to
//! it, becomes nobody, and lets the program go. All namespaces but the program's own user namespace belong to the
//! one around it, so that not even capabilities would help inside.
//!
//! Other programs, its *companions*, may run beside the program, in its sandbox and started before it ([`Slot::accompany`],
//! [`Berth::accompany`]): init forks them into the program's user namespace, and reports how each of them ends.
//!
//! A program that waits can be frozen ([`Process::freeze`]): then it is a [`Template`], which is forked into [`Berth`]s, slots
//! that are made inside of it. A fork needs neither the launcher nor a privilege: see `template`.
//!
//! Nothing outlives its owner: init exits when its channel to the agent ends, and with init everything in the sandbox;
//! the launcher likewise. Mounts and network namespaces have no names. What can be left behind is control groups, one
//! network interface and one firewall table, which the next start deletes.

#![deny(unsafe_code)]

pub mod cgroup;
mod channel;
mod clock;
mod companions;
mod config;
mod error;
mod filling;
mod foundation;
mod identity;
mod image;
mod impatience;
mod init;
mod launcher;
mod message;
mod mounts;
pub mod network;
mod node;
pub mod probe;
mod process;
mod reports;
mod root;
mod sandboxes;
mod seccomp;
mod slot;
#[allow(unsafe_code)]
mod sys;
mod template;

pub use clock::monotonic_now;
pub use companions::{Beside, CompanionEnd, Companions, MAX_COMPANIONS};
pub use config::Config;
pub use error::{LaunchError, SlotError};
pub use foundation::Listeners;
pub use image::Image;
pub use launcher::launcher_main_if_asked;
pub use mounts::MountError;
pub use node::StartError;
pub use process::{Exit, Marks, Process};
pub use root::{Code, Root};
pub use sandboxes::Sandboxes;
pub use slot::{Accompanied, Launch, Slot};
pub use template::{Berth, Demand, ForkError, FreezeError, Furnishing, Lesson, Refusal, Template};
