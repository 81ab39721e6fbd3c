//! The simulator through its public door.

#[path = "it/calibration.rs"]
mod calibration;
#[path = "it/concurrent.rs"]
mod concurrent;
#[path = "it/eventlog.rs"]
mod eventlog;
#[path = "it/fixed.rs"]
mod fixed;
#[path = "it/goal.rs"]
mod goal;
#[path = "it/ladder.rs"]
mod ladder;
#[path = "it/nodes.rs"]
mod nodes;
#[path = "it/read.rs"]
mod read;
#[path = "it/room.rs"]
mod room;
#[path = "it/schedule.rs"]
mod schedule;
#[path = "it/support.rs"]
mod support;
