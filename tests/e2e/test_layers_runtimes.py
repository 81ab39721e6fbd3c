"""What functions see of their layers: search paths of all runtimes, which layer wins, and every kind of start."""

import subprocess

import pytest

from packages import BASH_BOOTSTRAP, JDK, compiled

PYTHON = """
import importlib, os, subprocess, sys
import deep, flat, which
def lambda_handler(event, context):
    if event == "path":
        return [entry for entry in sys.path if entry.startswith(("/var/task", "/opt"))]
    if event == "tool":
        return subprocess.check_output(["tool"], text=True)
    if event == "library":
        import ctypes
        return [ctypes.CDLL(name).answer() for name in ("liblayer.so", "libtask.so")]
    return [deep.X, flat.X, which.X, flat.where(), os.path.exists(flat.__cached__)]
"""


def module(value):
    return f"X = {value!r}\ndef where():\n    return where.__code__.co_filename\n"


def test_python_finds_modules_in_every_kind_of_start(deploy, layer):
    site = "python/lib/python3.11/site-packages"
    arn = layer({f"{site}/deep.py": module("site"), "python/flat.py": module("flat"), "python/deep.py": module("no"),
                 "python/which.py": module("layer")})
    function = deploy({"lambda_function.py": PYTHON, "which.py": module("task")}, Layers=[arn])
    for kind in (False, "spare", "forked", "zygote", "booted"):
        # The byte code was made at publish, and names its source as it stands in the function.
        assert function.call(cold=kind) == ["site", "flat", "task", "/opt/python/flat.py", True]
    assert function.call("path") == ["/var/task", f"/opt/{site}", "/opt/python"]


def test_programs_and_libraries_of_a_layer(deploy, layer, tmp_path):
    (tmp_path / "answer.c").write_text("int answer(void) { return 42; }\n")
    library = tmp_path / "libanswer.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "answer.c"], check=True, timeout=60)
    arn = layer({
        "bin/tool": "#!/bin/sh\nprintf layered\n", "lib/liblayer.so": library.read_bytes(),
        "python/deep.py": module(1), "python/flat.py": module(2), "python/which.py": module(3),
    })
    function = deploy({"lambda_function.py": PYTHON, "lib/libtask.so": library.read_bytes()}, Layers=[arn])
    for kind in ("spare", "forked", "zygote", "booted"):
        assert (function.call("tool", cold=kind), function.call("library")) == ("layered", [42, 42])


def test_a_later_layer_wins_over_an_earlier_one(deploy, layer):
    source = "import both, one, two\ndef lambda_handler(event, context):\n    return [one.X, two.X, both.X]\n"
    one = layer({"python/one.py": module(1), "python/both.py": module("first")})
    two = layer({"python/two.py": module(2), "python/both.py": module("second")})
    same = layer({"python/two.py": module(2), "python/both.py": module("second")})
    assert deploy(source, Layers=[one, two]).call() == [1, 2, "second"]
    assert deploy(source, Layers=[two, one]).call() == [1, 2, "first"]
    # Two layers with the same contents, and as many as there may be.
    assert deploy(source, Layers=[two, one, same]).call() == [1, 2, "second"]
    more = [layer({f"python/more{number}.py": module(number)}) for number in range(3)]
    assert deploy(source, Layers=[*more, one, two]).call(cold="booted") == [1, 2, "second"]
    # Source that does not compile has no byte code, and does not run by that of the layer below.
    broken = layer({"python/both.py": "X = 'third'\n#" + "x" * 4 * 1024 * 1024})
    assert deploy(source, Layers=[one, two, broken]).call() == [1, 2, "third"]


def test_node_finds_packages(deploy, layer):
    arn = layer({
        "nodejs/node_modules/plain/index.js": "module.exports = 'plain'",
        "nodejs/node20/node_modules/plain/index.js": "module.exports = 'node20'",
        "nodejs/node_modules/other/index.js": "module.exports = 'other'",
        "nodejs/node_modules/own/index.js": "module.exports = 'layer'",
    })
    function = deploy(
        {
            "index.js": "const all = ['plain', 'other', 'own'].map((name) => require(name));\n"
            "exports.handler = async () => all;",
            "node_modules/own/index.js": "module.exports = 'task'",
        },
        Runtime="nodejs20.x", Handler="index.handler", Layers=[arn],
    )
    for kind in (False, "spare", "forked", "zygote", "booted"):
        assert function.call(cold=kind) == ["node20", "other", "task"]


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """The classes of a library and of a function that is compiled without it."""
    library = "package lib;\npublic class Lib { public static String text() { return System.getenv(\"WRAPPED\"); } }\n"
    user = (
        "package fn;\nimport com.amazonaws.services.lambda.runtime.*;\n"
        "public class Fn implements RequestHandler<Object, Object> {\n"
        "    private static final java.lang.reflect.Method TEXT = text();\n"
        "    private static java.lang.reflect.Method text() {\n"
        "        try { return Class.forName(\"lib.Lib\").getMethod(\"text\"); }\n"
        "        catch (ReflectiveOperationException e) { throw new AssertionError(e); }\n    }\n"
        "    public Object handleRequest(Object event, Context context) {\n"
        "        try { return \"lib \" + TEXT.invoke(null); }\n"
        "        catch (ReflectiveOperationException e) { throw new AssertionError(e); }\n    }\n}\n"
    )
    folder = tmp_path_factory.mktemp("lib")
    compiled(folder, "Lib.java", library)
    jar = folder / "lib.jar"
    subprocess.run([JDK / "jar", "--create", "--file", jar, "-C", folder / "out", "."], check=True, timeout=60)
    return jar.read_bytes(), compiled(tmp_path_factory.mktemp("fn"), "Fn.java", user)


def test_java_finds_jars(deploy, layer, java):
    jar, classes = java
    members = dict(Runtime="java17", Handler="fn.Fn", MemorySize=512, Timeout=15)
    function = deploy(classes, Layers=[layer({"java/lib/lib.jar": jar})], **members)
    for kind in (False, "spare", "forked", "zygote", "booted"):
        assert function.call(cold=kind) == "lib null"


def test_a_bootstrap_may_come_in_a_layer(deploy, layer):
    function = deploy({"data": "x"}, Runtime="provided.al2023", Handler="any", Layers=[layer({"bootstrap": BASH_BOOTSTRAP})])
    assert function.call({"a": 1}) == {"a": 1}
    assert function.call({"a": 2}, cold="booted") == {"a": 2}


@pytest.mark.parametrize(
    ("runtime", "files", "handler"),
    [
        (
            "python3.11",
            {"f.py": "import os\ndef handler(event, context):\n    return os.environ['WRAPPED']\n"},
            "f.handler",
        ),
        ("nodejs20.x", {"f.js": "exports.handler = async () => process.env.WRAPPED"}, "f.handler"),
    ],
    ids=["python", "node"],
)
def test_a_wrapper_may_come_in_a_layer(deploy, layer, runtime, files, handler):
    arn = layer({"bin/wrap": "#!/bin/bash\nexport WRAPPED=by-a-layer\nexec \"$@\"\n"})
    function = deploy(
        files, Runtime=runtime, Handler=handler, Layers=[arn],
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/wrap"}},
    )
    assert function.call() == "by-a-layer"
    assert function.call(cold="booted") == "by-a-layer"


def test_a_wrapper_of_a_layer_runs_java(deploy, layer, java):
    jar, classes = java
    arn = layer({"bin/wrap": "#!/bin/bash\nexport WRAPPED=by-a-layer\nexec \"$@\"\n", "java/lib/lib.jar": jar})
    function = deploy(
        classes, Runtime="java17", Handler="fn.Fn", MemorySize=512, Timeout=15, Layers=[arn],
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bin/wrap"}},
    )
    assert function.call() == "lib by-a-layer"
