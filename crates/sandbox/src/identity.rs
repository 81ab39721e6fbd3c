//! Who runs in a sandbox, and giving up every privilege for good.

use std::io;

use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
    set_no_new_privs, set_thread_res_gid, set_thread_res_uid,
};

/// User and group of the program inside, as on AWS Lambda (`sbx_user1051`). No other id exists there.
pub(crate) const INNER_UID: u32 = 993;
/// See [`INNER_UID`].
pub(crate) const INNER_GID: u32 = 990;

/// Ids on the host, of one slot and no other; groups are numbered like users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Users {
    /// What the program is outside of its user namespace.
    pub(crate) program: u32,
    /// What init is once it needs no privilege.
    pub(crate) init: u32,
}

impl Users {
    /// Those of the slot with that id.
    pub(crate) fn of_slot(base: u32, id: u32) -> Users {
        Users {
            program: base + 2 * id,
            init: base + 2 * id + 1,
        }
    }
}

/// Which ids of the host a user namespace has, as the kernel takes it in `uid_map` and `gid_map`.
///
/// A program sees itself as [`INNER_UID`]. All other ids of the node's sandboxes are there under their own numbers, for the
/// namespaces of what is forked from the program lie inside of its own, and every id there has to be one here. Without
/// capabilities the program can do nothing with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMap {
    /// First and number of ids, in order, without gaps between neighbours.
    ranges: Vec<(u32, u32)>,
    /// The id that is shown as another.
    shown: Option<(u32, u32)>,
}

impl IdMap {
    /// All ids of a node's sandboxes under their own numbers.
    pub(crate) fn of_node(base: u32, slots: u32) -> IdMap {
        IdMap {
            ranges: vec![(base, 2 * slots)],
            shown: None,
        }
    }

    /// The map of a program's user namespace: that id is its own.
    pub(crate) fn of_program(&self, own: u32, inner: u32) -> IdMap {
        IdMap {
            shown: Some((inner, own)),
            ..self.within(own)
        }
    }

    /// The map of a namespace inside that of a program, in which there is room for others but not for the program.
    pub(crate) fn within(&self, own: u32) -> IdMap {
        let ranges = self.ranges.iter().flat_map(|(first, count)| {
            let end = first + count;
            if (*first..end).contains(&own) {
                vec![(*first, own - first), (own + 1, end - own - 1)]
            } else {
                vec![(*first, *count)]
            }
        });
        IdMap {
            ranges: ranges.filter(|(_, count)| *count > 0).collect(),
            shown: None,
        }
    }

    /// As many ranges as a message has room for; each template in a template's ancestry splits one.
    pub(crate) const MAX_RANGES: usize = 16;

    /// The ranges, for a message.
    pub(crate) fn encode(&self, into: &mut Vec<u8>) {
        for number in self.ranges.iter().flat_map(|(first, count)| [first, count]) {
            into.extend_from_slice(&number.to_le_bytes());
        }
    }

    /// What [`IdMap::encode`] has written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<IdMap> {
        let (pairs, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || pairs.len() > IdMap::MAX_RANGES {
            return None;
        }
        let ranges = pairs.iter().map(|&[a, b, c, d, e, f, g, h]| {
            (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )
        });
        Some(IdMap {
            ranges: ranges.collect(),
            shown: None,
        })
    }

    /// The content of the kernel's file.
    pub(crate) fn text(&self) -> String {
        let shown = self
            .shown
            .iter()
            .map(|(inner, own)| format!("{inner} {own} 1\n"));
        let ranges = self
            .ranges
            .iter()
            .map(|(first, count)| format!("{first} {first} {count}\n"));
        shown.chain(ranges).collect()
    }
}

/// What a program may use that its cgroup does not limit, hard and soft alike. Where AWS Lambda is known to have a
/// value, it is that.
const LIMITS: [(Resource, u64); 6] = [
    (Resource::Nofile, 1024),
    // None. Zero would be none to a file only: it does not hold for a host that pipes them to a program (core(5)), which
    // the kernel starts for every value but this one.
    (Resource::Core, 1),
    (Resource::Memlock, 64 << 10),
    (Resource::Msgqueue, 800 << 10),
    (Resource::Nice, 0),
    (Resource::Rtprio, 0),
];

/// Processes of a program, as on AWS Lambda: what it is told. The limit that holds is the control group's, for the kernel's
/// counts in a template's forks for the template too, which then could make no more of them.
const PROCESSES: u64 = 1024;

/// Limits the calling process; what is lower already stays.
pub(crate) fn limit_resources() -> io::Result<()> {
    for (resource, limit) in LIMITS {
        let limit = getrlimit(resource)
            .maximum
            .map_or(limit, |maximum| maximum.min(limit));
        setrlimit(
            resource,
            Rlimit {
                current: Some(limit),
                maximum: Some(limit),
            },
        )?;
    }
    let processes = getrlimit(Resource::Nproc);
    let current = processes
        .maximum
        .map_or(PROCESSES, |most| most.min(PROCESSES));
    setrlimit(
        Resource::Nproc,
        Rlimit {
            current: Some(current),
            ..processes
        },
    )?;
    Ok(())
}

/// No privilege comes with any user, and that cannot be changed.
pub(crate) const SECURE_BITS: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED)
    .union(CapabilitiesSecureBits::KEEP_CAPS_LOCKED)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);

/// Becomes that user, without any way to gain a capability; those that it has stay for now. The caller has one thread.
pub(crate) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // This kernel has fewer.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    set_capabilities_secure_bits(SECURE_BITS)?;
    clear_ambient_capability_set()?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(set_no_new_privs(true)?)
}

/// Gives up every capability that the caller has, after [`become_user`] for good.
pub(crate) fn give_up_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    Ok(set_capabilities(None, sets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_namespace_has_room_for_those_inside() {
        let node = IdMap::of_node(1000, 4);
        let template = node.of_program(1002, INNER_UID);
        assert_eq!(template.text(), "993 1002 1\n1000 1000 2\n1003 1003 5\n");
        let slot = node.within(1002);
        assert_eq!(slot.text(), "1000 1000 2\n1003 1003 5\n");
        assert_eq!(
            slot.of_program(1000, INNER_UID).text(),
            "993 1000 1\n1001 1001 1\n1003 1003 5\n"
        );
        assert_eq!(
            slot.of_program(1007, INNER_UID).text(),
            "993 1007 1\n1000 1000 2\n1003 1003 4\n"
        );
    }
}
