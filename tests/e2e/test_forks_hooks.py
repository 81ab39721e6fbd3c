"""Hooks run as on Lambda SnapStart: before the process is parked, last registered first; after the restore, first
registered first; and what they throw is told as documented."""

import pytest

from conftest import eventually
from forks import NODE, call, counts, kind_of, start

PYTHON = """
import os, socket
from snapshot_restore_py import register_after_restore, register_before_snapshot
told = ["init"]
register_before_snapshot(told.append, "before 1")
register_before_snapshot(told.append, "before 2")
register_after_restore(told.append, "after 1")
@register_after_restore
def after():
    told.append("after 2 in " + os.environ["AWS_LAMBDA_LOG_STREAM_NAME"])
server = socket.create_server(("127.0.0.1", 0))
register_before_snapshot(server.close)
FAILS
def lambda_handler(event, context):
    told.append("handler")
    return {"told": told, "stream": context.log_stream_name}
"""
PYTHON_FAILS = "def fail():\n    raise ValueError('as asked')\nregister_{}(fail)\n"

NODE_SOURCE = """
const told = ['init'];
const { registerBeforeSnapshot: before, registerAfterRestore: after } = globalThis.awslambda;
before((text) => told.push(text), 'before 1');
before(async () => { await new Promise((done) => setTimeout(done, 5)); told.push('before 2'); });
after((text) => told.push(text), 'after 1');
after(async () => { await null; told.push(`after 2 in ${process.env.AWS_LAMBDA_LOG_STREAM_NAME}`); });
const server = require('net').createServer().listen(0);
before(() => new Promise((done) => server.close(done)));
FAILS
exports.handler = async (event, context) => {
  told.push('handler');
  return { told, stream: context.logStreamName };
};
"""
NODE_FAILS = "globalThis.awslambda.register{}(() => {{ throw new RangeError('as asked'); }});"
RUNTIMES = {
    "python": (PYTHON, PYTHON_FAILS, {"before": "before_snapshot", "after": "after_restore"}, {}),
    "node": (NODE_SOURCE, NODE_FAILS, {"before": "BeforeSnapshot", "after": "AfterRestore"}, NODE),
}


@pytest.fixture(params=RUNTIMES)
def hooked(request, deploy):
    """Deploys a function with hooks, of which one fails if asked for."""
    source, failing, names, members = RUNTIMES[request.param]

    def make(fails=None, **kwargs):
        text = source.replace("FAILS", failing.format(names[fails]) if fails else "")
        name = "index.js" if members else "lambda_function.py"
        return deploy({name: text}, **members | {"MemorySize": 512, "Timeout": 15} | kwargs)

    return make


def test_they_run_in_order_and_where_there_is_a_template(platform, hooked):
    function = hooked()
    assert counts(platform, function.name)["refusal"] is None, "what a hook closes is no reason"
    for kind in ("forked", "spare", "forked"):
        found = call(platform, function, kind)
        after = ["after 1", f"after 2 in {found['stream']}"]
        assert found["told"] == ["init", "before 2", "before 1", *after, "handler"], kind
    for kind in ("zygote", "booted"):
        assert call(platform, function, kind)["told"] == ["init", "handler"], kind


def test_one_that_fails_before_leaves_no_template(platform, hooked, lines):
    function = hooked("before")
    found = counts(platform, function.name)
    assert (found["rung"], found["spares"], found["template_bytes"]) == ("zygote", 0, 0)
    # The function works without.
    answer = function.invoke()
    assert kind_of(answer) == "zygote" and answer["json"]["told"] == ["init", "handler"]
    logged = eventually(lambda: any("as asked" in line for line in lines(function)) and lines(function), "it is told")
    assert any("Status: error\tError Type: Runtime.BeforeSnapshotError" in line for line in logged), logged


def test_one_that_fails_after_fails_the_start(platform, hooked, lines):
    function = hooked("after")
    answer = start(platform, function, "forked")
    assert answer.get("FunctionError") == "Unhandled"
    error = answer["json"]
    assert error["errorType"] in ("ValueError", "RangeError") and error["errorMessage"] == "as asked"
    assert "/var/runtime" not in str(error), "who called the hook is nobody's business"
    eventually(lambda: any("RESTORE_REPORT" in line and "Runtime.AfterRestoreError" in line for line in lines(function)), "it is told")
    # Without a template no hook runs.
    assert call(platform, function, "zygote")["told"] == ["init", "handler"]
