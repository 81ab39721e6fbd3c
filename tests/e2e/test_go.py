"""Programs in Go, whose runtime schedules, polls and collects by itself: they are forked as they are, tickers included."""

import collections
import concurrent.futures
import os
import pathlib
import subprocess
import threading
import time

import pytest

from forks import call, counts, kind_of, post, start, warm
from test_forks_many import connect
from test_forks_time import DUE_SECONDS, LATE

# There is no zygote of a program that nobody knows.
KINDS = ["booted", "forked", "spare"]
FORKS = 50
TICK_SECONDS = 0.01


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """`forks_go/main.go`, without a C library."""
    folder = tmp_path_factory.mktemp("go")
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "CGO_ENABLED": "0", "GO111MODULE": "off", "GOCACHE": str(folder / "cache")}
    source = pathlib.Path(__file__).parent / "forks_go" / "main.go"
    subprocess.run(["go", "build", "-o", folder / "bootstrap", source], env=env, check=True)
    return (folder / "bootstrap").read_bytes()


@pytest.fixture
def go(deploy, program):
    """Deploys it; its init starts what is asked for."""

    def make(init=""):
        variables = {"INIT": init, "MARK": "own"}
        return deploy({"bootstrap": program}, Runtime="provided.al2023", Handler="none", MemorySize=1769, Timeout=30,
                      Environment={"Variables": variables})

    return make


def has_template(platform, function):
    found = counts(platform, function.name)
    assert found["refusal"] is None and found["template_bytes"] > 0, found


@pytest.mark.parametrize("init", ["", "ticker"])
def test_forks_one_after_the_other(platform, go, init):
    function, connection, ids = go(init), connect(platform), set()
    has_template(platform, function)
    kinds = collections.Counter()
    for number in range(FORKS):
        event = {"é": [number]}
        status, kind, error, answer = post(connection, function.name, event, "forked")
        assert (status, error) == (200, None), answer
        kinds[kind] += 1
        assert answer["result"] == {"event": event, "twice": 42, "mark": "own"}
        ids.add(answer["id"])
    assert kinds == {"forked": FORKS} and len(ids) == FORKS
    connection.close()


def test_forks_at_once(platform, go):
    function, gate = go("ticker"), threading.Barrier(FORKS)

    def first_request(number):
        connection = connect(platform)
        connection.connect()
        gate.wait(timeout=30)
        return number, post(connection, function.name, {"n": number}, "forked")

    with concurrent.futures.ThreadPoolExecutor(FORKS) as pool:
        for number, (status, kind, error, answer) in pool.map(first_request, range(FORKS)):
            assert (status, error, kind) == (200, None, "forked"), answer
            assert answer["result"] == {"event": {"n": number}, "twice": 42, "mark": "own"}


def test_an_instance_goes_on_to_serve(platform, go):
    function = go()
    for kind in KINDS:
        answers = [start(platform, function, kind, {"n": 0}), *(warm(platform, function, {"n": n}) for n in range(1, 4))]
        for n, answer in enumerate(answers):
            assert answer["json"]["result"]["event"] == {"n": n}
            assert answer["json"]["id"] == answer["ResponseMetadata"]["RequestId"]


def test_a_goroutine_that_ticks_is_no_thread_that_runs(platform, go):
    function = go("ticker")
    has_template(platform, function)
    for kind in KINDS:
        ticks, seconds = call(platform, function, kind, {"do": "tick"})["result"]
        expected = seconds / TICK_SECONDS
        assert expected / 2 < ticks <= expected + 5, kind


def test_timers_of_init_are_due_when_they_were(platform, go):
    function = go()
    early, seen_early = call(platform, function, "forked", {"do": "time"})["result"], time.time()
    assert early["began"] < DUE_SECONDS, "the deploy took so long that nothing can be seen"
    late, seen_late = call(platform, function, "forked", {"do": "time"})["result"], time.time()
    assert late["began"] > DUE_SECONDS
    for found, seen in ((early, seen_early), (late, seen_late)):
        due = max(DUE_SECONDS, found["began"])
        assert found["ended"].keys() == {"AfterFunc", "Sleep", "select"}
        # They may fall due while the request is on its way.
        wrong = {name: at for name, at in found["ended"].items() if not DUE_SECONDS <= at <= due + LATE}
        assert not wrong, f"due at {due}: {wrong}"
        assert abs(found["wall"] - seen) < LATE, "the clock stood still"


def test_a_fork_can_what_a_booted_instance_can(platform, go):
    function = go("ticker")
    booted, *others = (call(platform, function, kind, {"do": "processes"})["result"] for kind in KINDS)
    assert booted == {
        "child": ["own\n/var/task\n", "<nil>"], "pipe": [str(1 << 20), "<nil>"], "failed": "exit status 7",
        "goroutine of init": 42, "new goroutines": 499500, "garbage": [True, 10000, True], "written": "<nil>", "read": "own",
        "pipe of init": "through the pipe", "signal": "user defined signal 1", "preempted": True,
    }
    for kind, found in zip(KINDS[1:], others, strict=True):
        assert found == booted, kind


def test_random_numbers(platform, go):
    function = go()
    drawn = [call(platform, function, kind, {"do": "random"})["result"] for kind in ["forked"] * 5 + ["spare"] * 2]
    assert len({found["crypto"] for found in drawn}) == len(drawn)
    # As docs/templates.md says: what init drew is the same in all instances, and so is a generator that it has seeded.
    assert len({found["drawn"] for found in drawn}) == len({found["seeded"] for found in drawn}) == 1


def test_a_goroutine_that_computes_is_refused(platform, go):
    function = go("busy")
    found = counts(platform, function.name)
    assert found["refusal"] and found["refusal"]["reason"] == "running_thread" and found["template_bytes"] == 0
    answer = function.invoke({"n": 1}, cold="forked")
    assert (kind_of(answer), answer["json"]["result"]["event"]) == ("booted", {"n": 1})
    assert warm(platform, function, {"n": 2})["json"]["result"]["event"] == {"n": 2}


def test_one_that_dies_is_replaced(platform, go):
    function = go()
    answer = start(platform, function, "forked", {"do": "die"})
    assert (answer["FunctionError"], answer["json"]["errorType"]) == ("Unhandled", "Runtime.ExitError"), answer["json"]
    assert call(platform, function, "forked", {"n": 1})["result"]["event"] == {"n": 1}
