"""The policy that a node decides by: chosen in the configuration, recorded as it decides, replayed by the simulator."""

import json
import threading

import pytest

from conftest import deploy_to
from packages import ECHO
from pilot_up import eventually

CALLER = """
import http.client
def lambda_handler(name, context):
    door = http.client.HTTPConnection("127.0.0.1", 9002)
    door.request("POST", f"/2015-03-31/functions/{name}/invocations", "1")
    return door.getresponse().status
"""
LOG = '\n[policy]\nname = "{policy}"\nevent_log = "{path}"\n[limits]\nnode_memory_mb = 2500\n'


def burst(functions, calls):
    """So many calls at once, of the functions in turn."""

    def call(function):
        assert function.call(1) == 1

    threads = [threading.Thread(target=call, args=(functions[n % len(functions)],)) for n in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("named, policy", [
    ("fixed:1s", "fixed:1s"), ("cidre:512MiB", "cidre:512MiB"), ("pilot", "pilot:node"),
])
def test_what_a_node_decided_is_what_the_simulator_decides(new_platform, tmp_path, named, policy):
    path = tmp_path / "events"
    platform = new_platform(LOG.format(policy=named, path=path))
    client = platform.client()
    functions = [deploy_to(client, ECHO, MemorySize=128) for _ in range(4)]
    caller = deploy_to(client, CALLER, MemorySize=128)
    for _ in range(4):
        burst(functions, 8)
    # One that is to have no template, and a chain that says who calls whom.
    opted_out = deploy_to(client, ECHO, MemorySize=128, SnapStart={"ApplyOn": "None"})
    definition = tmp_path / "chain.json"
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke"}
    steps = [functions[0].name, opted_out.name]
    definition.write_text(json.dumps({"StartAt": "a", "States": {
        "a": {**task, "Parameters": {"FunctionName": steps[0]}, "Next": "b"},
        "b": {**task, "Parameters": {"FunctionName": steps[1]}, "End": True},
    }}))
    platform.pilot("chains", "put", "orders", definition)
    eventually(lambda: '"calls"' in path.read_text(), "the policy has heard of the chain")
    burst([functions[0], opted_out], 4)
    # For which others have to leave room.
    large = deploy_to(client, ECHO, MemorySize=2200)
    assert large.call(1) == 1
    # Others may have the room.
    platform.pilot("warm", functions[0].name, "--instances", "2", check=False)
    # An alias moves its requests, and one function calls another.
    client.publish_version(FunctionName=functions[1].name)
    client.create_alias(FunctionName=functions[1].name, Name="live", FunctionVersion="$LATEST")
    client.update_alias(FunctionName=functions[1].name, Name="live", FunctionVersion="1")
    assert functions[1].call(1, Qualifier="live") == 1
    assert caller.call(functions[2].name) == 200
    client.delete_function(FunctionName=functions[3].name)
    burst(functions[:3], 6)
    platform.stop()

    replayed = platform.pilot("simulate", path, "--replay").stdout
    assert "all as recorded" in replayed and replayed.startswith(policy), replayed
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["policy"] == policy
    told = [line["event"][1] for line in lines if "event" in line]
    kinds = {event if isinstance(event, str) else next(iter(event)) for event in told}
    assert kinds >= {
        "node", "deployed", "arrived", "starting", "started", "busy", "idle", "gone", "held", "lost", "announced", "shift", "retired",
        "calls", "refused", "pressure",
    }, kinds
    arrived = [event["arrived"] for event in told if "arrived" in event]
    assert sum(event["requests"] for event in arrived) == 46
    [cause] = [event["cause"] for event in arrived if event["cause"]]
    assert cause["after"]["secs"] < 60, cause
    # As a trace: the same requests, for another policy.
    report = json.loads(platform.pilot("simulate", path, "--policy", "fixed:10m", "--output", "json").stdout)
    assert report["policies"], report


def test_a_log_in_two_files_is_replayed_and_read_as_one(new_platform, tmp_path):
    path = tmp_path / "events"
    platform = new_platform(LOG.format(policy="fixed:1s", path=path).replace("[limits]", "event_log_bytes = 65536\n[limits]"))
    function = deploy_to(platform.client(), ECHO, MemorySize=128)
    before = tmp_path / "events.1"
    calls = 0
    while not before.exists():
        assert function.call(1) == 1
        calls += 1
        assert calls < 1_000
    for _ in range(5):
        assert function.call(1) == 1
    platform.stop()

    replayed = platform.pilot("simulate", path, before, "--replay").stdout
    assert "all as recorded" in replayed, replayed
    args = ("simulate", path, before, "--model", "concurrent", "--policy", "fixed:1s", "--output", "json")
    report = json.loads(platform.pilot(*args).stdout)
    starts = report["policies"][0]["starts"]
    # The node had made template and spare by itself, and the log says so.
    assert sum(starts.values()) == calls + 5 and starts["zygote"] == starts["booted"] == 0, starts
    assert starts["spare"] >= 1, starts
    differs = platform.pilot("simulate", path, before, "--replay", "--policy", "fixed:0s", check=False)
    assert differs.returncode == 1 and f"{function.name}:$LATEST" in differs.stderr, differs.stderr
    assert "Ordered was: end instance" in differs.stderr, differs.stderr
