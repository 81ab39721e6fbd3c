"""Handlers that write their answer to a stream."""

import base64
import json

import pytest

STREAMS = """
const { pipeline } = require('stream/promises'); const { Readable } = require('stream');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const handlers = {
  async pieces(stream) { stream.write('one'); await wait(5); stream.write(Buffer.from('two')); stream.end('three'); },
  async object(stream) { stream.setContentType('application/json'); stream.write({ a: 1 }); stream.end(); },
  async http(stream) {
    const http = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { a: 'b' } });
    http.write('body'); http.end();
  },
  async pipe(stream) { await pipeline(Readable.from(['a', 'b', 'c']), stream); },
  async large(stream) { for (let i = 0; i < 64; i++) if (!stream.write('x'.repeat(65536)))
    await new Promise((resolve) => stream.once('drain', resolve)); stream.end(); },
  async empty(stream) { stream.end(); },
  async early(stream) { throw new RangeError('early'); },
  async late(stream) { stream.write('some'); await wait(5); throw new RangeError('late'); },
  async long(stream) { stream.write('some'); throw new Error('ü'.repeat(9000)); },
  async open(stream) { stream.write('some'); },
  async type(stream) { stream.write('a'); stream.setContentType('text/plain'); },
  async value(stream) { stream.end('v'); return 1; },
  async uncaught(stream) { stream.write('some'); setTimeout(() => { throw new Error('uncaught'); }, 1); await wait(1000); },
  plain() {},
  async context(stream, context) { stream.end(context.awsRequestId); },
};
exports.handler = awslambda.streamifyResponse((event, stream, context) => handlers[event](stream, context));
"""


@pytest.mark.parametrize(
    ("name", "kind", "body"),
    [
        ("pieces", "application/octet-stream", b"onetwothree"),
        ("object", "application/json", b'{"a":1}'),
        (
            "http", "application/vnd.awslambda.http-integration-response",
            b'{"statusCode":201,"headers":{"a":"b"}}' + bytes(8) + b"body",
        ),
        ("pipe", "application/octet-stream", b"abc"),
        ("large", "application/octet-stream", b"x" * 64 * 65536),
        ("empty", "application/octet-stream", b""),
        ("value", "application/octet-stream", b"v"),
    ],
)
def test_answers(ready, name, kind, body):
    runtime = ready(STREAMS)
    for _ in range(2):
        message = runtime.answer(name)
        assert message.path.endswith(f"{runtime.id}/response")
        assert message.headers["lambda-runtime-function-response-mode"] == "streaming"
        assert message.headers["content-type"] == kind and message.body == body
        assert "lambda-runtime-function-error-type" not in message.headers
    assert runtime.answer("context").body.decode() == runtime.id


def test_pieces_are_sent_as_they_are_written(ready):
    message = ready(STREAMS).answer("pieces")
    assert message.chunks == [b"one", b"two", b"three"]


def test_an_error_before_the_first_byte_is_an_ordinary_error(ready):
    runtime = ready(STREAMS)
    assert runtime.error("early")["errorType"] == "RangeError"
    assert runtime.error("plain")["errorMessage"] == "Streaming does not support non-async handlers."
    assert runtime.answer("pieces").body == b"onetwothree"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("late", "RangeError", "late"),
        ("open", "string", "Response stream is not finished."),
        ("type", "Runtime.InvalidStreamingOperation", "Cannot set content-type, too late."),
    ],
)
def test_an_error_after_it_comes_in_trailers(ready, name, kind, message):
    runtime = ready(STREAMS)
    answer = runtime.answer(name)
    assert answer.headers["lambda-runtime-function-error-type"] == kind
    error = json.loads(base64.b64decode(answer.headers["lambda-runtime-function-error-body"]))
    assert (error["errorType"], error["errorMessage"]) == (kind, message)
    assert runtime.answer("pieces").body == b"onetwothree"
    assert "Invoke Error" in runtime.log()


def test_a_long_error_still_fits(ready):
    answer = ready(STREAMS).answer("long")
    assert len(answer.headers["lambda-runtime-function-error-body"]) < 15 * 1024


def test_what_nobody_catches_ends_stream_and_process(ready):
    runtime = ready(STREAMS)
    runtime.sends("uncaught")
    answer = runtime.read()
    assert answer.body == b"some" and answer.headers["lambda-runtime-function-error-type"] == "Error"
    runtime.acknowledges()
    assert runtime.process.wait(30) == 129
