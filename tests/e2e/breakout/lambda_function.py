"""A hostile function. Each attempt is one function that tries to leave the sandbox or to harm the node.

An attempt returns None when the sandbox held, and says what it got hold of when it did not. Attempts that
can only end with the instance's death (memory bomb) are judged from outside.
"""

import array
import concurrent.futures
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)

# x86_64 system call numbers, from the kernel's arch/x86/entry/syscalls/syscall_64.tbl.
SYSCALL = {
    "ptrace": 101, "syslog": 103, "personality": 135, "modify_ldt": 154, "pivot_root": 155,
    "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167,
    "reboot": 169, "sethostname": 170, "iopl": 172, "ioperm": 173, "init_module": 175,
    "delete_module": 176, "quotactl": 179, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "migrate_pages": 256, "unshare": 272, "perf_event_open": 298,
    "fanotify_init": 300, "name_to_handle_at": 303, "open_by_handle_at": 304, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "finit_module": 313,
    "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsmount": 432, "clone3": 435, "pidfd_getfd": 438,
    "mount_setattr": 442, "inotify_add_watch": 254, "fcntl": 72, "syncfs": 306, "memfd_create": 319,
    "inotify_init1": 294,
}
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
BLOCKED = {errno.EPERM, errno.EACCES, errno.ENOSYS}


def syscall(name, *args):
    """The call's result, and its errno (0 when it succeeded)."""
    ctypes.set_errno(0)
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    result = LIBC.syscall(ctypes.c_long(SYSCALL[name]), *wide)
    return result, ctypes.get_errno() if result == -1 else 0


def refused(name, *args):
    """None when the kernel refused the call, else what happened."""
    result, error = syscall(name, *args)
    if result == -1 and error in BLOCKED:
        return None
    return f"{name} gave {result}, errno {errno.errorcode.get(error, error)}"


# What an attempt leaves open for others to see.
KEPT = []


def first(*findings):
    return next((finding for finding in findings if finding), None)


def unwritable(*paths):
    for path in paths:
        try:
            with open(path, "w") as file:
                file.write("1")
            return f"could write {path}"
        except OSError:
            pass
    return None


def unreadable(*paths):
    for path in paths:
        try:
            with open(path, "rb") as file:
                if file.read(64):
                    return f"could read {path}"
        except OSError:
            pass
    return None


def unreachable(host, port, family=socket.AF_INET):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as peer:
            peer.settimeout(1.0)
            peer.connect((host, port))
            return f"connected to {host}:{port}"
    except OSError:
        return None


def none_reachable(*peers):
    """As many as there are, at once."""
    with concurrent.futures.ThreadPoolExecutor(len(peers)) as pool:
        return first(*pool.map(lambda peer: unreachable(*peer), peers))


# --- exhausting the node -----------------------------------------------------------------------------

def fork_bomb(event):
    children = []
    try:
        while len(children) < 5000:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return f"made {len(children)} processes"
    except OSError:
        return None
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        for pid in children:
            os.waitpid(pid, 0)


def fork_bomb_left_behind(event):
    """Processes that nobody waits for: they must go with the instance."""
    for _ in range(5000):
        try:
            if os.fork() == 0:
                while True:
                    time.sleep(60)
        except OSError:
            os._exit(1)
    return "made 5000 processes"


def thread_bomb(event):
    stop, threads = threading.Event(), []
    try:
        for _ in range(5000):
            thread = threading.Thread(target=stop.wait, daemon=True)
            thread.start()
            threads.append(thread)
        return f"made {len(threads)} threads"
    except (RuntimeError, OSError):
        return None
    finally:
        stop.set()


def memory_bomb(event):
    hoard = []
    while True:
        hoard.append(bytearray(16 << 20))
        hoard[-1][::4096] = b"x" * len(hoard[-1][::4096])


def fill(path, limit_mb):
    """Writes until the file system says no; None when it said so within the limit."""
    written, chunk = 0, b"x" * (1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            while written <= limit_mb << 20:
                written += file.write(chunk)
        return f"wrote {written >> 20} MiB to {path}"
    except OSError as error:
        return None if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.ENOENT) else repr(error)
    finally:
        if os.path.exists(path):
            os.unlink(path)


def disk_fill_tmp(event):
    return fill("/tmp/fill", event["tmp_mb"] + 16)


def disk_fill_shm(event):
    return fill("/dev/shm/fill", event["memory_mb"])


def inode_fill_tmp(event):
    made = 0
    try:
        os.mkdir("/tmp/many")
        while made < 5_000_000:
            os.close(os.open(f"/tmp/many/{made}", os.O_CREAT))
            made += 1
        return f"made {made} files"
    except OSError as error:
        return None if error.errno == errno.ENOSPC else repr(error)
    finally:
        subprocess.run(["rm", "-rf", "/tmp/many"], check=False)


def descriptor_bomb(event):
    held = []
    try:
        while len(held) < 100_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
        return f"opened {len(held)} files"
    except OSError as error:
        return None if error.errno == errno.EMFILE else repr(error)
    finally:
        for descriptor in held:
            os.close(descriptor)


def exhaust_notifications(event):
    """Takes, and keeps, as many of the user's inotify instances as there are; the host's own must not be among them."""
    KEPT.extend(iter(lambda: syscall("inotify_init1", 0)[0], -1))
    return None if KEPT else "got none"


def release_notifications(event):
    while KEPT:
        os.close(KEPT.pop())


def fill_sockets(event):
    """Lets more wait in sockets than the function has memory."""
    held, sent = [], 0
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        try:
            while sent <= event["memory_mb"] << 20:
                sender = socket.create_connection(server.getsockname(), timeout=1)
                held += [sender, server.accept()[0]]
                sender.setblocking(False)
                try:
                    while True:
                        sent += sender.send(b"x" * (1 << 18))
                except BlockingIOError:
                    pass
            return f"{sent >> 20} MiB wait in sockets"
        except OSError:
            return None
        finally:
            for end in held:
                end.close()


def huge_pages(event):
    MFD_HUGETLB = 4
    result, error = syscall("memfd_create", b"x", MFD_HUGETLB)
    return None if (result, error) == (-1, errno.ENOMEM) else "has huge pages"


def write_out_disks(event):
    with open("/etc/resolv.conf") as file:
        return refused("syncfs", file.fileno())


def core_dumps(event):
    """The host's handler of core dumps is started for every limit but 1."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    return None if limits == (1, 1) else f"core dumps are limited to {limits}"


def write_read_only_places(event):
    return unwritable(
        "/x", "/var/task/x", "/var/runtime/x", "/opt/x", "/usr/bin/x", "/etc/passwd", "/etc/resolv.conf",
        "/etc/x", "/dev/x", "/proc/x", "/var/x", "/bin/sh",
    )


# --- privilege ---------------------------------------------------------------------------------------

def status_shows_no_privilege(event):
    fields = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(fields[name], 16):
            return f"{name} is {fields[name]}"
    if fields["NoNewPrivs"] != "1" or fields["Seccomp"] != "2":
        return f"NoNewPrivs {fields['NoNewPrivs']}, Seccomp {fields['Seccomp']}"
    if fields["Seccomp_filters"] != "1" or fields["TracerPid"] != "0":
        return f"{fields['Seccomp_filters']} filters, traced by {fields['TracerPid']}"
    if any(fields[name].split() != [str(os.getpid())] for name in ("Pid", "NSpid", "NStgid")):
        return f"known elsewhere as {fields['NSpid']}"
    mapped = [int(line.split()[1]) for line in open("/proc/self/uid_map")]
    return f"host uids {mapped}" if 0 in mapped or os.getuid() == 0 else None


def become_root(event):
    for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])):
        try:
            call()
            return "became another user"
        except OSError:
            pass
    return None


def setuid_binary(event):
    path = "/tmp/own-id"
    subprocess.run(["cp", "/usr/bin/id", path], check=True)
    os.chmod(path, 0o6755)
    user = subprocess.run([path, "-u"], capture_output=True, text=True, check=False).stdout.strip()
    os.unlink(path)
    if user not in ("", str(os.getuid())):
        return f"ran as {user}"
    found = subprocess.run(
        ["find", "/", "-xdev", "-perm", "/6000", "-type", "f"], capture_output=True, text=True, check=False
    ).stdout.split()
    return f"setuid files {found}" if found else None


def new_user_namespace(event):
    return refused("unshare", CLONE_NEWUSER)


def new_namespaces(event):
    return first(*(refused("unshare", flag) for flag in (CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET)))


def clone_into_new_namespaces(event):
    SYS_CLONE = 56
    for flag in (CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET):
        ctypes.set_errno(0)
        pid = LIBC.syscall(ctypes.c_long(SYS_CLONE), ctypes.c_long(flag | signal.SIGCHLD), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0), ctypes.c_long(0))
        if pid == 0:
            os._exit(0)
        if pid > 0:
            os.waitpid(pid, 0)
            return f"cloned with {flag:#x}"
    arguments = struct.pack("8Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    result, error = syscall("clone3", ctypes.c_char_p(arguments), len(arguments))
    if result == 0:
        os._exit(0)
    return None if result == -1 and error in BLOCKED else f"clone3 gave {result}, errno {error}"


def enter_init_namespaces(event):
    for kind in ("user", "mnt", "net", "pid"):
        try:
            descriptor = os.open(f"/proc/1/ns/{kind}", os.O_RDONLY)
        except OSError:
            continue
        finding = refused("setns", descriptor, 0)
        os.close(descriptor)
        if finding:
            return finding
    return refused("setns", 0, 0)


# --- mounts and files of the host --------------------------------------------------------------------

def mount_tmpfs(event):
    return refused("mount", b"none", b"/tmp", b"tmpfs", 0, 0)


def mount_new_api(event):
    return first(
        refused("fsopen", b"tmpfs", 0), refused("open_tree", -100, b"/", 1), refused("move_mount", -100, b"/", -100, b"/tmp", 0),
        refused("mount_setattr", -100, b"/", 0, 0, 0),
    )


def unmount(event):
    return first(*(refused("umount2", path, 2) for path in (b"/proc", b"/var/task", b"/tmp", b"/")))


def change_root(event):
    return first(refused("pivot_root", b"/tmp", b"/tmp"), refused("chroot", b"/tmp"))


def host_paths(event):
    paths = [event["canary_path"], "/proc/1/root/etc/shadow", "/proc/1/root" + event["canary_path"],
             "/proc/self/root/../../.." + event["canary_path"], "/etc/shadow", "/root/.ssh/id_rsa"]
    paths += [f"/proc/1/cwd{event['canary_path']}", "/proc/1/environ", "/proc/1/mem", "/proc/1/maps"]
    return unreadable(*paths)


def file_handles(event):
    return first(
        refused("open_by_handle_at", -100, ctypes.create_string_buffer(64), 0),
        refused("name_to_handle_at", -100, b"/", ctypes.create_string_buffer(64), ctypes.create_string_buffer(8), 0),
    )


def devices(event):
    finding = unreadable("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port", "/dev/vda", "/dev/sda", "/dev/nvme0n1")
    if finding:
        return finding
    for kind, number in ((0o020666, os.makedev(1, 1)), (0o060666, os.makedev(254, 0))):
        try:
            os.mknod("/tmp/device", kind, number)
            return "made a device"
        except OSError:
            pass
    extra = set(os.listdir("/dev")) - {"null", "zero", "full", "random", "urandom", "tty", "fd", "stdin", "stdout",
                                       "stderr", "shm", "ptmx", "pts"}
    return f"devices {extra}" if extra else None


def sys_is_absent(event):
    for path in ("/sys/kernel", "/sys/fs/cgroup", "/sys/class", "/sys/devices"):
        if os.path.exists(path):
            return f"{path} exists"
    return None


def proc_writes(event):
    return unwritable(
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/kernel/modprobe",
        "/proc/sys/vm/overcommit_memory", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
        "/proc/self/uid_map", "/proc/self/gid_map", "/proc/1/oom_score_adj", "/proc/irq/0/smp_affinity",
    )


def proc_masks(event):
    return unreadable("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/kmsg",
                      "/proc/latency_stats")


def other_processes(event):
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return f"sees processes {pids}" if len(pids) > 4 else None


def watch_other_functions(event):
    """Images are shared: what others read of them is theirs to know."""
    IN_ACCESS, IN_OPEN, IN_CLOSE_NOWRITE, F_NOTIFY, DN_ACCESS = 1, 0x20, 0x10, 1026, 1
    watcher, _ = syscall("inotify_init1", 0)
    findings = [refused("inotify_add_watch", watcher, b"/usr/lib", mask) for mask in (IN_ACCESS, IN_OPEN, IN_CLOSE_NOWRITE)]
    os.close(watcher)
    folder = os.open("/usr/lib", os.O_RDONLY)
    findings.append(refused("fcntl", folder, F_NOTIFY, DN_ACCESS))
    os.close(folder)
    return first(*findings)


def mounts_tell_nothing(event):
    with open("/proc/self/mountinfo") as mounts:
        lines = mounts.read().splitlines()
    host = [line for line in lines if line.split(" - ")[1].split()[0] not in ("erofs", "tmpfs", "proc", "overlay")]
    return f"sees mounts of the host: {host}" if host else None


# --- the kernel --------------------------------------------------------------------------------------

def trace_init(event):
    PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
    return first(refused("ptrace", PTRACE_ATTACH, 1, 0, 0), refused("ptrace", PTRACE_SEIZE, 1, 0, 0))


def read_init_memory(event):
    return first(refused("process_vm_readv", 1, 0, 0, 0, 0, 0), refused("process_vm_writev", 1, 0, 0, 0, 0, 0))


def steal_descriptors(event):
    return first(refused("pidfd_getfd", 0, 0, 0), refused("kcmp", 1, os.getpid(), 0, 0, 0))


def keyrings(event):
    KEY_SPEC_USER_KEYRING = -4
    return first(
        refused("add_key", b"user", b"canary", b"x", 1, KEY_SPEC_USER_KEYRING), refused("keyctl", 0, KEY_SPEC_USER_KEYRING, 0),
        refused("request_key", b"user", b"canary", 0, KEY_SPEC_USER_KEYRING),
    )


def bpf(event):
    return refused("bpf", 0, ctypes.create_string_buffer(128), 128)


def userfaultfd(event):
    return first(refused("userfaultfd", 0), refused("userfaultfd", 1))


def kexec(event):
    return first(refused("kexec_load", 0, 0, 0, 0), refused("kexec_file_load", 0, 0, 0, 0, 0))


def kernel_modules(event):
    return first(refused("init_module", b"", 0, b""), refused("finit_module", 0, b"", 0), refused("delete_module", b"x", 0))


def perf_events(event):
    return refused("perf_event_open", ctypes.create_string_buffer(128), 0, -1, -1, 0)


def io_uring(event):
    return refused("io_uring_setup", 8, ctypes.create_string_buffer(128))


def kernel_log(event):
    return refused("syslog", 3, ctypes.create_string_buffer(64), 64)


def clocks(event):
    return first(refused("settimeofday", ctypes.create_string_buffer(16), 0), refused("clock_settime", 0, ctypes.create_string_buffer(16)))


def machine_control(event):
    return first(
        refused("reboot", 0xFEE1DEAD, 672274793, 0, 0), refused("swapon", b"/tmp/x", 0), refused("sethostname", b"x", 1),
        refused("acct", 0), refused("quotactl", 0, 0, 0, 0), refused("iopl", 3), refused("ioperm", 0, 1, 1),
        refused("modify_ldt", 1, ctypes.create_string_buffer(16), 16), refused("fanotify_init", 0, 0), refused("migrate_pages", 1, 0, 0, 0),
    )


def signals(event):
    """The agent and other hosts' processes have no number here; pid 1 is the sandbox's own init."""
    for pid in range(2, 65536):
        if pid in (os.getpid(), os.getpgid(0)):
            continue
        try:
            os.kill(pid, 0)
            return f"can signal {pid}"
        except OSError:
            pass
    try:
        os.kill(event["agent_pid"], signal.SIGKILL)
        if event["agent_pid"] != os.getpid():
            return "signalled the agent"
    except OSError:
        pass
    try:
        os.kill(1, signal.SIGKILL)
        time.sleep(0.05)
    except OSError:
        pass
    return None


# --- the fork engine ---------------------------------------------------------------------------------

STEM_PIDS = range(31_990, 32_010)
PAGE = 4096


def engine_descriptors(event):
    """Those of the engine's first moments in a fork, and whatever else is not the program's."""
    high = [int(name) for name in os.listdir("/proc/self/fd") if int(name) >= 1000]
    if high:
        return f"has descriptors {high}"
    channels = [name for name in os.listdir("/proc/self/fd") if own_socket(int(name)) not in (None, "stream")]
    return f"has channels {channels}" if channels else None


def own_socket(descriptor):
    try:
        with socket.socket(fileno=os.dup(descriptor)) as own:
            return "stream" if own.type == socket.SOCK_STREAM else own.type
    except OSError:
        return None


def engine_processes(event):
    """What the process was cloned from, and whoever else is in the sandbox."""
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1, os.getpid()}
    if others:
        return f"sees processes {others}"
    for pid in (1, *STEM_PIDS):
        if pid != 1 and alive(pid):
            return f"can signal {pid}"
        for file in ("mem", "maps", "environ", "auxv", "syscall", "stack", "fd/0", "fd/1016", "ns/user", "ns/mnt", "root/proc", "cwd"):
            try:
                os.listdir(f"/proc/{pid}/{file}") if file in ("root/proc", "cwd") else open(f"/proc/{pid}/{file}", "rb").read(1)
                return f"could read {file} of {pid}"
            except OSError:
                pass
    try:
        os.listdir("/proc/1/fd")
        return "could list the descriptors of init"
    except OSError:
        return None


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except OSError:
        return False


def trace_engine(event):
    PTRACE_SEIZE = 0x4206
    return first(
        *(refused("ptrace", PTRACE_SEIZE, pid, 0, 0) for pid in (1, 32_000)),
        *(refused("process_vm_readv", pid, 0, 0, 0, 0, 0) for pid in (1, 32_000)),
    )


def join_namespaces(event):
    """The third and fourth argument of `setns` may hold a secret that lets the call pass the filter."""
    own = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup")]
    words = [0, 1, -1, 0x7FFFFFFFFFFFFFFF, int.from_bytes(os.urandom(8), "little") >> 1]
    try:
        return first(*(refused("setns", descriptor, 0, one, other) for descriptor in own for one in words for other in words))
    finally:
        for descriptor in own:
            os.close(descriptor)


def owners_of_namespaces(event):
    """A namespace's owner or parent, as a descriptor, would be a way out."""
    NS_GET_USERNS, NS_GET_PARENT = 0xB701, 0xB702
    for kind in ("user", "pid", "net", "mnt", "uts", "ipc", "cgroup"):
        descriptor = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
        for request in (NS_GET_USERNS, NS_GET_PARENT):
            ctypes.set_errno(0)
            got = LIBC.ioctl(descriptor, ctypes.c_ulong(request), 0)
            if got >= 0 and not (kind != "user" and request == NS_GET_USERNS and same_namespace(got, "user")):
                return f"got {kind}'s {request:#x}"
        os.close(descriptor)
    return None


def same_namespace(descriptor, kind):
    return os.fstat(descriptor).st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino


def engine_memory(event):
    """Any two words in memory that stand beside each other may be the secret: the filter tells whether they are. With
    it the descriptor would be looked at, and that is none."""
    tried = set()
    setns = LIBC.syscall
    number, nowhere, zero = ctypes.c_long(SYSCALL["setns"]), ctypes.c_long(-1), ctypes.c_long(0)
    for begin, end in engine_regions():
        for one, other in neighbours(memory_at(begin, end)):
            if one > 1 << 32 and other > 1 << 32 and (one, other) not in tried:
                tried.add((one, other))
                ctypes.set_errno(0)
                result = setns(number, nowhere, zero, ctypes.c_ulong(one), ctypes.c_ulong(other))
                if result != -1 or ctypes.get_errno() != errno.EPERM:
                    return f"words of {begin:x}-{end:x} pass the filter: errno {ctypes.get_errno()}"
    return None


def neighbours(memory):
    """Pairs of words, but for those in pages that nobody has written to."""
    for at in range(0, len(memory), PAGE):
        # With the next page's first word.
        page = memory[at:at + PAGE + 8]
        if page.count(0) < len(page):
            words = array.array("Q", page)
            yield from zip(words, words[1:])


def engine_regions():
    """The player's page, which is private, executable and of no file, with what follows it; and the stack."""
    with open("/proc/self/maps") as maps:
        fields = [line.split() for line in maps]
    ranges = [(*(int(bound, 16) for bound in row[0].split("-")), row[1], row[5] if len(row) > 5 else "") for row in fields]
    found = [(begin, end) for begin, end, _, path in ranges if path == "[stack]"]
    for (begin, end, rights, path), following in zip(ranges, ranges[1:]):
        if (rights, path, end - begin) == ("r-xp", "", 4096):
            found += [(begin, end), following[:2]]
    return found


def memory_at(begin, end):
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(begin)
        return memory.read(end - begin)


def knows_no_engine(event):
    """Not an attempt: whether there is something of the engine's to look through."""
    return len(engine_regions()) - 1


# --- the network -------------------------------------------------------------------------------------

def raw_sockets(event):
    for family, kind, protocol in ((socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), (socket.AF_INET, socket.SOCK_RAW, 255),
                                   (socket.AF_INET6, socket.SOCK_RAW, 58)):
        try:
            socket.socket(family, kind, protocol).close()
            return f"opened {family!r} {kind!r}"
        except OSError:
            pass
    return None


def packet_sockets(event):
    for family in (17, 38, 40, 31, 29):  # AF_PACKET, AF_ALG, AF_VSOCK, AF_BLUETOOTH, AF_CAN
        try:
            socket.socket(family, socket.SOCK_RAW).close()
            return f"opened family {family}"
        except OSError:
            pass
        try:
            socket.socket(family, socket.SOCK_STREAM).close()
            return f"opened family {family}"
        except OSError:
            pass
    return None


def change_routes(event):
    RTM_NEWADDR, NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 20, 1, 4, 0x400
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            body = struct.pack("BBBBI", socket.AF_INET, 24, 0, 0, 1) + struct.pack("HH4s", 8, 2, socket.inet_aton("10.9.8.7"))
            netlink.send(struct.pack("IHHII", 16 + len(body), RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE, 1, 0) + body)
            netlink.settimeout(2)
            answer = netlink.recv(4096)
            error = struct.unpack_from("i", answer, 16)[0]
            return "changed an address" if error == 0 else None
    except OSError:
        return None


def host_loopback(event):
    return unreachable("127.0.0.1", event["canary_port"])


def host_addresses(event):
    return none_reachable(*((address, event["canary_port"]) for address in event["host_addresses"]))


def agent_api(event):
    addresses = ["127.0.0.1", *event["host_addresses"]]
    return none_reachable(*((address, event["agent_port"]) for address in addresses))


def gateway_address(event):
    """The next hop out of the sandbox must offer nothing itself."""
    with open("/proc/net/route") as routes:
        rows = [line.split() for line in routes.read().splitlines()[1:]]
    hops = [socket.inet_ntoa(struct.pack("<I", int(row[2], 16))) for row in rows if int(row[2], 16)]
    ports = (22, 53, 80, 111, event["agent_port"], event["canary_port"])
    return none_reachable(*((hop, port) for hop in hops for port in ports))


def metadata_address(event):
    return none_reachable(("169.254.169.254", 80), ("169.254.170.2", 80), ("169.254.1.1", 80))


def ipv6(event):
    return none_reachable(
        ("fd00:ec2::254", 80, socket.AF_INET6), ("fe80::1", 80, socket.AF_INET6),
        ("::1", event["canary_port"], socket.AF_INET6),
    )


def listen(event):
    """Not an attempt: the victim of the next one, waiting for a visitor."""
    with socket.socket() as server:
        server.bind(("0.0.0.0", 5555))
        server.listen()
        server.settimeout(event["seconds"])
        print("listening at", own_address(event), flush=True)
        try:
            server.accept()
            return "was reached by another instance"
        except TimeoutError:
            return None


def own_address(event):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def other_instance(event):
    deadline = time.monotonic() + event["seconds"]
    while time.monotonic() < deadline:
        for address in event["addresses"]:
            finding = unreachable(address, 5555)
            if finding:
                return finding
    return None


# --- the platform's own channels -----------------------------------------------------------------------

def runtime_socket_garbage(event):
    for descriptor in range(3, 64):
        try:
            if os.fstat(descriptor).st_mode & 0o140000 == 0o140000:
                os.write(descriptor, b"\x00\xff GET garbage\r\n" * 4096)
        except OSError:
            pass
    return None


def runtime_api_flood(event):
    return flood(9001, "/2018-06-01/runtime/invocation/x/response")


def inner_door_flood(event):
    return flood(9002, "/2015-03-31/functions/x/invocations")


def flood(port, path):
    """Declares a huge body and sends until the other side has had enough."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000000\r\n\r\n".encode())
        try:
            while sent < 256 << 20:
                sent += connection.send(b"x" * (1 << 20))
        except OSError:
            return None
    return f"sent {sent >> 20} MiB"


def runtime_api_connections(event):
    held = []
    try:
        for _ in range(900):
            held.append(socket.create_connection(("127.0.0.1", 9001), timeout=1))
    except OSError:
        pass
    for connection in held:
        connection.close()
    return None


def inner_door_stays_its_own(event):
    """The door is at loopback alone: by no other address of the instance is it, or anybody else's, reached."""
    own = own_address(event)
    first, second = own.rsplit(".", 1)
    neighbours = [f"{first}.{int(second) + step}" for step in range(-8, 9) if 0 < int(second) + step < 255]
    found = none_reachable(*((address, 9002) for address in neighbours))
    if found:
        return found
    with socket.create_connection(("127.0.0.1", 9002), timeout=5) as door:
        door.sendall(b"GET /2015-03-31/functions/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = door.recv(1 << 16)
    return None if answer.startswith(b"HTTP/1.1 403 ") else repr(answer)


def inner_door_nonsense(event):
    """Requests by the thousand in one packet: what is refused must cost the platform no more than the sender."""
    deadline = time.monotonic() + 2
    with socket.create_connection(("127.0.0.1", 9002), timeout=0.1) as door:
        while time.monotonic() < deadline:
            try:
                door.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
                door.recv(1 << 20)
            except TimeoutError:
                pass
            except OSError:
                break
    return None


def inner_door_connections(event):
    """As many as can be had, each with half of a large event."""
    held = []
    try:
        for _ in range(900):
            held.append(socket.create_connection(("127.0.0.1", 9002), timeout=1))
            held[-1].sendall(b"POST /2015-03-31/functions/x/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 6000000\r\n\r\nxx")
    except OSError:
        pass
    for connection in held:
        connection.close()
    return None


def runtime_api_nonsense(event):
    """Requests by the thousand in one packet."""
    deadline = time.monotonic() + 2
    with socket.create_connection(("127.0.0.1", 9001), timeout=0.1) as api:
        while time.monotonic() < deadline:
            try:
                api.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
                api.recv(1 << 20)
            except TimeoutError:
                pass
            except OSError:
                return None
    return None


def send_lingering_descriptors(event):
    """Sends the platform a socket that it takes an hour to close."""
    FD, HOUR = 3, 3600
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(fileno=os.dup(FD)) as api:
        peer = socket.create_connection(server.getsockname())
        peer.setblocking(False)
        try:
            while True:
                peer.send(b"x" * 65536)
        except BlockingIOError:
            pass
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, HOUR))
        api.sendmsg([b"GET "], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [peer.fileno()]))])
        # The last to close it is whoever reads.
        os.close(peer.detach())
        time.sleep(50)
    return "could send a descriptor, and live"


def answer_for_another(event):
    with socket.create_connection(("127.0.0.1", 9001), timeout=5) as api:
        body = b'"forged"'
        api.sendall(b"POST /2018-06-01/runtime/invocation/11111111-1111-4111-8111-111111111111/response HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        status = api.recv(64).split(b" ")[1]
        return None if status.startswith(b"4") else f"the forged answer was taken: {status}"


def tmp_is_private(event):
    if "leave" in event:
        with open("/tmp/canary", "w") as file:
            file.write(event["leave"])
        return None
    return "saw another function's /tmp" if os.path.exists("/tmp/canary") else None


def lambda_handler(event, context):
    finding = globals()[event["attempt"]](event)
    sys.stdout.flush()
    return {"finding": finding, "pid": os.getpid()}
