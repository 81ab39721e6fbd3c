"""The policy `pilot` on a node: what it keeps, what it makes of warm-ups, and what it says of them."""

import json
import urllib.request

import pytest

from conftest import deploy_to
from packages import ECHO
from pilot_up import eventually

CONFIG = '\n[policy]\nname = "pilot"\nevent_log = "{path}"\n'


@pytest.fixture
def events(tmp_path):
    return tmp_path / "events"


@pytest.fixture
def node(new_platform, events):
    return new_platform(CONFIG.format(path=events))


def why(platform, name):
    [told] = json.loads(platform.pilot("why", name, "--output", "json").stdout)["versions"]
    return told


def listed(platform, name):
    functions = json.loads(platform.pilot("ls", "--output", "json").stdout)
    return next(it for it in functions if it["name"] == name)


def metrics(platform):
    with urllib.request.urlopen(f"{platform.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    told = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in told}


def test_a_warm_up_makes_what_it_was_asked_for_and_is_a_forecast_that_comes_true(node, events):
    function = deploy_to(node.client(), ECHO)
    assert why(node, function.name)["policy"] == "pilot:node"
    node.pilot("warm", function.name, "--instances", "3")
    assert listed(node, function.name)["idle"] == 3
    forecasts = why(node, function.name)["forecasts"]
    assert forecasts["expected"]["by"] == "announced", forecasts
    assert forecasts["expected"]["until_ms"] - forecasts["expected"]["from_ms"] > 599_000, forecasts

    # They are weighed meanwhile; and as many are there as were asked for, beside the template and its spare.
    def weighed():
        return [line for line in events.read_text().splitlines() if '"measured"' in line]

    assert len(eventually(lambda: len(weighed()) >= 3 and weighed(), "the instances are weighed")) >= 3
    taken = [json.loads(line)["event"][1]["measured"]["memory"] for line in weighed()]
    assert all(0 < memory < 64 << 20 for memory in taken), taken
    started = [line for line in events.read_text().splitlines() if '"starting"' in line]
    assert len(started) == 3 and listed(node, function.name)["idle"] == 3, started

    assert function.call(1) == 1
    forecasts = why(node, function.name)["forecasts"]
    assert [(told["kind"], told["why"]) for told in forecasts["told"]] == [("warm", "foreseen")], forecasts
    counters = forecasts["counters"]
    assert (counters["forecasts"], counters["hits"], counters["misses"]) == (1, 1, 0), counters
    shown = metrics(node)
    assert shown["pilotlight_policy_forecasts_total"] == 1
    assert shown["pilotlight_policy_forecast_hits_total"] == 1
    assert shown["pilotlight_policy_forecast_misses_total"] == 0
    assert shown["pilotlight_policy_forecast_wasted_mb_seconds_total"] == 0


def test_a_start_that_was_asked_for_is_no_forecast_and_no_first_request(node):
    function = deploy_to(node.client(), ECHO)
    for kind in ("booted", "forked"):
        function.call(1, cold=kind)
    said = why(node, function.name)
    assert [start["reason"] for start in said["starts"]] == ["asked", "asked"], said
    assert said["forecasts"]["told"] == [] and said["forecasts"]["rung"] == "spare", said
    text = node.pilot("why", function.name).stdout
    assert "never seen" not in text and "a start was asked for" in text, text
