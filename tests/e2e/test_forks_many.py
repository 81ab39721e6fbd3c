"""Many forks, one after the other and at once; and forks, templates and zygotes that are killed under load."""

import collections
import concurrent.futures
import functools
import http.client
import os
import pathlib
import random
import signal
import threading
import time

import pytest

from conftest import deploy_to, eventually
from forks import NODE, counts, deploy_java, get, kind_of, post

ONE_BY_ONE = {"python": 300, "node": 100, "java": 50}
AT_ONCE = 100
LOAD_SECONDS = 8
CLIENTS = 4
# Descriptors by which the fork engine's processes are told from others: see `sandbox::template::scripts`.
FROZEN, STEM = "1016", "1017"

PYTHON = """
import threading, uuid
from concurrent.futures import ThreadPoolExecutor
NAME, executor = "python", ThreadPoolExecutor(2)
executor.submit(abs, 1).result()
def lambda_handler(event, context):
    return {"name": NAME, "event": event, "stream": context.log_stream_name, "id": uuid.uuid4().hex, "sum": executor.submit(sum, range(100)).result()}
"""
NODE_SOURCE = """
const crypto = require('crypto'), fs = require('fs').promises;
exports.handler = async (event, context) => ({
  name: 'node', event, stream: context.logStreamName, id: crypto.randomUUID(),
  sum: (await fs.readFile(__filename)).length && [...Array(100).keys()].reduce((sum, n) => sum + n, 0),
});
"""


def python(client, name, _):
    return deploy_to(client, PYTHON, name=name)


def node(client, name, _):
    return deploy_to(client, {"index.js": NODE_SOURCE}, name=name, **NODE)


def java(client, name, classes):
    return deploy_java(functools.partial(deploy_to, client), classes, name=name, MemorySize=512)


MAKERS = {"python": python, "node": node, "java": java}


def asked(name, event):
    return {"do": "answer", "event": event} if name == "java" else event


def connect(platform):
    return http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)


def assert_answer(name, event, answer):
    assert (answer["name"], answer["event"], answer["sum"]) == (name, event, 4950)


@pytest.mark.parametrize("name", MAKERS)
def test_forks_one_after_the_other(platform, client, java_classes, name):
    function, connection, seen = MAKERS[name](client, f"many-{name}", java_classes), connect(platform), collections.defaultdict(set)
    kinds, count = collections.Counter(), ONE_BY_ONE[name]
    for event in range(count):
        status, kind, error, answer = post(connection, function.name, asked(name, event), "forked")
        assert (status, error) == (200, None), answer
        kinds[kind] += 1
        assert_answer(name, event, answer)
        seen["stream"].add(answer["stream"]), seen["id"].add(answer["id"])
    assert kinds == {"forked": count}
    assert len(seen["stream"]) == len(seen["id"]) == count
    client.delete_function(FunctionName=function.name)


def test_forks_at_once(platform, client, java_classes):
    functions = [make(client, f"once-{name}", java_classes) for name, make in MAKERS.items()]
    gate = threading.Barrier(AT_ONCE)

    def first_request(number):
        connection, function = connect(platform), functions[number % len(functions)]
        connection.connect()
        name = function.name.removeprefix("once-")
        gate.wait(timeout=30)
        return name, number, post(connection, function.name, asked(name, number), "forked")

    streams = set()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, number, (status, kind, error, answer) in pool.map(first_request, range(AT_ONCE)):
            assert (status, error, kind) == (200, None, "forked"), answer
            assert_answer(name, number, answer)
            streams.add(answer["stream"])
    assert len(streams) == AT_ONCE
    for function in functions:
        client.delete_function(FunctionName=function.name)


class Prey:
    """Processes of one platform's sandboxes."""

    def __init__(self, platform):
        self.marker = platform.name.removeprefix("pilotlight-")
        self.spared = {platform.process.pid} | {pid for pid, _ in platform.launchers}

    def descriptors(self):
        """Of every process, as a set of names."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.marker in pathlib.Path(f"/proc/{pid}/cgroup").read_text() and int(pid) not in self.spared:
                    found[int(pid)] = set(os.listdir(f"/proc/{pid}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def frozen(self):
        return {pid for pid, descriptors in self.descriptors().items() if FROZEN in descriptors}

    def others(self):
        """Instances, what they are forked from, and the init processes of their sandboxes."""
        return {pid for pid, descriptors in self.descriptors().items() if FROZEN not in descriptors}

    def kill(self, pid):
        # Numbers are given out again, but not within the time between the look and this.
        try:
            os.kill(pid, signal.SIGKILL)
            return True
        except ProcessLookupError:
            return False


class Load:
    """Clients that invoke forked starts, and what they were answered."""

    def __init__(self, platform, names):
        self.platform, self.names, self.end = platform, names, threading.Event()
        self.kinds, self.errors, self.wrong = collections.Counter(), collections.Counter(), []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(CLIENTS)]

    def run(self, number):
        connection, count = connect(self.platform), 0
        while not self.end.is_set():
            count += 1
            name, event = self.names[(number + count) % len(self.names)], [number, count]
            try:
                status, kind, error, answer = post(connection, name, asked(name, event), None if count % 5 == 0 else "forked")
                self.kinds[kind] += 1
                if error:
                    self.errors[answer["errorType"], answer["errorMessage"].split(" Error: ")[1]] += 1
                else:
                    assert status == 200, (status, answer)
                    assert_answer(name, event, answer)
            except Exception as failure:
                self.wrong.append(repr(failure))
                return

    def __enter__(self):
        [thread.start() for thread in self.threads]
        return self

    def __exit__(self, *_):
        self.end.set()
        [thread.join() for thread in self.threads]


def wait_for_zygotes(platform):
    def ready():
        [node] = get(platform, "/pilotlight/v1/nodes")["nodes"]
        return node["zygotes"] and all(zygote["ready"] for zygote in node["zygotes"])

    eventually(ready, "zygotes are ready")


def test_killed_under_load(new_platform, java_classes):
    platform = new_platform()
    client, prey, seed = platform.client(), Prey(platform), random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    wait_for_zygotes(platform)
    zygotes = prey.frozen()
    functions = {name: make(client, name, java_classes) for name, make in MAKERS.items()}
    platform.expect_log("template died|zygote died|no zygote|slot died in the pool|cannot build a slot|fork failed|boot failed")
    begin, killed = time.monotonic(), collections.Counter()
    # One template early, one late, and between them all zygotes: every one more makes the next pause twice as long.
    special = [(1, lambda: prey.frozen() - zygotes), (LOAD_SECONDS / 2, lambda: zygotes), (LOAD_SECONDS - 2, lambda: prey.frozen() - zygotes)]
    with Load(platform, list(functions)) as load:
        while (now := time.monotonic() - begin) < LOAD_SECONDS and not load.wrong:
            if special and now > special[0][0]:
                for pid in special.pop(0)[1]():
                    killed["frozen"] += prey.kill(pid)
            elif victims := sorted(prey.others()):
                # Half of them young, which are in the middle of something.
                killed["other"] += prey.kill(dice.choice(dice.choice([victims, victims[-4:]])))
            time.sleep(dice.uniform(0.02, 0.12))
    print(killed, load.kinds, load.errors)
    assert not load.wrong, load.wrong
    # The other one is of an instance whose init was killed, so that nobody is left to tell.
    told = {"Runtime exited with error: signal: killed", "Runtime exited without providing a reason"}
    assert load.errors.keys() <= {("Runtime.ExitError", message) for message in told}, load.errors
    assert killed["frozen"] >= 5 and killed["other"] >= 20
    # How many depends on how fast the machine makes templates again.
    assert load.kinds["forked"] >= 10, load.kinds
    # All of it is made again, and works.
    wait_for_zygotes(platform)
    for name, function in functions.items():
        # A template that died in the making is made again when the version is used, but not by who asks for a kind of start.
        def is_forked(name=name, function=function):
            kind = kind_of(function.invoke(asked(name, "use"), cold=True))
            # A spare may have outlived its template.
            return kind in ("forked", "spare") and counts(platform, name)["template_bytes"]

        eventually(is_forked, f"{name} has its template")
        # Berths that died meanwhile cost the start that finds them one rung.
        def starts_as(kind, name=name, function=function):
            answer = function.invoke(asked(name, "after"), cold=kind)
            assert_answer(name, "after", answer["json"])
            return kind_of(answer) == kind

        for kind in ("forked", "spare", "zygote"):
            eventually(functools.partial(starts_as, kind), f"{name} has {kind} starts")
    assert get(platform, "/pilotlight/v1/health")["status"] == "ready"
