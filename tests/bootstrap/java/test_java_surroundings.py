"""What Java code finds around it: context, environment, class loaders, output and logging."""

import json
import re


def test_context(ready):
    runtime = ready("fn.Around::context")
    found = runtime.call()
    assert 0 < found.pop("left") <= 3000
    assert found == {
        "id": runtime.id,
        "group": "/aws/lambda/fn",
        "stream": "2026/01/01/[$LATEST]abc",
        "name": "fn",
        "memory": 128,
        "version": "$LATEST",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:fn",
        "tenant": None,
        "identity": [None, None],
        "client": None,
        "trace": "Root=1-5-a",
    }
    assert runtime.call(lambda_runtime_trace_id=None)["trace"] is None


def test_context_of_a_mobile_caller(ready):
    client = {"client": {"app_title": "Té"}, "custom": {"k": "v"}, "env": {"e": "1"}, "other": 1}
    runtime = ready("fn.Around::context")
    found = runtime.call(
        lambda_runtime_client_context=json.dumps(client, ensure_ascii=False),
        lambda_runtime_cognito_identity='{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        lambda_runtime_aws_tenant_id="blue",
        lambda_runtime_deadline_ms="1000",
    )
    assert found["client"] == [{"k": "v"}, {"e": "1"}, "Té"]
    assert (found["identity"], found["tenant"], found["left"]) == (["i", "p"], "blue", 0)
    assert runtime.call(lambda_runtime_client_context="{}")["client"] == [None, None, None]


def test_environment(ready):
    runtime = ready("fn.Around::environment", env={"COLOUR": "blué"})
    own, childs, built, one, zone = runtime.call("COLOUR")
    assert own["COLOUR"] == childs["COLOUR"] == built["COLOUR"] == one == "blué"
    assert "_PILOTLIGHT_RUNTIME_FD" not in own and "_PILOTLIGHT_RUNTIME_FD" not in built
    assert zone == "UTC"


def test_user_code_sees_its_own_loader(ready):
    assert ready("fn.Around::loader").call() == [True, True]


def test_log_lines(ready):
    runtime = ready("fn.Around::log")
    runtime.call("")
    assert runtime.log() == "one\ntwo\nthree\n[DEBUG] quiet\n[WARN] loud\n"


def test_log_level(ready):
    runtime = ready("fn.Around::log", env={"AWS_LAMBDA_LOG_LEVEL": "WARN"})
    runtime.call("")
    assert runtime.log() == "one\ntwo\nthree\n[WARN] loud\n"


def test_json_logs(ready):
    runtime = ready("fn.Around::log", env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"})
    runtime.call("")
    lines = [json.loads(line) for line in runtime.log().splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("UNDEFINED", "one"), ("UNDEFINED", "two\n"), ("UNDEFINED", "three"), ("WARN", "loud"),
    ]
    for line in lines:
        assert line["AWSRequestId"] == runtime.id
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])


def test_lines_come_out_at_once(ready):
    runtime = ready("fn.Around::lines")
    runtime.sends(1)
    assert runtime.process.stdout.readline() == b"line 1\n"
    assert runtime.process.stderr.readline() == b"to err\n"
    runtime.read()
    # Half a line is out before the answer is.
    assert runtime.process.stdout.read1() == b"part"
