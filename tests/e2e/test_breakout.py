"""A hostile function tries to leave its sandbox, or to harm the node. `breakout/lambda_function.py` holds the
attempts; here is what they aim at, and that the node is healthy after each."""

import concurrent.futures
import ctypes
import http.client
import itertools
import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import pytest

from conftest import deploy_to, eventually
from forks import KINDS, counts, kind_of, post, start
from packages import ECHO

# More than /tmp holds, so that filling it ends at its own limit.
MEMORY_MB, TMP_MB = 1024, 512
HOSTILE = (pathlib.Path(__file__).parent / "breakout" / "lambda_function.py").read_text()

# Attempts whose handler lives to say what it found.
CONTAINED = [
    "fork_bomb", "thread_bomb", "disk_fill_tmp", "disk_fill_shm", "descriptor_bomb", "write_read_only_places",
    "status_shows_no_privilege",
    "become_root", "setuid_binary", "new_user_namespace", "new_namespaces", "clone_into_new_namespaces",
    "enter_init_namespaces", "mount_tmpfs", "mount_new_api", "unmount", "change_root", "host_paths", "file_handles",
    "devices", "sys_is_absent", "proc_writes", "proc_masks", "other_processes", "trace_init", "read_init_memory",
    "steal_descriptors", "keyrings", "bpf", "userfaultfd", "kexec", "kernel_modules", "perf_events", "io_uring",
    "kernel_log", "clocks", "machine_control", "raw_sockets", "packet_sockets", "change_routes", "host_loopback",
    "host_addresses", "agent_api", "gateway_address", "metadata_address", "ipv6", "answer_for_another", "huge_pages",
    "write_out_disks", "core_dumps", "watch_other_functions", "mounts_tell_nothing", "runtime_api_nonsense",
    "engine_descriptors", "inner_door_stays_its_own", "inner_door_nonsense", "inner_door_flood", "engine_processes", "trace_engine", "join_namespaces", "owners_of_namespaces", "engine_memory",
]
# Attempts that may cost the instance its life; what counts is that nobody else notices.
SELF_DESTRUCTIVE = [
    "inode_fill_tmp", "signals", "runtime_socket_garbage", "runtime_api_flood", "runtime_api_connections",
    "inner_door_connections", "fill_sockets",
]


# What takes seconds, and is held by limits that are the same for all: with these two kinds both ways to make a sandbox
# are tried.
SLOW = {"fork_bomb", "thread_bomb", "gateway_address", "metadata_address", "runtime_api_nonsense", "inner_door_nonsense", "inode_fill_tmp"}


@pytest.fixture(scope="module")
def hostile(shared_platform):
    client = shared_platform.client()
    function = deploy_to(client, HOSTILE, name="hostile", MemorySize=MEMORY_MB, Timeout=60)
    yield function
    client.delete_function(FunctionName="hostile")


class Attacker:
    """An instance that came from that kind of start, for as long as it lives, and then the next."""

    def __init__(self, platform, kind):
        self.platform, self.kind, self.client = platform, kind, platform.client()
        self.function = deploy_to(self.client, HOSTILE, name=f"hostile-{kind}", MemorySize=MEMORY_MB, Timeout=60)

    def invoke(self, event):
        if counts(self.platform, self.function.name)["idle"] == 0:
            start(self.platform, self.function, self.kind, {"attempt": "knows_no_engine"})
        answer = self.function.invoke(event)
        assert kind_of(answer) == "warm"
        return answer


@pytest.fixture(scope="module")
def attacker(request, shared_platform):
    attacker = Attacker(shared_platform, request.param)
    yield attacker
    attacker.client.delete_function(FunctionName=attacker.function.name)


@pytest.fixture(scope="module")
def innocent(shared_platform):
    client = shared_platform.client()
    # Hundreds of cold starts would else fill the node with instances that wait.
    function = deploy_to(client, ECHO, name="innocent", Tags={"pilotlight:keep-alive": "5"})
    yield function
    client.delete_function(FunctionName="innocent")


class Host:
    """What an instance must not reach: a file, a process and servers of this machine."""

    def __init__(self, folder, platform):
        self.secret = "canary-" + folder.name
        self.file = folder / "canary"
        self.file.write_text(self.secret)
        self.file.chmod(0o666)
        self.connections, self.closing = [], False
        self.server = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        self.victim = subprocess.Popen(["sleep", "infinity"])
        found = json.loads(subprocess.run(["ip", "-json", "-4", "address"], capture_output=True, check=True).stdout)
        self.addresses = [
            address["local"] for link in found for address in link["addr_info"] if not address["local"].startswith("127.")
        ]
        self.event = {
            "canary_path": str(self.file), "canary_port": self.port, "host_addresses": self.addresses,
            "agent_port": platform.port, "agent_pid": platform.process.pid,
            "memory_mb": MEMORY_MB, "tmp_mb": TMP_MB,
        }

    def _serve(self):
        while True:
            connection, peer = self.server.accept()
            self.connections.append(peer)
            connection.close()
            if peer[0].endswith("127.0.0.1") and self.closing:
                return

    def assert_untouched(self):
        assert self.connections == [], "an instance reached a server of this machine"
        assert self.file.read_text() == self.secret
        assert self.victim.poll() is None, "an instance killed a process of this machine"

    def close(self):
        self.closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.thread.join()
        self.server.close()
        self.victim.kill()
        self.victim.wait()


@pytest.fixture(scope="module")
def host(shared_platform, tmp_path_factory):
    host = Host(tmp_path_factory.mktemp("host"), shared_platform)
    yield host
    host.close()


def assert_healthy(platform, innocent, host):
    """The node does what it did before: warm and cold starts, its API, and nothing of the host was touched."""
    assert platform.process.poll() is None
    assert innocent.call("fine") == "fine"
    assert innocent.invoke("cold", cold=True)["json"] == "cold"
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    connection.request("GET", "/pilotlight/v1/health")
    assert connection.getresponse().status == 200
    host.assert_untouched()


def test_every_attempt_is_made():
    known = set(re.findall(r"(?m)^def (\w+)\(event\)", HOSTILE))
    elsewhere = {"memory_bomb", "fork_bomb_left_behind", "listen", "own_address", "other_instance", "tmp_is_private",
                 "exhaust_notifications", "release_notifications", "send_lingering_descriptors", "knows_no_engine"}
    assert known == set(CONTAINED) | set(SELF_DESTRUCTIVE) | elsewhere
    assert len(CONTAINED) + len(SELF_DESTRUCTIVE) >= 25


def test_the_canaries_can_be_reached_from_outside_of_a_sandbox(host):
    """Else the attempts would prove nothing."""
    before = len(host.connections)
    for address in ["127.0.0.1", *host.addresses]:
        socket.create_connection((address, host.port), timeout=5).close()
    eventually(lambda: len(host.connections) == before + 1 + len(host.addresses), "the canary counts visitors")
    host.connections.clear()


def in_kinds(attempts):
    """Every attempt in every start kind, but the slow ones in two."""
    return pytest.mark.parametrize(
        ("attacker", "attempt"),
        [(kind, attempt) for kind in KINDS for attempt in attempts if attempt not in SLOW or kind in ("booted", "forked")],
        indirect=["attacker"],
    )


@in_kinds(CONTAINED)
def test_contained(platform, attacker, innocent, host, attempt):
    answer = attacker.invoke(host.event | {"attempt": attempt})
    assert "FunctionError" not in answer, answer["json"]
    assert answer["json"]["finding"] is None
    assert_healthy(platform, innocent, host)


@in_kinds(SELF_DESTRUCTIVE)
def test_contained_whatever_becomes_of_it(platform, attacker, innocent, host, attempt):
    answer = attacker.invoke(host.event | {"attempt": attempt})
    if "FunctionError" in answer:
        assert answer["json"]["errorType"].startswith(("Runtime.", "Sandbox.")), answer["json"]
    else:
        assert answer["json"]["finding"] is None
    assert_healthy(platform, innocent, host)
    # The next instance begins afresh.
    answer = start(platform, attacker.function, attacker.kind, host.event | {"attempt": "other_processes"})
    assert answer["json"]["finding"] is None


def test_no_fork_is_born_with_the_secret_of_another(platform, hostile):
    """While a template serves one order its memory holds the secret, and a fork made at that moment is a copy of it."""
    event = {"attempt": "engine_memory"}

    def attack(_):
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)
        return [post(connection, hostile.name, event, kind) for kind in ["forked"] * 20 + ["zygote"]]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for status, kind, error, answer in itertools.chain(*pool.map(attack, range(6))):
            assert (status, error) == (200, None), answer
            assert answer["finding"] is None, kind


@pytest.mark.parametrize("attacker", KINDS, indirect=True)
def test_there_is_something_of_the_engine_to_look_through(platform, attacker):
    """Else `engine_memory` would prove nothing where it matters."""
    regions = attacker.invoke({"attempt": "knows_no_engine"})["json"]["finding"]
    assert regions == {"booted": 0, "zygote": 2, "forked": 4, "spare": 4}[attacker.kind]


def test_a_memory_bomb_dies_alone(platform, hostile, innocent, host):
    answer = hostile.invoke(host.event | {"attempt": "memory_bomb"})
    assert answer["FunctionError"] == "Unhandled" and answer["json"]["errorType"].startswith("Runtime."), answer["json"]
    assert_healthy(platform, innocent, host)


def test_limits_per_user_are_not_shared_with_the_host(platform, hostile, innocent, host):
    libc = ctypes.CDLL(None, use_errno=True)
    assert hostile.call(host.event | {"attempt": "exhaust_notifications"})["finding"] is None
    own = libc.inotify_init1(os.O_CLOEXEC)
    assert own >= 0, "a function took what the host's root needs"
    os.close(own)
    hostile.call(host.event | {"attempt": "release_notifications"})
    assert_healthy(platform, innocent, host)


def test_descriptors_sent_to_the_platform_block_nobody(platform, client, innocent, host):
    # More than the platform has threads that serve.
    count = os.cpu_count() + 2
    sender = deploy_to(client, HOSTILE, name="hostile-sender", MemorySize=128, Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        senders = [pool.submit(sender.invoke, {"attempt": "send_lingering_descriptors"}) for _ in range(count)]
        for sent in senders:
            assert sent.result()["json"].get("errorType") == "Runtime.ExitError", sent.result()["json"]
    assert_healthy(platform, innocent, host)
    client.delete_function(FunctionName="hostile-sender")


def test_left_behind_processes_go_with_the_instance(platform, hostile, innocent, host):
    marker = platform.name.removeprefix("pilotlight-")

    def processes():
        count = 0
        for path in pathlib.Path("/proc").glob("[0-9]*/cgroup"):
            try:
                count += marker in path.read_text()
            except (FileNotFoundError, ProcessLookupError):
                pass
        return count

    # Slots, templates and what waits for them are many by now; the bomb makes a thousand more.
    before = processes()
    hostile.invoke(host.event | {"attempt": "fork_bomb_left_behind"})
    eventually(lambda: processes() < before + 200, "the bomb's processes are gone")
    assert_healthy(platform, innocent, host)


def test_instances_do_not_reach_each_other(platform, hostile, innocent, host, lines):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        listening = pool.submit(hostile.invoke, {"attempt": "listen", "seconds": 4}, cold=True)
        address = eventually(
            lambda: next((line.split()[-1] for line in lines(hostile) if line.startswith("listening at")), None),
            "the victim listens",
        )
        answer = hostile.invoke({"attempt": "other_instance", "addresses": [address], "seconds": 2})
        assert answer["json"]["finding"] is None, answer["json"]
        assert listening.result()["json"]["finding"] is None
    assert_healthy(platform, innocent, host)


def test_tmp_is_not_shared(platform, client, hostile, innocent, host):
    other = deploy_to(client, HOSTILE, name="hostile-too")
    hostile.invoke({"attempt": "tmp_is_private", "leave": "for you"})
    assert other.call({"attempt": "tmp_is_private"})["finding"] is None
    assert hostile.invoke({"attempt": "tmp_is_private"}, cold=True)["json"]["finding"] is None
    client.delete_function(FunctionName="hostile-too")


def test_a_forged_answer_reaches_nobody(platform, hostile, innocent, host):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(innocent.call, n) for n in range(20)]
        assert hostile.call(host.event | {"attempt": "answer_for_another"})["finding"] is None
        assert [call.result() for call in calls] == list(range(20))
