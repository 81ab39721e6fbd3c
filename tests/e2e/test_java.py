"""`java17`: zips and jars, handlers and errors, memory and options, as clients see them."""

import subprocess

import pytest

from packages import JDK, compiled, package
from pilot_up import ROOT

SOURCE = """
package fn;

import com.amazonaws.services.lambda.runtime.*;
import java.io.*;
import java.util.*;

public class Fn implements RequestHandler<Map<String, Object>, Object> {
    private static int count;

    public Object handleRequest(Map<String, Object> event, Context context) {
        switch ((String) event.getOrDefault("do", "")) {
            case "count": return List.of(++count, ProcessHandle.current().pid());
            case "fail": throw new IllegalStateException("as asked");
            case "fill":
                List<byte[]> all = new ArrayList<>();
                while (true) all.add(new byte[1 << 20]);
            case "churn":
                List<byte[]> kept = new ArrayList<>();
                for (int i = 0; i < (int) event.get("mb"); i++) kept.add(new byte[1 << 20]);
                long sum = 0;
                for (int i = 0; i < 5000; i++) sum += new byte[1 << 20].length + kept.get(i % kept.size()).length;
                return sum >> 20;
            case "memory": return Runtime.getRuntime().maxMemory() >> 20;
            case "property": return System.getProperty((String) event.get("name"));
            case "variable": return System.getenv((String) event.get("name"));
            case "large": return "x".repeat((int) event.get("length"));
            case "log": context.getLogger().log("from Java"); System.out.println("and out"); return null;
            case "exit": System.exit(4);
            case "random": return UUID.randomUUID().toString();
            case "tmp": return tmp();
            default: return event;
        }
    }

    private static Object tmp() {
        try {
            File file = File.createTempFile("abc", ".tmp");
            return file.getParent() + " " + System.getProperty("user.dir") + " " + new File(".").getCanonicalPath();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public static class Bad implements RequestHandler<Object, Object> {
        static { if (true) throw new IllegalStateException("no init"); }
        public Object handleRequest(Object event, Context context) { return null; }
    }

    public static class Bytes implements RequestStreamHandler {
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            in.transferTo(out);
        }
    }

    public Map<String, String> plain(Map<String, String> event) {
        return event;
    }
}
"""


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """The compiled functions as `{name: bytes}`."""
    return compiled(tmp_path_factory.mktemp("java"), "Fn.java", SOURCE)


@pytest.fixture
def java(deploy, classes):
    def make(handler="fn.Fn", files=None, **kwargs):
        members = dict(Runtime="java17", Handler=handler, MemorySize=512, Timeout=15)
        return deploy(files or classes, **(members | kwargs))

    return make


@pytest.mark.parametrize("handler", ["fn.Fn", "fn.Fn$Bytes", "fn.Fn::plain"])
def test_forms_of_handlers(java, handler):
    assert java(handler).call({"text": "ünïcode 🔥"}) == {"text": "ünïcode 🔥"}


def test_a_warm_instance_is_used_again(java):
    function = java()
    assert function.call({"do": "count"}) == [1, function.call({"do": "count"})[1]]
    assert function.call({"do": "count"})[0] == 3


def test_classes_in_a_jar_in_lib(java, classes):
    assert java(files={"lib/fn.jar": package(classes)}).call({"a": 1}) == {"a": 1}


def test_errors(java):
    function = java()
    answer = function.invoke({"do": "fail"})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "java.lang.IllegalStateException"
    assert answer["json"]["errorMessage"] == "as asked"
    assert answer["json"]["stackTrace"][0].startswith("fn.Fn.handleRequest(Fn.java:")
    assert function.call({"do": "count"})[0] == 1
    answer = function.invoke({"do": "exit"})
    assert answer["json"]["errorType"] == "Runtime.ExitError" and "exit status 4" in answer["json"]["errorMessage"]
    assert function.call({"a": 1}) == {"a": 1}


def test_a_class_that_is_not_there(java):
    answer = java("fn.Nope").invoke({})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"] == {"errorMessage": "Class not found: fn.Nope", "errorType": "java.lang.ClassNotFoundException"}


def test_a_class_that_fails_to_load(java):
    answer = java("fn.Fn$Bad").invoke({})
    assert answer["FunctionError"] == "Unhandled"
    assert answer["json"]["errorType"] == "java.lang.ExceptionInInitializerError"
    assert answer["json"]["errorMessage"] == "Error loading class fn.Fn$Bad"


def test_log(java, lines):
    function = java()
    function.call({"do": "log"})
    found = lines(function)
    assert any("Runtime Version: java:17." in line for line in found)
    said = [line for line in found if line.endswith(("from Java", "and out"))]
    assert len(said) == 2 and said[0].endswith("from Java")


def test_the_heap_follows_the_memory_size(java):
    function = java(MemorySize=512)
    assert 400 < function.call({"do": "memory"}, cold="booted") <= 512
    answer = function.invoke({"do": "fill"}, cold="booted")
    assert answer["json"]["errorType"] == "java.lang.OutOfMemoryError", answer["json"]
    assert function.call({"do": "count"}, cold="booted")[0] == 1, "another instance"


def test_the_limit_of_a_fork_is_the_memory_size(java):
    function = java(MemorySize=512)
    answer = function.invoke({"do": "fill"}, cold="forked")
    assert answer["json"]["errorType"] == "Runtime.OutOfMemory", answer["json"]
    assert function.call({"do": "count"}, cold=True)[0] == 1, "another instance"


@pytest.mark.parametrize("kind", ["booted", "forked", "zygote"])
def test_garbage_does_not_fill_the_memory(java, kind):
    assert java(MemorySize=512, Timeout=60).call({"do": "churn", "mb": 270}, cold=kind) == 10000


def test_a_small_function(java):
    function = java(MemorySize=128)
    assert function.call({"do": "count"})[0] == 1
    assert len(function.call({"do": "large", "length": 5_000_000})) == 5_000_000


def test_options_of_the_virtual_machine(java):
    function = java(Environment={"Variables": {"JAVA_TOOL_OPTIONS": "-Dcolour=blue -Xmx100m"}})
    assert function.call({"do": "property", "name": "colour"}) == "blue"
    assert function.call({"do": "memory"}) <= 100


def test_a_wrapper(java, classes):
    wrapper = "#!/bin/sh\nexport WRAPPED=yes\nexec \"$@\" --ignored\n"
    files = classes | {"bootstrap": wrapper}
    function = java(files=files, Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}})
    assert function.call({"do": "variable", "name": "WRAPPED"}) == "yes"
    missing = java(Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/nope"}})
    assert "exit status 127" in missing.invoke({})["json"]["errorMessage"]


def test_environment_and_folders(java):
    function = java(Environment={"Variables": {"COLOUR": "blue"}})
    assert function.call({"do": "variable", "name": "COLOUR"}) == "blue"
    assert function.call({"do": "variable", "name": "AWS_EXECUTION_ENV"}) == "AWS_Lambda_java17"
    assert function.call({"do": "tmp"}) == "/tmp /var/task /var/task"


def test_instances_draw_their_own(java):
    function = java()
    kinds = ["spare", "forked", "forked", "zygote", "booted"]
    drawn = {function.invoke({"do": "random"}, cold=kind)["json"] for kind in kinds}
    assert len(drawn) == len(kinds)


def test_the_example(platform, client, tmp_path):
    example = ROOT / "examples" / "hello-java"
    sources = [str(path) for path in (example / "src").rglob("*.java")]
    subprocess.run([JDK / "javac", "-d", tmp_path / "out", *sources], check=True)
    jar = tmp_path / "hello-java.jar"
    subprocess.run([JDK / "jar", "--create", "--file", jar, "-C", tmp_path / "out", "."], check=True)
    platform.pilot("deploy", jar, "--handler", "example.Hello::handle", "--timeout", "10")
    try:
        answer = platform.pilot("invoke", "hello-java", "--payload", '{"name": "you"}').stdout
        assert answer.strip() == '{"message":"hello you"}'
    finally:
        client.delete_function(FunctionName="hello-java")
