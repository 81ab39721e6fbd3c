"""How a Java handler is found, what it is called with, and what is said when it is not there."""

import shutil
import subprocess
import time

import pytest
from java_api import JDK


def test_first_ask_carries_the_times(ready):
    before = time.monotonic_ns()
    runtime = ready("fn.Echo")
    begun = int(runtime.first.headers["pilotlight-runtime-ready"])
    done = int(runtime.first.headers["pilotlight-user-init-done"])
    assert before < begun < done < time.monotonic_ns()
    runtime.sends(None)
    runtime.read()
    assert "pilotlight-runtime-ready" not in runtime.asks().headers


@pytest.mark.parametrize(
    ("method", "event", "answer"),
    [
        ("nothing", {}, "nothing"),
        ("context", {}, "fn"),
        ("number", 41, 42),
        ("number", "41", 42),
        ("number", None, 1),
        ("boxed", 21, 42),
        ("boxed", None, None),
        ("fixed", "text", "static text"),
        ("fixed", 1.50, "static 1.5"),
        ("noAnswer", {}, None),
        ("list", ["a"], ["a", "end"]),
        ("list", "a", ["a", "end"]),
        ("streams", {"any": [1]}, {"any": [1]}),
        ("onlyOut", {}, "out"),
        ("onlyIn", {}, None),
        ("overloaded", "x", "two"),
    ],
)
def test_methods(ready, method, event, answer):
    assert ready(f"fn.Forms::{method}").call(event) == answer


def test_a_method_with_streams_and_context(ready):
    runtime = ready("fn.Forms::streamsAndContext")
    assert runtime.answer({}).body == runtime.id.encode()


@pytest.mark.parametrize(
    ("handler", "event", "answer"),
    [
        ("fn.Echo", {"a": 1}, {"a": 1}),
        ("fn.Forms$Derived", {"a": "1"}, "LinkedHashMap{a=1}"),
        ("fn.Forms$Bytes", 12, 1212),
        ("fn.Forms$Void", "x", None),
    ],
)
def test_interfaces(ready, handler, event, answer):
    assert ready(handler).call(event) == answer


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("fn.Nope", "java.lang.ClassNotFoundException", "Class not found: fn.Nope"),
        ("fn.Nope::x", "java.lang.ClassNotFoundException", "Class not found: fn.Nope"),
        ("fn.Forms::nope", None, "No public method named nope with appropriate method signature found on class fn.Forms"),
        ("fn.Forms::hidden", None, "No public method named hidden with appropriate method signature found on class fn.Forms"),
        ("fn.Forms::tooMany", None, "No public method named tooMany with appropriate method signature found on class fn.Forms"),
        ("fn.Forms", None, "Class does not implement an appropriate handler interface: fn.Forms"),
        ("fn.Forms::", None, "Invalid handler: `fn.Forms::'"),
        ("fn.Forms$Inner", "java.lang.Exception",
         "Class fn.Forms$Inner cannot be instantiated because it is a non-static inner class"),
        ("fn.Forms$NoConstructor", "java.lang.Exception",
         "Class fn.Forms$NoConstructor has no public zero-argument constructor"),
        ("fn.Forms$Raw", None,
         "Class fn.Forms$Raw does not implement RequestHandler with concrete type parameters: parameter T has no upper bound."),
    ],
)
def test_a_wrong_name_is_the_answer_to_every_event(ready, handler, error_type, message):
    runtime = ready(handler)
    for _ in range(2):
        error = runtime.error()
        assert error == {"errorMessage": message} | ({"errorType": error_type} if error_type else {})
    assert message in runtime.log()


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("fn.Forms$BadConstructor", "java.lang.IllegalStateException", "no way"),
        ("fn.Forms$BadStatic", "java.lang.ExceptionInInitializerError", "Error loading class fn.Forms$BadStatic"),
    ],
)
def test_what_user_code_throws_ends_the_init(start, handler, error_type, message):
    runtime = start(handler)
    assert runtime.init_error() == {"errorMessage": message, "errorType": error_type}
    log = runtime.log()
    assert log.startswith(f"{message}: {error_type}\n")
    assert "at fn.Forms$" in log and "dev.pilotlight" not in log


def test_classes_come_from_the_jars_in_lib(ready, classes, tmp_path):
    (tmp_path / "lib").mkdir()
    jar = [JDK / "bin" / "jar", "--create", "--file", tmp_path / "lib" / "fn.jar", "-C", classes.functions, "."]
    subprocess.run(jar, check=True)
    assert ready("fn.Echo", task=tmp_path).call("from a jar") == "from a jar"


def test_a_serializer_of_the_functions_own(ready, classes, tmp_path):
    shutil.copytree(classes.functions, tmp_path, dirs_exist_ok=True)
    service = tmp_path / "META-INF" / "services" / "com.amazonaws.services.lambda.runtime.CustomPojoSerializer"
    service.parent.mkdir(parents=True)
    service.write_text("fn.Serializer")
    assert ready("fn.Forms::fixed", task=tmp_path).call("event") == "java.lang.String static 'EVENT'"
