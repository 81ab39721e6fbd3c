"""Answers that functions stream: InvokeWithResponseStream, first bytes before the end, errors in the middle."""

import base64
import json
import re
import socket
import urllib.request

import pytest

from conftest import invoke
from packages import BASH_ASKS
from pilot_up import eventually

NODE = """
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.early) throw new RangeError('early');
  stream.setContentType('text/plain');
  stream.write('first');
  if (event.hang) await pause(600_000);
  if (event.bytes) {
    const chunk = Buffer.alloc(1 << 20, 'x');
    for (let left = event.bytes; left > 0; left -= chunk.length) {
      if (!stream.write(chunk)) await new Promise((done) => stream.once('drain', done));
    }
  }
  await pause(50);
  if (event.late) throw new RangeError('late');
  if (event.exit) process.exit(3);
  stream.write('last');
  console.log('streamed');
  stream.end();
});
"""

# A streaming runtime of nothing but bash. The answer is the event in two chunks, and what the event's first word says.
BASH = BASH_ASKS + r"""
    trailers=
    [[ $event == *fail* ]] && trailers=$'Lambda-Runtime-Function-Error-Type: Bash.Failed\r\nLambda-Runtime-Function-Error-Body: e30=\r\n'
    {
        printf 'POST %s/%s/response HTTP/1.1\r\nHost: %s\r\n' "$base" "$id" "$host"
        printf 'Content-Type: text/plain\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n'
        printf 'Transfer-Encoding: chunked\r\nTrailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n'
        printf '%x\r\n%s\r\n' "${#event}" "$event"
        sleep 0.05
        printf '3\r\nend\r\n0\r\n%s\r\n' "$trailers"
    } >&5
    read -r _ <&5
    exec 5>&-
done
"""


@pytest.fixture
def node(deploy):
    return deploy({"index.js": NODE}, Runtime="nodejs20.x", Handler="index.handler", Timeout=30, MemorySize=256)


def begin(function, event, cold=None, **kwargs):
    """The answer, with its events still to be read."""
    client = function.client

    def force(request, **_):
        request.headers["X-Pilotlight-Cold"] = cold

    if cold:
        client.meta.events.register("before-sign.lambda.InvokeWithResponseStream", force, unique_id="cold")
    try:
        return client.invoke_with_response_stream(FunctionName=function.name, Payload=json.dumps(event), **kwargs)
    finally:
        client.meta.events.unregister("before-sign.lambda.InvokeWithResponseStream", unique_id="cold")


def read(answer):
    """The chunks, and what the last event says."""
    *chunks, complete = answer["EventStream"]
    return [chunk["PayloadChunk"]["Payload"] for chunk in chunks], complete["InvokeComplete"]


def stream(function, event=None, **kwargs):
    return read(begin(function, event or {}, **kwargs))


def in_flight(platform):
    """Invocations that run now."""
    with urllib.request.urlopen(f"{platform.url}/metrics", timeout=60) as answer:
        return float(re.search(r"(?m)^pilotlight_invocations_in_flight (\S+)$", answer.read().decode())[1])


def test_chunks_come_one_by_one_and_the_end_tells_the_log(node):
    answer = begin(node, {}, LogType="Tail")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST"
    assert answer["ResponseStreamContentType"] == "application/vnd.amazon.eventstream"
    chunks, complete = read(answer)
    assert chunks == [b"first", b"last"]
    assert list(complete) == ["LogResult"]
    tail = base64.b64decode(complete["LogResult"]).decode()
    assert "streamed" in tail and "REPORT RequestId" in tail


@pytest.mark.parametrize("kind", ["booted", "zygote", "forked", "spare"])
def test_every_kind_of_start_streams(node, kind):
    answer = begin(node, {}, cold=kind)
    timing = answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"]
    assert timing.startswith(f'start;desc="{kind}"'), timing
    assert read(answer) == ([b"first", b"last"], {})


def test_the_first_byte_comes_before_the_end_and_a_timeout_ends_the_stream(node, platform):
    node.client.update_function_configuration(FunctionName=node.name, Timeout=2)
    node.client.get_waiter("function_updated_v2").wait(FunctionName=node.name)
    events = iter(begin(node, {"hang": True})["EventStream"])
    assert next(events) == {"PayloadChunk": {"Payload": b"first"}}
    assert in_flight(platform) >= 1
    (complete,) = events
    complete = complete["InvokeComplete"]
    assert complete["ErrorCode"] == "Unhandled"
    details = json.loads(complete["ErrorDetails"])
    assert details["errorType"] == "Sandbox.Timedout" and "Task timed out after 2.00 seconds" in details["errorMessage"]


@pytest.mark.parametrize(
    ("event", "chunks", "kind"),
    [
        ({"early": True}, [], "RangeError"),
        ({"late": True}, [b"first"], "RangeError"),
        ({"exit": True}, [b"first"], "Runtime.ExitError"),
    ],
    ids=["early", "late", "exit"],
)
def test_an_error_ends_the_stream(node, event, chunks, kind):
    found, complete = stream(node, event)
    assert found == chunks
    assert complete["ErrorCode"] == "Unhandled" and json.loads(complete["ErrorDetails"])["errorType"] == kind
    assert stream(node) == ([b"first", b"last"], {})


def test_an_answer_larger_than_an_ordinary_one_streams(node):
    chunks, complete = stream(node, {"bytes": 20 << 20})
    assert complete == {}
    assert sum(map(len, chunks)) == len("firstlast") + (20 << 20)


def test_functions_that_do_not_stream_answer_in_one_event(deploy):
    function = deploy("def lambda_handler(event, context):\n    return event['x']\n")
    assert stream(function, {"x": [1]}) == ([b"[1]"], {})
    chunks, complete = stream(function, {})
    assert chunks == [] and complete["ErrorCode"] == "Unhandled"
    assert json.loads(complete["ErrorDetails"])["errorType"] == "KeyError"
    answer = begin(function, {}, InvocationType="DryRun")
    assert answer["StatusCode"] == 204


def test_custom_runtimes_stream(deploy):
    function = deploy({"bootstrap": BASH}, Runtime="provided.al2023", Handler="bootstrap")
    chunks, complete = stream(function, "ok")
    assert b"".join(chunks) == b'"ok"end' and complete == {}
    chunks, complete = stream(function, "fail")
    assert b"".join(chunks) == b'"fail"end'
    assert complete == {"ErrorCode": "Unhandled", "ErrorDetails": "{}"}
    # Whoever does not take it as it comes gets it whole.
    answer = function.client.invoke(FunctionName=function.name, Payload=b'"ok"')
    assert answer["Payload"].read() == b'"ok"end'


def test_errors_are_those_of_invoke(node, aws_error):
    call = node.client.invoke_with_response_stream
    error = aws_error(call, FunctionName="nobody").response
    assert error["Error"]["Code"] == "ResourceNotFoundException"
    assert error["Error"]["Message"].endswith(":function:nobody:$LATEST")
    error = aws_error(call, FunctionName=node.name, Payload=b"{").response
    assert error["Error"]["Code"] == "InvalidRequestContentException"
    error = aws_error(call, FunctionName=node.name, InvocationType="Event").response
    assert error["Error"]["Code"] == "ValidationException"


def test_a_client_that_leaves_lets_the_function_end(node, platform, lines):
    """It gets the head of the answer, and is gone; the function streams 20 MB to nobody."""
    body = json.dumps({"bytes": 20 << 20})
    with socket.create_connection(("127.0.0.1", platform.port)) as connection:
        head = f"POST /2021-11-15/functions/{node.name}/response-streaming-invocations HTTP/1.1\r\n"
        connection.sendall(f"{head}Host: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        assert connection.recv(4) == b"HTTP"
    eventually(lambda: any("streamed" in line for line in lines(node)), "the function has ended")


def test_the_waterfall_knows_first_byte_and_end(node, platform):
    stream(node)
    starts = json.loads(platform.pilot("starts", node.name, "--output", "json").stdout)
    phases = [phase["phase"] for phase in starts[0]["phases"]]
    assert phases[-3:] == ["handler", "stream", "respond"], phases


def test_buffered_invokes_of_streaming_functions_stay_whole(node):
    answer = invoke(node.client, node.name, {"early": True})
    assert answer["FunctionError"] == "Unhandled" and answer["json"]["errorType"] == "RangeError"
    whole = node.client.invoke(FunctionName=node.name, Payload=b"{}")
    assert whole["Payload"].read() == b"firstlast"
