"""Extensions from layers, through the public door: their lives beside a function, and how they end."""

import itertools
import json
import os
import pathlib
import subprocess
import time

import pytest

from conftest import wait_active
from extensions import BASH, CALLS, FOLLOW, LISTEN, PYTHON
from packages import ECHO, package
from pilot_up import ROOT, eventually

_numbers = itertools.count()


@pytest.fixture
def extended(client, deploy):
    """Deploys a function beside extensions: `extended({name: source}, code, **members)`."""
    made = []

    def make(extensions, source=ECHO, **members):
        files = {f"extensions/{name}": text for name, text in extensions.items()}
        answer = client.publish_layer_version(
            LayerName=f"extensions-{next(_numbers)}", Content={"ZipFile": package(files)},
        )
        made.append(answer)
        return deploy(source, Layers=[answer["LayerVersionArn"]], **members)

    yield make
    for answer in made:
        client.delete_layer_version(LayerName=answer["LayerArn"], VersionNumber=answer["Version"])


def request_id(answer):
    return answer["ResponseMetadata"]["RequestId"]


def test_an_extension_follows_its_function_in_every_kind_of_start(client, extended, lines):
    function = extended({"follower": FOLLOW}, Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=256)

    def start(kind):
        answer = function.invoke(1, cold=kind)
        assert answer["json"] == 1, kind
        started = answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"].split('"')[1]
        return started == kind and answer

    for kind in ("spare", "forked", "zygote", "booted"):
        # Extensions cost no version its template; a spare is made again when it is used.
        answer = eventually(lambda: start(kind), f"a {kind} start")
        eventually(lambda: f"follower INVOKE {request_id(answer)}" in lines(function), f"{kind} is heard of")
    told = {
        "accountId": "123456789012", "functionName": function.name, "functionVersion": "$LATEST",
        "handler": "lambda_function.lambda_handler",
    }
    log = lines(function)
    assert f"follower registered {json.dumps(told)} blue" in log
    assert "EXTENSION\tName: follower\tState: Ready\tEvents: [INVOKE,SHUTDOWN]" in log
    # The template's own, when its init was over; and all others when their instances are of no use any more.
    before = log.count("follower SHUTDOWN SPINDOWN")
    assert before >= 1
    client.update_function_configuration(FunctionName=function.name, Description="other")
    wait_active(client, function.name)
    eventually(lambda: lines(function).count("follower SHUTDOWN SPINDOWN") > before, "an instance's end is heard of")


def test_an_extension_calls_functions(deploy, extended, lines):
    called = deploy(ECHO)
    function = extended({"calling": CALLS}, Environment={"Variables": {"CALLED": called.name}}, MemorySize=256)
    for kind in ("booted", "zygote", "forked"):
        answer = function.invoke(1, cold=kind)
        assert answer["json"] == 1, kind
        eventually(lambda: f'calling called "{request_id(answer)}"' in lines(function), f"it calls in a {kind} start")
    assert 'calling called "before"' in lines(function)


def test_an_extension_in_bash_beside_a_runtime_in_bash(extended, lines):
    from packages import BASH_BOOTSTRAP

    function = extended({"shell": BASH}, {"bootstrap": BASH_BOOTSTRAP}, Runtime="provided.al2023", Handler="none")
    assert function.call({"a": 1}) == {"a": 1}
    heard = eventually(lambda: [line for line in lines(function) if line.startswith("bash heard")], "the event is heard")
    event = json.loads(heard[0].removeprefix("bash heard "))
    assert event["eventType"] == "INVOKE" and event["invokedFunctionArn"].endswith(f":function:{function.name}")
    assert event["tracing"]["type"] == "X-Amzn-Trace-Id" and event["deadlineMs"] > time.time() * 1000


def test_the_function_can_rely_on_its_extension_during_init(extended):
    server = PYTHON + '''
import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"secret")
    def log_message(self, *_):
        pass
served = http.server.HTTPServer(("127.0.0.1", 2773), Handler)
threading.Thread(target=served.serve_forever, daemon=True).start()
'''
    # It listens before it registers: when the runtime is started, it is there.
    registration = server[server.index("answer = call"):server.index("\nimport http.server")]
    server = server.replace(registration, "") + registration + FOLLOW.removeprefix(PYTHON)
    function = extended({"secrets": server}, """
import urllib.request
SECRET = urllib.request.urlopen("http://127.0.0.1:2773").read().decode()
def lambda_handler(event, context):
    return [SECRET, urllib.request.urlopen("http://127.0.0.1:2773").read().decode()]
""")
    for kind in (False, "forked", "booted"):
        assert function.call(cold=kind) == ["secret", "secret"]


ENDS = {
    "before it registers": ("#!/bin/sh\nexit 3\n", "Extension.Crash", "exit status 3"),
    "well, but alone": (PYTHON, "Extension.Crash", "exit code 0"),
    "by a signal": (PYTHON + "os.kill(os.getpid(), 9)\n", "Extension.Crash", "signal: killed"),
    "with an error of its init": (
        PYTHON + "call('init/error', {}, Lambda_Extension_Identifier=identifier, "
        "Lambda_Extension_Function_Error_Type='Extension.Own')\n", "Extension.InitError", "exit code 0",
    ),
    "with an error of its own": (
        PYTHON + "call('event/next', Lambda_Extension_Identifier=identifier)\n"
        "call('exit/error', {}, Lambda_Extension_Identifier=identifier, "
        "Lambda_Extension_Function_Error_Type='Extension.Own')\nexit(1)\n", "Extension.ExitError", "exit status 1",
    ),
    "unable to run": ("no program", "Extension.LaunchError", "fork/exec /opt/extensions/ends: exec format error"),
}


@pytest.mark.parametrize("how", ENDS)
def test_an_extension_that_ends_fails_the_request(extended, lines, how):
    source, error, cause = ENDS[how]
    function = extended({"ends": source}, "import time\ndef lambda_handler(event, context):\n    time.sleep(20)\n", Timeout=30)
    answer = function.invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"] == {"errorType": error, "errorMessage": f"RequestId: {request_id(answer)} Error: {cause}"}
    eventually(lambda: any(f"Error Type: {error}" in line for line in lines(function)), "the log tells of it")


def test_an_extension_that_hangs_does_not_keep_the_answer_and_ends_with_its_time(extended, lines):
    hanging = PYTHON + "call('event/next', Lambda_Extension_Identifier=identifier)\nimport time\ntime.sleep(1000)\n"
    function = extended({"hangs": hanging}, Timeout=1)
    assert function.call("in time") == "in time"
    eventually(
        lambda: any(line.startswith("REPORT") and "Status: timeout" in line for line in lines(function)),
        "the extension's time is over",
    )


def test_extensions_that_flood_harm_nobody(platform, extended):
    flood = PYTHON + '''
import socket, threading
def flood():
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    while True:
        try:
            with socket.create_connection((host, int(port))) as api:
                for number in range(1000):
                    body = "x" * 100_000 if number % 10 == 0 else '{"events":["INVOKE"]}'
                    api.sendall(f"POST /2020-01-01/extension/register HTTP/1.1\\r\\nHost: x\\r\\nLambda-Extension-Name: "
                                f"{number}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
        except OSError:
            pass
for _ in range(8):
    threading.Thread(target=flood, daemon=True).start()
import time
time.sleep(1000)
'''
    hostile = extended({f"flood{number}": flood for number in range(3)}, Timeout=3, SnapStart={"ApplyOn": "None"})
    other = extended({"follower": FOLLOW})
    answer = hostile.invoke()
    assert answer["json"]["errorType"] == "Sandbox.Timedout", "none of them asks for an event"
    for _ in range(5):
        assert other.call(1) == 1


def test_more_extensions_than_may_be_are_told_by_name(extended, lines):
    function = extended({f"e{number:02}": BASH for number in range(11)}, SnapStart={"ApplyOn": "None"})
    assert function.invoke()["json"]["errorType"] == "Extension.LaunchError"
    told = "EXTENSION\tName: e10\tState: LaunchError\tEvents: []\tError Type: TooManyExtensions"
    eventually(lambda: told in lines(function), "the log tells of it")


def test_an_internal_extension_hears_of_each_request_and_has_no_template(platform, deploy, lines):
    function = deploy("""
import json, os, threading, urllib.request
API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension"
body = json.dumps({"events": ["INVOKE"]}).encode()
answer = urllib.request.urlopen(urllib.request.Request(f"{API}/register", body, {"Lambda-Extension-Name": "inner"}))
identifier = answer.headers["Lambda-Extension-Identifier"]
def follow():
    while True:
        ask = urllib.request.Request(f"{API}/event/next", headers={"Lambda-Extension-Identifier": identifier})
        print("inner heard", json.load(urllib.request.urlopen(ask))["requestId"], flush=True)
threading.Thread(target=follow, daemon=True).start()
def lambda_handler(event, context):
    return event
""")
    for kind in (False, True, False):
        answer = function.invoke(1, cold=kind)
        assert answer["json"] == 1
        eventually(lambda: f"inner heard {request_id(answer)}" in lines(function), "it is heard of")
    assert "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]" in lines(function)
    shown = json.loads(platform.pilot("ls", "--output", "json").stdout)
    assert "internal_extension" in json.dumps([it for it in shown if it["name"] == function.name])


def test_telemetry_reaches_its_listener_within_the_instance_and_nobody_else(extended, lines):
    function = extended({"listens": LISTEN}, "def lambda_handler(event, context):\n    print('said', event)\n")
    for kind in ("booted", "forked"):
        answer = function.invoke(kind, cold=kind)
        mark = request_id(answer)
        said = eventually(
            lambda: [line for line in lines(function) if line.startswith("listens heard") and mark in line], "telemetry",
        )
        told = json.loads(said[0].removeprefix("listens heard "))
        kinds = [event["type"].removeprefix("platform.") for event in told]
        begin = {"booted": "initStart", "forked": "restoreStart"}[kind]
        assert kinds[0] == begin and kinds[-3:] == ["start", "function", "runtimeDone"], kinds
        assert {"extension", "telemetrySubscription"} <= set(kinds)
        assert told[-2]["record"] == f"said {kind}\n"
        done = told[-1]["record"]
        assert (done["requestId"], done["status"]) == (mark, "success")
        assert {span["name"] for span in done["spans"]} >= {"responseLatency", "responseDuration"}
        assert done["metrics"]["producedBytes"] == len("null")
    assert "TELEMETRY\tName: listens\tState: Subscribed\tTypes: [Platform, Function]" in lines(function)


@pytest.fixture(scope="module")
def rust_extension():
    """An extension written with AWS's crate, as cargo builds it."""
    target = ROOT / "target" / "extension_rust"
    subprocess.run(
        ["cargo", "build", "--quiet", "--locked", "--release", "--manifest-path", LOCK / "Cargo.toml"],
        env=os.environ | {"CARGO_TARGET_DIR": str(target)}, check=True, timeout=600,
    )
    return (target / "release" / "follower").read_bytes()


LOCK = pathlib.Path(__file__).parent / "extension_rust"


def test_an_extension_of_aws_s_crate_works_unmodified(client, extended, lines, rust_extension):
    function = extended({"follower": rust_extension}, "def lambda_handler(event, context):\n    print('said', event)\n")
    for kind in ("forked", "zygote", "booted"):
        mark = request_id(function.invoke(kind, cold=kind))
        for line in (f"rust INVOKE {mark}", f"rust runtimeDone {mark} Success", f"rust function said {kind}"):
            eventually(lambda: line in lines(function), line)
        eventually(lambda: any(it.startswith(f"rust report {mark} ") for it in lines(function)), "the report")
    assert "rust initStart" in lines(function)
    client.update_function_configuration(FunctionName=function.name, Description="other")
    wait_active(client, function.name)
    eventually(lambda: "rust SHUTDOWN SPINDOWN" in lines(function), "its end is heard of")
