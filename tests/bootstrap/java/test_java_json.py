"""Java's events and answers, as AWS's runtime reads and writes them."""

import pytest


def test_events_and_answers(ready):
    runtime = ready("fn.Echo")
    for event in [None, 1, -2.5, 1e300, 2**31, -(2**63), 2**70, "text", "é中🔥", "\x00\"\\\n", [], {}, {"a": [1, {"b": None}]}, True]:
        assert runtime.call(event) == event
    assert runtime.answer(b' \r\n\t{"a" : "\\u00e9\\/\\ud83d\\udd25"}\n ').body == '{"a":"é/🔥"}'.encode()


def test_large_bodies_both_ways(ready):
    event = ["x" * 1_500_000, "é" * 500_000]
    assert ready("fn.Echo").call(event) == event


def test_an_event_in_pieces(ready):
    runtime = ready("fn.Echo")
    runtime.sends({"n": list(range(100))}, chunk=7)
    assert runtime.read().json == {"n": list(range(100))}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (b"{nope", "Expected a name in double quotes at byte 1: 0x6e"),
        (b"", "Unexpected end of input at byte 0"),
        (b"1 2", "Unexpected character after the value at byte 2: 0x32"),
        (b'"open', "Unexpected end of input in a string at byte 5"),
        (b"[1,]", "Unexpected character at byte 3: 0x5d"),
        (b"-", "Unexpected end of input at byte 1"),
        (b"[" * 2000, "Deeper than 1000 levels at byte 1001: 0x5b"),
        (b'"\\x"', "Unknown escape at byte 2: 0x78"),
        (b"1" * 1100, "Number with more than 1000 digits at byte 1100"),
    ],
)
def test_an_event_that_is_not_json(ready, event, message):
    runtime = ready("fn.Echo")
    error = runtime.error(event)
    assert error["errorMessage"] == "An error occurred during JSON parsing"
    assert error["errorType"] == "java.lang.RuntimeException" and error["stackTrace"] == []
    assert error["cause"]["errorMessage"] == message
    assert runtime.call(1) == 1


def test_a_bean(ready):
    runtime = ready("fn.Shapes::order")
    event = {
        "id": 7, "amount": "12", "paid": "true", "colour": "GREEN", "secret": "x", "passing": "x", "unknown": {},
        "lines": [{"name": "a", "price": 1.10, "at": {"x": 1, "y": 2, "name": None}}],
        "byName": {"b": {"name": "b"}},
    }
    assert runtime.call(event) == {
        "id": "7", "amount": 12, "paid": True, "lines": [{"name": "a", "price": 1.1, "at": {"x": 1, "y": 2.0}}],
        "byName": {"b": {"name": "b"}}, "colour": "GREEN", "URL": "u:7",
    }
    assert runtime.call({}) == {"amount": 0, "paid": False, "lines": [], "URL": "u:null"}
    assert runtime.call(None) is None
    assert runtime.call({"colour": "BLUE", "ID": 1})["URL"] == "u:1"
    error = runtime.error({"amount": {"a": 1}})
    assert error["cause"]["errorMessage"] == "Member 'amount': Cannot make a value of type long from an object"


def test_a_record(ready):
    runtime = ready("fn.Shapes::point")
    assert runtime.call({"x": 1, "y": "2.5", "name": "n"}) == {"x": 1, "y": 2.5, "name": "n"}
    assert runtime.call({"z": 1}) == {"x": 0, "y": 0.0}


@pytest.mark.parametrize("method", ["fixed", "fixedToo"])
def test_a_bean_that_cannot_change(ready, method):
    event = {"Records": [{"name": "a"}], "sour-ce": "s"}
    assert ready(f"fn.Shapes::{method}").call(event) == {"records": [{"name": "a"}], "source": "s"}


def test_generic_members(ready):
    assert ready("fn.Shapes::generic").call({"value": {"name": "a"}, "more": [{"name": "b"}]}) == "ab"


def test_many_types(ready):
    runtime = ready("fn.Shapes::kinds")
    event = {
        "b": -128, "s": 1, "i": 2, "l": 2**62, "f": 1.5, "d": 2.5, "c": "x", "z": True, "boxed": 3, "big": 2**80,
        "number": 1.5, "bytes": "aGk=", "ints": [1, 2], "texts": [["a"], []], "colours": ["RED", "GREEN"],
        "counts": {"RED": 1}, "names": {"1": "one"}, "maybe": "m", "uuid": "123e4567-e89b-12d3-a456-426614174000",
        "date": "2026-01-02T03:04:05.000+0000", "instant": "2026-01-02T03:04:05Z", "day": "2026-01-02",
        "moment": "2026-01-02T03:04:05", "buffer": "aGk=", "builder": "sb", "any": {"a": [1.5]},
    }
    answer = runtime.call(event)
    assert answer == event | {
        "date": 1767323045000, "instant": 1767323045.0, "day": [2026, 1, 2], "moment": [2026, 1, 2, 3, 4, 5],
    }
    assert runtime.call({"date": 5, "instant": 1.5, "day": [2026, 1, 2]})["instant"] == 1.5
    error = runtime.error({"b": 128})
    assert error["cause"]["errorMessage"] == "Member 'b': Number 128 out of range of byte"


@pytest.mark.parametrize(
    ("event", "body"),
    [
        ("nan", b'["NaN","Infinity"]'),
        ("text", '"\\u0000\\t\\n\\"\\\\/é中🔥?"'.encode()),
        ("empty", b"{}"),
        ("chars", b'["x","ab","sb","RED",[1,2]]'),
        ("times", b"[1.000000005,[2026,1,2],[2026,1,2,3,4,5]]"),
        ("private", b'{"n":7}'),
        ("null", b"null"),
    ],
)
def test_answers_of_odd_kinds(ready, event, body):
    message = ready("fn.Shapes$Odd").answer(event)
    assert message.body == body and message.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("event", "cause"), [("circle", "does a value contain itself"), ("getter", "bad getter")])
def test_answers_that_have_no_json(ready, event, cause):
    runtime = ready("fn.Shapes$Odd")
    error = runtime.error(event)
    assert error["errorMessage"] == "An error occurred during JSON serialization of response"
    assert error["errorType"] == "java.lang.RuntimeException" and cause in error["cause"]["errorMessage"]
    assert runtime.call("null") is None
