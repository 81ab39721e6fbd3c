"""Events in, answers and errors out."""

import json

import pytest

ECHO = "exports.handler = async (event) => event"


def test_events_and_answers(ready):
    runtime = ready(ECHO)
    for event in [None, 1, -2.5, "text", "\u00e9\u4e2d\U0001f525", [], {}, {"a": [1, {"b": None}]}, True]:
        assert runtime.call(event) == event
    message = runtime.answer({"ü": 1.0})
    assert message.body == '{"ü":1}'.encode() and message.headers["content-type"] == "application/json"


def test_large_bodies_both_ways(ready):
    runtime = ready("exports.handler = async (event) => event + event")
    event = "xü" * 1_500_000
    assert runtime.call(event) == event * 2
    assert runtime.call("small") == "smallsmall"


def test_an_event_in_pieces(ready):
    runtime = ready(ECHO)
    for size in (1, 7, 300):
        runtime.sends({"n": list(range(100))}, chunk=size)
        assert runtime.read().json == {"n": list(range(100))}
        runtime.asks()
        runtime.acknowledges()


def test_the_next_event_is_asked_for_with_the_answer(ready):
    """Before the platform has acknowledged: a warm call costs one wake-up less."""
    runtime = ready(ECHO)
    runtime.sends(1)
    assert runtime.read().json == 1
    runtime.asks()
    runtime.acknowledges()
    assert runtime.call(2) == 2


def test_a_refused_answer_is_not_the_end(ready):
    runtime = ready(ECHO)
    runtime.sends("large")
    runtime.read()
    runtime.asks()
    runtime.acknowledges("413 Payload Too Large")
    assert runtime.call("small") == "small"


def test_event_that_is_not_json(ready):
    runtime = ready(ECHO)
    assert runtime.error(b"{nope")["errorType"] == "SyntaxError"
    assert runtime.call(1) == 1


HANDLERS = """
const later = (act) => setTimeout(act, 30);
exports.returns = (event) => 'ignored';
exports.promise = (event) => Promise.resolve('p');
exports.thenable = () => ({ then: (resolve) => resolve('t') });
exports.callback = (event, context, callback) => callback(null, 'c');
exports.laterCallback = (event, context, callback) => later(() => callback(null, 'lc'));
exports.done = (event, context) => context.done(null, 'd');
exports.succeed = (event, context) => context.succeed('s');
exports.nothing = async () => {};
exports.functions = async () => () => {};
exports.first = (event, context, callback) => {
  callback(null, 1);
  callback(null, 2);
  context.succeed(3);
};
exports.nested = { deep: { handler: async () => 'n' } };
"""


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("returns", None), ("promise", "p"), ("thenable", "t"), ("callback", "c"), ("laterCallback", "lc"),
        ("done", "d"), ("succeed", "s"), ("nothing", None), ("functions", None), ("first", 1),
        ("nested.deep.handler", "n"),
    ],
)
def test_ways_to_answer(ready, name, answer):
    runtime = ready(HANDLERS, f"app.{name}")
    assert runtime.call() == answer
    assert runtime.call() == answer


WAITING = """
let timers = 0;
exports.handler = (event, context, callback) => {
  setTimeout(() => { timers += 1; }, 50);
  if (event === 'now') context.callbackWaitsForEmptyEventLoop = false;
  if (event === 'promise') return Promise.resolve(timers);
  if (event !== 'nothing') callback(null, () => 0);
};
exports.count = async () => timers;
const { handler, count } = exports;
exports.handler = (event, context, callback) => event === 'count' ? count() : handler(event, context, callback);
"""


def test_a_callback_waits_for_the_event_loop(ready):
    runtime = ready(WAITING)
    runtime.call("wait")
    assert runtime.call("count") == 1
    runtime.call("nothing")
    assert runtime.call("count") == 2
    # Neither of these waits; their timers go on while the process is idle.
    runtime.call("now")
    assert runtime.call("promise") == 2


FAILURES = """
class Odd extends Error { constructor(m) { super(m); this.name = 'Odd\\r\\nX: y'; this.code = 7; } }
const inner = (event) => { throw new TypeError('no ' + event); };
let count = 0;
exports.handler = (event, context, callback) => {
  count += 1;
  switch (event) {
    case 'count': return Promise.resolve(count);
    case 'throw': return inner('luck');
    case 'reject': return Promise.reject(new RangeError('r'));
    case 'callback': return callback(new Error('c'));
    case 'text': return callback('a text');
    case 'fail': return context.fail(new Error('f'));
    case 'failNothing': return context.fail();
    case 'odd': return Promise.reject(new Odd('o'));
    case 'object': return Promise.reject({ a: 1 });
    case 'circle': { const a = {}; a.a = a; return Promise.resolve(a); }
    case 'big': return callback(null, 1n);
    case 'undefined': return Promise.reject();
    case 'symbol': return Promise.reject(Symbol('s'));
    case 'bare': return Promise.reject(Object.create(null));
  }
};
"""


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("throw", "TypeError", "no luck"), ("reject", "RangeError", "r"), ("callback", "Error", "c"),
        ("text", "string", "a text"), ("fail", "Error", "f"), ("failNothing", "string", "handled"),
        ("odd", "Odd\r\nX: y", "o"), ("object", "object", "[object Object]"),
        ("circle", "Error", "Unable to stringify response body"),
        ("big", "Error", "Unable to stringify response body"), ("undefined", "string", "handled"),
        ("symbol", "symbol", "Symbol(s)"), ("bare", "object", "[object Object]"),
    ],
)
def test_kinds_of_errors(ready, event, kind, message):
    runtime = ready(FAILURES)
    error = runtime.error(event)
    assert (error["errorType"], error["errorMessage"]) == (kind, message)
    assert runtime.call("count") == 2


def test_an_error_shows_where_it_was_and_not_the_runtime(ready):
    runtime = ready(FAILURES)
    error = runtime.error("throw")
    assert error["trace"][0] == "TypeError: no luck"
    assert f"at inner ({runtime.task}/app.js:3:" in error["trace"][1]
    assert not any("bootstrap" in line or "invocation.cjs" in line for line in error["trace"])
    [line] = runtime.log().splitlines()
    stamp, request, level, text = line.split("\t", 3)
    assert (request, level) == (runtime.id, "ERROR") and stamp.endswith("Z")
    title, logged = text.split("\t")
    assert title == "Invoke Error "
    assert json.loads(logged) == {"errorType": "TypeError", "errorMessage": "no luck", "stack": error["trace"]}


UNCAUGHT = """
exports.handler = (event, context, callback) => new Promise(() => {
  if (event === 'timer') setTimeout(() => { throw new Error('late'); }, 1);
  if (event === 'rejection') Promise.reject(new Error('lost'));
  if (event === 'exit') process.exit(5);
  if (event === 'after') callback(null, setTimeout(() => { throw new Error('after'); }, 20) && null);
});
"""


def test_what_nobody_catches_ends_the_process(ready):
    runtime = ready(UNCAUGHT)
    error = runtime.dies("timer", 129)
    assert (error["errorType"], error["errorMessage"]) == ("Error", "late")
    assert "ERROR\tUncaught Exception \t{" in runtime.log()


def test_a_rejection_that_nobody_handles_ends_the_process(ready):
    runtime = ready(UNCAUGHT)
    error = runtime.dies("rejection", 128)
    assert error["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert error["errorMessage"] == "Error: lost"
    logged = json.loads(runtime.log().split("Unhandled Promise Rejection \t")[1])
    assert logged["reason"]["errorMessage"] == "lost" and logged["promise"] == {}


def test_exit_is_the_process_exit(ready):
    runtime = ready(UNCAUGHT)
    runtime.sends("exit")
    assert runtime.process.wait(30) == 5


def test_an_error_between_invocations_ends_the_process(ready):
    runtime = ready(
        "exports.handler = async () => { setTimeout(() => { throw new Error('between'); }, 20); }"
    )
    runtime.call()
    assert runtime.process.wait(30) == 129
    assert "between" in runtime.log()


def test_hanging_up_is_a_quiet_end(ready):
    runtime = ready(ECHO)
    assert runtime.call(1) == 1
    assert runtime.end() == ("", "")
    assert runtime.process.returncode == 0


def test_threads_and_children(ready):
    runtime = ready(
        "const { execSync } = require('child_process'); const { Worker } = require('worker_threads');\n"
        "exports.handler = async (event) => event === 'shell'\n"
        "  ? execSync('ls /proc/self/fd').toString().trim().split('\\n')\n"
        "  : new Promise((resolve) => new Worker('require(\"worker_threads\").parentPort.postMessage(6 * 7)',\n"
        "      { eval: true }).once('message', resolve));\n"
    )
    assert runtime.call("worker") == 42
    # 0, 1, 2 and the folder itself: the platform's socket is not handed on.
    assert runtime.call("shell") == ["0", "1", "2", "3"]


def test_answers_are_ours_even_when_json_is_patched(ready):
    runtime = ready("JSON.parse = JSON.stringify = null; exports.handler = async (e) => ({ e })")
    assert runtime.call({"x": 1}) == {"e": {"x": 1}}
