"""`pilot simulate` against a second implementation of the policies, on the excerpt of the Azure Functions trace."""

import json
import pathlib
import subprocess

import pytest

import keep_alive
from pilot_up import PILOT

EXCERPT = pathlib.Path(__file__).parents[2] / "crates/sim/tests/data/azure2019"

POLICIES = {
    "fixed:1m": lambda trace: keep_alive.fixed(trace, 1),
    "fixed:5m": lambda trace: keep_alive.fixed(trace, 5),
    "fixed:10m": lambda trace: keep_alive.fixed(trace, 10),
    "fixed:1h": lambda trace: keep_alive.fixed(trace, 60),
    "hybrid:4h": lambda trace: keep_alive.hybrid(trace, 240),
    "hybrid:4h,least=1": lambda trace: keep_alive.hybrid(trace, 240, least=1),
    "hybrid:4h,cv=5": lambda trace: keep_alive.hybrid(trace, 240, cv=5),
    "hybrid:2h,least=3,head=10,tail=90": lambda trace: keep_alive.hybrid(trace, 120, least=3, head=10, tail=90),
    "lru:400MiB": lambda trace: keep_alive.lru(trace, 400),
    "lru:800MiB": lambda trace: keep_alive.lru(trace, 800),
}


@pytest.fixture(scope="module")
def reports():
    command = [PILOT, "simulate", EXCERPT, "--quiet", "--output", "json"]
    for policy in POLICIES:
        command += ["--policy", policy]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {it["policy"]: it for it in report["policies"]}


@pytest.mark.parametrize("policy", POLICIES)
def test_the_same_cold_starts_and_memory_time(reports, policy):
    expected, report = POLICIES[policy](keep_alive.Trace(EXCERPT)), reports[policy]
    assert report["cold_by_function"]["mean"] == pytest.approx(expected["cold_mean"], rel=1e-9)
    assert report["cold_by_request"] == pytest.approx(expected["cold_by_request"], rel=1e-9)
    assert report["wasted_mb_s"] == pytest.approx(expected["mb_s"], rel=1e-6)
