"""The ladder from outside: what a deploy leaves, every kind of start, and what stands in its way."""

import base64
import json
import re

import pytest

from conftest import deploy_to, eventually

# How often the init has run is seen in the log.
FUNCTION = """
import random
print("init runs")
def lambda_handler(event, context):
    return {"random": random.random(), "stream": context.log_stream_name}
"""
HOLDS_A_CONNECTION = """
import socket
SERVER = socket.create_server(("127.0.0.1", 0))
CLIENT = socket.create_connection(SERVER.getsockname())
def lambda_handler(event, context):
    return context.log_stream_name
"""
RESTORED = r"Restore Duration: [\d.]+ ms\tBilled Restore Duration: 0 ms\t"


def kind(answer):
    timing = answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"]
    return re.match(r'start;desc="(\w+)"', timing)[1]


@pytest.fixture
def row(platform):
    """What `pilot ls` says of a function."""

    def row(function):
        rows = json.loads(platform.pilot("ls", "--output", "json").stdout)
        return next(row for row in rows if row["name"] == function.name)

    return row


def test_a_deploy_leaves_a_template_and_a_spare(platform, deploy, row):
    function = deploy(FUNCTION)
    found = row(function)
    assert (found["rung"], found["spares"], found["refusal"]) == ("spare", 1, None)
    assert 0 < found["spare_bytes"] < 8 << 20 and 0 < found["template_bytes"] < 32 << 20
    assert re.search(rf"{function.name} .* spare +\d+\.\d MB", platform.pilot("ls").stdout)
    assert kind(function.invoke()) == "spare", "and the first request has it"


def test_every_kind_of_start_is_to_be_had(deploy, row, lines):
    function = deploy(FUNCTION)
    seen = []
    for wanted in ("spare", "forked", "zygote", "booted"):
        eventually(lambda: row(function)["spares"] == 1, "the spare is there")
        answer = function.invoke(cold=wanted)
        assert kind(answer) == wanted
        seen.append(answer["json"])
    for name in ("random", "stream"):
        assert len({told[name] for told in seen}) == len(seen), name
    # The deploy's, the zygote's and the boot's.
    assert eventually(lambda: lines(function).count("init runs") >= 3, "the log has them")
    assert lines(function).count("init runs") == 3


def test_the_log_tells_a_restore(deploy, lines):
    function = deploy(FUNCTION)
    answer = function.invoke(cold="forked", LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    assert tail.startswith("START RequestId: ") and "Init Duration" not in tail
    assert re.search(RESTORED + "\n$", tail), tail
    read = eventually(lambda: (found := lines(function)) and any("REPORT Req" in line for line in found) and found, "it is stored")
    # The spare's and this one's.
    assert len([line for line in read if line.startswith("RESTORE_START Runtime Version: python:3.11.")]) == 2
    assert len([line for line in read if re.fullmatch(r"RESTORE_REPORT Restore Duration: [\d.]+ ms", line)]) == 2


def test_a_function_can_do_without_templates(platform, deploy, row):
    function = deploy(FUNCTION, SnapStart={"ApplyOn": "None"})
    assert row(function)["rung"] == "zygote"
    assert kind(function.invoke(cold=True)) == "zygote"
    assert row(function)["template_bytes"] == 0
    shown = next(line for line in platform.pilot("ls").stdout.splitlines() if line.startswith(f"{function.name} "))
    assert shown.rstrip().endswith("no template: opted out by SnapStart: None"), shown


def test_what_cannot_be_a_template_says_why_and_works(platform, deploy, row):
    function = deploy(HOLDS_A_CONNECTION)
    found = row(function)
    assert found["refusal"]["reason"] in ("open_connection", "listening_socket"), found
    assert "no template: " + found["refusal"]["reason"] in platform.pilot("ls").stdout
    assert found["idle"] == 1, "the process of the deploy serves instead"
    assert kind(function.invoke()) == "warm"
    assert kind(function.invoke(cold=True)) == "zygote"


def test_an_init_that_fails_leaves_the_function_active(deploy, row):
    function = deploy("raise RuntimeError('no')\ndef lambda_handler(event, context):\n    pass\n")
    found = row(function)
    assert (found["rung"], found["refusal"]["reason"]) == ("zygote", "init_failed"), found
    answer = function.invoke()
    assert answer["FunctionError"] == "Unhandled" and answer["json"]["errorMessage"] == "no"


def test_new_code_has_a_new_template(client, deploy, row):
    function = deploy("def lambda_handler(event, context):\n    return 1\n")
    assert function.call() == 1
    client.update_function_configuration(FunctionName=function.name, Environment={"Variables": {"STAGE": "2"}})
    eventually(
        lambda: client.get_function_configuration(FunctionName=function.name)["LastUpdateStatus"] == "Successful", "it is updated"
    )
    found = row(function)
    assert (found["rung"], found["spares"], found["idle"]) == ("spare", 1, 0)
    assert kind(function.invoke()) == "spare"


def test_a_published_version_has_its_own(client, deploy):
    function = deploy(FUNCTION)
    version = client.publish_version(FunctionName=function.name)["Version"]
    answer = eventually(
        lambda: kind(found := client.invoke(FunctionName=function.name, Qualifier=version)) in ("spare", "warm") and found,
        "the version has a spare of its own",
    )
    assert answer["ExecutedVersion"] == version


def test_templates_come_back_after_a_restart(new_platform):
    platform = new_platform()
    function = deploy_to(platform.client(), FUNCTION, name="again")
    assert kind(function.invoke()) == "spare"
    platform.stop()
    platform.start()
    function.client = platform.client()

    def rung():
        return json.loads(platform.pilot("ls", "--output", "json").stdout)[0]["rung"]

    eventually(lambda: rung() == "spare", "the template and the spare are there again")
    assert kind(function.invoke()) == "spare"
