"""Hooks, the parked process, and what it is after the restore."""

import json
import time

import pytest

HOOKS = """
import os
from snapshot_restore_py import register_after_restore, register_before_snapshot
done = []
@register_before_snapshot
def one(): done.append("before 1")
register_before_snapshot(lambda *a, **k: done.append(["before 2", a, k]), 1, key=2)
@register_after_restore
def three(): done.append("after 1")
assert register_after_restore(done.append, "after 2") == done.append
def handler(e, c): return done
"""


def test_hooks_run_in_lambdas_order(park):
    runtime = park(HOOKS)
    runtime.restore()
    assert runtime.call() == [["before 2", [1], {"key": 2}], "before 1", "after 1", "after 2"]
    assert len(runtime.call()) == 4


def test_a_package_that_the_function_brings_along_registers_them(park):
    files = {
        "snapshot_restore_py/__init__.py": "from .mine import *",
        "snapshot_restore_py/mine.py": (
            "calls = []\nbefore = [(calls.append, ('before',), {})]\n"
            "def get_before_snapshot(): return before\n"
            "def get_after_restore(): return [(calls.append, ('after',), {})]\n"
        ),
    }
    runtime = park("import snapshot_restore_py as s\ndef handler(e, c): return s.calls", files=files)
    runtime.restore()
    assert runtime.call() == ["before", "after"]


FAILING = """
from snapshot_restore_py import register_after_restore, register_before_snapshot
def fail():
    raise KeyError("gone")
register_{}(fail)
def handler(e, c): return 1
"""


def fails_with_the_hooks_own_error(message, phase):
    assert message.headers["lambda-runtime-function-error-type"] == f"Runtime.{phase}Error"
    assert (message.json["errorType"], message.json["errorMessage"]) == ("KeyError", "'gone'")
    assert 'raise KeyError("gone")' in message.json["stackTrace"][-1]


def test_a_hook_that_fails_before(start):
    runtime = start(FAILING.format("before_snapshot"), env={"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    message = runtime.fails("init/error", 64)
    fails_with_the_hooks_own_error(message, "BeforeSnapshot")
    assert int(message.headers["pilotlight-user-init-done"]) > int(message.headers["pilotlight-runtime-ready"])
    assert runtime.log().startswith("[ERROR] KeyError: 'gone'\nTraceback")


def test_a_hook_that_fails_after(park):
    runtime = park(FAILING.format("after_restore"))
    runtime.replies()
    fails_with_the_hooks_own_error(runtime.fails("restore/error", 65), "AfterRestore")
    assert runtime.log().startswith("[ERROR] KeyError: 'gone'\nTraceback")


def test_a_hook_that_exits_has_failed(start):
    source = "import sys\nfrom snapshot_restore_py import *\nregister_before_snapshot(sys.exit, 3)\n"
    runtime = start(
        source + "def handler(e, c): pass", env={"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    )
    assert runtime.fails("init/error", 64).json["errorType"] == "SystemExit"


def test_hooks_are_not_run_without_a_template(ready):
    runtime = ready(HOOKS)
    assert runtime.call() == []


def test_an_init_error_is_told_as_ever(start):
    runtime = start("raise ValueError('x')", env={"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"})
    assert runtime.init_error()["errorType"] == "ValueError"


def test_times(park):
    before = time.monotonic_ns()
    runtime = park("import time; time.sleep(0.02)\ndef handler(e, c): return 1")
    begun = int(runtime.first.headers["pilotlight-runtime-ready"])
    done = int(runtime.first.headers["pilotlight-user-init-done"])
    assert before < begun and begun + 20_000_000 <= done
    asked = time.monotonic_ns()
    first = runtime.restore().headers
    assert asked < int(first["pilotlight-restore-done"]) < time.monotonic_ns()
    assert "pilotlight-runtime-ready" not in first
    runtime.sends(None)
    runtime.read()
    assert "pilotlight-restore-done" not in runtime.asks().headers


NAMES = """
import os
def handler(e, c):
    return [c.log_stream_name, os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], os.getenv("NEW"), os.environ["KEPT"],
        os.popen("echo $NEW").read().strip(), c.function_name]
"""


def test_variables_of_the_instance(park):
    runtime = park(NAMES, env={"KEPT": "yes"})
    runtime.restore({"AWS_LAMBDA_LOG_STREAM_NAME": "2026/02/02/[1]é", "NEW": "n"})
    assert runtime.call() == ["2026/02/02/[1]é", "2026/02/02/[1]é", "n", "yes", "n", "fn"]


@pytest.mark.parametrize("answer", [None, {}, {"env": {}}, {"env": None}])
def test_no_variable_need_change(park, answer):
    runtime = park(NAMES, env={"KEPT": "yes"})
    runtime.replies(answer)
    runtime.asks()
    assert runtime.call()[0] == "2026/01/01/[$LATEST]abc"


def test_parking_leaves_no_trace_in_the_function(park):
    runtime = park(
        "import gc, os, sys\n"
        "calls = 0\n"
        "def handler(e, c):\n"
        "    global calls; calls += 1\n"
        "    return [calls, gc.get_threshold(), gc.isenabled(), '_X_AMZN_TRACE_ID' in os.environ]\n"
        "print('half a line', end='')\n"
    )
    assert runtime.process.stdout.read1() == b"half a line"
    runtime.restore()
    assert runtime.call(lambda_runtime_trace_id=None) == [1, [700, 10, 10], True, False]
    assert runtime.end() == ("", "")


SPARE = """
import logging, os
calls = 0
def helper(): return [helper, handler, missing]
def handler(e, c):
    global calls; calls += 1
    return [calls, '_X_AMZN_TRACE_ID' in os.environ, c.aws_request_id, c.log_stream_name]
"""


def test_a_spare_gets_ready_without_the_handler(park):
    runtime = park(SPARE)
    asked = time.monotonic_ns()
    runtime.replies({"env": {"AWS_LAMBDA_LOG_STREAM_NAME": "mine"}, "spare": True})
    assert asked < int(runtime.asks().headers["pilotlight-restore-done"]) < time.monotonic_ns()
    assert runtime.call(lambda_runtime_trace_id=None) == [1, False, runtime.id, "mine"]
    assert runtime.end() == ("", "")


@pytest.mark.parametrize("handler", ["callable", "partial", "builtin"])
def test_a_spare_of_a_handler_that_is_no_function(park, handler):
    runtime = park(
        "import functools\n"
        "class Callable:\n    def __call__(self, e, c): return 'callable'\n"
        "callable = Callable()\n"
        "partial = functools.partial(lambda name, e, c: name, 'partial')\n"
        "builtin = 'builtin {0}'.format\n",
        handler=f"app.{handler}",
    )
    runtime.replies({"spare": True})
    runtime.asks()
    assert runtime.call("it").split()[0] == handler


WARMED = """
import os, random
calls = []
generator = None
def handler(e, c):
    global generator
    if c.client_context is not None and c.client_context.custom == {"pilotlight-warm-up": "true"}:
        generator = random.Random()
        calls.append([e, c.aws_request_id, c.get_remaining_time_in_millis() > 5000, os.environ.get('_X_AMZN_TRACE_ID')])
        print("warm")
        return object() if e == "fails" else e
    return [calls, c.aws_request_id]
"""
NOBODY = "00000000-0000-0000-0000-000000000000"


def test_a_function_is_warmed_up_with_its_event(park):
    runtime = park(WARMED, env={"PILOTLIGHT_WARM_UP_EVENT": '{"key": ["é"]}'})
    runtime.restore()
    calls, own = runtime.call()
    assert calls == [[{"key": ["é"]}, NOBODY, True, None]] * 3
    assert own == runtime.id
    assert runtime.end() == ("warm\n" * 3, "")


def test_a_warm_up_is_for_templates_alone(ready):
    runtime = ready(WARMED, env={"PILOTLIGHT_WARM_UP_EVENT": "1"})
    assert runtime.call()[0] == []


@pytest.mark.parametrize(
    "source, error",
    [
        (WARMED, "[ERROR] Runtime.MarshalError: Unable to marshal response"),
        ("def handler(e, c):\n    if c.client_context: raise KeyError('x')\n    return [[0]]", "[ERROR] KeyError: 'x'"),
        ("import sys\ndef handler(e, c):\n    if c.client_context: sys.exit(3)\n    return [[0]]", "[ERROR] SystemExit: 3"),
    ],
)
def test_a_warm_up_that_fails_is_told_and_ends(park, source, error):
    runtime = park(source, env={"PILOTLIGHT_WARM_UP_EVENT": '"fails"'})
    runtime.restore()
    assert len(runtime.call()[0]) == 1
    log = runtime.log()
    assert log.count("[ERROR]") == 1 and error in log
    assert "The error above is of the warm-up by PILOTLIGHT_WARM_UP_EVENT, which ends here\n" in log


def test_a_warm_up_event_that_is_no_json_is_ignored(park):
    runtime = park(WARMED, env={"PILOTLIGHT_WARM_UP_EVENT": "{'a'"})
    runtime.restore()
    assert runtime.call()[0] == []
    assert runtime.log() == "PILOTLIGHT_WARM_UP_EVENT is not JSON: there is no warm-up\n"


def test_what_a_warm_up_made_is_renewed(template):
    parked = template(
        WARMED + "\ndef draw(e, c): return generator.random()\nwarm = handler\n"
        "def handler(e, c): return warm(e, c) if c.client_context else draw(e, c)\n",
        env={"PILOTLIGHT_WARM_UP_EVENT": "1"},
    )
    drawn = []
    for fork in [parked.fork(), parked.fork()]:
        fork.restore()
        drawn.append(fork.call())
        fork.socket.close()
    assert drawn[0] != drawn[1]


def test_garbage_is_collected_and_the_rest_frozen(park):
    runtime = park(
        "import gc, weakref\n"
        "class Node: pass\n"
        "node = Node(); node.me = node; ref = weakref.ref(node); del node\n"
        "def handler(e, c): return [ref() is None, gc.get_freeze_count() > 1000]\n"
    )
    runtime.restore()
    assert runtime.call() == [True, True]


def test_log_lines_have_the_instances_request(park):
    runtime = park("import logging\ndef handler(e, c): logging.warning(e)")
    runtime.restore()
    runtime.call("first")
    assert runtime.log().split("\t")[2:] == [runtime.id, "first\n"]


def test_errors_after_a_restore(park):
    runtime = park("def handler(e, c): raise ValueError(e)", env={"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    runtime.restore()
    error = runtime.error("bad")
    assert error["stackTrace"] == [
        f'  File "{runtime.task}/app.py", line 1, in handler\n'
        "    def handler(e, c): raise ValueError(e)\n"
    ]
    assert json.loads(runtime.log())["requestId"] == runtime.id


def test_own_modules_come_first_in_a_template_too(park):
    runtime = park(
        "import random, bisect\ndef handler(e, c): return [random.mine, bisect.mine]",
        files={"random.py": "mine = 1", "bisect.py": "mine = 2"},
    )
    runtime.restore()
    assert runtime.call() == [1, 2]


INSTANCE = """
import os, subprocess, multiprocessing, concurrent.futures
calls = 0
def double(x): return 2 * x
def handler(e, c):
    global calls; calls += 1
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        threads = list(pool.map(double, [1, 2]))
    with multiprocessing.get_context(e["method"]).Pool(2) as pool:
        processes = pool.map(double, [3, 4])
    child = subprocess.check_output("echo $WHO", shell=True, text=True).strip()
    return [calls, c.aws_request_id, c.log_stream_name, os.environ["WHO"], child, threads, processes]
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_forks_are_instances_of_their_own(template, method):
    parked = template(INSTANCE)
    forks = [parked.fork() for _ in range(3)]
    for n, fork in enumerate(forks):
        fork.restore({"WHO": str(n), "AWS_LAMBDA_LOG_STREAM_NAME": f"stream {n}"})
    for calls in (1, 2):
        for n, fork in enumerate(forks):
            found = fork.call({"method": method})
            assert found == [calls, fork.id, f"stream {n}", str(n), str(n), [2, 4], [6, 8]]
    for fork in forks:
        fork.socket.close()


def test_being_hung_up_on_is_a_quiet_end(park):
    runtime = park("def handler(e, c): return 1")
    assert runtime.end() == ("", "")
    assert runtime.process.returncode == 0
