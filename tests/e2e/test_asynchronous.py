"""Asynchronous invocations: retries, destinations, dead letters, loops, and that none of it is lost."""

import collections
import contextlib
import http.server
import json
import subprocess
import threading

import botocore.exceptions
import pytest

from conftest import Function, deploy_to, eventually, wait_active

ACCOUNT = "123456789012"
QUICK = """
[async]
retry_wait_ms = [50, 100]
backoff_first_ms = 20
backoff_longest_ms = 200
"""

# Fails when it is asked to, and says which version it is.
FUNCTION = """
import time
def lambda_handler(event, context):
    time.sleep(event.get("sleep", 0))
    if event.get("fail"):
        raise ValueError("as asked")
    return {"id": event.get("id"), "version": context.function_version}
"""


def queue(name):
    return f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def on(success=None, failure=None):
    named = {"OnSuccess": success, "OnFailure": failure}
    return {use: {"Destination": arn} for use, arn in named.items() if arn}


@pytest.fixture(scope="module")
def quick(seed, tmp_path_factory):
    """A platform that waits less before it tries again, and a place for endpoints."""
    from pilot_up import Platform

    with endpoint() as (url, got):
        config = f'{QUICK}\n[destinations]\n"arn:aws:sns:us-east-1:{ACCOUNT}:hook*" = "{url}"\n'
        platform = Platform(tmp_path_factory.mktemp("quick"), config).start()
        # Every end without a destination is one that somebody should know of.
        platform.expect_log("event dropped|a destination does not take")
        platform.got = got
        yield platform
        platform.close()


@contextlib.contextmanager
def endpoint():
    """An HTTP endpoint that refuses each message once, and what it took."""
    seen, got = set(), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            again = self.headers["x-pilotlight-message-id"] in seen
            seen.add(self.headers["x-pilotlight-message-id"])
            if again:
                got.append((dict(self.headers.items()), json.loads(body)))
            self.send_response(204 if again else 503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
    server.shutdown()
    server.server_close()


def letters(platform, name):
    """The messages in the file of a target, as the platform keeps them."""
    path = platform.data_dir / "dead-letters" / ACCOUNT / "us-east-1" / f"{name}.jsonl"
    text = path.read_text() if path.exists() else ""
    # What is behind the last line feed is being written, or was when a kill came; every line before it is whole.
    return [json.loads(line) for line in text.split("\n")[:-1]]


def told(platform, name, count=1):
    eventually(lambda: len(letters(platform, name)) >= count, f"{count} messages for {name}")
    found = letters(platform, name)
    assert len(found) == count, found
    return found


def send(function, event, **kwargs):
    answer = function.invoke(event, InvocationType="Event", **kwargs)
    assert answer["StatusCode"] == 202 and answer["json"] is None
    return answer["ResponseMetadata"]["RequestId"]


def test_records_and_dead_letters_are_as_on_aws(quick):
    client = quick.client()
    function = deploy_to(client, FUNCTION, name="recorded", DeadLetterConfig={"TargetArn": queue("dead")})
    client.put_function_event_invoke_config(
        FunctionName="recorded", DestinationConfig=on(queue("good"), queue("bad")))
    arn = client.get_function_configuration(FunctionName="recorded")["FunctionArn"]

    good = send(function, {"id": 1})
    record = json.loads(told(quick, "good")[0]["Body"])
    assert record.pop("timestamp").endswith("Z")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": good, "functionArn": f"{arn}:$LATEST", "condition": "Success", "approximateInvokeCount": 1,
        },
        "requestPayload": {"id": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"id": 1, "version": "$LATEST"},
    }
    bad = send(function, {"fail": True})
    record = json.loads(told(quick, "bad")[0]["Body"])
    assert record["requestContext"] | {"functionArn": arn} == {
        "requestId": bad, "functionArn": arn, "condition": "RetriesExhausted", "approximateInvokeCount": 3,
    }
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert record["responsePayload"]["errorMessage"] == "as asked"
    dead, = told(quick, "dead")
    assert json.loads(dead["Body"]) == {"fail": True}
    assert {name: attribute["StringValue"] for name, attribute in dead["MessageAttributes"].items()} == {
        "RequestID": bad, "ErrorCode": "200", "ErrorMessage": "as asked",
    }
    assert dead["MessageAttributes"]["ErrorCode"]["DataType"] == "Number"
    # The command line shows the same.
    assert json.loads(quick.pilot("dead-letters", "dead").stdout) == dead
    assert {"good", "bad", "dead"} <= {file["name"] for file in json.loads(quick.pilot("dead-letters", "--output", "json").stdout)}
    assert quick.pilot("dead-letters", "none", check=False).returncode == 4


def test_invoke_async_still_answers_as_it_did(quick):
    client = quick.client()
    deploy_to(client, FUNCTION, name="old")
    client.put_function_event_invoke_config(FunctionName="old", DestinationConfig=on(queue("old")))
    assert client.invoke_async(FunctionName="old", InvokeArgs=b'{"id": 3}')["Status"] == 202
    assert json.loads(told(quick, "old")[0]["Body"])["responsePayload"]["id"] == 3
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke_async(FunctionName="old", InvokeArgs=b"{no json")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke_async(FunctionName="none", InvokeArgs=b"{}")


def test_a_function_is_told_and_no_retries_means_none(quick):
    client = quick.client()
    deploy_to(client, FUNCTION, name="listener")
    client.put_function_event_invoke_config(FunctionName="listener", DestinationConfig=on(queue("heard")))
    function = deploy_to(client, FUNCTION, name="speaker")
    listener = client.get_function_configuration(FunctionName="listener")["FunctionArn"]
    client.put_function_event_invoke_config(
        FunctionName="speaker", MaximumRetryAttempts=0, DestinationConfig=on(failure=listener))
    request = send(function, {"id": 7, "fail": True})
    heard = json.loads(told(quick, "heard")[0]["Body"])
    assert heard["requestPayload"]["requestContext"]["requestId"] == request
    assert heard["requestPayload"]["requestContext"]["approximateInvokeCount"] == 1
    assert heard["requestPayload"]["requestPayload"] == {"id": 7, "fail": True}


def test_an_alias_has_its_own_settings_and_moves_on(quick):
    client = quick.client()
    function = deploy_to(client, FUNCTION, name="aliased")
    first = client.publish_version(FunctionName="aliased")["Version"]
    client.create_alias(FunctionName="aliased", Name="live", FunctionVersion=first)
    client.put_function_event_invoke_config(
        FunctionName="aliased", Qualifier="live", DestinationConfig=on(queue("alias")))
    send(function, {"id": 1}, Qualifier="live")
    record = json.loads(told(quick, "alias")[0]["Body"])
    assert record["requestContext"]["functionArn"].endswith(":aliased:live")
    assert record["responseContext"]["executedVersion"] == first
    client.update_function_configuration(FunctionName="aliased", Description="second")
    wait_active(client, "aliased")
    second = client.publish_version(FunctionName="aliased")["Version"]
    client.update_alias(FunctionName="aliased", Name="live", FunctionVersion=second)
    send(function, {"id": 2}, Qualifier="live")
    record = json.loads(told(quick, "alias", 2)[1]["Body"])
    assert record["responsePayload"] == {"id": 2, "version": second}
    # The settings go with the alias; those of $LATEST were never its.
    client.delete_alias(FunctionName="aliased", Name="live")
    assert client.list_function_event_invoke_configs(FunctionName="aliased")["FunctionEventInvokeConfigs"] == []


def test_an_endpoint_that_the_operator_names_is_asked_again(quick):
    client = quick.client()
    topic = f"arn:aws:sns:us-east-1:{ACCOUNT}:hook-1"
    function = deploy_to(client, FUNCTION, name="hooked", DeadLetterConfig={"TargetArn": topic})
    client.put_function_event_invoke_config(
        FunctionName="hooked", MaximumRetryAttempts=0, DestinationConfig=on(success=topic))
    send(function, {"id": 1})
    failed = send(function, {"fail": True})
    eventually(lambda: len(quick.got) == 2, "both messages")
    by_kind = {headers["x-pilotlight-kind"]: (headers, body) for headers, body in quick.got}
    assert by_kind["success"][1]["responsePayload"]["id"] == 1
    headers, body = by_kind["dead_letter"]
    assert body == {"fail": True} and headers["x-pilotlight-request-id"] == failed
    assert headers["x-pilotlight-error-code"] == "200" and headers["x-pilotlight-error-message"] == "as asked"


def test_two_functions_that_call_each_other_are_stopped(quick):
    client = quick.client()
    arns = {}
    for name in ("ping", "pong"):
        function = deploy_to(client, FUNCTION, name=name)
        arns[name] = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    for name, other in (("ping", "pong"), ("pong", "ping")):
        client.put_function_event_invoke_config(
            FunctionName=name, DestinationConfig=on(arns[other], queue("looped")))
    send(Function(client, "ping"), {})
    record = json.loads(told(quick, "looped")[0]["Body"])
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert record["requestContext"]["functionArn"] == f"{arns['ping']}:$LATEST"
    # Each has told the other 16 times, so that this deep are the records within each other.
    depth = 0
    while "requestPayload" in record:
        record, depth = record["requestPayload"], depth + 1
    assert depth == 33


def test_a_loop_that_waits_for_itself_is_refused_unless_it_is_wanted(quick):
    client = quick.client()
    function = deploy_to(client, "import os\ndef lambda_handler(event, context):\n    return os.environ['_X_AMZN_TRACE_ID']\n", name="loop")
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

    # What AWS's SDKs do inside a function: they pass its own header on.
    def pass_on(request, **_):
        request.headers["X-Amzn-Trace-Id"] = trace

    client.meta.events.register("before-sign.lambda.Invoke", pass_on)
    for _ in range(16):
        trace = function.call()
    with pytest.raises(client.exceptions.RecursiveInvocationException):
        function.call()
    client.put_function_recursion_config(FunctionName="loop", RecursiveLoop="Allow")
    assert function.call().startswith("Root=1-5759e988-bd862e3fe1be46a994272793;")


def test_what_waits_can_be_seen_and_a_crowd_holds_up_no_other(new_platform):
    platform = new_platform("[async]\nconcurrency = 4\n")
    client = platform.client()
    slow, fast = deploy_to(client, FUNCTION, name="slow", Timeout=60), deploy_to(client, FUNCTION, name="fast")
    client.put_function_event_invoke_config(FunctionName="fast", DestinationConfig=on(queue("fast")))
    for number in range(20):
        send(slow, {"sleep": 3, "id": number})
    send(fast, {"id": "fast"})
    told(platform, "fast")
    waiting = json.loads(platform.pilot("events", "slow", "--output", "json").stdout)
    assert 2 < len(waiting["events"]) <= 20 and {event["function"] for event in waiting["events"]} == {"slow"}
    table = platform.pilot("events").stdout.splitlines()
    assert table[0].split() == ["REQUEST", "WHAT", "QUEUED", "DUE", "ATTEMPTS", "LAST", "ERROR"]
    assert len(table) > 2
    metrics = platform_metrics(platform)
    assert 2 < metrics["pilotlight_control_events_queued"] <= 20
    assert metrics["pilotlight_control_events_oldest_timestamp_seconds"] > 1.7e9
    assert metrics['pilotlight_control_event_messages_total{kind="success"}'] == 1


def test_an_account_that_floods_the_queue_keeps_out_nobody_else(new_platform):
    config = "drain_seconds = 0\n[limits]\nqueued_events = 40\n[async]\nconcurrency = 8\naccount_queued_events = 30\n"
    platform = new_platform(config)
    platform.expect_log("cut off")
    flood, quiet = platform.client(key="000000000001"), platform.client(key="000000000002")
    for number in range(6):
        deploy_to(flood, FUNCTION, name=f"slow-{number}", Timeout=60)
    fast = deploy_to(quiet, FUNCTION, name="fast")
    quiet.put_function_event_invoke_config(
        FunctionName="fast", DestinationConfig=on("arn:aws:sqs:us-east-1:000000000002:fast"))
    accepted = 0
    with pytest.raises(flood.exceptions.TooManyRequestsException) as refused:
        for number in range(100):
            send(Function(flood, f"slow-{number % 6}"), {"sleep": 60})
            accepted += 1
    # No more than are free: half of all.
    assert accepted == 20
    assert refused.value.response["Error"]["Message"] == "Rate Exceeded."
    assert refused.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
    for number in range(5):
        send(fast, {"id": number})
    path = platform.data_dir / "dead-letters/000000000002/us-east-1/fast.jsonl"
    eventually(lambda: path.exists() and len(path.read_text().splitlines()) == 5, "the quiet account's events ran")
    env = platform.env(key="000000000001")
    waiting = json.loads(platform.pilot("events", "--output", "json", env=env).stdout)
    assert len(waiting["events"]) == accepted, "while none of the others had"


def test_a_full_disk_keeps_messages_until_there_is_room(new_platform, tmp_path):
    """A message that cannot be written whole stays in the catalog, half of it nowhere."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        target = queue("placed")
        platform = new_platform(f'{QUICK}\n[destinations]\n"{target}" = "file:{small}/placed.jsonl"\n')
        client = platform.client()
        function = deploy_to(client, FUNCTION, name="told")
        client.put_function_event_invoke_config(FunctionName="told", DestinationConfig=on(target))
        platform.expect_log("messages cannot be written")
        for number in range(12):
            send(function, {"id": number, "filler": "x" * 9_000})
        failed = 'pilotlight_control_deliveries_failed_total{place="file"}'
        placed = small / "placed.jsonl"
        eventually(lambda: placed.exists() and placed.read_text().count("\n") > 0, "some find room")
        eventually(lambda: platform_metrics(platform).get(failed, 0) > 20, "the others are tried again")
        # What is written of one that does not fit is taken back.
        text = eventually(lambda: placed.read_text().endswith("\n") and placed.read_text(), "whole lines")
        assert 0 < len([json.loads(line) for line in text.splitlines()]) < 12
        warnings = [line for line in platform.log() if line["message"].startswith("messages cannot be written")]
        assert len(warnings) == 1
        subprocess.run(["mount", "-o", "remount,size=16m", small], check=True)
        eventually(lambda: platform_metrics(platform)["pilotlight_control_deliveries_waiting"] == 0, "all are written")
        lines = placed.read_text().splitlines()
        told = [json.loads(json.loads(line)["Body"])["requestPayload"]["id"] for line in lines]
        assert sorted(told) == list(range(12))
        assert platform.stop() == 0
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def platform_metrics(platform):
    import urllib.request

    with urllib.request.urlopen(f"{platform.url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


GONE = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
KILLS, EVENTS = 4, 2_500


def test_nothing_accepted_is_lost_however_often_the_platform_is_killed(new_platform):
    """Every event that was answered 202 is told of as done, or is in its dead-letter place, after any number of
    `kill -9` in the middle of it."""
    platform = new_platform(QUICK)
    client = platform.client()
    # One that works, one that fails, and one whose records another function takes and passes on.
    deploy_to(client, FUNCTION, name="works")
    deploy_to(client, FUNCTION, name="fails", DeadLetterConfig={"TargetArn": queue("dead")})
    deploy_to(client, FUNCTION, name="first")
    deploy_to(client, FUNCTION, name="second")
    second = client.get_function_configuration(FunctionName="second")["FunctionArn"]
    configure = client.put_function_event_invoke_config
    configure(FunctionName="works", DestinationConfig=on(queue("worked"), queue("lost")))
    configure(FunctionName="fails", DestinationConfig=on(queue("lost"), queue("failed")))
    configure(FunctionName="first", DestinationConfig=on(second, queue("lost")))
    configure(FunctionName="second", DestinationConfig=on(queue("chained"), queue("lost")))

    accepted, numbers, lock = collections.defaultdict(set), iter(range(EVENTS)), threading.Lock()
    up = threading.Event()
    up.set()

    def work(_):
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            name = ("works", "fails", "first")[number % 3]
            event = {"id": number, "fail": name == "fails"}
            try:
                up.wait()
                Function(clients[0], name).invoke(event, InvocationType="Event")
            except GONE:
                continue
            with lock:
                accepted[name].add(number)

    clients = [client]
    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for kill in range(1, KILLS + 1):
        goal = kill * EVENTS // (KILLS + 2)
        eventually(lambda: sum(map(len, accepted.values())) >= goal, "some were accepted")
        up.clear()
        platform.kill()
        clients[0] = platform.start().client()
        up.set()
    for thread in threads:
        thread.join()

    def ids(name, depth=1):
        found = []
        for letter in letters(platform, name):
            event = json.loads(letter["Body"])
            for _ in range(depth):
                event = event["requestPayload"]
            found.append(event["id"])
        return found

    def told_of():
        places = {"works": ids("worked"), "fails": ids("failed"), "first": ids("chained", depth=2)}
        missing = {name: accepted[name] - set(places[name]) for name in places}
        missing["dead"] = accepted["fails"] - set(ids("dead", depth=0))
        return not any(missing.values()) and places

    places = eventually(told_of, "everything accepted is told of", patience=120)
    assert not letters(platform, "lost"), "nothing ended in another way"
    total = sum(map(len, accepted.values()))
    assert total > EVENTS // 2
    # At least once: some may have run, or been told of, again.
    doubled = sum(len(found) - len(set(found)) for found in places.values())
    assert doubled < total, (doubled, total)
    print(f"{total} accepted, {doubled} told of more than once")
    assert platform.stop() == 0


def test_a_full_disk_is_told_and_what_was_accepted_before_is_done(new_platform, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], check=True)
    try:
        platform = new_platform(QUICK, start=False)
        (platform.data_dir / "catalog.sqlite").symlink_to(small / "catalog.sqlite")
        client = platform.start().client()
        function = deploy_to(client, FUNCTION, name="slow")
        client.put_function_event_invoke_config(FunctionName="slow", DestinationConfig=on(queue("done")))
        client.put_function_concurrency(FunctionName="slow", ReservedConcurrentExecutions=1)
        accepted, refused = 0, None
        # What the catalog could not write down, here or of an attempt, is told of.
        platform.expect_log("catalog failed|could not be written|cannot see|does not read")
        while refused is None and accepted < 1_000:
            try:
                send(function, {"id": accepted, "sleep": 0.05, "filler": "x" * 200_000})
                accepted += 1
            except client.exceptions.ClientError as error:
                refused = error
        assert accepted > 1 and refused is not None
        assert refused.response["Error"]["Code"] == "ServiceException"
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        subprocess.run(["mount", "-o", "remount,size=256m", small], check=True)
        assert {json.loads(letter["Body"])["requestPayload"]["id"] for letter in eventually(
            lambda: len(letters(platform, "done")) >= accepted and letters(platform, "done"), "all are done")
        } == set(range(accepted))
        # And it takes events again.
        send(function, {"id": "after"})
        assert platform.stop() == 0
    finally:
        subprocess.run(["umount", "-l", small], check=True)
