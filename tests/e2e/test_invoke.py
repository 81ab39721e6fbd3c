"""Invoking: kinds, answers, errors and limits."""

import base64
import json
import re
import threading

import pytest

from conftest import deploy_to, eventually, wait_active
from packages import COUNTER, ECHO, package

REQUEST_BYTES = 6 * 1024 * 1024
EVENT_BYTES = 1024 * 1024
RESPONSE_BYTES = 6_291_556

LINE = {
    "INIT_START": r"INIT_START Runtime Version: python:3\.11\.\S+\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:\S+",
    "START": r"START RequestId: {id} Version: \$LATEST",
    "END": r"END RequestId: {id}",
    "REPORT": r"REPORT RequestId: {id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
              r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms\t",
}


def request_id(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]


@pytest.mark.parametrize(
    "event",
    [None, True, 0, -1.5e300, "", "text", "ünïcode \U0001f525 \0 \u2028 \\ \"", [], {}, {"a": [{"b": None}]}, "x" * 100_000],
    ids=repr,
)
def test_events_come_back_as_they_went(platform, client, echo, event):
    answer = echo.invoke(event)
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    assert answer["json"] == event


@pytest.fixture(scope="module")
def echo(shared_platform):
    function = deploy_to(shared_platform.client(), ECHO, name="echo")
    yield function
    function.client.delete_function(FunctionName="echo")


def test_no_payload_is_an_empty_object(client, echo):
    assert client.invoke(FunctionName="echo")["Payload"].read() == b"{}"


def test_a_payload_that_is_not_json_is_refused(client, echo, aws_error):
    for payload in (b"{", b"nonsense", b'{"a": 1} {"b": 2}', b"\xff\xfe"):
        error = aws_error(client.invoke, FunctionName="echo", Payload=payload)
        assert error.response["Error"]["Code"] == "InvalidRequestContentException", payload


def test_a_dry_run_runs_nothing(client, deploy):
    function = deploy(COUNTER)
    answer = function.invoke(InvocationType="DryRun")
    assert answer["StatusCode"] == 204 and answer["json"] is None
    assert function.call()["count"] == 1


def test_an_event_is_accepted_and_then_run(client, deploy, lines):
    function = deploy("def lambda_handler(event, context):\n    print('got', event['n'], context.aws_request_id)\n")
    answers = [function.invoke({"n": n}, InvocationType="Event") for n in range(3)]
    for n, answer in enumerate(answers):
        assert answer["StatusCode"] == 202 and answer["json"] is None
        eventually(lambda n=n, answer=answer: f"got {n} {request_id(answer)}" in lines(function), f"event {n} was run")


def test_the_log_tail_tells_the_invocation(platform, deploy):
    function = deploy("print('at init')\ndef lambda_handler(event, context):\n    print('hello', event)\n")
    answer = function.invoke("you", LogType="Tail", cold="booted")
    tail = base64.b64decode(answer["LogResult"]).decode()
    for word, pattern in LINE.items():
        if word != "INIT_START":
            assert re.search("(?m)^" + pattern.format(id=request_id(answer)) + "$", tail), (word, tail)
    assert "hello you\n" in tail
    assert "LogResult" not in function.invoke("you")
    warm = base64.b64decode(function.invoke("you", LogType="Tail")["LogResult"]).decode()
    assert "Init Duration" not in warm


def test_the_log_tail_is_the_end_of_at_most_4_kib(deploy):
    function = deploy("def lambda_handler(event, context):\n    for n in range(2000):\n        print('line', n)\n")
    tail = base64.b64decode(function.invoke(LogType="Tail")["LogResult"]).decode()
    assert len(tail) <= 4096 and "line 1999" in tail and "line 0\n" not in tail and "REPORT" in tail


def test_stored_logs_have_the_platform_lines(deploy, lines):
    function = deploy("def lambda_handler(event, context):\n    print('one')\n")
    answer = function.invoke(cold="booted")
    read = eventually(
        lambda: (found := lines(function)) and any(line.startswith("REPORT") for line in found) and found, "the log has the report"
    )
    for word, pattern in LINE.items():
        matching = [line for line in read if re.fullmatch(pattern.format(id=request_id(answer)), line)]
        # The deploy's own init may stand there too.
        assert len(matching) == 1 or word == "INIT_START" and matching, (word, read)
    assert read.count("one") == 1


# --- errors of the function ------------------------------------------------------------------------------

def test_an_exception_is_told_with_its_stack(deploy):
    function = deploy("""
class Sad(Exception):
    pass
def deeper():
    raise Sad("no luck: ünïcode")
def lambda_handler(event, context):
    deeper()
""")
    answer = function.invoke()
    assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled"
    error = answer["json"]
    assert (error["errorType"], error["errorMessage"]) == ("Sad", "no luck: ünïcode")
    assert error["requestId"] == request_id(answer)
    assert len(error["stackTrace"]) == 2 and "/var/task/lambda_function.py" in error["stackTrace"][0]
    assert "deeper" in error["stackTrace"][1]


@pytest.mark.parametrize(
    ("source", "handler", "kind", "words"),
    [
        ("import nothing_like_it", "lambda_function.lambda_handler", "Runtime.ImportModuleError", "nothing_like_it"),
        ("x = 1", "lambda_function.lambda_handler", "Runtime.HandlerNotFound", "lambda_handler"),
        ("def broken(:", "lambda_function.lambda_handler", "Runtime.UserCodeSyntaxError", "line 1"),
        ("x = 1", "elsewhere.handler", "Runtime.ImportModuleError", "elsewhere"),
        ("x = 1", "lambda_function", "Runtime.MalformedHandlerName", "lambda_function"),
        ("1 / 0", "lambda_function.lambda_handler", "ZeroDivisionError", "division"),
        ("def lambda_handler(e, c):\n    return object()", "lambda_function.lambda_handler", "Runtime.MarshalError", "object"),
        ("import os\nos._exit(3)", "lambda_function.lambda_handler", "Runtime.ExitError", "exit status 3"),
        ("import os\ndef lambda_handler(e, c):\n    os._exit(127)", "lambda_function.lambda_handler", "Runtime.ExitError", "exit status 127"),
        ("import os\ndef lambda_handler(e, c):\n    os._exit(0)", "lambda_function.lambda_handler", "Runtime.ExitError", "without providing a reason"),
        ("import os\ndef lambda_handler(e, c):\n    os.kill(os.getpid(), 9)", "lambda_function.lambda_handler", "Runtime.ExitError", "signal: killed"),
        ("import sys\ndef lambda_handler(e, c):\n    sys.exit(1)", "lambda_function.lambda_handler", "Runtime.ExitError", "exit status 1"),
    ],
    ids=lambda value: None if "\n" in value or "." not in value else value,
)
def test_failures_have_their_names(platform, deploy, source, handler, kind, words):
    function = deploy(source, Handler=handler)
    for _ in range(2):
        answer = function.invoke()
        assert answer["StatusCode"] == 200 and answer["FunctionError"] == "Unhandled", answer
        assert answer["json"]["errorType"] == kind, answer["json"]
        assert words in answer["json"]["errorMessage"], answer["json"]
        if kind == "Runtime.ExitError":
            assert answer["json"]["errorMessage"].startswith(f"RequestId: {request_id(answer)} Error: ")


def test_a_timeout_ends_the_instance(deploy):
    function = deploy(
        COUNTER + "\nimport time\ncount = lambda_handler\n"
        "def lambda_handler(event, context):\n    if event: time.sleep(60)\n    return count(event, context)\n",
        Timeout=1,
    )
    first = function.call()
    answer = function.invoke(True)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Sandbox.Timedout"
    assert answer["json"]["errorMessage"] == f"RequestId: {request_id(answer)} Error: Task timed out after 1.00 seconds"
    after = function.call()
    assert after["count"] == 1 and after["instance"] != first["instance"]


def test_a_failed_invocation_leaves_the_instance(deploy):
    function = deploy(COUNTER + "\ncount = lambda_handler\ndef lambda_handler(event, context):\n    assert not event\n    return count(event, context)\n")
    first = function.call()
    assert function.invoke(True)["json"]["errorType"] == "AssertionError"
    assert function.call() == {"instance": first["instance"], "count": 2}


# --- limits --------------------------------------------------------------------------------------------

def test_requests_up_to_the_limit(client, deploy, aws_error):
    function = deploy("def lambda_handler(event, context):\n    return len(event)\n", MemorySize=512)
    fill = "x" * (REQUEST_BYTES - 2)
    assert function.call(fill) == len(fill)
    error = aws_error(client.invoke, FunctionName=function.name, Payload=json.dumps(fill + "x"))
    assert error.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    error = aws_error(
        client.invoke, FunctionName=function.name, InvocationType="Event", Payload=json.dumps("x" * (EVENT_BYTES - 1))
    )
    assert error.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_responses_up_to_the_limit(deploy):
    function = deploy("def lambda_handler(event, context):\n    return 'x' * event\n", MemorySize=512)
    assert len(function.call(RESPONSE_BYTES - 2)) == RESPONSE_BYTES - 2
    answer = function.invoke(RESPONSE_BYTES - 1)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Function.ResponseSizeTooLarge"
    assert function.call(3) == "xxx"


def test_memory_is_limited(deploy):
    function = deploy("def lambda_handler(event, context):\n    return len(bytearray(event << 20).replace(b'\\0', b'1'))\n")
    answer = function.invoke(1000)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] in ("Runtime.ExitError", "Runtime.OutOfMemory", "MemoryError"), answer["json"]
    assert function.call(1) == 1 << 20


# --- what the function is told ---------------------------------------------------------------------------

def test_the_context_is_whole(client, deploy):
    function = deploy("""
def lambda_handler(event, context):
    return {
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "id": context.aws_request_id, "group": context.log_group_name,
        "stream": context.log_stream_name, "left": context.get_remaining_time_in_millis(),
        "custom": context.client_context and context.client_context.custom,
    }
""", Timeout=7)
    client_context = base64.b64encode(json.dumps({"custom": {"k": "ü"}}).encode()).decode()
    answer = function.invoke(ClientContext=client_context)
    told = answer["json"]
    assert told["name"] == function.name and told["version"] == "$LATEST"
    assert told["arn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    assert told["memory"] == "128" and told["id"] == request_id(answer)
    assert told["group"] == f"/aws/lambda/{function.name}" and "[$LATEST]" in told["stream"]
    assert 0 < told["left"] <= 7000 and told["custom"] == {"k": "ü"}


def test_the_environment_is_lambdas(deploy):
    function = deploy("import os\ndef lambda_handler(event, context):\n    return dict(os.environ)\n", Environment={"Variables": {"MINE": "1"}})
    told = function.call(cold="booted")
    expected = {
        "MINE": "1", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime", "AWS_LAMBDA_FUNCTION_NAME": function.name, "TZ": ":UTC",
        "PWD": "/var/task", "SHLVL": "0", "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand", "_HANDLER": "lambda_function.lambda_handler",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
    }
    assert {key: told.get(key) for key in expected} == expected
    assert "_X_AMZN_TRACE_ID" in told and "AWS_LAMBDA_LOG_STREAM_NAME" in told


def test_the_trace_id_is_passed_on(client, deploy):
    function = deploy("import os\ndef lambda_handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n")
    one, two = function.call(), function.call()
    assert one != two and one.startswith("Root=1-")


def test_an_unknown_qualifier_is_not_found(client, deploy, aws_error):
    function = deploy(ECHO)
    error = aws_error(client.invoke, FunctionName=function.name, Qualifier="nope")
    assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.response["Error"]["Message"].endswith(f"function:{function.name}:nope")


# --- instances -------------------------------------------------------------------------------------------

def test_an_idle_instance_is_used_again(deploy):
    function = deploy(COUNTER)
    answers = [function.call() for _ in range(3)]
    assert [answer["count"] for answer in answers] == [1, 2, 3]
    assert len({answer["instance"] for answer in answers}) == 1


def test_a_forced_cold_start_makes_a_new_one(deploy):
    function = deploy(COUNTER)
    first, second = function.call(), function.invoke(cold=True)
    assert second["json"]["count"] == 1 and second["json"]["instance"] != first["instance"]
    assert 'start;desc="warm"' not in second["ResponseMetadata"]["HTTPHeaders"]["server-timing"]


def test_an_instance_serves_one_request_at_a_time(deploy):
    function = deploy("""
import threading, time
busy = threading.Lock()
def lambda_handler(event, context):
    assert busy.acquire(blocking=False), "two requests at once"
    time.sleep(0.05)
    busy.release()
""")
    failures = []

    def many():
        for _ in range(5):
            answer = function.invoke()
            if "FunctionError" in answer:
                failures.append(answer["json"])

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_new_code_takes_no_old_instance(client, deploy):
    function = deploy(COUNTER)
    old = {function.call()["instance"] for _ in range(2)}
    client.update_function_code(FunctionName=function.name, ZipFile=package({"lambda_function.py": COUNTER + "# new\n"}))
    wait_active(client, function.name)
    assert function.call()["instance"] not in old


def test_the_handler_may_be_deep_in_the_package(deploy):
    files = {"src/api/orders.py": ECHO, "src/__init__.py": "", "src/api/__init__.py": ""}
    for handler in ("src.api.orders.lambda_handler", "src/api/orders.lambda_handler"):
        assert deploy(files, Handler=handler).call("deep") == "deep"


def test_tmp_is_writable_and_nothing_else_is(deploy):
    function = deploy("""
import os
def lambda_handler(event, context):
    with open("/tmp/x", "w") as file:
        file.write("kept")
    try:
        open("/var/task/x", "w")
    except OSError as error:
        return error.strerror, os.getcwd(), open("/tmp/x").read()
""")
    assert function.call() == ["Read-only file system", "/var/task", "kept"]
