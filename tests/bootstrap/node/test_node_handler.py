"""How the handler is found, and what is said when it is not."""

import time

import pytest

ANSWER = "exports.handler = async () => __filename"


def test_first_ask_carries_the_times(ready):
    before = time.monotonic_ns()
    runtime = ready(
        "const end = Date.now() + 20; while (Date.now() <= end);\nexports.handler = async () => 1"
    )
    begun = int(runtime.first.headers["pilotlight-runtime-ready"])
    done = int(runtime.first.headers["pilotlight-user-init-done"])
    assert before < begun < done < time.monotonic_ns()
    assert done - begun >= 19_000_000
    assert runtime.first.version == "HTTP/1.1" and runtime.first.headers["host"]
    runtime.sends(None)
    runtime.read()
    assert "pilotlight-runtime-ready" not in runtime.asks().headers


ESM = "export const handler = async () => import.meta.url; export const nested = { handler };"


@pytest.mark.parametrize(
    ("files", "handler", "answer"),
    [
        ({"app.js": ANSWER}, "app.handler", "/app.js"),
        ({"app.cjs": ANSWER}, "app.handler", "/app.cjs"),
        ({"app": ANSWER}, "app.handler", "/app"),
        ({"app.mjs": ESM}, "app.handler", "/app.mjs"),
        ({"app.mjs": ESM}, "app.nested.handler", "/app.mjs"),
        ({"app.js": ESM, "package.json": '{"type": "module"}'}, "app.handler", "/app.js"),
        ({"src/pkg/app.js": ANSWER}, "src/pkg/app.handler", "/src/pkg/app.js"),
        ({"src/app.js": ESM, "package.json": '{"type": "module"}'}, "src/app.handler", "/src/app.js"),
        ({"src/app.js": ANSWER, "src/package.json": "{}", "package.json": '{"type": "module"}'}, "src/app.handler",
         "/src/app.js"),
        ({"node_modules/pkg/index.js": ANSWER}, "pkg.handler", "/node_modules/pkg/index.js"),
        ({"a b#?%.mjs": ESM}, "a b#?%.handler", "/a%20b%23%3F%25.mjs"),
    ],
)
def test_modules(ready, files, handler, answer):
    assert ready(files, handler).call().endswith(answer)


def test_an_init_that_awaits(ready):
    source = "const n = await new Promise((r) => setTimeout(r, 20, 7)); export const handler = async () => n"
    assert ready({"app.mjs": source}).call() == 7


def test_missing_module(start):
    runtime = start("", "nope.handler")
    assert runtime.init_error() == {
        "errorType": "Runtime.ImportModuleError",
        "errorMessage": "Error: Cannot find module 'nope'\nRequire stack:\n- /var/runtime/index.mjs",
        "trace": [
            "Runtime.ImportModuleError: Error: Cannot find module 'nope'",
            "Require stack:",
            "- /var/runtime/index.mjs",
        ],
    }
    assert "\tundefined\tERROR\tUncaught Exception \t{\"errorType\":\"Runtime.ImportModuleError\"" in runtime.log()


def test_module_that_is_missing_inside_the_module(start):
    error = start("require('not-there')").init_error()
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"].startswith("Error: Cannot find module 'not-there'\nRequire stack:\n- /")


def test_package_that_is_missing_inside_an_es_module(start):
    error = start({"app.mjs": "import 'not-there'"}).init_error()
    assert error["errorType"] == "Error" and "Cannot find package 'not-there'" in error["errorMessage"]


def test_syntax_error(start):
    runtime = start("const x = 1;\nfunction (\n")
    error = runtime.init_error()
    assert error["errorType"] == "Runtime.UserCodeSyntaxError"
    assert error["errorMessage"] == "SyntaxError: Function statements require a function name"
    assert f"{runtime.task}/app.js:2" in error["trace"]


def test_syntax_error_in_an_es_module(start):
    assert start({"app.mjs": "function ("}).init_error()["errorType"] == "Runtime.UserCodeSyntaxError"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("exports.other = 1", "app.handler is undefined or not exported"),
        ("exports.handler = 1", "app.handler is not a function"),
    ],
)
def test_missing_function(start, source, message):
    error = start(source).init_error()
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.HandlerNotFound", message)


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("app", "Bad handler"),
        (
            "../app.handler",
            "'../app.handler' is not a valid handler name. Use absolute paths when specifying root directories in "
            "handler names.",
        ),
    ],
)
def test_malformed_name(start, handler, message):
    error = start("", handler).init_error()
    assert (error["errorType"], error["errorMessage"]) == ("Runtime.MalformedHandlerName", message)


def test_error_at_load(start):
    runtime = start("const f = () => { throw new RangeError('at load'); };\nf();")
    error = runtime.init_error()
    assert (error["errorType"], error["errorMessage"]) == ("RangeError", "at load")
    assert f"at f ({runtime.task}/app.js:1:" in error["trace"][1]
    assert "Uncaught Exception" in runtime.log()


def test_rejection_at_load(start):
    runtime = start("Promise.reject(new Error('r')); exports.handler = async () => 1")
    assert runtime.init_error(128)["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert runtime.buffer == b"", "it does not ask for an event any more"


def test_exit_at_load_is_the_process_exit(start):
    assert start("process.exit(7)").process.wait(30) == 7


def test_an_init_that_waits_for_nothing_ends(start):
    assert start({"app.mjs": "await new Promise(() => {}); export const handler = 1"}).process.wait(30) == 13
