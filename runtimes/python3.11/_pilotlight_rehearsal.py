"""Goes through an invocation before a process is parked, without the user's handler.

The interpreter adapts code to what it sees and imports late; what was done before the fork is shared by all
forks and costs them nothing.
"""

from types import FunctionType

import __main__ as bootstrap

# The interpreter specialises a function after some calls.
ROUNDS = 20
# Enough to write to what an invocation writes to.
SPARE_ROUNDS = 3
# Of a function's own functions, how many are looked at.
MOST_FUNCTIONS = 50
EVENT = b'{"key": ["value", 1, 2.5, true, null]}'
HEAD = b"""HTTP/1.1 200 OK\r
content-type: application/json\r
lambda-runtime-aws-request-id: 00000000-0000-4000-8000-000000000000\r
lambda-runtime-deadline-ms: 0\r
lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:rehearsal\r
lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Sampled=0\r
content-length: %d\r
\r
""" % len(EVENT)


class Stage(bootstrap.RuntimeApi):
    """A Runtime API that always has the same answer, and takes whatever it is told."""

    def __init__(self):
        self.unread = b""

    def read_some(self, most=0):
        return HEAD + EVENT

    def write(self, data):
        pass


def rehearse(settings):
    """Leaves nothing behind but warm code: no output, no variable, no request id."""
    stage = Stage()
    play(stage, ROUNDS, settings)
    try:
        exec(compile("raise ValueError", "<rehearsal>", "exec"))
    except ValueError as error:
        stage.fail("", bootstrap.Failure(error, ""))


def rehearse_spare(settings, handler):
    """In a fork for which nobody waits: what a request writes to is copied before there is one."""
    play(Stage(), SPARE_ROUNDS, settings)
    touch(handler)


def play(stage, rounds, settings):
    for _ in range(rounds):
        bootstrap.serve(stage, lambda event, context: event, settings)
    bootstrap.take_variable(b"_X_AMZN_TRACE_ID")
    bootstrap.current_request = ""


def touch(handler):
    """Looks at what the handler's code names, and its module's functions theirs: a look counts a reference."""
    functions = [handler] if type(handler) is FunctionType else []
    for function in functions:
        names = function.__code__.co_names
        for named in [*function.__code__.co_consts, *map(function.__globals__.get, names)]:
            if type(named) is FunctionType and named not in functions and len(functions) < MOST_FUNCTIONS:
                functions.append(named)
