"""SnapStart as it is asked for: what is shown when, what handlers see, and what is refused."""

import json

import botocore.exceptions
import pytest

from conftest import ROLE, wait_active
from forks import counts, deploy_node, start
from packages import compiled, package

SOURCE = """
import os
AT_INIT = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]
def lambda_handler(event, context):
    return [AT_INIT, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version]
"""
ON = {"ApplyOn": "PublishedVersions"}
ASKED, APPLIED = ON | {"OptimizationStatus": "Off"}, ON | {"OptimizationStatus": "On"}
OFF = {"ApplyOn": "None", "OptimizationStatus": "Off"}


def refused(call, **members):
    with pytest.raises(call.__self__.exceptions.InvalidParameterValueException) as caught:
        call(**members)
    return caught.value.response["Error"]["Message"]


def publish(client, name):
    """A new version, Active."""
    published = client.publish_version(FunctionName=name)
    assert (published["State"], published["StateReasonCode"]) == ("Pending", "Creating")
    assert published["SnapStart"] == APPLIED
    waiter = client.get_waiter("published_version_active")
    waiter.wait(FunctionName=name, Qualifier=published["Version"], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return published["Version"]


def test_a_version_is_active_once_its_template_stands(platform, client, deploy):
    created = client.create_function(
        FunctionName="snap", Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=ROLE, SnapStart=ON,
        Code={"ZipFile": package({"lambda_function.py": SOURCE})},
    )
    try:
        assert created["SnapStart"] == ASKED
        assert wait_active(client, "snap")["SnapStart"] == ASKED
        assert publish(client, "snap") == "1"
        version = client.get_function(FunctionName="snap:1")["Configuration"]
        assert (version["State"], version["LastUpdateStatus"], version["SnapStart"]) == ("Active", "Successful", APPLIED)
        assert "StateReason" not in version
        found = counts(platform, "snap", "1")
        assert found["template_bytes"] > 0, found
        listed = client.list_versions_by_function(FunctionName="snap")["Versions"]
        assert [it["SnapStart"] for it in listed] == [ASKED, APPLIED]
        assert client.publish_version(FunctionName="snap")["Version"] == "1", "nothing has changed"
    finally:
        client.delete_function(FunctionName="snap")


def test_handlers_of_its_versions_are_told(platform, client, deploy, lines):
    function = deploy(SOURCE, Runtime="python3.13", SnapStart=ON)
    assert function.call()[1:] == ["on-demand", "$LATEST"], "there is a template, of which Lambda knows nothing"
    assert publish(client, function.name) == "1"
    assert function.call(cold="spare", Qualifier="1") == ["snap-start", "snap-start", "1"]
    assert start(platform, function, "booted", Qualifier="1")["json"] == ["on-demand", "on-demand", "1"]
    tail = function.invoke(cold="forked", Qualifier="1", LogType="Tail")
    assert tail["json"] == ["snap-start", "snap-start", "1"]
    told = lines(function)
    assert any("RESTORE_START Runtime Version: python:3.11." in line for line in told), told
    assert any("RESTORE_REPORT Restore Duration: " in line for line in told), told


def test_java_has_it_too(client, deploy, tmp_path):
    source = (
        "package fn;\npublic class Fn {\n    public String told(String event) {\n"
        "        return System.getenv(\"AWS_LAMBDA_INITIALIZATION_TYPE\");\n    }\n}\n"
    )
    classes = compiled(tmp_path, "Fn.java", source)
    function = deploy(classes, Runtime="java21", Handler="fn.Fn::told", MemorySize=512, Timeout=30, SnapStart=ON)
    assert publish(client, function.name) == "1"
    assert function.call("x", cold="forked", Qualifier="1") == "snap-start"


def test_it_is_changed_and_a_version_keeps_its_own(platform, client, deploy):
    function = deploy(SOURCE, Runtime="python3.12")
    first = client.publish_version(FunctionName=function.name)
    assert (first["State"], first["SnapStart"]) == ("Active", OFF)
    updated = client.update_function_configuration(FunctionName=function.name, SnapStart=ON)
    assert updated["SnapStart"] == ASKED
    wait_active(client, function.name)
    assert publish(client, function.name) == "2"
    assert client.update_function_configuration(
        FunctionName=function.name, SnapStart={"ApplyOn": "None"},
    )["SnapStart"] == OFF
    wait_active(client, function.name)
    third = client.publish_version(FunctionName=function.name)
    assert (third["Version"], third["State"], third["SnapStart"]) == ("3", "Active", OFF)
    shown = client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [it["SnapStart"] for it in shown] == [OFF, OFF, APPLIED, OFF]
    assert function.call(cold="forked", Qualifier="2")[1] == "snap-start"
    # Said explicitly, it means that there are no templates.
    assert function.call(cold=True, Qualifier="3")[:2] == ["on-demand", "on-demand"]
    assert counts(platform, function.name, "3")["template_bytes"] == 0


def test_publishing_with_the_creation_waits_as_well(client):
    published = client.create_function(
        FunctionName="at-once", Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=ROLE, SnapStart=ON,
        Code={"ZipFile": package({"lambda_function.py": SOURCE})}, Publish=True,
    )
    try:
        assert (published["Version"], published["State"], published["SnapStart"]) == ("1", "Pending", APPLIED)
        wait_active(client, "at-once:1")
        assert client.get_function_configuration(FunctionName="at-once")["SnapStart"] == ASKED
    finally:
        client.delete_function(FunctionName="at-once")


def test_it_is_for_the_runtimes_that_lambda_has_it_for(client, deploy):
    create = dict(
        FunctionName="never", Handler="a.b", Role=ROLE, Code={"ZipFile": package({"a.py": SOURCE})}, SnapStart=ON,
    )
    for name in ("nodejs24.x", "python3.11", "java8.al2", "provided.al2023"):
        told = refused(client.create_function, Runtime=name, **create)
        assert told == f"{name} is not supported for SnapStart enabled functions."
    function = deploy_node(deploy, "exports.handler = async () => 1;")
    told = refused(client.update_function_configuration, FunctionName=function.name, SnapStart=ON)
    assert told == "nodejs20.x is not supported for SnapStart enabled functions."
    function = deploy(SOURCE, Runtime="python3.12", SnapStart=ON)
    members = dict(FunctionName=function.name, Runtime="python3.9")
    told = refused(client.update_function_configuration, **members)
    assert told == "python3.9 is not supported for SnapStart enabled functions."
    client.update_function_configuration(**members, SnapStart={"ApplyOn": "None"})
    assert wait_active(client, function.name)["Runtime"] == "python3.9"


def test_the_cli_asks_for_it(platform, tmp_path):
    path = tmp_path / "f.zip"
    path.write_bytes(package({"lambda_function.py": SOURCE}))
    name = ("--function-name", "snap-cli")
    platform.aws(
        "create-function", *name, "--runtime", "python3.12", "--role", ROLE, "--zip-file", f"fileb://{path}",
        "--handler", "lambda_function.lambda_handler", "--snap-start", "ApplyOn=PublishedVersions",
    )
    try:
        platform.aws("wait", "function-active-v2", *name)
        platform.aws("publish-version", *name)
        platform.aws("wait", "published-version-active", *name, "--qualifier", "1")
        told = platform.aws("get-function-configuration", "--function-name", "snap-cli:1", "--query", "SnapStart")
        assert json.loads(told.stdout) == APPLIED
    finally:
        platform.aws("delete-function", *name)


def test_a_version_that_waits_is_made_ready_after_a_crash(new_platform):
    platform = new_platform()
    client = platform.client()
    slow = "import time\ntime.sleep(3)\n" + SOURCE
    client.create_function(
        FunctionName="slow", Runtime="python3.12", Handler="lambda_function.lambda_handler", Role=ROLE, SnapStart=ON,
        Code={"ZipFile": package({"lambda_function.py": slow})},
    )
    wait_active(client, "slow")
    assert client.publish_version(FunctionName="slow")["State"] == "Pending"
    platform.kill()
    platform.start()
    client = platform.client()
    assert wait_active(client, "slow:1")["SnapStart"] == APPLIED
    answer = client.invoke(FunctionName="slow", Qualifier="1")
    assert json.loads(answer["Payload"].read())[1:] == ["snap-start", "1"]


def test_a_version_whose_init_fails_is_failed(platform, client, deploy):
    platform.expect_log("function not ready")
    function = deploy("raise ValueError('no')", Runtime="python3.12", SnapStart=ON)
    version = client.publish_version(FunctionName=function.name)["Version"]
    named = {"FunctionName": function.name, "Qualifier": version}
    with pytest.raises(botocore.exceptions.WaiterError):
        client.get_waiter("published_version_active").wait(**named, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    found = client.get_function_configuration(**named)
    assert (found["State"], found["StateReasonCode"]) == ("Failed", "FunctionError"), found
    assert (found["LastUpdateStatus"], found["LastUpdateStatusReasonCode"]) == ("Failed", "FunctionError"), found
    assert found["StateReason"].startswith("The function's initialization failed. Status: error"), found
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.invoke(**named)
    assert client.get_function_configuration(FunctionName=function.name)["State"] == "Active"
