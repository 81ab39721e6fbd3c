"""How the handler is found, and what is said when it is not."""

import time

import pytest


def test_first_ask_carries_the_times(ready):
    before = time.monotonic_ns()
    runtime = ready("import time; time.sleep(0.02)\ndef handler(e, c): return 1")
    begun = int(runtime.first.headers["pilotlight-runtime-ready"])
    done = int(runtime.first.headers["pilotlight-user-init-done"])
    assert before < begun < done < time.monotonic_ns()
    assert done - begun >= 20_000_000
    assert runtime.first.version == "HTTP/1.1" and runtime.first.headers["host"]
    runtime.sends(None)
    runtime.read()
    assert "pilotlight-runtime-ready" not in runtime.asks().headers


@pytest.mark.parametrize("handler", ["src/pkg/mod.run", "src.pkg.mod.run"])
def test_module_in_a_package(ready, handler):
    runtime = ready("", handler, files={"src/pkg/mod.py": "def run(e, c): return __name__"})
    assert runtime.call() == "src.pkg.mod"


def test_missing_module(start):
    error = start("", "nope.handler").init_error()
    assert error == {
        "errorMessage": "Unable to import module 'nope': No module named 'nope'",
        "errorType": "Runtime.ImportModuleError",
        "requestId": "",
        "stackTrace": [],
    }


def test_import_error_inside_the_module(start):
    error = start("import not_there").init_error()
    assert error["errorType"] == "Runtime.ImportModuleError"
    assert error["errorMessage"] == "Unable to import module 'app': No module named 'not_there'"


def test_syntax_error(start):
    runtime = start("x = 1\ndef handler(:\n  pass\n")
    error = runtime.init_error()
    assert error["errorType"] == "Runtime.UserCodeSyntaxError"
    assert error["errorMessage"] == "Syntax error in module 'app': invalid syntax (app.py, line 2)"
    assert error["stackTrace"] == [f'  File "{runtime.task}/app.py" Line 2\n    def handler(:\n']


def test_missing_function(start):
    error = start("x = 1").init_error()
    assert error["errorType"] == "Runtime.HandlerNotFound"
    assert error["errorMessage"] == "Handler 'handler' missing on module 'app'"


def test_malformed_name(start):
    error = start("", "app").init_error()
    assert error["errorType"] == "Runtime.MalformedHandlerName"
    assert error["errorMessage"] == (
        "Bad handler 'app': not enough values to unpack (expected 2, got 1)"
    )


def test_builtin_module(start):
    error = start("", "sys.exit").init_error()
    assert error["errorType"] == "Runtime.BuiltInModuleConflict"
    assert error["errorMessage"] == "Cannot use built-in module sys as a handler module"


def test_exception_at_import_shows_user_frames_only(start):
    runtime = start("def f():\n    return {}['key']\n\nf()\n")
    error = runtime.init_error()
    assert error["errorType"] == "KeyError" and error["errorMessage"] == "'key'"
    assert error["stackTrace"] == [
        f'  File "{runtime.task}/app.py", line 4, in <module>\n    f()\n',
        f"  File \"{runtime.task}/app.py\", line 2, in f\n    return {{}}['key']\n",
    ]
    log = runtime.log()
    assert log.startswith("[ERROR] KeyError: 'key'\nTraceback (most recent call last):\n  File")


def test_exit_at_import_is_the_process_exit(start):
    runtime = start("import sys\nsys.exit(7)")
    assert runtime.process.wait(30) == 7
    with pytest.raises((EOFError, ConnectionError)):
        runtime.read()
