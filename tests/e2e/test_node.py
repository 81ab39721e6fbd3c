"""`nodejs20.x`: our own bootstrap in its own image, as a client sees it."""

import base64
import re

import pytest

from conftest import eventually


@pytest.fixture
def node(deploy):
    """Deploys CommonJS source, or a dict of files, as a Node.js function."""

    def make(source, **kwargs):
        files = source if isinstance(source, dict) else {"index.js": source}
        return deploy(files, **{"Runtime": "nodejs20.x", "Handler": "index.handler"} | kwargs)

    return make


def test_a_function_runs_cold_and_warm(node):
    function = node(
        "let count = 0;\n"
        "exports.handler = async (event, context) => ({ event, count: ++count, id: context.awsRequestId,\n"
        "  memory: context.memoryLimitInMB, left: context.getRemainingTimeInMillis() });"
    )
    first, second = function.call({"ü": [1, None]}), function.call("x" * 500_000)
    assert first["event"] == {"ü": [1, None]} and second["event"] == "x" * 500_000
    assert (first["count"], second["count"], first["memory"]) == (1, 2, "128")
    assert first["id"] != second["id"] and 0 < first["left"] <= 3000
    assert function.call(1)["count"] == 3


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"index.mjs": "export const handler = async () => 'es'"}, "index.handler"),
        ({"src/app.js": "export const handler = async () => 'es'", "package.json": '{"type": "module"}'}, "src/app.handler"),
        ({"index.js": "exports.handler = (event, context, callback) => setTimeout(callback, 5, null, 'es')"}, "index.handler"),
        (
            {"index.mjs": "import dep from 'dep'; export const handler = async () => dep",
             "node_modules/dep/index.js": "module.exports = 'es'"},
            "index.handler",
        ),
    ],
    ids=["mjs", "type-module", "callback", "node_modules"],
)
def test_modules_and_callbacks(node, files, handler):
    function = node(files, Handler=handler)
    assert [function.call(), function.call()] == ["es", "es"]


def test_the_image_has_what_functions_ask_for(node):
    function = node(
        "const { execSync } = require('child_process'); const fs = require('fs'), os = require('os');\n"
        "const { Worker } = require('worker_threads');\n"
        "exports.handler = async () => ({\n"
        "  version: process.version, path: fs.realpathSync(process.execPath), cwd: process.cwd(),\n"
        "  where: process.env.AWS_EXECUTION_ENV, child: execSync('node -p 6*7').toString().trim(),\n"
        "  tmp: fs.writeFileSync(os.tmpdir() + '/a', 'b'), time: new Date(0).toLocaleString('de', { month: 'long' }),\n"
        "  hash: require('crypto').createHash('md5').update('').digest('hex').slice(0, 4),\n"
        "  worker: await new Promise((resolve) => new Worker('require(\"worker_threads\").parentPort.postMessage(7)',\n"
        "    { eval: true }).once('message', resolve)),\n"
        "  ca: require('tls').rootCertificates.length > 100, modules: module.paths[0],\n"
        "});",
        MemorySize=256, Timeout=20,
    )
    found = function.call()
    assert re.fullmatch(r"v20\.\d+\.\d+", found.pop("version"))
    assert found == {
        "path": "/usr/bin/node", "cwd": "/var/task", "where": "AWS_Lambda_nodejs20.x", "child": "42", "time": "Januar",
        "hash": "d41d", "worker": 7, "ca": True, "modules": "/var/task/node_modules",
    }


def test_errors_keep_the_instance(node):
    function = node(
        "let count = 0;\nexports.handler = async (event) => { count += 1;\n"
        "  if (event === 'throw') throw new RangeError('no luck'); return count; }"
    )
    answer = function.invoke("throw")
    assert answer["FunctionError"] == "Unhandled"
    error = answer["json"]
    assert (error["errorType"], error["errorMessage"]) == ("RangeError", "no luck")
    assert error["trace"][0] == "RangeError: no luck" and "/var/task/index.js:3:" in error["trace"][1]
    assert not any("/var/runtime" in line for line in error["trace"])
    assert function.call() == 2


@pytest.mark.parametrize(
    ("source", "handler", "kind", "message"),
    [
        ("require('nope')", "index.handler", "Runtime.ImportModuleError", "Error: Cannot find module 'nope'"),
        ("exports.other = 1", "index.handler", "Runtime.HandlerNotFound", "index.handler is undefined or not exported"),
        ("const (", "index.handler", "Runtime.UserCodeSyntaxError", "SyntaxError: "),
        ("", "index", "Runtime.MalformedHandlerName", "Bad handler"),
        ("throw new TypeError('at init')", "index.handler", "TypeError", "at init"),
    ],
    ids=["import", "not-found", "syntax", "malformed", "init"],
)
def test_an_init_that_fails_is_told(node, source, handler, kind, message):
    answer = node(source, Handler=handler).invoke()
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == kind and answer["json"]["errorMessage"].startswith(message)


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ("exception", "Error", "late"),
        ("rejection", "Runtime.UnhandledPromiseRejection", "Error: lost"),
        ("exit", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
    ],
)
def test_an_instance_that_dies_is_told_and_replaced(node, event, kind, message):
    function = node(
        "exports.handler = (event, context, callback) => {\n"
        "  if (event === 'exception') setTimeout(() => { throw new Error('late'); }, 5);\n"
        "  else if (event === 'rejection') { Promise.reject(new Error('lost')); return new Promise(() => {}); }\n"
        "  else if (event === 'exit') process.exit(3);\n"
        "  else callback(null, 'alive');\n};"
    )
    assert function.call() == "alive"
    answer = function.invoke(event)
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == kind and answer["json"]["errorMessage"].endswith(message), answer["json"]
    assert function.call() == "alive"


def test_a_handler_that_takes_too_long_is_ended(node):
    function = node("exports.handler = async () => new Promise((resolve) => setTimeout(resolve, 60000))", Timeout=1)
    answer = function.invoke()
    assert answer["json"]["errorType"] == "Sandbox.Timedout", answer["json"]


def test_garbage_is_collected_before_the_memory_is_used_up(node):
    """30 MB are alive at a time, of 128; without a fitting heap the kernel would end the instance."""
    function = node(
        "exports.handler = async () => { const live = [];\n"
        "  for (let round = 0; round < 4; round++) for (let i = 0; i < 50000; i++) live[i] = { i, a: new Array(64).fill(round) };\n"
        "  return live.length; }",
        Timeout=60,
    )
    assert function.call() == 50000


def test_lines_have_lambdas_format(node, lines):
    function = node("console.log('at init');\nexports.handler = async (event) => { console.warn('got %j', event); }")
    answer = function.invoke({"a": 1}, LogType="Tail")
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    tail = base64.b64decode(answer["LogResult"]).decode()
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.search(rf'(?m)^{stamp}\t{request}\tWARN\tgot {{"a":1}}$', tail), tail
    read = eventually(lambda: [line for line in lines(function) if "at init" in line], "the line is there")
    assert re.search(rf"{stamp}\tundefined\tINFO\tat init$", read[0]), read
    assert any("INIT_START Runtime Version: nodejs:20." in line for line in lines(function))


STREAMING = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('application/json');
  if (event === 'early') throw new RangeError('early');
  for (const part of ['{"a"', ':', '1}']) { stream.write(part); await new Promise((done) => setTimeout(done, 5)); }
  if (event === 'late') throw new RangeError('late');
  stream.end();
});
"""


def test_a_streamed_answer_comes_whole(node):
    function = node(STREAMING)
    assert [function.call(), function.call()] == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize("event", ["early", "late"])
def test_a_streamed_answer_that_fails_is_an_error(node, event):
    function = node(STREAMING)
    answer = function.invoke(event)
    assert answer["FunctionError"] == "Unhandled"
    assert (answer["json"]["errorType"], answer["json"]["errorMessage"]) == ("RangeError", event)
    assert function.call() == {"a": 1}


def test_wrappers_and_options_of_the_user(node):
    files = {
        "index.js": "exports.handler = async () => [process.env.WRAPPED, process.env.AWS_LAMBDA_EXEC_WRAPPER ?? null,\n"
                    "  process.execArgv.includes('--no-warnings') || process.env.NODE_OPTIONS, globalThis.early]",
        "early.js": "globalThis.early = true",
        # A package's files are executable where its zip says so; the shell needs no such right.
        "bootstrap": '#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n',
    }
    variables = {
        "AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap", "NODE_OPTIONS": "--require /var/task/early.js --no-warnings",
    }
    function = node(files, Environment={"Variables": variables})
    assert function.call() == ["yes", None, variables["NODE_OPTIONS"], True]


def test_a_wrapper_that_is_not_there_is_told(node):
    function = node("exports.handler = async () => 1", Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/nowhere"}})
    answer = function.invoke()
    assert answer["json"]["errorType"] == "Runtime.ExitError"
    assert answer["json"]["errorMessage"].endswith("exit status 127"), answer["json"]
