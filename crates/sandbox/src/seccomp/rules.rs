//! System calls that are allowed with some arguments only.

use super::Knock;
use super::bpf::{
    ANY_BIT, Program, allow, fail, if_any_bit, if_equal, load_argument, load_high_half, matching,
};

/// Every namespace flag; CLONE_NEWTIME is one of `clone3` only.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32;

/// The type of a socket without its flags.
const SOCKET_TYPE: u32 = 0xf;

/// Makes the code that decides by the arguments.
pub(super) type Rule = fn() -> Program;

/// Number and rule of each.
pub(super) const ALL: &[(libc::c_long, Rule)] = &[
    (libc::SYS_clone, clone),
    (libc::SYS_fcntl, fcntl),
    (libc::SYS_inotify_add_watch, inotify_add_watch),
    (libc::SYS_ioctl, ioctl),
    (libc::SYS_memfd_create, memfd_create),
    (libc::SYS_mmap, mmap),
    (libc::SYS_personality, personality),
    (libc::SYS_prlimit64, prlimit64),
    (libc::SYS_setrlimit, setrlimit),
    (libc::SYS_shmget, shmget),
    (libc::SYS_socket, socket),
    (libc::SYS_socketpair, socketpair),
];

/// Threads and processes, but no namespaces.
fn clone() -> Program {
    without(0, NAMESPACES, libc::EPERM)
}

/// Whatever has none of those bits in that argument.
fn without(argument: u32, bits: u32, errno: i32) -> Program {
    let mut program = vec![load_argument(argument), if_any_bit(bits, 0, 1)];
    program.extend(fail(errno));
    program.extend(allow());
    program
}

/// All but watching a folder by signal, see [`inotify_add_watch`].
fn fcntl() -> Program {
    matching(
        1,
        ANY_BIT,
        &[(libc::F_NOTIFY as u32, fail(libc::EPERM))],
        allow(),
    )
}

/// Changes, but not reads. Images are shared: who watches what is read of the runtime's, which nobody can change, learns
/// what other functions do and when.
fn inotify_add_watch() -> Program {
    let reads = libc::IN_ACCESS | libc::IN_OPEN | libc::IN_CLOSE_NOWRITE;
    without(2, reads, libc::EPERM)
}

/// Joining a namespace, for who knows the secret: it stands in two arguments that the kernel does not look at.
pub(super) fn setns(knock: Knock) -> Program {
    let words = (2..).zip(knock.0).flat_map(|(argument, secret)| {
        [
            (load_argument(argument), secret as u32),
            (load_high_half(argument), (secret >> 32) as u32),
        ]
    });
    let mut program = Program::new();
    for (load, word) in words {
        program.extend([load, if_equal(word, 1, 0)]);
        program.extend(fail(libc::EPERM));
    }
    program.extend(allow());
    program
}

/// No huge pages, which the host has set aside for somebody, and which do not count as the function's memory. Who asks for
/// them is told that there are none left.
fn memfd_create() -> Program {
    without(1, libc::MFD_HUGETLB, libc::ENOMEM)
}

/// See [`memfd_create`].
fn mmap() -> Program {
    without(3, libc::MAP_HUGETLB as u32, libc::ENOMEM)
}

/// See [`memfd_create`].
fn shmget() -> Program {
    without(2, libc::SHM_HUGETLB as u32, libc::ENOMEM)
}

/// All but what puts input into a terminal.
fn ioctl() -> Program {
    let faked_input = [
        (libc::TIOCSTI as u32, fail(libc::EPERM)),
        (libc::TIOCLINUX as u32, fail(libc::EPERM)),
    ];
    matching(1, ANY_BIT, &faked_input, allow())
}

/// The default one, and the question which one it is.
fn personality() -> Program {
    matching(
        0,
        ANY_BIT,
        &[(0, allow()), (u32::MAX, allow())],
        fail(libc::EPERM),
    )
}

/// Every limit but that of core dumps, which can only be asked for. A change of it, and who changes it means to have none,
/// seems to succeed: they are off, and stay off, by the value that also keeps the kernel from starting the host's handler
/// of core dumps, which zero does not.
fn prlimit64() -> Program {
    let mut asked_or_ignored = vec![load_argument(2), if_any_bit(u32::MAX, 3, 0)];
    asked_or_ignored.extend([load_high_half(2), if_any_bit(u32::MAX, 1, 0)]);
    asked_or_ignored.extend(allow());
    asked_or_ignored.extend(fail(0));
    let core = [(libc::RLIMIT_CORE, asked_or_ignored)];
    matching(1, ANY_BIT, &core, allow())
}

/// See [`prlimit64`].
fn setrlimit() -> Program {
    matching(0, ANY_BIT, &[(libc::RLIMIT_CORE, fail(0))], allow())
}

/// Unix sockets, TCP and UDP, and netlink's questions about addresses and routes (`getifaddrs`).
fn socket() -> Program {
    // Multipath TCP, which Go asks for first, is left to fail: a protocol of the kernel more, for nothing.
    let protocols =
        [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|protocol| (protocol as u32, allow()));
    let protocol = matching(2, ANY_BIT, &protocols, fail(libc::EPROTONOSUPPORT));
    let types = [libc::SOCK_STREAM, libc::SOCK_DGRAM].map(|kind| (kind as u32, protocol.clone()));
    let internet = matching(1, SOCKET_TYPE, &types, fail(libc::EPERM));
    let route = matching(
        2,
        ANY_BIT,
        &[(libc::NETLINK_ROUTE as u32, allow())],
        fail(libc::EPROTONOSUPPORT),
    );
    let families = [
        (libc::AF_UNIX as u32, allow()),
        (libc::AF_INET as u32, internet.clone()),
        (libc::AF_INET6 as u32, internet),
        (libc::AF_NETLINK as u32, route),
    ];
    matching(0, ANY_BIT, &families, fail(libc::EAFNOSUPPORT))
}

/// Unix sockets.
fn socketpair() -> Program {
    matching(
        0,
        ANY_BIT,
        &[(libc::AF_UNIX as u32, allow())],
        fail(libc::EAFNOSUPPORT),
    )
}
