"""`pilot simulate` against a second implementation of the policies, on the excerpt of the Azure Functions trace."""

import json
import pathlib
import subprocess

import pytest

import keep_alive
from pilot_up import PILOT

EXCERPT = pathlib.Path(__file__).parents[2] / "crates/sim/tests/data/azure2019"

POLICIES = {
    "fixed:1m": lambda trace, _: keep_alive.fixed(trace, 1),
    "fixed:5m": lambda trace, _: keep_alive.fixed(trace, 5),
    "fixed:10m": lambda trace, _: keep_alive.fixed(trace, 10),
    "fixed:1h": lambda trace, _: keep_alive.fixed(trace, 60),
    "hybrid:4h": lambda trace, _: keep_alive.hybrid(trace, 240),
    "hybrid:4h,least=1": lambda trace, _: keep_alive.hybrid(trace, 240, least=1),
    "hybrid:4h,cv=5": lambda trace, _: keep_alive.hybrid(trace, 240, cv=5),
    "hybrid:2h,least=3,head=10,tail=90": lambda trace, _: keep_alive.hybrid(trace, 120, least=3, head=10, tail=90),
    "lru:400MiB": lambda trace, _: keep_alive.lru(trace, 400),
    "lru:800MiB": lambda trace, _: keep_alive.lru(trace, 800),
    "lfu:400MiB": lambda trace, _: keep_alive.lfu(trace, 400),
    "lfu:800MiB": lambda trace, _: keep_alive.lfu(trace, 800),
    "greedy-dual:200MiB": lambda trace, starts: keep_alive.greedy_dual(trace, 200, starts),
    "greedy-dual:400MiB": lambda trace, starts: keep_alive.greedy_dual(trace, 400, starts),
    "greedy-dual:800MiB": lambda trace, starts: keep_alive.greedy_dual(trace, 800, starts),
    # With one instance of each function it is the same: nothing is concurrent.
    "cidre:400MiB": lambda trace, starts: keep_alive.greedy_dual(trace, 400, starts),
    "rainbowcake": lambda trace, starts: keep_alive.rainbowcake(trace, [ms / 1e3 for ms in starts]),
    "rainbowcake:quantile=0.95,waiting=0.9999,least=10s": lambda trace, starts: keep_alive.rainbowcake(
        trace, [ms / 1e3 for ms in starts], quantile=0.95, waiting=0.9999, least=10.0
    ),
}


def profile():
    """Starts of a class always take the same; what a function's own init takes differs from function to function."""

    def always(ms):
        return {"p50": ms, "p99": ms}

    def class_of(share, zygote_ms):
        starts = {"warm": 0.1, "spare": 1, "forked": 2, "zygote": zygote_ms, "booted": 900}
        parts = {"template": 0.6, "spare": 0.02, "forked": 0.15}
        memory = {part: {"mb": 0, "share": part_of_it} for part, part_of_it in parts.items()}
        return {
            "share": share,
            "start_ms": {kind: always(ms) for kind, ms in starts.items()},
            "memory": {"zygote_mb": 20, **memory},
        }

    return {
        "format": "pilotlight-profile",
        "version": 1,
        "source": "by hand",
        "user_init_ms": {"p50": 60, "p99": 1000},
        "classes": {"python": class_of(0.5, 20), "node": class_of(0.3, 45), "java": class_of(0.2, 120)},
    }


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """The reports by policy, and what a start of each function takes, in milliseconds."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "profile.json").write_text(json.dumps(profile()))
    command = [PILOT, "simulate", EXCERPT, "--quiet", "--profile", folder / "profile.json"]

    def run(*more):
        return subprocess.run([*command, *more], check=True, capture_output=True, text=True).stdout

    run("--policy", "fixed:0s", "--record", folder / "log.jsonl")
    asked = [argument for policy in POLICIES for argument in ("--policy", policy)]
    report = json.loads(run("--output", "json", *asked))
    return {it["policy"]: it for it in report["policies"]}, starts_ms(folder / "log.jsonl")


def starts_ms(log):
    """What starts took, by the function's place in the trace."""
    version_of, took = {}, {}
    for line in log.read_text().splitlines()[1:]:
        _, event = json.loads(line).get("event", (None, None))
        if isinstance(event, dict) and "starting" in event:
            version_of[event["starting"]["instance"]] = event["starting"]["version"]
        if isinstance(event, dict) and "started" in event:
            ms = event["started"]["took"]["secs"] * 1e3 + event["started"]["took"]["nanos"] / 1e6
            assert took.setdefault(version_of[event["started"]["instance"]], ms) == ms, "always the same"
    return [took[number] for number in range(len(took))]


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_cold_starts_and_memory_time(simulated, policy):
    reports, starts = simulated
    expected, report = POLICIES[policy](keep_alive.Trace(EXCERPT), starts), reports[policy]
    assert report["cold_by_function"]["mean"] == pytest.approx(expected["cold_mean"], rel=1e-9)
    assert report["cold_by_request"] == pytest.approx(expected["cold_by_request"], rel=1e-9)
    assert report["wasted_mb_s"] == pytest.approx(expected["mb_s"], rel=1e-6)
