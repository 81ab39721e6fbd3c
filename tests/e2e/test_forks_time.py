"""Time goes on in a parked process: what was armed in init is due when it was, also where that has passed."""

import time

import pytest

from forks import NODE, call, deploy_java

# Behind the deploy and the first starts, and what starts later finds it has passed.
DUE_SECONDS = 3
LATE = 0.75
# The kernel does not tell how long these have waited already, so that an instance waits anew: never too short.
ANEW = {"select", "poll", "recv"}

PYTHON_TIMERS = """
import asyncio, queue, select, socket, threading, time

BEGIN, DUE = time.monotonic(), 3
ended, armed = {}, ["Timer"]

def raises(kind, function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except kind:
        return
    raise AssertionError

def watch(name, wait):
    armed.append(name)
    def run():
        wait()
        ended[name] = time.monotonic() - BEGIN
    threading.Thread(target=run, daemon=True, name=name).start()

one, other = socket.socketpair()
one.settimeout(DUE)
threading.Timer(DUE, lambda: ended.setdefault("Timer", time.monotonic() - BEGIN)).start()
watch("sleep", lambda: time.sleep(DUE))
watch("Event.wait", lambda: threading.Event().wait(DUE))
watch("queue.get", lambda: raises(queue.Empty, queue.Queue().get, timeout=DUE))
watch("lock", lambda: [lock := threading.Lock(), lock.acquire(), lock.acquire(timeout=DUE)])
watch("select", lambda: select.select([other], [], [], DUE))
watch("poll", lambda: [poll := select.poll(), poll.register(other, select.POLLIN), poll.poll(DUE * 1000)])
watch("epoll", lambda: select.epoll().poll(DUE))
watch("recv", lambda: raises(TimeoutError, one.recv, 1))
watch("asyncio", lambda: asyncio.run(asyncio.sleep(DUE)))

def lambda_handler(event, context):
    began = time.monotonic() - BEGIN
    while len(ended) < len(armed) and time.monotonic() - BEGIN < began + 5:
        time.sleep(0.005)
    return {"began": began, "ended": ended, "wall": time.time(), "armed": armed}
"""

NODE_TIMERS = """
const { setTimeout: later } = require('timers/promises');
const BEGIN = performance.now(), DUE = 3000;
const ended = {}, since = () => (performance.now() - BEGIN) / 1000;
setTimeout(() => { ended.setTimeout = since(); }, DUE);
later(DUE).then(() => { ended.promise = since(); });
const timeout = AbortSignal.timeout(DUE);
timeout.onabort = () => { ended.AbortSignal = since(); };
let ticks = 0;
setInterval(() => { ticks += 1; }, 50);
exports.handler = async () => {
  const began = since(), first = ticks, immediate = await new Promise((done) => setImmediate(done, 'done'));
  while (Object.keys(ended).length < 3 && since() < began + 5) await later(5);
  await later(500);
  return { began, ended, wall: Date.now() / 1000, ticks: ticks - first, ran: since() - began, immediate,
    armed: ['setTimeout', 'promise', 'AbortSignal'] };
};
"""


def python(deploy, _):
    return deploy(PYTHON_TIMERS, Timeout=20)


def node(deploy, _):
    return deploy({"index.js": NODE_TIMERS}, **NODE | {"Timeout": 20})


def java(deploy, classes):
    return deploy_java(deploy, classes, "time")


@pytest.mark.parametrize("make", [python, node, java])
def test_what_was_armed_in_init_is_due_when_it_was(platform, deploy, java_classes, make):
    timers, event = make(deploy, java_classes), {"do": "time"}
    early, seen_early = call(platform, timers, "forked", event), time.time()
    assert early["began"] < DUE_SECONDS, "the deploy took so long that nothing can be seen"
    # The template is older now than what was armed.
    late, seen_late = call(platform, timers, "forked", event), time.time()
    assert late["began"] > DUE_SECONDS
    for found, seen in ((early, seen_early), (late, seen_late)):
        due = max(DUE_SECONDS, found["began"])
        latest = {name: found["began"] + DUE_SECONDS if name in ANEW else due for name in found["ended"]}
        wrong = {name: at for name, at in found["ended"].items() if not due - 0.02 <= at <= latest[name] + LATE}
        assert not wrong, f"due at {due}: {wrong}"
        assert abs(found["wall"] - seen) < LATE, "the clock stood still"
        if "ticks" in found:
            assert found["ran"] / 0.05 / 2 < found["ticks"] < found["ran"] / 0.05 + 5 and found["immediate"] == "done"
    assert early["ended"].keys() == late["ended"].keys() == set(early["armed"]), "a wait did not end"
