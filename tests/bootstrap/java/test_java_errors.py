"""What Java code throws, and what ends its process."""

import pytest


def test_exceptions_keep_the_instance(ready):
    runtime = ready("fn.Errors")
    error = runtime.error("inner")
    assert error == {
        "errorMessage": "no luck",
        "errorType": "java.lang.IllegalArgumentException",
        "stackTrace": ["fn.Errors.inner(Errors.java:50)", "fn.Errors.handleRequest(Errors.java:23)",
                       "fn.Errors.handleRequest(Errors.java:6)"],
    }
    assert runtime.call("count") == 2
    assert runtime.log().startswith(
        "no luck: java.lang.IllegalArgumentException\n"
        "java.lang.IllegalArgumentException: no luck\n\tat fn.Errors.inner(Errors.java:50)\n"
    )


def test_causes(ready):
    error = ready("fn.Errors").error("cause")
    assert (error["errorMessage"], error["errorType"]) == ("outer", "java.lang.RuntimeException")
    assert (error["cause"]["errorMessage"], error["cause"]["errorType"]) == ("inner", "java.io.IOException")
    assert error["cause"]["cause"]["errorType"] == "java.lang.Error"


@pytest.mark.parametrize(
    ("event", "error_type", "message"),
    [
        ("silent", "java.lang.UnsupportedOperationException", "java.lang.UnsupportedOperationException"),
        ("bad", "fn.Errors$Bad", "fn.Errors$Bad"),
        ("checked", "java.lang.Exception", "checked é"),
        ("deep", "java.lang.StackOverflowError", "java.lang.StackOverflowError"),
    ],
)
def test_kinds_of_exceptions(ready, event, error_type, message):
    runtime = ready("fn.Errors")
    error = runtime.error(event)
    assert (error["errorType"], error["errorMessage"]) == (error_type, message)
    assert runtime.call("fine") == "fine"


def test_an_interrupt_ends_with_its_invocation(ready):
    runtime = ready("fn.Errors")
    assert runtime.call("interrupt") is True
    assert runtime.call("interrupted") is False


def test_want_of_memory_is_the_answer_and_the_end(ready):
    runtime = ready("fn.Errors")
    runtime.sends("memory")
    assert runtime.read().json["errorType"] == "java.lang.OutOfMemoryError"
    runtime.acknowledges()
    assert runtime.process.wait(30) == 1


def test_exit_is_the_process_exit(ready):
    runtime = ready("fn.Errors")
    runtime.sends("exit")
    assert runtime.process.wait(30) == 3
    assert runtime.process.stdout.read() == b"half a line"


def test_hanging_up_is_a_quiet_end(ready):
    runtime = ready("fn.Echo")
    assert runtime.call(1) == 1
    assert runtime.end() == ("", "")
    assert runtime.process.returncode == 0


def test_a_refused_answer_is_not_the_end(ready):
    runtime = ready("fn.Echo")
    runtime.sends(1)
    runtime.read()
    runtime.asks()
    runtime.acknowledges("413 Payload Too Large")
    assert runtime.call(2) == 2
