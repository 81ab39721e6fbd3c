"""Aliases as boto3 and the AWS CLI see them."""

import collections
import json

import pytest

from conftest import wait_active
from packages import package

SOURCE = """
def lambda_handler(event, context):
    return [{number}, context.function_version, context.invoked_function_arn]
"""


@pytest.fixture
def versions(client, deploy):
    """A function with the versions 1 and 2; each says which it is, under which version and ARN."""
    function = deploy(SOURCE.format(number=1))
    client.publish_version(FunctionName=function.name)
    code = package({"lambda_function.py": SOURCE.format(number=2)})
    client.update_function_code(FunctionName=function.name, ZipFile=code, Publish=True)
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    wait_active(client, function.name)
    return function


def test_an_alias_is_a_qualifier_everywhere(client, versions, aws_error):
    name, arn = versions.name, f"arn:aws:lambda:us-east-1:123456789012:function:{versions.name}"
    made = client.create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="d")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["AliasArn"], made["FunctionVersion"], made["Description"]) == (f"{arn}:live", "1", "d")
    assert "RoutingConfig" not in made
    for called in ({"FunctionName": f"{name}:live"}, {"FunctionName": name, "Qualifier": "live"}, {"FunctionName": f"{arn}:live"}):
        answer = client.invoke(**called)
        assert json.load(answer["Payload"]) == [1, "1", f"{arn}:live"]
        assert answer["ExecutedVersion"] == "1"
        assert client.get_function(**called)["Configuration"]["FunctionArn"] == f"{arn}:live"

    moved = client.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RevisionId=made["RevisionId"])
    assert moved["RevisionId"] != made["RevisionId"] and moved["Description"] == "d"
    assert versions.call(Qualifier="live")[:2] == [2, "2"]
    stale = aws_error(client.update_alias, FunctionName=name, Name="live", RevisionId=made["RevisionId"])
    assert stale.response["Error"]["Code"] == "PreconditionFailedException"
    assert stale.response["ResponseMetadata"]["HTTPStatusCode"] == 412

    used = aws_error(client.delete_function, FunctionName=name, Qualifier="2").response
    assert used["Error"] == {
        "Code": "ResourceConflictException",
        "Message": "Unable to delete version because the following aliases reference it: [live]",
    }
    client.delete_alias(FunctionName=name, Name="live")
    gone = aws_error(client.get_alias, FunctionName=name, Name="live").response
    assert gone["Message"] == f"Cannot find alias arn: {arn}:live"
    assert aws_error(client.invoke, FunctionName=name, Qualifier="live").response["Message"] == f"Function not found: {arn}:live"
    client.delete_function(FunctionName=name, Qualifier="2")


def test_a_weighted_alias_shares_its_calls(client, versions):
    client.create_alias(
        FunctionName=versions.name, Name="live", FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    counts = collections.Counter()
    for _ in range(400):
        answer = versions.invoke(Qualifier="live")
        number, version, arn = answer["json"]
        assert str(number) == version == answer["ExecutedVersion"] and arn.endswith(f"{versions.name}:live")
        counts[version] += 1
    # 200 with a deviation of 10: chance alone goes beyond seven of them less than once in 10^11 runs.
    assert abs(counts["2"] - 200) < 70, counts


def test_the_command_line_knows_aliases(platform, versions):
    name = versions.name
    made = json.loads(platform.aws(
        "create-alias", "--function-name", name, "--name", "canary", "--function-version", "1",
        "--routing-config", "AdditionalVersionWeights={2=1.0}",
    ).stdout)
    assert made["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 1.0}}
    listed = json.loads(platform.aws("list-aliases", "--function-name", name, "--function-version", "2").stdout)
    assert [alias["Name"] for alias in listed["Aliases"]] == ["canary"]
    assert json.loads(platform.pilot("invoke", f"{name}:canary").stdout)[:2] == [2, "2"]
    assert "START RequestId" in platform.pilot("logs", f"{name}:canary").stdout
    platform.aws("update-alias", "--function-name", name, "--name", "canary", "--routing-config", "AdditionalVersionWeights={}")
    assert json.loads(platform.pilot("invoke", f"{name}:canary").stdout)[:2] == [1, "1"]
    platform.aws("delete-alias", "--function-name", name, "--name", "canary")
    missing = platform.aws("get-alias", "--function-name", name, "--name", "canary", check=False)
    assert missing.returncode != 0 and "Cannot find alias arn" in missing.stderr


def test_small_settings_of_a_function(platform, client, deploy, aws_error):
    name = deploy("def lambda_handler(event, context):\n    return 1\n").name
    assert client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    assert client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "Auto"
    client.put_runtime_management_config(FunctionName=name, UpdateRuntimeOn="FunctionUpdate")
    assert client.get_runtime_management_config(FunctionName=name)["UpdateRuntimeOn"] == "FunctionUpdate"
    assert client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"] == []
    refused = aws_error(client.create_event_source_mapping, FunctionName=name, EventSourceArn="arn:aws:sqs:us-east-1:123456789012:q")
    assert refused.response["Error"]["Code"] == "InvalidParameterValueException"
    signing = json.loads(platform.aws("get-function-code-signing-config", "--function-name", name).stdout)
    assert signing == {"FunctionName": name}
