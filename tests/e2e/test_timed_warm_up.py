"""Instances that are made ready before anybody asks, on demand."""

import json
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

SOURCE = """
import os, time
def lambda_handler(event, context):
    time.sleep(0.05)
    client = context.client_context
    print("called", client.custom if client else None, event)
    return [context.log_stream_name, event]
"""


def warm_up(platform, check=True, **request):
    """POST /pilotlight/v1/warm-up, signed as everything else. What it came to, by version."""
    url = f"{platform.url}/pilotlight/v1/warm-up"
    signed = botocore.awsrequest.AWSRequest("POST", url, data=json.dumps(request))
    credentials = botocore.credentials.Credentials("test", "test")
    botocore.auth.SigV4Auth(credentials, "lambda", "us-east-1").add_auth(signed)
    prepared = signed.prepare()
    call = urllib.request.Request(url, prepared.body.encode(), dict(prepared.headers), method="POST")
    try:
        with urllib.request.urlopen(call, timeout=60) as answer:
            return json.load(answer)["Versions"]
    except urllib.error.HTTPError as error:
        if check:
            raise
        return error.code, error.headers["x-amzn-errortype"], json.load(error)


def metric(platform, name):
    with urllib.request.urlopen(f"{platform.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.split(" ")[0].split("{")[0] == name)


def starts(platform, name):
    return json.loads(platform.pilot("starts", name, "--output", "json").stdout)


def test_instances_are_ready_and_no_handler_was_called(platform, deploy, lines):
    function = deploy(SOURCE)
    before = metric(platform, "pilotlight_control_warm_up_starts_total")
    [told] = warm_up(platform, FunctionName=function.name, Instances=3)
    assert (told["Version"], told["Instances"]) == ("$LATEST", 3)
    assert (told["Idle"], told["Started"], told["Called"]) == (3, 3, 0)
    assert metric(platform, "pilotlight_control_warm_up_starts_total") == before + 3
    assert not any("called" in line or line.startswith("START") for line in lines(function))
    [again] = warm_up(platform, FunctionName=function.name, Instances=3)
    assert (again["Idle"], again["Started"]) == (3, 0)
    # Requests see warm starts and nothing else: the starts above are in nobody's statistics.
    assert function.call(1)[1] == 1
    assert [start["kind"] for start in starts(platform, function.name)] == ["warm"]


def test_handlers_can_tell_a_warm_up_from_a_request(platform, deploy, lines):
    function = deploy(SOURCE)
    [told] = warm_up(platform, FunctionName=function.name, Instances=2, Payload={"path": "/health"})
    assert (told["Started"], told["Called"], told["Failed"]) == (2, 2, 0)
    mark = "called {'pilotlight-warm-up': 'true'} {'path': '/health'}"
    assert sum(mark in line for line in lines(function)) == 2
    assert starts(platform, function.name) == []


def test_each_version_that_an_alias_splits_between_gets_its_part(platform, deploy, client):
    function = deploy(SOURCE, Publish=True)
    client.update_function_configuration(FunctionName=function.name, Description="the second")
    client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    client.publish_version(FunctionName=function.name)
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    client.create_alias(
        FunctionName=function.name, Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.3}},
    )
    told = warm_up(platform, FunctionName=f"{function.name}:live", Instances=4)
    assert [(it["Version"], it["Instances"], it["Idle"]) for it in told] == [("1", 3, 3), ("2", 2, 2)]
    text = platform.pilot("warm", f"{function.name}:live", "-n", "1").stdout
    assert "version 1: 3 idle" in text and "version 2: 2 idle" in text, text


@pytest.mark.parametrize("request_, status, kind", [
    ({"FunctionName": "nobody"}, 404, "ResourceNotFoundException"),
    ({"FunctionName": "f", "Instances": 0}, 400, "InvalidParameterValueException"),
    ({"FunctionName": "f", "Instances": 1001}, 400, "InvalidParameterValueException"),
    ({"FunctionName": "f", "Nonsense": 1}, 400, "InvalidParameterValueException"),
    ({"Instances": 1}, 400, "InvalidParameterValueException"),
])
def test_what_cannot_be_warmed_up_is_refused(platform, request_, status, kind):
    code, name, body = warm_up(platform, check=False, **request_)
    assert (code, name) == (status, kind), body


def test_the_command_line_warms_up(platform, deploy):
    function = deploy(SOURCE)
    done = platform.pilot("warm", function.name, "--instances", "2")
    assert "2 idle, 2 of them new" in done.stdout
    answer = json.loads(platform.pilot("warm", function.name, "-n", "2", "--payload", "1", "--output", "json").stdout)
    assert answer["FunctionArn"].endswith(f":function:{function.name}")
    [told] = answer["Versions"]
    assert (told["Idle"], told["Started"], told["Called"]) == (2, 0, 2)
    assert platform.pilot("warm", "nobody", check=False).returncode == 4
