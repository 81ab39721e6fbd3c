"""What tests of forks share: starts of exactly one kind, and what the platform says of a version."""

import http.client
import json
import re

from conftest import deploy_to, eventually

KINDS = ["booted", "zygote", "forked", "spare"]
PYTHON = {"Runtime": "python3.11", "Handler": "lambda_function.lambda_handler"}
NODE = {"Runtime": "nodejs20.x", "Handler": "index.handler"}
FILES = {"python3.11": "lambda_function.py", "nodejs20.x": "index.js"}


def deploy_node(deploy, source, **kwargs):
    """`deploy` for CommonJS source, or a dict of files."""
    files = source if isinstance(source, dict) else {"index.js": source}
    return deploy(files, **NODE | kwargs)


def kind_of(answer):
    """What the instance that answered came from."""
    return re.match(r'start;desc="(\w+)"', answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"])[1]


def start(platform, function, kind, event=None, **kwargs):
    """The answer of a start of exactly that kind."""
    if kind == "spare":
        # The last start may have taken it; the next is being made.
        eventually(lambda: counts(platform, function.name)["spares"], f"{function.name} has a spare")
    answer = function.invoke(event, cold=kind, **kwargs)
    if kind == "forked" and kind_of(answer) != kind and not counts(platform, function.name)["refusal"]:
        # A template gives way where memory is short, and is made again when it is missed.
        eventually(lambda: counts(platform, function.name)["berths"], f"{function.name} has a template")
        answer = function.invoke(event, cold=kind, **kwargs)
    assert kind_of(answer) == kind, f"{kind_of(answer)} instead of {kind}; {counts(platform, function.name)}"
    return answer


def warm(platform, function, event=None, **kwargs):
    """The answer of an instance that has served before."""

    def rested():
        # It asks for its next event after its answer is here.
        found = counts(platform, function.name)
        return found["idle"] and not found["busy"] + found["starting"]

    eventually(rested, f"{function.name} has an idle instance")
    answer = function.invoke(event, **kwargs)
    assert kind_of(answer) == "warm", f"{kind_of(answer)} instead of warm; {counts(platform, function.name)}"
    return answer


def call(platform, function, kind, event=None, **kwargs):
    """What the handler returned in a start of exactly that kind."""
    answer = start(platform, function, kind, event, **kwargs)
    assert "FunctionError" not in answer, answer["json"]
    return answer["json"]


def get(platform, path):
    """An answer of Pilotlight's own API."""
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, path
        return json.loads(answer.read())
    finally:
        connection.close()


def counts(platform, name, qualifier="$LATEST"):
    """What the node has of a version: instances, rung, memory, refusal."""
    [node] = get(platform, "/pilotlight/v1/nodes")["nodes"]
    suffix = f":function:{name}:{qualifier}"
    return next((found for arn, found in node["versions"].items() if arn.endswith(suffix)), None)


def listed(platform, name):
    """The function's entry in `pilot ls`."""
    rows = json.loads(platform.pilot("ls", "--output", "json").stdout)
    return next(row for row in rows if row["name"] == name)


def post(connection, name, event, kind=None):
    """One invocation over that connection, for loads: status, start kind, function error and answer."""
    headers = {"X-Pilotlight-Cold": kind} if kind else {}
    connection.request("POST", f"/2015-03-31/functions/{name}/invocations", json.dumps(event), headers)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    timing = re.match(r'start;desc="(\w+)"', answer.headers.get("server-timing", ""))
    return answer.status, timing and timing[1], answer.headers.get("x-amz-function-error"), body


def deploy_java(deploy, classes, init="", **kwargs):
    """`forks_java/Forks.java`, whose init leaves what is asked for."""
    variables = {"INIT": init} | kwargs.pop("variables", {})
    members = {"Runtime": "java17", "Handler": "fn.Forks", "MemorySize": 1769, "Timeout": 30, "Environment": {"Variables": variables}}
    return deploy(classes | kwargs.pop("files", {}), **members | kwargs)
