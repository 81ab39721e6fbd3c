"""Runtimes by names whose images are not here: what runs them, where that is said, and what is refused."""

import json

import pytest

from conftest import ROLE, deploy_to, wait_active
from forks import deploy_node, listed, start
from packages import BASH_BOOTSTRAP, compiled, package
from pilot_up import eventually

SOURCE = """
import os, sys
def lambda_handler(event, context):
    return [sys.version_info[:2], os.environ["AWS_EXECUTION_ENV"]]
"""


def refused(call, **members):
    with pytest.raises(call.__self__.exceptions.InvalidParameterValueException) as caught:
        call(**members)
    return caught.value.response["Error"]["Message"]


@pytest.mark.parametrize("kind", ["forked", "zygote", "booted"])
def test_python_of_another_version_runs_on_the_one_that_is_here(platform, client, deploy, lines, kind):
    function = deploy(SOURCE, Runtime="python3.12")
    own = deploy(SOURCE)
    assert start(platform, function, kind)["json"] == [[3, 11], "AWS_Lambda_python3.12"]
    assert start(platform, own, kind)["json"] == [[3, 11], "AWS_Lambda_python3.11"]
    shown = [client.get_function_configuration(FunctionName=it.name) for it in (function, own)]
    assert [it["Runtime"] for it in shown] == ["python3.12", "python3.11"]
    arns = {it["RuntimeVersionConfig"]["RuntimeVersionArn"] for it in shown}
    assert len(arns) == 1, "what runs is the same"
    for line in lines(function):
        if "Runtime Version:" in line:
            assert "Runtime Version: python:3.11." in line and min(arns) in line, line


@pytest.mark.parametrize("name", ["nodejs18.x", "nodejs24.x"])
def test_node_of_another_version(deploy, name):
    source = "exports.handler = async () => [process.version.split('.')[0], process.env.AWS_EXECUTION_ENV];"
    function = deploy_node(deploy, source, Runtime=name)
    assert function.call() == ["v20", f"AWS_Lambda_{name}"]


@pytest.mark.parametrize("name", ["java8.al2", "java21"])
def test_java_of_another_version(deploy, tmp_path, name):
    source = (
        "package fn;\npublic class Fn {\n    public String told(String event) {\n"
        "        return Runtime.version().feature() + \" \" + System.getenv(\"AWS_EXECUTION_ENV\");\n    }\n}\n"
    )
    classes = compiled(tmp_path, "Fn.java", source)
    function = deploy(classes, Runtime=name, Handler="fn.Fn::told", MemorySize=512, Timeout=15)
    assert function.call("x") == f"17 AWS_Lambda_{name}"


@pytest.mark.parametrize("kind", ["forked", "zygote", "booted"])
def test_layers_for_the_version_that_is_named_are_found(platform, client, deploy, kind):
    files = {
        "python/lib/python3.12/site-packages/tool.py": "NAME = 'of 3.12'\n",
        "python/lib/python3.11/site-packages/tool.py": "NAME = 'of 3.11'\n",
        "nodejs/node22/node_modules/tool/index.js": "module.exports = 'of 22';\n",
        "nodejs/node20/node_modules/tool/index.js": "module.exports = 'of 20';\n",
    }
    published = client.publish_layer_version(LayerName="by-version", Content={"ZipFile": package(files)})
    layers = {"Layers": [published["LayerVersionArn"]]}
    python = "import tool\ndef lambda_handler(event, context):\n    return tool.NAME\n"
    node = "const tool = require('tool');\nexports.handler = async () => tool;\n"
    for name in ("3.11", "3.12"):
        function = deploy(python, Runtime=f"python{name}", **layers)
        assert start(platform, function, kind)["json"] == f"of {name}"
    for name in ("20", "22"):
        function = deploy_node(deploy, node, Runtime=f"nodejs{name}.x", **layers)
        assert start(platform, function, kind)["json"] == f"of {name}"
    client.delete_layer_version(LayerName="by-version", VersionNumber=published["Version"])


def test_an_own_program_on_the_older_system(deploy, client):
    function = deploy({"bootstrap": BASH_BOOTSTRAP}, Runtime="provided.al2", Handler="any")
    assert function.call({"a": 1}) == {"a": 1}
    assert client.get_function(FunctionName=function.name)["Configuration"]["Runtime"] == "provided.al2"


def test_a_runtime_can_be_changed_and_a_version_keeps_its_own(client, deploy):
    function = deploy(SOURCE, Runtime="python3.9")
    assert client.publish_version(FunctionName=function.name)["Runtime"] == "python3.9"
    client.update_function_configuration(FunctionName=function.name, Runtime="python3.13")
    assert wait_active(client, function.name)["Runtime"] == "python3.13"
    assert function.call()[1] == "AWS_Lambda_python3.13"
    assert function.call(Qualifier="1")[1] == "AWS_Lambda_python3.9"
    assert client.publish_version(FunctionName=function.name)["Version"] == "2", "a runtime is a change"
    versions = client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [it["Runtime"] for it in versions] == ["python3.13", "python3.9", "python3.13"]


def test_it_is_said_wherever_functions_are_shown(platform, client, deploy, tmp_path):
    folder = tmp_path / "substituted"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    done = platform.pilot("deploy", folder, "--runtime", "python3.13", "--no-trial")
    try:
        assert "note: python3.13 has no image here; the function runs on python3.11" in done.stderr
        assert "python3.13 on python3.11" in platform.pilot("ls").stdout
        row = listed(platform, "substituted")
        assert (row["runtime"], row["runs_on"]) == ("python3.13", "python3.11")
        assert platform.pilot("invoke", "substituted", "--payload", "1", "--cold").stdout == "1\n"

        def started():
            told = platform.pilot("starts", "substituted", "--output", "json").stdout
            return json.loads(told)

        (record,) = eventually(started, "the start is recorded")
        assert record["runs_on"] == "python3.11"
        assert "python3.11" in platform.pilot("starts", "substituted").stdout
    finally:
        client.delete_function(FunctionName="substituted")
    own = deploy(SOURCE)
    assert "runs_on" not in listed(platform, own.name)


def test_what_does_not_run_is_refused(platform):
    client = platform.client(validate=False)
    create = dict(
        FunctionName="never", Handler="a.b", Role=ROLE, Code={"ZipFile": package({"a.py": SOURCE})},
    )
    for name in ("ruby3.3", "dotnet8"):
        told = refused(client.create_function, Runtime=name, **create)
        assert told.startswith(f"The runtime {name} is not available on this platform. Available runtimes: python3.11, "), told
        assert "python3.13" in told and "java21" in told
    assert refused(client.create_function, Runtime="go1.x", **create) == (
        "The runtime parameter of go1.x is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use the new runtime (provided.al2023) while creating or updating functions."
    )
    for name in ("PYTHON3.9", "python3.99"):
        told = refused(client.create_function, Runtime=name, **create)
        assert told.startswith(f"Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [")
        assert told.endswith("] or be a valid ARN")


def test_the_cli_gives_any_version(platform, tmp_path):
    path = tmp_path / "f.zip"
    path.write_bytes(package({"lambda_function.py": SOURCE}))
    platform.aws(
        "create-function", "--function-name", "by-cli", "--runtime", "python3.14", "--role", ROLE,
        "--handler", "lambda_function.lambda_handler", "--zip-file", f"fileb://{path}",
    )
    platform.aws("wait", "function-active-v2", "--function-name", "by-cli")
    out = tmp_path / "out.json"
    platform.aws("invoke", "--function-name", "by-cli", str(out))
    assert json.loads(out.read_text()) == [[3, 11], "AWS_Lambda_python3.14"]
    platform.aws("update-function-configuration", "--function-name", "by-cli", "--runtime", "nodejs22.x")
    platform.aws("wait", "function-updated-v2", "--function-name", "by-cli")
    told = platform.aws("get-function-configuration", "--function-name", "by-cli")
    assert json.loads(told.stdout)["Runtime"] == "nodejs22.x"
    platform.aws("delete-function", "--function-name", "by-cli")


def test_it_can_be_turned_off_and_what_is_there_goes_on(new_platform):
    platform = new_platform()
    function = deploy_to(platform.client(), SOURCE, Runtime="python3.10")
    assert platform.stop() == 0
    platform.config.write_text("runtime_substitutes = false\n" + platform.config.read_text())
    platform.start()
    client = function.client = platform.client()
    assert function.call() == [[3, 11], "AWS_Lambda_python3.10"]
    client.update_function_configuration(FunctionName=function.name, Timeout=9)
    assert wait_active(client, function.name)["Runtime"] == "python3.10"
    told = refused(client.update_function_configuration, FunctionName=function.name, Runtime="python3.12")
    assert told == (
        "The runtime python3.12 is not available on this platform: it would run on python3.11, which its configuration "
        "does not allow (runtime_substitutes). Available runtimes: python3.11, nodejs20.x, java17, provided.al2023"
    )
    client.update_function_configuration(FunctionName=function.name, Runtime="python3.11")
    assert wait_active(client, function.name)["Runtime"] == "python3.11"
