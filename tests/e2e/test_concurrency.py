"""Concurrency that functions reserve, and what happens where there is none left."""

import json
import threading

from conftest import deploy_to, eventually
from packages import ECHO

BUSY = """
import time

def lambda_handler(event, context):
    began = time.monotonic()
    time.sleep(event["wait"])
    return [began, time.monotonic()]
"""

THROTTLED = {
    "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
    "Type": "User", "message": "Rate Exceeded.",
}


def at_once(count, call):
    """Calls from so many threads at the same moment; returns results and errors."""
    gate, results, errors = threading.Barrier(count), [], []

    def run():
        gate.wait()
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, errors


def counts(platform, function):
    """What `pilot ls` says of a function."""
    rows = json.loads(platform.pilot("ls", "--output", "json").stdout)
    return next((row for row in rows if row["name"] == function.name), {})


def most_at_once(intervals):
    """How many of the intervals overlap at their fullest moment."""
    return max(sum(began <= at < ended for began, ended in intervals) for at, _ in intervals)


def assert_throttled(error, reason):
    response = {key: value for key, value in error.response.items() if key != "ResponseMetadata"}
    # AWS tells no time where the function's own reservation is the limit.
    reserved = reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert response.pop("retryAfterSeconds", None) == (None if reserved else "1")
    assert response == THROTTLED | {"Reason": reason}, response
    meta = error.response["ResponseMetadata"]
    assert meta["HTTPStatusCode"] == 429
    assert meta["HTTPHeaders"]["x-amzn-errortype"] == "TooManyRequestsException"


def test_operations(platform, client, deploy, aws_error):
    name = deploy(ECHO).name
    before = client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)
    assert "Concurrency" not in client.get_function(FunctionName=name)
    for reserved in (0, 1):
        answer = client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        assert answer["ReservedConcurrentExecutions"] == reserved
    assert client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 1
    assert client.get_function(FunctionName=name)["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before - 1
    shown = json.loads(platform.aws("get-function-concurrency", "--function-name", name).stdout)
    assert shown == {"ReservedConcurrentExecutions": 1}
    platform.aws("delete-function-concurrency", "--function-name", name)
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName=name)

    arn = client.get_function_configuration(FunctionName=name, Qualifier="$LATEST")["FunctionArn"]
    error = aws_error(client.put_function_concurrency, FunctionName=arn, ReservedConcurrentExecutions=0)
    assert error.response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": "This operation is permitted on Lambda functions only. Aliases and versions do not support this "
                   "operation. Please specify either a function name or an unqualified function ARN.",
    }
    limit = client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    for much in (limit, limit + 1):
        error = aws_error(client.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=much)
        assert error.response["Error"] == {
            "Code": "InvalidParameterValueException",
            "Message": "Specified ReservedConcurrentExecutions for function decreases account's "
                       "UnreservedConcurrentExecution below its minimum value of [100].",
        }
    for call, arguments in [
        (client.put_function_concurrency, {"ReservedConcurrentExecutions": 1}),
        (client.get_function_concurrency, {}),
        (client.delete_function_concurrency, {}),
    ]:
        error = aws_error(call, FunctionName="doesnotexist", **arguments)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"


def test_thirty_calls_at_two(client, deploy):
    function = deploy(BUSY, Timeout=30)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    intervals, errors = at_once(30, lambda: function.call({"wait": 2}))
    assert len(intervals) >= 2 and len(errors) >= 1 and len(intervals) + len(errors) == 30
    assert most_at_once(intervals) == 2
    for error in errors:
        assert_throttled(error, "ReservedFunctionConcurrentInvocationLimitExceeded")
    # Others are not throttled with it, and what has ended makes room.
    client.delete_function_concurrency(FunctionName=function.name)
    intervals, errors = at_once(5, lambda: function.call({"wait": 0.1}))
    assert len(intervals) == 5 and not errors


def test_nothing_reserved_refuses_everything(client, deploy, aws_error):
    function = deploy(ECHO)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    error = aws_error(client.invoke, FunctionName=function.name)
    assert_throttled(error, "ReservedFunctionConcurrentInvocationLimitExceeded")
    # A dry run runs nothing.
    assert function.invoke({}, InvocationType="DryRun")["StatusCode"] == 204
    client.delete_function_concurrency(FunctionName=function.name)
    assert function.call({"a": 1}) == {"a": 1}


def test_the_account_s_limit(new_platform):
    client = new_platform("[limits]\naccount_concurrency = 3\n").client()
    function = deploy_to(client, BUSY, Timeout=30)
    intervals, errors = at_once(12, lambda: function.call({"wait": 2}))
    assert most_at_once(intervals) == 3 and errors
    for error in errors:
        assert_throttled(error, "ConcurrentInvocationLimitExceeded")


def test_events_wait_for_their_turn(platform, client, deploy):
    """Throttled events are neither lost nor run beside each other, and hold up nobody else's."""
    source = BUSY.replace("return [began, time.monotonic()]", "print('ran', began, time.monotonic())")
    function, other = deploy(source, Timeout=30), deploy("def lambda_handler(event, context):\n    print('passed')")
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    first = threading.Thread(target=function.call, args=[{"wait": 3}])
    first.start()
    eventually(lambda: counts(platform, function).get("busy") == 1, "the first one runs")
    for _ in range(3):
        function.invoke({"wait": 0.2}, InvocationType="Event")
    other.invoke({}, InvocationType="Event")
    eventually(lambda: "passed" in platform.pilot("logs", other.name).stdout, "the other function's event ran")
    first.join()

    def ran():
        lines = [line.split() for line in platform.pilot("logs", function.name).stdout.splitlines() if "ran " in line]
        return len(lines) == 4 and [(float(line[-2]), float(line[-1])) for line in lines]

    assert most_at_once(eventually(ran, "every event ran")) == 1


def test_a_reservation_survives_kill_9(new_platform, aws_error):
    platform = new_platform()
    function = deploy_to(platform.client(), ECHO)
    platform.client().put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    platform.kill()
    client = platform.start().client()
    assert client.get_function_concurrency(FunctionName=function.name)["ReservedConcurrentExecutions"] == 0
    error = aws_error(client.invoke, FunctionName=function.name)
    assert_throttled(error, "ReservedFunctionConcurrentInvocationLimitExceeded")
