"""`provided.al2023`: the user's own program speaks the Runtime API over TCP."""

import pytest

from packages import BASH_BOOTSTRAP


@pytest.fixture
def bash(deploy):
    return deploy({"bootstrap": BASH_BOOTSTRAP}, Runtime="provided.al2023", Handler="bootstrap")


def test_a_bootstrap_of_ones_own_runs(bash):
    assert bash.call({"hello": "ünïcode"}) == {"hello": "ünïcode"}
    assert bash.call(["again"]) == ["again"]


def test_one_that_dies_mid_answer_is_an_error_and_replaced(bash):
    bash.call("alive")
    answer = bash.invoke("die")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "Runtime.ExitError", answer["json"]
    assert bash.call("alive again") == "alive again"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"something": "else"}, "Runtime.InvalidEntrypoint"),
        ({"bootstrap": "not a program"}, "Runtime.InvalidEntrypoint"),
        ({"bootstrap": "#!/bin/sh\nexit 42\n"}, "Runtime.ExitError"),
    ],
    ids=["missing", "no-program", "exits"],
)
def test_a_bootstrap_that_cannot_run_is_told(deploy, files, kind):
    function = deploy(files, Runtime="provided.al2023", Handler="bootstrap")
    answer = function.invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == kind, answer["json"]
