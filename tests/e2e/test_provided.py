"""`provided.al2023`: the user's own program speaks the Runtime API over TCP."""

import pytest

import forks
from packages import BASH_BOOTSTRAP

# One process, which asks for each event over a connection of its own, and reads it up to the connection's end.
CLOSING_BOOTSTRAP = r"""#!/bin/bash
host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
base=/2018-06-01/runtime/invocation
while true; do
    exec 5<>"/dev/tcp/$host/$port"
    printf 'GET %s/next HTTP/@VERSION@\r\n@HEADER@\r\n' "$base" >&5
    while IFS=$'\r' read -r line _ <&5 && [ -n "$line" ]; do
        case "${line,,}" in
            lambda-runtime-aws-request-id:*) id=${line#*: } ;;
        esac
    done
    IFS= read -r -d '' event <&5
    exec 5>&- 5<>"/dev/tcp/$host/$port"
    printf 'POST %s/%s/response HTTP/1.0\r\nContent-Length: %s\r\n\r\n%s' "$base" "$id" "${#event}" "$event" >&5
    IFS= read -r -d '' answer <&5
    exec 5>&-
done
"""


@pytest.fixture
def bash(deploy):
    return deploy({"bootstrap": BASH_BOOTSTRAP}, Runtime="provided.al2023", Handler="bootstrap")


def test_a_bootstrap_of_ones_own_runs(bash):
    assert bash.call({"hello": "ünïcode"}) == {"hello": "ünïcode"}
    assert bash.call(["again"]) == ["again"]


@pytest.mark.parametrize(("version", "header"), [("1.1", r"Connection: close\r\n"), ("1.0", "")], ids=["close", "http10"])
def test_one_that_reads_up_to_the_end_of_a_connection_is_served_in_forks_too(platform, deploy, version, header):
    bootstrap = CLOSING_BOOTSTRAP.replace("@VERSION@", version).replace("@HEADER@", header)
    function = deploy({"bootstrap": bootstrap}, Runtime="provided.al2023", Handler="bootstrap")
    for kind in forks.KINDS:
        if kind == "zygote":
            continue  # Programs of one's own have none.
        assert forks.call(platform, function, kind, {"kind": kind}) == {"kind": kind}
        assert forks.warm(platform, function, "again")["json"] == "again"


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
