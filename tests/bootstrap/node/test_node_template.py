"""Zygotes and templates: how they park, what they do first when they go on, and what they do not repeat."""

import time

import pytest

from .fake_node import SNAP_START

HOOKS = """
const said = [];
awslambda.registerBeforeSnapshot((x) => said.push(x), 'before 1');
awslambda.registerBeforeSnapshot(async () => { await null; said.push('before 2'); });
awslambda.registerAfterRestore(() => said.push('after 1'));
awslambda.registerAfterRestore(async () => { await null; said.push('after 2'); });
exports.handler = async (event, context) => [...said, context.logStreamName, process.env.AWS_LAMBDA_LOG_STREAM_NAME];
"""


def test_hooks_run_in_order_around_the_fork(park):
    runtime = park(HOOKS)
    assert {"pilotlight-runtime-ready", "pilotlight-user-init-done"} <= runtime.first.headers.keys()
    before = time.monotonic_ns()
    runtime.replies({"env": {"AWS_LAMBDA_LOG_STREAM_NAME": "its-own"}})
    done = int(runtime.asks().headers["pilotlight-restore-done"])
    assert before < done < time.monotonic_ns()
    assert runtime.call() == ["before 2", "before 1", "after 1", "after 2", "its-own", "its-own"]


def test_a_template_that_is_not_forked_goes_on(park):
    runtime = park("exports.handler = async (event) => event")
    runtime.replies()
    runtime.asks()
    assert runtime.call(1) == 1
    assert runtime.log() == ""


def test_a_failing_hook_before(start):
    runtime = start(
        "awslambda.registerBeforeSnapshot(() => { throw new RangeError('b'); }); exports.handler = async () => 1",
        env=SNAP_START,
    )
    message = runtime.fails("init/error", 64)
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.BeforeSnapshotError"
    assert message.json["errorType"] == "RangeError" and message.json["errorMessage"] == "b"


def test_a_failing_hook_after(park):
    runtime = park(
        "awslambda.registerAfterRestore(async () => { throw new RangeError('a'); }); exports.handler = async () => 1"
    )
    runtime.replies()
    message = runtime.fails("restore/error", 65)
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.AfterRestoreError"
    assert message.json["errorType"] == "RangeError" and message.json["errorMessage"] == "a"


def test_the_init_sees_what_its_forks_will_be(park):
    runtime = park("const type = process.env.AWS_LAMBDA_INITIALIZATION_TYPE; exports.handler = async () => type")
    runtime.replies({"env": {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}})
    runtime.asks()
    assert runtime.call() == "on-demand"


def test_without_templates_hooks_may_be_registered(ready):
    assert ready(HOOKS).call()[:-2] == []


def test_an_init_that_fails_says_so(start):
    assert start("throw new Error('x')", env=SNAP_START).init_error()["errorMessage"] == "x"


def test_an_error_while_parked_ends_the_process(park):
    runtime = park(
        "setTimeout(() => { throw new Error('parked'); }, 300); exports.handler = async () => 1"
    )
    assert runtime.process.wait(30) == 129


def test_timers_go_on(park):
    runtime = park(
        "let ticks = 0; setInterval(() => { ticks += 1; }, 5).unref();\n"
        "const armed = new Promise((resolve) => setTimeout(resolve, 200, 'rang'));\n"
        "exports.handler = async (event) => { if (event === 'armed') return armed; const seen = ticks;\n"
        "  await new Promise((resolve) => setTimeout(resolve, 30)); return ticks > seen; };"
    )
    runtime.replies()
    runtime.asks()
    assert runtime.call("armed") == "rang"
    assert runtime.call("ticks") is True


def test_a_spare_gets_ready_without_the_handler(park):
    runtime = park(
        "let calls = 0;\n"
        "exports.handler = async (event, context) =>\n"
        "  [++calls, '_X_AMZN_TRACE_ID' in process.env, context.awsRequestId, context.logStreamName];"
    )
    asked = time.monotonic_ns()
    runtime.replies({"env": {"AWS_LAMBDA_LOG_STREAM_NAME": "mine"}, "spare": True})
    assert asked < int(runtime.asks().headers["pilotlight-restore-done"]) < time.monotonic_ns()
    assert runtime.call(lambda_runtime_trace_id=None) == [1, False, runtime.id, "mine"]
    assert runtime.log() == ""


WARMED = """
const calls = [];
const answer = (event, context) => {
  if (context.clientContext?.custom?.['pilotlight-warm-up'] !== 'true') return [calls, context.awsRequestId];
  calls.push([event, context.awsRequestId, context.getRemainingTimeInMillis() > 5000]);
  if (event === 'fails') throw new RangeError('no');
  if (event === 'rejects') return Promise.reject(new RangeError('no'));
  if (event === 'later') setTimeout(() => { throw new RangeError('late'); });
  if (event === 'later') return new Promise(() => {});
  return event;
};
"""
NOBODY = "00000000-0000-0000-0000-000000000000"
FORMS = {
    "promise": "exports.handler = async (event, context) => answer(event, context);",
    "callback": "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, answer(event, context)), 5); };",
    "nothing": "exports.handler = (event, context) => { const said = answer(event, context);\n"
               "  if (!context.clientContext) context.succeed(said); };",
    "stream": "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {\n"
              "  stream.write(JSON.stringify(answer(event, context))); stream.end(); });",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_is_warmed_up_with_its_event(park, form):
    runtime = park(WARMED + FORMS[form], env={"PILOTLIGHT_WARM_UP_EVENT": '{"key": ["é"]}'})
    runtime.replies()
    runtime.asks()
    calls, own = runtime.call()
    assert calls == [[{"key": ["é"]}, NOBODY, True]] * 3
    assert own == runtime.id
    assert runtime.log() == ""


def test_a_warm_up_is_for_templates_alone(ready):
    assert ready(WARMED + FORMS["promise"], env={"PILOTLIGHT_WARM_UP_EVENT": "1"}).call()[0] == []


@pytest.mark.parametrize("form", ["promise", "stream"])
@pytest.mark.parametrize("event", ["fails", "rejects"])
def test_a_warm_up_that_fails_is_told_and_ends(park, form, event):
    source = WARMED + FORMS[form].replace("answer(event, context)", "await answer(event, context)")
    runtime = park(source, env={"PILOTLIGHT_WARM_UP_EVENT": f'"{event}"'})
    runtime.replies()
    runtime.asks()
    assert len(runtime.call()[0]) == 1
    log = runtime.log()
    assert log.count("Invoke Error") == 1 and "RangeError" in log
    assert "The error above is of the warm-up by PILOTLIGHT_WARM_UP_EVENT, which ends here\n" in log


def test_what_nobody_catches_in_a_warm_up_fails_the_init(start):
    runtime = start(WARMED + FORMS["promise"], env={**SNAP_START, "PILOTLIGHT_WARM_UP_EVENT": '"later"'})
    assert runtime.init_error()["errorMessage"] == "late"


def test_hooks_still_fail_as_hooks_after_a_warm_up(park):
    runtime = park(
        WARMED + FORMS["promise"] + "\nawslambda.registerAfterRestore(() => { throw new RangeError('a'); });",
        env={"PILOTLIGHT_WARM_UP_EVENT": "1"},
    )
    runtime.replies()
    assert runtime.fails("restore/error", 65).json["errorMessage"] == "a"


def test_a_warm_up_event_that_is_no_json_is_ignored(park):
    runtime = park(WARMED + FORMS["promise"], env={"PILOTLIGHT_WARM_UP_EVENT": "{'a'"})
    runtime.replies()
    runtime.asks()
    assert runtime.call()[0] == []
    assert "PILOTLIGHT_WARM_UP_EVENT is not JSON: there is no warm-up\n" in runtime.log()


RANDOM = """
const crypto = require('crypto'); const vm = require('vm'); const { webcrypto } = crypto;
const pool = crypto.randomFillSync(Buffer.alloc(256)); for (let i = 0; i < 200; i++) crypto.randomFillSync(pool);
const other = crypto.getRandomValues(new Uint8Array(4096));
const key = crypto.randomFillSync(Buffer.alloc(32)).toString('hex');
const kept = { pool: Buffer.from(pool), other: Buffer.from(other), key };
const draw = () => ({
  math: Array.from({ length: 4 }, () => Math.random()), uuid: crypto.randomUUID(), web: webcrypto.randomUUID(),
  number: crypto.randomInt(2 ** 40), bytes: crypto.randomBytes(8).toString('hex'),
  context: vm.runInNewContext('[Math.random(), Math.random()]').join(),
  script: new vm.Script('Math.random()').runInNewContext(),
});
draw();
exports.handler = async (event) => event === 'pools'
  ? { pool: !kept.pool.equals(pool), other: !kept.other.equals(other), key }
  : draw();
"""


def test_what_is_kept_in_stock_is_made_anew(park):
    runtime = park(RANDOM)
    runtime.replies()
    runtime.asks()
    assert {name: value for name, value in runtime.call("pools").items() if name != "key"} == {
        "pool": True, "other": True,
    }
    first, second = runtime.call(), runtime.call()
    assert all(first[name] != second[name] for name in first)
    assert all(0 <= value < 1 for value in first["math"])


@pytest.mark.parametrize("name", ["randomUUID", "randomInt"])
def test_random_functions_look_like_nodes_own(park, name):
    runtime = park(
        "const crypto = require('crypto');\n"
        f"exports.handler = async () => import('node:crypto').then((m) => [m.{name} === crypto.{name}, crypto.{name}.name]);"
    )
    runtime.replies()
    runtime.asks()
    assert runtime.call() == [True, name]


def test_a_zygote_has_no_function_and_few_threads(start):
    runtime = start("exports.handler = async () => require('fs').readdirSync('/proc/self/task').length")
    runtime.asks()
    # Of the main thread, V8's worker and its timer, and the one that waits for SIGUSR1.
    assert runtime.call() == 4
