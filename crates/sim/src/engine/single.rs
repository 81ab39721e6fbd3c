//! The model of the literature on keep-alive: one instance for each function, time by the minute. A request
//! is warm if the instance is there when its minute begins. Starts and handlers take no time of the
//! simulation (so that all memory-time is wasted, as in "Serverless in the Wild"); what starts would have
//! taken is drawn and reported.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::{Arrived, Waits};
use pilotlight_policy::{Event, NodeId, Ticket, VersionId};

use super::seat::Part;
use super::waiting::Runs;
use super::{MINUTE, World};
use crate::trace::{Cell, Minutes};

/// All requests of the trace.
pub(super) fn run(world: &mut World<'_>, progress: &mut dyn FnMut(u32)) {
    let trace = world.trace;
    let mut minutes = Minutes::new(&trace.counts, trace.begin, trace.end);
    let mut cells = Vec::new();
    for minute in trace.begin..trace.end {
        world.advance(Instant(u64::from(minute) * MINUTE));
        minutes.take(minute, &mut cells);
        for cell in &cells {
            arrive(world, *cell);
        }
        progress(minute);
    }
}

/// The requests of one function in one minute.
fn arrive(world: &mut World<'_>, cell: Cell) {
    let version = VersionId(cell.function);
    world.deploy(version);
    let found = find(world, version);
    let left_by_a_request = found.is_some_and(|(_, ahead)| !ahead);
    world
        .forecasts
        .arrived(world.now, version, !left_by_a_request);
    world.expected(version);
    world.tell(Event::Arrived(Arrived {
        version,
        requests: cell.requests,
        cause: None,
    }));
    // What the policy did about the arrival comes first.
    let first = match find(world, version) {
        Some((id, _)) => {
            serve(world, id);
            StartKind::Warm
        }
        None => begin(world, version),
    };
    world
        .outcome
        .arrived(version, cell.requests, first, world.options.minute);
    let fact = world.facts.of(version);
    // What warm requests wait follows from the profile, without a draw for each.
    let warm = cell.requests - u32::from(first != StartKind::Warm);
    let latency = &mut world.outcome.latency;
    latency.warm(fact.class, fact.weight * f64::from(warm));
    if first != StartKind::Warm {
        let took = world.start_takes(version, first);
        world.outcome.latency.add(took, fact.weight);
    }
}

/// The function's instance, and whether it was made ahead and has served nobody.
fn find(world: &World<'_>, version: VersionId) -> Option<(InstanceId, bool)> {
    let id = world
        .seats
        .nodes()
        .find_map(|node| world.seats.at(version, node).idle.last().copied())?;
    let instance = world.instances.get(id)?;
    Some((id, instance.forecast.is_some()))
}

/// An idle instance takes the requests, and is idle again.
fn serve(world: &mut World<'_>, id: InstanceId) {
    let Some(instance) = world.instances.get_mut(id) else {
        return;
    };
    debug_assert!(instance.part == Part::Idle);
    let (memory, node) = (instance.weighs, instance.node);
    let (forecast, version, began) = (instance.forecast.take(), instance.version, instance.began);
    world.seats.at_mut(version, node).last_used = world.now.0;
    world
        .forecasts
        .unused(forecast, version, began, world.now, memory);
    world.tell(Event::Busy(id));
    world.tell_idle(id);
}

/// The first request of the minute finds no instance. Returns the kind of start that it gets.
fn begin(world: &mut World<'_>, version: VersionId) -> StartKind {
    let ticket = world.waiting.push(version, world.now, Runs::For(0));
    world.tell(Event::Waits(Waits { ticket, version }));
    // There is nothing that it could wait for: a start is made although none is ordered.
    world.start_waiting(ticket, world.seats.roomiest());
    world.tell_queued();
    world.waiting.clear();
    let instance = made_for(world, version, ticket);
    world.tell(Event::Left(ticket));
    match instance {
        Some((id, kind)) => {
            serve(world, id);
            kind
        }
        // No room: the request is served by an instance that nobody keeps.
        None => {
            world.tally.no_room += 1;
            world.best_kind(version, NodeId(0))
        }
    }
}

/// The instance that was made for a request.
fn made_for(
    world: &World<'_>,
    version: VersionId,
    ticket: Ticket,
) -> Option<(InstanceId, StartKind)> {
    let mut idle = world
        .seats
        .nodes()
        .flat_map(|node| world.seats.at(version, node).idle.iter());
    idle.find_map(|id| {
        let instance = world.instances.get(*id)?;
        (instance.ticket == Some(ticket)).then_some((*id, instance.kind))
    })
}
