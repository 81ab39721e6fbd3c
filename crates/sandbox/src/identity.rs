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

/// What a program may use that its cgroup does not limit, hard and soft alike. Where AWS Lambda is known to have a
/// value, it is that.
const LIMITS: [(Resource, u64); 7] = [
    (Resource::Nofile, 1024),
    (Resource::Nproc, 1024),
    // None. Zero would be none to a file only: it does not hold for a host that pipes them to a program (core(5)), which
    // the kernel starts for every value but this one.
    (Resource::Core, 1),
    (Resource::Memlock, 64 << 10),
    (Resource::Msgqueue, 800 << 10),
    (Resource::Nice, 0),
    (Resource::Rtprio, 0),
];

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
    Ok(())
}

/// Becomes that user, without any way to gain a capability; those that it has stay for now. The caller has one thread.
pub(crate) fn become_user(uid: u32, gid: u32) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // This kernel has fewer.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    set_capabilities_secure_bits(
        CapabilitiesSecureBits::NO_ROOT
            | CapabilitiesSecureBits::NO_ROOT_LOCKED
            | CapabilitiesSecureBits::NO_SETUID_FIXUP
            | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
            | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
            | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
    )?;
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
