//! Runs the filter in a small interpreter of classic BPF, and looks at the verdicts.

use super::{Filter, Knock};

const KNOCK: Knock = Knock([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const NATIVE: u32 = if cfg!(target_arch = "x86_64") {
    0xC000_003E
} else {
    0xC000_00B7
};

fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

/// The verdict on that call, and how many instructions it took.
fn run<const N: usize>(architecture: u32, number: i64, arguments: [u64; N]) -> (u32, usize) {
    let Filter(program) = Filter::for_programs(KNOCK);
    let word = |offset: u32| match offset {
        0 => number as u32,
        4 => architecture,
        16.. => {
            let argument = arguments[(offset as usize - 16) / 8];
            if offset.is_multiple_of(8) {
                argument as u32
            } else {
                (argument >> 32) as u32
            }
        }
        _ => panic!("nothing looks at offset {offset}"),
    };
    let (mut at, mut loaded, mut steps) = (0, 0, 0);
    loop {
        let instruction = program[at];
        at += 1;
        steps += 1;
        let operand = instruction.k;
        let condition = match u32::from(instruction.code) & 0xf0 {
            libc::BPF_JEQ => loaded == operand,
            libc::BPF_JGE => loaded >= operand,
            _ => loaded & operand != 0,
        };
        match u32::from(instruction.code) & 0x07 {
            libc::BPF_LD => loaded = word(operand),
            libc::BPF_ALU => loaded &= operand,
            libc::BPF_RET => return (operand, steps),
            libc::BPF_JMP if u32::from(instruction.code) & 0xf0 == libc::BPF_JA => {
                at += operand as usize
            }
            libc::BPF_JMP => {
                at += usize::from(if condition {
                    instruction.jt
                } else {
                    instruction.jf
                })
            }
            class => panic!("the filter has an instruction of class {class}"),
        }
    }
}

fn verdict<const N: usize>(number: i64, arguments: [u64; N]) -> u32 {
    run(NATIVE, number, arguments).0
}

#[test]
fn programs_get_what_they_need() {
    for number in super::allowed::plain() {
        assert_eq!(verdict(number, [0; 3]), ALLOW, "call {number}");
    }
}

#[test]
fn attack_surface_is_closed() {
    use libc::*;
    let denied = [
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_chroot,
        SYS_move_mount,
        SYS_open_tree,
        SYS_fsopen,
        SYS_fsmount,
        SYS_fspick,
        SYS_mount_setattr,
        SYS_setns,
        SYS_unshare,
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_kexec_load,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_bpf,
        SYS_userfaultfd,
        SYS_perf_event_open,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_open_by_handle_at,
        SYS_name_to_handle_at,
        SYS_reboot,
        SYS_swapon,
        SYS_acct,
        SYS_quotactl,
        SYS_syslog,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_sethostname,
        SYS_vhangup,
        SYS_fanotify_init,
        SYS_memfd_secret,
        SYS_pidfd_getfd,
        SYS_kcmp,
        SYS_migrate_pages,
        SYS_move_pages,
        SYS_sync,
        SYS_syncfs,
    ];
    for number in denied {
        assert_eq!(verdict(number, [0; 3]), errno(EPERM), "call {number}");
    }
}

#[test]
fn unknown_calls_do_not_exist() {
    assert_eq!(verdict(libc::SYS_clone3, [0; 3]), errno(libc::ENOSYS));
    assert_eq!(verdict(10_000, [0; 3]), errno(libc::ENOSYS));
    assert_eq!(verdict(0x4000_0000, [0; 3]), errno(libc::ENOSYS));
    assert_eq!(verdict(0xffff_ffff, [0; 3]), errno(libc::ENOSYS));
}

#[test]
fn another_calling_convention_kills() {
    assert_eq!(
        run(0x4000_0003, libc::SYS_read, [0; 3]).0,
        libc::SECCOMP_RET_KILL_PROCESS
    );
}

#[test]
fn namespaces_cannot_be_cloned() {
    assert_eq!(
        verdict(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0]),
        ALLOW
    );
    assert_eq!(
        verdict(
            libc::SYS_clone,
            [libc::CLONE_NEWUSER as u64 | libc::SIGCHLD as u64, 0, 0]
        ),
        errno(libc::EPERM)
    );
    assert_eq!(
        verdict(libc::SYS_clone, [libc::CLONE_NEWNET as u64, 0, 0]),
        errno(libc::EPERM)
    );
}

#[test]
fn sockets_are_of_the_harmless_kinds() {
    use libc::*;
    let socket = |family: i32, kind: i32, protocol: i32| {
        verdict(SYS_socket, [family as u64, kind as u64, protocol as u64])
    };
    assert_eq!(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), ALLOW);
    assert_eq!(
        socket(
            AF_INET,
            SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
            IPPROTO_TCP
        ),
        ALLOW
    );
    assert_eq!(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP), ALLOW);
    assert_eq!(
        socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP),
        errno(EPROTONOSUPPORT)
    );
    assert_eq!(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), errno(EPERM));
    assert_eq!(
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE),
        ALLOW
    );
    assert_eq!(
        socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER),
        errno(EPROTONOSUPPORT)
    );
    for family in [AF_PACKET, AF_VSOCK, AF_ALG, AF_BLUETOOTH, AF_CAN, AF_XDP] {
        assert_eq!(
            socket(family, SOCK_RAW, 0),
            errno(EAFNOSUPPORT),
            "family {family}"
        );
    }
    assert_eq!(verdict(SYS_socketpair, [AF_UNIX as u64, 0, 0]), ALLOW);
    assert_eq!(
        verdict(SYS_socketpair, [AF_TIPC as u64, 0, 0]),
        errno(EAFNOSUPPORT)
    );
}

#[test]
fn huge_pages_are_the_host_s() {
    use libc::*;
    let plain = MAP_PRIVATE | MAP_ANONYMOUS;
    let mmap = |flags: i32| verdict(SYS_mmap, [0, 4096, 3, flags as u64]);
    assert_eq!(mmap(plain), ALLOW);
    assert_eq!(mmap(plain | MAP_HUGETLB), errno(ENOMEM));
    let memfd = |flags: u32| verdict(SYS_memfd_create, [0, u64::from(flags), 0]);
    assert_eq!(memfd(MFD_CLOEXEC), ALLOW);
    assert_eq!(memfd(MFD_HUGETLB), errno(ENOMEM));
    let shmget = |flags: i32| verdict(SYS_shmget, [0, 4096, flags as u64]);
    assert_eq!(shmget(IPC_CREAT | 0o600), ALLOW);
    assert_eq!(shmget(IPC_CREAT | SHM_HUGETLB), errno(ENOMEM));
}

#[test]
fn core_dumps_stay_off() {
    use libc::*;
    let core = u64::from(RLIMIT_CORE);
    let change = |resource: u64, new: u64| verdict(SYS_prlimit64, [0, resource, new]);
    assert_eq!(change(core, 0), ALLOW, "a question");
    assert_eq!(change(core, 0x1000), errno(0));
    assert_eq!(change(core, 1 << 32), errno(0));
    assert_eq!(change(u64::from(RLIMIT_NOFILE), 0x1000), ALLOW);
    assert_eq!(verdict(SYS_setrlimit, [core, 0x1000, 0]), errno(0));
    assert_eq!(
        verdict(SYS_setrlimit, [u64::from(RLIMIT_STACK), 0, 0]),
        ALLOW
    );
}

#[test]
fn reads_of_shared_images_cannot_be_watched() {
    use libc::*;
    let watch = |mask: u32| verdict(SYS_inotify_add_watch, [0, 0, u64::from(mask)]);
    assert_eq!(watch(IN_MODIFY | IN_CREATE | IN_CLOSE_WRITE), ALLOW);
    for read in [IN_ACCESS, IN_OPEN, IN_CLOSE_NOWRITE] {
        assert_eq!(watch(IN_MODIFY | read), errno(EPERM));
    }
    assert_eq!(verdict(SYS_fcntl, [0, F_GETFL as u64, 0]), ALLOW);
    assert_eq!(verdict(SYS_fcntl, [0, F_NOTIFY as u64, 0]), errno(EPERM));
}

#[test]
fn arguments_that_the_kernel_cuts_off_hide_nothing() {
    let hidden = libc::TIOCSTI | (1 << 40);
    assert_eq!(verdict(libc::SYS_ioctl, [0, hidden, 0]), errno(libc::EPERM));
    assert_eq!(verdict(libc::SYS_ioctl, [0, libc::TCGETS, 0]), ALLOW);
    assert_eq!(verdict(libc::SYS_personality, [0xffff_ffff, 0, 0]), ALLOW);
    assert_eq!(
        verdict(libc::SYS_personality, [0x0040_0000, 0, 0]),
        errno(libc::EPERM)
    );
}

#[test]
fn a_verdict_takes_few_steps() {
    let worst = super::allowed::plain()
        .map(|number| run(NATIVE, number, [0; 3]).1)
        .max()
        .unwrap();
    assert!(
        worst <= 20,
        "{worst} instructions for a call that is simply allowed"
    );
}

#[test]
fn namespaces_are_joined_by_who_knows_the_secret() {
    let Knock([third, fourth]) = KNOCK;
    assert_eq!(verdict(libc::SYS_setns, [3, 0, third, fourth]), ALLOW);
    for wrong in [
        [3, 0, 0, 0],
        [3, 0, third, 0],
        [3, 0, 0, fourth],
        [3, 0, third ^ 1 << 40, fourth],
        [3, 0, third, fourth ^ 1],
        [3, 0, fourth, third],
    ] {
        assert_eq!(verdict(libc::SYS_setns, wrong), errno(libc::EPERM));
    }
}
