"""Events in, answers and errors out."""

import json

import pytest


def test_events_and_answers(ready):
    runtime = ready("def handler(event, context): return event")
    for event in [None, 1, -2.5, "text", "\u00e9\u4e2d\U0001f525", [], {}, {"a": [1, {"b": None}]}, True]:
        assert runtime.call(event) == event
    assert runtime.call(b' \r\n\t{"a" : NaN}\n ')["a"] != 0


def test_answers_are_encoded_as_on_lambda(ready):
    runtime = ready("def handler(event, context): return {'a': 'é', 'b': [1, 2.0], 3: None}")
    message = runtime.answer({})
    assert message.body == b'{"a": "\\u00e9", "b": [1, 2.0], "3": null}'
    assert message.headers["content-type"] == "application/json"


def test_large_bodies_both_ways(ready):
    runtime = ready("def handler(event, context): return event * 2")
    event = "x" * 3_000_000
    assert runtime.call(event) == event * 2


def test_an_event_in_pieces(ready):
    runtime = ready("def handler(event, context): return event")
    runtime.sends({"n": list(range(100))}, chunk=7)
    assert runtime.read().json == {"n": list(range(100))}


def test_event_that_is_not_json(ready):
    runtime = ready("def handler(event, context): return event")
    error = runtime.error(b"{nope")
    assert error["errorType"] == "Runtime.UnmarshalError"
    assert error["errorMessage"].startswith("Unable to unmarshal input: Expecting property name")
    assert runtime.error(b"1 2")["errorMessage"].endswith("Extra data: line 1 column 3 (char 2)")
    assert "Expecting value" in runtime.error(b"")["errorMessage"]
    assert "utf-8" in runtime.error(b'"\xff"')["errorMessage"]
    assert runtime.call(1) == 1


def test_event_of_another_type_comes_as_bytes(ready):
    runtime = ready("def handler(event, context): return repr(event)")
    assert runtime.call(b"\x00\xff", content_type="application/octet-stream") == repr(b"\x00\xff")


def test_bytes_are_the_answer_as_they_are(ready):
    message = ready("def handler(event, context): return b'\\x00raw'").answer({})
    assert message.body == b"\x00raw" and message.headers["content-type"] == "application/unknown"


VALUES = '''
import collections, decimal, enum, typing
D = decimal.Decimal
Point = collections.namedtuple("Point", "x y")
class Typed(typing.NamedTuple):
    d: object
class Colour(enum.IntEnum):
    RED = 3
VALUES = {
    "decimal": {"a": D("1.10"), "b": [D("-0.5")], "c": "1.10", "d": "é"},
    "nan": D("NaN"),
    "bytes": {"k": b"abc"},
    "named": [Point(1, Typed(D("2.50"))), (1, 2)],
    "enum": Colour.RED,
    "float": [float("inf"), 1e300],
    "set": {1, 2},
    "tuple_key": {(1, 2): 3},
    "not_text": b"\\xff",
    "deep_bytes": [b"\\xff"],
}
VALUES["circle"] = []
VALUES["circle"].append(VALUES["circle"])
def handler(event, context): return VALUES[event]
'''


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("decimal", b'{"a": 1.10, "b": [-0.5], "c": "1.10", "d": "\\u00e9"}'),
        ("nan", b"NaN"),
        ("bytes", b'{"k": "abc"}'),
        ("named", b'[{"x": 1, "y": {"d": 2.50}}, [1, 2]]'),
        ("enum", b"3"),
        ("float", b"[Infinity, 1e+300]"),
        ("not_text", b"\xff"),
    ],
)
def test_values_beyond_json(ready, name, body):
    assert ready(VALUES).answer(name).body == body


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("set", "Object of type set is not JSON serializable"),
        ("tuple_key", "keys must be str, int, float, bool or None, not tuple"),
        ("deep_bytes", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
)
def test_answers_that_have_no_json(ready, name, message):
    runtime = ready(VALUES)
    error = runtime.error(name)
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: " + message
    assert error["stackTrace"] == [] and error["requestId"] == runtime.id
    assert runtime.call("enum") == 3


def test_circular_answer(ready):
    assert ready(VALUES).error("circle")["errorType"] == "Runtime.MarshalError"


def test_exceptions_keep_the_instance(ready):
    runtime = ready(
        "count = 0\n"
        "def inner(e):\n"
        "    raise ValueError('no ' + e)\n"
        "def handler(e, c):\n"
        "    global count\n"
        "    count += 1\n"
        "    if e == 'count': return count\n"
        "    inner(e)\n"
    )
    error = runtime.error("luck")
    assert error == {
        "errorMessage": "no luck",
        "errorType": "ValueError",
        "requestId": runtime.id,
        "stackTrace": [
            f'  File "{runtime.task}/app.py", line 8, in handler\n    inner(e)\n',
            f"  File \"{runtime.task}/app.py\", line 3, in inner\n    raise ValueError('no ' + e)\n",
        ],
    }
    assert runtime.call("count") == 2
    log = runtime.log()
    assert log.startswith(
        "[ERROR] ValueError: no luck\nTraceback (most recent call last):\n"
        f'  File "{runtime.task}/app.py", line 8, in handler\n    inner(e)\n'
    )


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("def handler(e, c): raise Exception", "Exception", ""),
        ("def handler(e, c): return handler(e, c)", "RecursionError", "maximum recursion depth exceeded"),
        ("def handler(e): pass", "TypeError", "handler() takes 1 positional argument but 2 were given"),
        ("handler = 3", "TypeError", "'int' object is not callable"),
        (
            "class Bad(Exception):\n    def __str__(self): raise KeyError\n"
            "def handler(e, c): raise Bad",
            "Bad",
            "<unprintable Bad object>",
        ),
        (
            "def handler(e, c): raise type('A\\r\\nX: y', (Exception,), {})('m')",
            "A\r\nX: y",
            "m",
        ),
    ],
)
def test_kinds_of_exceptions(ready, source, error_type, message):
    runtime = ready(source)
    error = runtime.error()
    assert (error["errorType"], error["errorMessage"]) == (error_type, message)
    assert runtime.error()["errorType"] == error_type


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import sys\ndef handler(e, c): sys.exit(3)", 3),
        ("def handler(e, c): exit()", 0),
        ("def handler(e, c): quit(4)", 4),
        ("import os\ndef handler(e, c): os._exit(5)", 5),
        ("def handler(e, c): raise KeyboardInterrupt", -2),
    ],
)
def test_what_ends_a_process_ends_it(ready, source, status):
    runtime = ready(source)
    runtime.sends({})
    assert runtime.process.wait(30) == status
    with pytest.raises((EOFError, ConnectionError)):
        runtime.read()


def test_hanging_up_is_a_quiet_end(ready):
    runtime = ready("def handler(e, c): return 1")
    assert runtime.call() == 1
    assert runtime.end() == ("", "")
    assert runtime.process.returncode == 0


def test_a_refused_answer_is_not_the_end(ready):
    runtime = ready("def handler(e, c): return e")
    runtime.sends("large")
    runtime.read()
    runtime.asks()
    runtime.acknowledges("413 Payload Too Large")
    assert runtime.call("small") == "small"


def test_the_next_event_is_asked_for_with_the_answer(ready):
    """Before the platform has acknowledged: a warm call costs one wake-up less."""
    runtime = ready("def handler(e, c): return e")
    runtime.sends(1)
    assert runtime.read().json == 1
    runtime.asks()
    runtime.acknowledges()
    assert runtime.call(2) == 2


def test_threads_and_children(ready):
    runtime = ready(
        "import subprocess, multiprocessing, concurrent.futures as f\n"
        "def double(x): return 2 * x\n"
        "def handler(e, c):\n"
        "    if e == 'shell': return subprocess.run('ls /proc/self/fd', shell=True, text=True,\n"
        "        capture_output=True, close_fds=False).stdout.split()\n"
        "    if e == 'spawn':\n"
        "        with multiprocessing.get_context('spawn').Pool(1) as p: return p.map(double, [1, 2])\n"
        "    with f.ThreadPoolExecutor(2) as p: return list(p.map(double, [1, 2]))\n"
    )
    assert runtime.call("threads") == [2, 4]
    assert runtime.call("spawn") == [2, 4]
    # 0, 1, 2 and the directory itself: the platform's socket is not handed on.
    assert runtime.call("shell") == ["0", "1", "2", "3"]


def test_answers_are_ours_even_when_json_is_patched(ready):
    runtime = ready(
        "import json\njson.dumps = json.loads = None\ndef handler(e, c): return {'e': e}"
    )
    assert runtime.call({"x": 1}) == {"e": {"x": 1}}
    assert json.loads('{"x": 1}') == {"x": 1}
