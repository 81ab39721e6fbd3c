"""What the node knows of requests before they come: who calls whom, whatever code the caller is made of and whichever way
the call takes, and when schedules fire."""

import datetime
import json

import pytest

from conftest import ROLE, deploy_to, eventually, wait_active
from forks import counts
from packages import ECHO

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
CONFIG = '\n[policy]\nname = "pilot:node"\nevent_log = "{path}"\n'

# Calls what it is told to, by plain HTTP: no SDK, no signature and no trace header.
CALLER = """
import http.client, json, time
def lambda_handler(event, context):
    time.sleep(event.get("before", 0))
    for _ in range(event.get("calls", 1)):
        door = http.client.HTTPConnection("127.0.0.1", 9002)
        headers = {"X-Amz-Invocation-Type": event["type"]} if "type" in event else {}
        door.request("POST", f"/2015-03-31/functions/{event['name']}/invocations", json.dumps("called"), headers)
        answer = door.getresponse()
        answer.read()
        door.close()
    return answer.status
"""


@pytest.fixture(scope="module")
def node(seed, tmp_path_factory):
    """A platform whose node writes down what it is told."""
    from pilot_up import Platform

    folder = tmp_path_factory.mktemp("callers")
    platform = Platform(folder, CONFIG.format(path=folder / "events")).start()
    platform.events = folder / "events"
    yield platform
    platform.close()


def told(node):
    """Calls as the node was told of them: caller and callee."""
    names, calls = {}, []
    for line in map(json.loads, node.events.read_text().splitlines()):
        if "name" in line:
            number, arn = line["name"]
            names[number] = arn.split(":function:")[1].split(":")[0]
        if "event" in line and "arrived" in line["event"][1]:
            arrived = line["event"][1]["arrived"]
            cause = arrived["cause"]
            calls.append((cause and names[cause["version"]], names[arrived["version"]]))
    return calls


def why(node, name):
    """What the policy tells of a function."""
    [version] = json.loads(node.pilot("why", name, "--output", "json").stdout)["versions"]
    return version["forecasts"]


def test_calls_through_the_inner_door_name_their_caller(node):
    client = node.client()
    callee = deploy_to(client, ECHO)
    others = [deploy_to(client, CALLER) for _ in range(2)]
    for caller in others:
        assert caller.call({"name": callee.name, "calls": 2}) == 200
        assert caller.call({"name": callee.name, "type": "Event"}) == 202
    callee.call(1)
    wanted = [(None, callee.name)] + [(caller.name, callee.name) for caller in others for _ in range(3)]
    calls = lambda: sorted((it for it in told(node) if it[1] == callee.name), key=str)
    eventually(lambda: calls() == sorted(wanted, key=str), "all calls are in the event log")
    [edge] = why(node, others[0].name)["calls"]
    assert edge["function"].endswith(f":{callee.name}:$LATEST") and edge["calls"] == 2, "two requests have called"


def test_what_follows_an_event_is_caused_by_it(node):
    client = node.client()
    first, on_success, on_failure = deploy_to(client, ECHO), deploy_to(client, ECHO), deploy_to(client, ECHO)
    failing = deploy_to(client, "def lambda_handler(event, context):\n    raise ValueError\n")
    for function, outcome, target in ((first, "OnSuccess", on_success), (failing, "OnFailure", on_failure)):
        client.put_function_event_invoke_config(
            FunctionName=function.name, MaximumRetryAttempts=0,
            DestinationConfig={outcome: {"Destination": ARN + target.name}},
        )
        function.invoke(1, InvocationType="Event")
    wanted = {(None, first.name), (first.name, on_success.name), (None, failing.name), (failing.name, on_failure.name)}
    eventually(lambda: wanted <= set(told(node)), "destinations have their cause")


# As much of the node as to leave no room for anything else.
LARGE = 1_440
SMALL_NODE = '\n[policy]\nname = "pilot:node"\n[limits]\nnode_memory_mb = 1500\n'


# What an orchestrator would run: the caller, and then the callee.
MACHINE = {
    "StartAt": "First",
    "States": {
        "First": {"Type": "Task", "Resource": ARN + "caller", "Next": "Then"},
        "Then": {
            "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "${Callee}"},
            "End": True,
        },
    },
}


@pytest.mark.parametrize("known", ["learned", "declared"])
def test_a_callee_is_made_ready_while_its_caller_runs(new_platform, tmp_path, known):
    node = new_platform(SMALL_NODE)
    client = node.client()
    callee = deploy_to(client, ECHO, name="callee")
    caller = deploy_to(client, CALLER, name="caller")
    # It takes the room for its requests alone.
    large = deploy_to(
        client, ECHO, name="large", MemorySize=LARGE, Tags={"pilotlight:keep-alive": "0"}, SnapStart={"ApplyOn": "None"},
    )
    event = {"name": callee.name, "before": 1.0}
    if known == "learned":
        for _ in range(5):
            assert caller.call(event) == 200
    else:
        definition = tmp_path / "machine.asl.json"
        definition.write_text(json.dumps(MACHINE))
        said = node.pilot("chains", "put", "orders", definition, "--set", "Callee=callee").stdout
        assert "caller" in said and "100 %" in said, said
        # Who declared it need not do so again.
        assert node.stop() == 0
        node.start()
        client = node.client()
        for function in (callee, caller, large):
            function.client = client
        eventually(lambda: wait_active(client, large.name), "the platform is back")

    def crowded_out():
        large.call(1)
        return (counts(node, callee.name) or {}).get("rung", "absent") in ("absent", "cached", "zygote")

    eventually(crowded_out, "the callee has nothing ready")
    assert caller.call(event) == 200
    last = json.loads(node.pilot("starts", callee.name, "--limit", "1", "--output", "json").stdout)[0]
    assert last["kind"] in ("warm", "spare", "forked"), last
    [edge] = why(node, caller.name)["calls"]
    assert edge["hits"] >= 1 and edge["lead_ms"] > 0 and edge["precision"] == 1, edge
    assert edge["declared"] == (known == "declared"), edge
    assert "precision 100 %" in node.pilot("why", caller.name).stdout
    graph = json.loads(node.pilot("calls", callee.name, "--output", "json").stdout)
    assert graph["policy"] == "pilot:node" and "next" not in graph, graph
    [call] = graph["calls"]
    assert call.pop("caller").endswith(":function:caller:$LATEST")
    assert call["calls"] >= 1 and call["p50_ms"] <= call["p90_ms"], call
    unchanging = ("function", "declared", "calls", "hits", "precision", "p50_ms", "p90_ms")
    assert {key: call[key] for key in unchanging} == {key: edge[key] for key in unchanging}
    [row] = [line for line in node.pilot("calls").stdout.splitlines() if line.startswith("caller:")]
    assert ("(declared)" in row) == (known == "declared"), row
    assert node.pilot("calls", large.name, "--output", "table").stdout == ""
    if known == "declared":
        [chain] = json.loads(node.pilot("chains", "ls", "--output", "json").stdout)["Chains"]
        assert chain == {"Name": "orders", "Calls": [
            {"Caller": ARN + "caller", "Callee": "callee", "Part": 1.0, "Waits": 0.0},
        ]}
        node.pilot("chains", "rm", "orders")
        assert node.pilot("chains", "rm", "orders", check=False).returncode == 4
        eventually(lambda: not why(node, caller.name)["calls"][0]["declared"], "it was seen, and is declared no more")


def in_seconds(count):
    """`at()` some seconds from now, in UTC."""
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=count)
    return f"at({time:%Y-%m-%dT%H:%M:%S})"


def test_a_schedule_finds_an_instance_that_was_made_for_it(node):
    client, scheduler = node.client(), node.client(service="scheduler")
    called, spared = deploy_to(client, ECHO), deploy_to(client, ECHO)
    # Nobody has called them: each has a spare, and neither an instance.
    assert counts(node, called.name)["idle"] == 0
    for function in (called, spared):
        scheduler.create_schedule(
            Name=function.name, ScheduleExpression=in_seconds(5), FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": ARN + function.name, "RoleArn": ROLE, "Input": "1"},
        )
    eventually(lambda: announced(node, spared.name), "it is announced")
    scheduler.delete_schedule(Name=spared.name)
    starts = lambda: json.loads(node.pilot("starts", called.name, "--output", "json").stdout)
    [start] = eventually(starts, "it was called")
    assert start["kind"] == "warm", start
    # Its instance was ordered because of the announcement, before the event came.
    [ordered] = [it for it in orders(node, called.name) if it["because"]["forecast"]["by"] == "announced"]
    assert ordered["instances"] == 1, ordered
    # What was taken back had nothing made for it.
    assert announced(node, spared.name) == [1, 0]
    assert counts(node, spared.name)["idle"] == 0


def of(node, name, what, kind):
    """Events or actions of one kind that are about a function, in the node's event log."""
    lines = [json.loads(line) for line in node.events.read_text().splitlines()]
    [number] = [line["name"][0] for line in lines if "name" in line and f":{name}:" in line["name"][1]]
    bodies = [line[what][1] if what == "event" else line[what] for line in lines if what in line]
    return [it[kind] for it in bodies if kind in it and it[kind]["version"] == number]


def announced(node, name):
    """How many requests the node was told to expect of a function, each time."""
    return [it["requests"] for it in of(node, name, "event", "announced")]


def orders(node, name):
    """Instances that the policy wanted ready ahead."""
    return of(node, name, "action", "pre_start")
