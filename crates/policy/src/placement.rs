//! On which node a start is made: where the version stands highest, if there is room; else where most
//! memory is free.

use std::cmp::Reverse;

use pilotlight_model::ladder::Rung;

use crate::books::Books;
use crate::{NodeId, VersionId};

/// The node for the next start of a version. Nodes with room for it come before those without, then
/// counts the highest rung that the version holds there, then free memory, then the lower number. Where no
/// node has room, the one with most free memory is named, and finds out by itself what it can give up.
pub fn place(books: &Books, version: VersionId) -> NodeId {
    let known = books.version(version);
    let needed = known.instance_memory();
    books
        .nodes()
        .max_by_key(|&node| {
            let free = books.free(node);
            let room = free >= needed && books.places(node) > 0;
            let rung = if room { known.rung(node) } else { Rung::Absent };
            (room, rung, free, Reverse(node))
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pilotlight_model::ids::InstanceId;
    use pilotlight_model::start::Instant;

    use super::*;
    use crate::Bytes;
    use crate::event::{Deployed, Event, Held, Room, Runtime, Starting};

    const VERSION: VersionId = VersionId(3);

    fn books() -> Books {
        let mut books = Books::default();
        let rooms = [100, 300, 300].map(Bytes::mib);
        for (number, memory) in rooms.into_iter().enumerate() {
            tell(
                &mut books,
                Event::Node(Room {
                    node: NodeId(number as u32),
                    memory,
                    instances: 2,
                }),
            );
        }
        tell(
            &mut books,
            Event::Deployed(Deployed {
                version: VERSION,
                runtime: Runtime::Python,
                memory: Bytes::mib(60),
                keep_alive: None,
                after: None,
                weight: 1.0,
            }),
        );
        books
    }

    fn tell(books: &mut Books, event: Event) {
        books.observe(Instant(0), &event);
    }

    fn start(books: &mut Books, instance: u64, node: u32) {
        tell(
            books,
            Event::Starting(Starting {
                instance: InstanceId(instance),
                version: VERSION,
                node: NodeId(node),
                ticket: None,
            }),
        );
    }

    fn template(books: &mut Books, node: u32) {
        tell(
            books,
            Event::Held(Held {
                version: VERSION,
                node: NodeId(node),
                rung: Rung::Template,
                memory: Bytes::mib(7),
                took: Duration::from_millis(100),
            }),
        );
    }

    #[test]
    fn most_free_memory_and_then_the_lower_number() {
        let mut books = books();
        assert_eq!(place(&books, VERSION), NodeId(1));
        start(&mut books, 1, 1);
        assert_eq!(place(&books, VERSION), NodeId(2));
        assert_eq!(place(&Books::default(), VERSION), NodeId(0));
    }

    #[test]
    fn where_the_version_stands_highest_while_there_is_room() {
        let mut books = books();
        template(&mut books, 0);
        assert_eq!(place(&books, VERSION), NodeId(0));
        start(&mut books, 1, 0);
        assert_eq!(
            place(&books, VERSION),
            NodeId(1),
            "33 MiB are left, 60 needed"
        );
    }

    #[test]
    fn a_node_with_all_its_instances_has_no_room() {
        let mut books = books();
        start(&mut books, 1, 1);
        start(&mut books, 2, 1);
        start(&mut books, 3, 2);
        start(&mut books, 4, 2);
        assert_eq!(place(&books, VERSION), NodeId(0));
    }
}
