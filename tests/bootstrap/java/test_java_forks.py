"""Java as zygote and as template. The node's forks are left out: the parked process itself goes on."""

import shutil
import subprocess
import time

import pytest
from java_api import JDK, NEXT, RESTORE_NEXT

TEMPLATE = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def test_a_zygote_becomes_its_function(start):
    runtime = start("fn.Around::environment", env={"COLOUR": "blué", "TZ": "Europe/Berlin"}, zygote=True)
    before = time.monotonic_ns()
    first = runtime.assigned().asks()
    begun = int(first.headers["pilotlight-runtime-ready"])
    assert before < begun < int(first.headers["pilotlight-user-init-done"]) < time.monotonic_ns()
    own, childs, built, one, zone = runtime.call("COLOUR")
    assert own == childs == built == runtime.variables
    assert (one, zone) == ("blué", "Europe/Berlin")


def test_a_zygote_says_what_is_wrong_with_its_function(start):
    runtime = start("fn.Forms$BadConstructor", zygote=True).assigned()
    assert runtime.init_error()["errorMessage"] == "no way"


def test_a_zygote_that_is_not_needed_ends_quietly(start):
    runtime = start("fn.Echo", zygote=True)
    runtime.parks("/pilotlight/assignment")
    assert runtime.end() == ("", "")
    assert runtime.process.returncode == 0


@pytest.mark.parametrize("zygote", [False, True], ids=["booted", "zygote"])
def test_a_template_and_its_hooks(start, zygote):
    runtime = start("fn.Hooked", env=TEMPLATE, zygote=zygote)
    if zygote:
        runtime.assigned()
    parked = runtime.parks(RESTORE_NEXT)
    assert parked.headers["pilotlight-runtime-ready"] and parked.headers["pilotlight-user-init-done"]
    before = time.monotonic_ns()
    runtime.replies({"env": {"AWS_LAMBDA_LOG_STREAM_NAME": "mine", "FRESH": "new"}})
    asked = runtime.asks()
    assert before < int(asked.headers["pilotlight-restore-done"]) < time.monotonic_ns()
    seen, stream, ticks = runtime.call()
    assert seen == ["before second", "before first", "after first new", "after second new"]
    assert stream == "mine"
    # A timer that was armed in init goes on.
    deadline = time.monotonic() + 30
    while runtime.call()[2] <= ticks:
        assert time.monotonic() < deadline


def test_a_spare_gets_ready_without_the_handler(start):
    runtime = start("fn.Counted", env=TEMPLATE)
    runtime.parks(RESTORE_NEXT)
    asked = time.monotonic_ns()
    runtime.replies({"env": {"AWS_LAMBDA_LOG_STREAM_NAME": "mine"}, "spare": True})
    assert asked < int(runtime.asks().headers["pilotlight-restore-done"]) < time.monotonic_ns()
    assert runtime.call(lambda_runtime_trace_id=None) == [1, None, runtime.id, "mine"]
    assert runtime.end() == ("", "")


def test_what_a_function_names_is_linked_and_not_initialised(start, classes, tmp_path):
    task = shutil.copytree(classes.functions, tmp_path / "task")
    (task / "fn" / "Linked$Gone.class").unlink()
    runtime = start("fn.Linked::handle", env=TEMPLATE, task=task)
    runtime.parks(RESTORE_NEXT)
    runtime.replies()
    runtime.asks()
    assert runtime.call("said") == []
    assert runtime.call("loud") == "a loud b1c \1 2.5null"
    assert runtime.call("said") == ["initialised"]
    assert runtime.error("gone")["errorType"] == "java.lang.NoClassDefFoundError"


NOBODY = "00000000-0000-0000-0000-000000000000"


def warmed(start, event):
    """What the function tells, and its log."""
    runtime = start("fn.Warmed", env=TEMPLATE | {"PILOTLIGHT_WARM_UP_EVENT": event})
    runtime.parks(RESTORE_NEXT)
    runtime.replies()
    runtime.asks()
    calls, first, own = runtime.call()
    assert own == runtime.id
    return calls, first, runtime.log()


def test_a_function_is_warmed_up_with_its_event(start):
    calls, first, log = warmed(start, '{"key": ["é"]}')
    assert 1 < calls <= 200
    assert first == [{"key": ["é"]}, NOBODY, True]
    assert log == ""


def test_a_warm_up_that_fails_is_told_and_ends(start):
    calls, _, log = warmed(start, '"fails"')
    assert calls == 1
    assert log.startswith("no: java.lang.IllegalStateException\n")
    assert log.endswith("The error above is of the warm-up by PILOTLIGHT_WARM_UP_EVENT, which ends here\n")


def test_a_warm_up_event_that_is_no_json_is_ignored(start):
    assert warmed(start, "{'a'") == (0, [], "PILOTLIGHT_WARM_UP_EVENT is not JSON: there is no warm-up\n")


def test_a_warm_up_is_for_templates_alone(ready):
    assert ready("fn.Warmed", env={"PILOTLIGHT_WARM_UP_EVENT": "1"}).call()[0] == 0


def test_a_template_may_go_on_as_it_is(start):
    runtime = start("fn.Hooked", env=TEMPLATE)
    runtime.parks(RESTORE_NEXT)
    runtime.replies()
    runtime.parks(NEXT)
    assert runtime.call()[1] == runtime.variables["AWS_LAMBDA_LOG_STREAM_NAME"]


def test_a_hook_that_fails_before(start):
    runtime = start("fn.Hooked", env=TEMPLATE | {"FAIL_BEFORE": "second"})
    message = runtime.read()
    assert (message.method, message.path) == ("POST", "/2018-06-01/runtime/init/error")
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.BeforeSnapshotError"
    assert message.json["errorType"] == "java.lang.IllegalStateException"
    assert message.json["errorMessage"] == "not now"
    assert message.json["stackTrace"][0].startswith("fn.Hooked$Hook.beforeCheckpoint(")
    runtime.acknowledges()
    assert runtime.process.wait(30) == 64


def test_a_hook_that_fails_after(start):
    runtime = start("fn.Hooked", env=TEMPLATE | {"FAIL_AFTER": "first"})
    runtime.parks(RESTORE_NEXT)
    runtime.replies()
    message = runtime.read()
    assert (message.method, message.path) == ("POST", "/2018-06-01/runtime/restore/error")
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.AfterRestoreError"
    assert message.json["errorMessage"] == "not here"
    runtime.acknowledges()
    assert runtime.process.wait(30) == 65


def test_forks_have_no_random_state_in_common(classes):
    """Each generator is put back into one state twice, as two forks find it; what they draw must differ."""
    done = subprocess.run(
        [JDK / "bin" / "java", "-cp", f"{classes.bootstrap}:{classes.simulation}", "dev.pilotlight.runtime.ForkSimulation", classes.functions],
        capture_output=True, text=True, timeout=120, check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"{name}: own" for name in (
            "Math.random", "Collections.shuffle", "ThreadLocalRandom", "ThreadLocalRandom of another thread",
            "ThreadLocalRandom of new threads", "new Random", "new SplittableRandom", "SecureRandom", "UUID",
            "new SHA1PRNG", "new DRBG", "held Random", "held, unwilling", "held by a lambda", "held by a record", "held by a thread",
            "held SplittableRandom", "held SHA1PRNG", "held DRBG",
        )
    ]
