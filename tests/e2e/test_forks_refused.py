"""What cannot be copied is refused, with the reason where users look; the version works all the same, from the zygote."""

import pytest

from conftest import eventually, wait_active
from forks import NODE, call, counts, deploy_java, kind_of, listed
from packages import package

# Init of a function, by what it has and what is said of it. `check` tells in the handler whether it is still as init left it.
PYTHON = {
    "a TCP connection": ("open_connection", "TCP, 127.0.0.1:", """
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
server.close()
def check():
    client.sendall(b"x")
    return peer.recv(1) == b"x"
"""),
    "a TCP server": ("listening_socket", "TCP, 127.0.0.1:", """
server = socket.create_server(("127.0.0.1", 0))
def check():
    return bool(socket.create_connection(server.getsockname()))
"""),
    "a UDP socket": ("open_connection", "UDP", """
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
def check():
    return one.sendto(b"x", one.getsockname()) == 1 and one.recv(9) == b"x"
"""),
    "a connected UDP socket": ("open_connection", "UDP, 192.0.2.1:53", """
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.connect(("192.0.2.1", 53))
def check():
    return one.getpeername() == ("192.0.2.1", 53)
"""),
    "a UDP socket with an option": ("open_connection", "UDP", """
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
def check():
    return one.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
"""),
    "a Unix server": ("listening_socket", "Unix", """
one = socket.socket(socket.AF_UNIX)
one.bind("\\0abstract"), one.listen()
"""),
    "a Unix socket to a child": ("child_process", "2 processes", """
ours, theirs = socket.socketpair()
child = subprocess.Popen(["cat"], stdin=theirs, stdout=theirs)
def check():
    ours.sendall(b"x")
    return ours.recv(1) == b"x" and child.poll() is None
"""),
    "data in a pair of sockets": ("open_connection", "Unix", """
one, other = socket.socketpair()
one.sendall(b"kept")
def check():
    other.setblocking(False)
    return other.recv(9) == b"kept"
"""),
    "a netlink socket": ("open_connection", "netlink", "one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)"),
    "a child": ("child_process", "2 processes", """
child = subprocess.Popen(["sleep", "infinity"])
def check():
    return child.poll() is None
"""),
    "a pool": ("child_process", "processes", """
pool = multiprocessing.Pool(2)
def check():
    return pool.map(abs, [-1, -2]) == [1, 2]
"""),
    "a file in /tmp": ("temporary_file", "/tmp/kept", """
open("/tmp/kept", "w").write("x")
def check():
    return open("/tmp/kept").read() == "x"
"""),
    "a file beside X-Ray's": ("temporary_file", "/tmp/.aws-xray", """
os.mkdir("/tmp/.aws-xray")
open("/tmp/.aws-xray/kept", "w").close()
def check():
    return os.path.exists("/tmp/.aws-xray/kept")
"""),
    "a file in /dev/shm": ("temporary_file", "/dev/shm/kept", 'open("/dev/shm/kept", "w").write("x")'),
    "an unlinked file": ("open_file", "/tmp/", """
file = tempfile.TemporaryFile()
file.write(b"x"), file.flush()
def check():
    return file.seek(0) == 0 and file.read() == b"x"
"""),
    "a file of memory": ("open_file", "/memfd:own", 'memory = os.memfd_create("own")'),
    "shared memory": ("shared_memory", "shared", """
memory = mmap.mmap(-1, 4096)
memory[:1] = b"x"
def check():
    return memory[:1] == b"x"
"""),
    "a lock of processes": ("shared_memory", "shared", """
lock = multiprocessing.Lock()
def check():
    return lock.acquire(timeout=1)
"""),
    "an alarm": ("timer", "timer", """
signal.signal(signal.SIGALRM, lambda *_: None)
signal.alarm(60)
def check():
    return 0 < signal.alarm(0) <= 60
"""),
    "a timer": ("timer", "timer", """
timer = ctypes.c_void_p()
# struct sigevent: SIGEV_NONE.
assert LIBC.timer_create(time.CLOCK_MONOTONIC, struct.pack("QiI48x", 0, 0, 1), ctypes.byref(timer)) == 0
"""),
    "a watch of files": ("descriptor", "inotify", "watch = LIBC.inotify_init1(os.O_CLOEXEC)"),
    "a process's descriptor": ("descriptor", "pidfd", "own = os.pidfd_open(os.getpid())"),
    "a busy thread": ("running_thread", "running", """
def run():
    while True:
        sum(range(1000))
threading.Thread(target=run, daemon=True).start()
"""),
    "many threads": ("too_many_threads", "threads", """
stop = threading.Event()
[threading.Thread(target=stop.wait, daemon=True).start() for _ in range(600)]
def check():
    stop.set()
    return threading.active_count() > 0
"""),
    "many threads before": ("too_many_threads", "threads", """
threads = [threading.Thread(target=int) for _ in range(4200)]
[[thread.start(), thread.join()] for thread in threads]
# The last id counts, of a thread that is there.
threading.Thread(target=threading.Event().wait, daemon=True).start()
"""),
    "a high descriptor": ("too_many_descriptors", "1020", "os.dup2(0, 1020)"),
    "a low limit of descriptors": ("descriptor_limit", "limit", "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))"),
    "a folder that is gone": ("working_directory", "/tmp/gone", 'os.mkdir("/tmp/gone"), os.chdir("/tmp/gone"), os.rmdir("/tmp/gone")'),
    "a filter of system calls": ("system_call_filter", "filtered", """
# struct sock_fprog with one instruction: allow.
allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000), 8)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow)), 16)
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
assert LIBC.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
"""),
    "full pipes": ("too_much_state", "fit", """
pipes = [os.pipe() for _ in range(64)]
limits = resource.getrlimit(resource.RLIMIT_NPROC)
for reader, writer in pipes:
    os.write(writer, b"x" * 65536)
def check():
    [os.set_blocking(reader, False) for reader, _ in pipes]
    return all(os.read(reader, 65536) == b"x" * 65536 for reader, _ in pipes) and limits == resource.getrlimit(resource.RLIMIT_NPROC)
"""),
}
IMPORTS = (
    "import ctypes, mmap, multiprocessing, os, resource, signal, socket, struct, subprocess, tempfile, threading, time\n"
    "LIBC = ctypes.CDLL(None, use_errno=True)\n"
    "def check(): return True\n"
)
HANDLER = "\ndef lambda_handler(event, context):\n    return check()\n"

NODE_INITS = {
    "a server": ("listening_socket", "const server = require('net').createServer().listen(0);"),
    "a connection": ("open_connection", """
const net = require('net');
const server = net.createServer();
await new Promise((done) => server.listen(0, done));
const [peer] = await Promise.all([
  new Promise((done) => server.once('connection', done)),
  new Promise((done) => { globalThis.client = net.connect(server.address().port, done); }),
]);
server.close();
"""),
    "a child": ("child_process", "const child = require('child_process').spawn('sleep', ['infinity']);"),
    "a watch": ("descriptor", "require('fs').watch('/tmp', () => {});"),
    "a busy worker": ("running_thread", """
const { Worker } = require('worker_threads');
await new Promise((done) => new Worker('for (;;);', { eval: true }).once('online', done));
"""),
    "a file": ("temporary_file", "require('fs').writeFileSync('/tmp/kept', 'x');"),
    "a datagram socket": ("open_connection", """
await new Promise((done) => require('dgram').createSocket('udp4').bind(0, done));
"""),
}

JAVA_INITS = {
    "server": "listening_socket", "connection": "open_connection", "datagrams": "open_connection", "child": "child_process",
    "file": "temporary_file", "busy": "running_thread", "mapped": "shared_memory",
}


def assert_refused(platform, function, reason, detail="", fine=True):
    found = counts(platform, function.name)
    assert found["refusal"] and found["refusal"]["reason"] == reason, found
    assert detail in found["refusal"]["detail"] and found["template_bytes"] == 0
    # Its init has been paid: the process serves.
    eventually(lambda: counts(platform, function.name)["idle"] == 1, "the process is idle")
    answer = function.invoke(fine)
    assert (kind_of(answer), answer["json"]) == ("warm", fine), answer["json"]
    assert call(platform, function, "zygote", fine) == call(platform, function, "booted", fine) == fine
    # Nor is a start from what is not there an error.
    answer = function.invoke(fine, cold="forked")
    assert (kind_of(answer), answer["json"]) == ("zygote", fine)


@pytest.mark.parametrize("what", PYTHON)
def test_python(platform, deploy, what):
    reason, detail, source = PYTHON[what]
    function = deploy(IMPORTS + source + HANDLER, MemorySize=1024, Timeout=20)
    assert_refused(platform, function, reason, detail)


@pytest.mark.parametrize("what", NODE_INITS)
def test_node(platform, deploy, what):
    reason, source = NODE_INITS[what]
    head = "import { createRequire } from 'node:module'; const require = createRequire('/var/task/');\n"
    files = {"index.mjs": f"{head}{source}\nexport const handler = async () => true;"}
    function = deploy(files, **NODE | {"MemorySize": 1024, "Timeout": 20})
    assert_refused(platform, function, reason)


@pytest.mark.parametrize("what", JAVA_INITS)
def test_java(platform, deploy, java_classes, what):
    function = deploy_java(deploy, java_classes, what)
    assert_refused(platform, function, JAVA_INITS[what], fine={"do": "echo"})


def test_users_see_it_and_a_version_without_it_has_a_template(platform, client, deploy):
    reason, _, source = PYTHON["a TCP connection"]
    function = deploy(IMPORTS + source + HANDLER)
    row = listed(platform, function.name)
    assert row["refusal"]["reason"] == reason and row["rung"] == "idle" and row["spares"] == 0
    assert f"no template: {reason}: " in platform.pilot("ls").stdout
    first = client.publish_version(FunctionName=function.name)["Version"]
    client.update_function_code(FunctionName=function.name, ZipFile=package({"lambda_function.py": IMPORTS + HANDLER}))
    wait_active(client, function.name)
    row = listed(platform, function.name)
    second = client.publish_version(FunctionName=function.name)["Version"]
    assert counts(platform, function.name)["refusal"] is None
    assert call(platform, function, "forked") is True and call(platform, function, "spare") is True
    # Each version has, or has not, a template of its own.
    eventually(lambda: (counts(platform, function.name, second) or {}).get("template_bytes"), "version 2 has its template")
    eventually(lambda: (counts(platform, function.name, first) or {}).get("refusal"), "version 1 is refused")


MADE_ANEW = """
import ctypes, fcntl, os, select, signal, socket, struct, time
LIBC = ctypes.CDLL(None, use_errno=True)
reader, writer = os.pipe()
os.write(writer, b"from init")
large = os.pipe()
fcntl.fcntl(large[1], fcntl.F_SETPIPE_SZ, 1 << 20)
os.write(large[1], b"y" * 200_000)
event = os.eventfd(5)
semaphore = os.eventfd(2, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
one, other = socket.socketpair()
half, closed = socket.socketpair()
closed.close()
dgrams = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
folder = os.open("/var/task", os.O_RDONLY | os.O_DIRECTORY)
file = open("/var/task/lambda_function.py", "rb")
file.raw.seek(7)
twin = os.dup(file.fileno())
maps, null, noise = open("/proc/self/status"), open("/dev/null", "w"), open("/dev/urandom", "rb", buffering=0)
timer = LIBC.timerfd_create(time.CLOCK_MONOTONIC, 0)
armed = time.monotonic()
assert LIBC.timerfd_settime(timer, 0, struct.pack("4q", 0, 0, 0, 600_000_000), None) == 0
epoll = select.epoll()
epoll.register(other, select.EPOLLIN)
epoll.register(event, select.EPOLLIN)
signals = LIBC.signalfd(-1, struct.pack("Q", 1 << (signal.SIGUSR1 - 1)), 0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
inheritable = os.dup(null.fileno())
os.set_inheritable(inheritable, True)
os.set_blocking(writer, False)
os.umask(0o027)

def lambda_handler(_, context):
    os.write(writer, b", and then")
    one.sendall(b"x")
    dgrams[0].send(b"datagram")
    ready = sorted(fd == event for fd, _ in epoll.poll(1))
    os.kill(os.getpid(), signal.SIGUSR1)
    os.read(timer, 8)
    waited = time.monotonic() - armed
    return {
        "pipe": os.read(reader, 100).decode(), "large": [fcntl.fcntl(large[0], fcntl.F_GETPIPE_SZ), sum(map(len, iter(lambda: os.read(large[0], 65536) if waiting(large[0]) else b"", b"")))],
        "event": os.eventfd_read(event), "ready": ready,
        "semaphore": [os.eventfd_read(semaphore), os.eventfd_read(semaphore), can_read(semaphore)],
        "pair": [other.recv(9).decode(), dgrams[1].recv(99).decode()],
        "half": half.recv(1).decode(), "folder": sorted(os.listdir(folder)), "stat": os.stat("lambda_function.py", dir_fd=folder).st_size > 0,
        "position": [os.lseek(fd, 0, os.SEEK_CUR) for fd in (file.fileno(), twin)], "shared": moves_together(),
        "status": maps.readline(), "noise": len(noise.read(8)), "null": null.write("x"),
        "timer": 0.59 < waited, "signal": struct.unpack_from("I", os.read(signals, 128))[0],
        "inheritable": [os.get_inheritable(fd) for fd in (inheritable, reader)],
        "blocking": [os.get_blocking(fd) for fd in (reader, writer)], "umask": os.umask(0),
    }

def waiting(fd):
    return select.select([fd], [], [], 0)[0]

def can_read(fd):
    try:
        return os.eventfd_read(fd)
    except BlockingIOError:
        return None

def moves_together():
    os.lseek(twin, 11, os.SEEK_SET)
    return os.lseek(file.fileno(), 0, os.SEEK_CUR)
"""


def test_what_is_not_refused_is_made_anew(platform, deploy):
    function = deploy(MADE_ANEW, MemorySize=512, Timeout=20)
    assert counts(platform, function.name)["refusal"] is None
    booted = call(platform, function, "booted")
    assert booted["pipe"] == "from init, and then" and booted["event"] == 5 and booted["timer"] and booted["position"] == [7, 7]
    for kind in ("forked", "spare", "forked"):
        assert call(platform, function, kind) == booted


def test_forks_that_die_at_once_cost_no_request(deploy):
    """Memory that the kernel wipes in a fork: the template is as it should be, and none of its forks lives."""
    function = deploy(
        "import ctypes\n"
        "begin, end = next(line.split()[0].split('-') for line in open('/proc/self/maps') if '[heap]' in line)\n"
        "length = int(end, 16) - int(begin, 16)\n"
        "WIPE_ON_FORK = 18\n"
        "ctypes.CDLL(None).madvise(ctypes.c_void_p(int(begin, 16)), ctypes.c_size_t(length), WIPE_ON_FORK)\n"
        "def lambda_handler(event, context):\n    return event\n"
    )
    for number in range(4):
        answer = function.invoke(number, cold=True)
        assert answer["json"] == number, answer
