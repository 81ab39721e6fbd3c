"""The settings of asynchronous invocations, as boto3 and the AWS CLI see them."""

import json

import pytest

from conftest import wait_active
from packages import ECHO

QUEUE = "arn:aws:sqs:us-east-1:123456789012:queue"


@pytest.fixture
def function(deploy):
    return deploy(ECHO)


def shown(answer):
    return {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "LastModified")}


def test_the_five_operations(client, function):
    name = function.name
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    version = client.publish_version(FunctionName=name)["Version"]
    put = client.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=2, MaximumEventAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": QUEUE}},
    )
    assert shown(put) == {
        "FunctionArn": f"{arn}:$LATEST", "MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}},
    }
    updated = client.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    assert shown(updated) == shown(put) | {"MaximumRetryAttempts": 0}
    got = client.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    assert shown(got) == shown(updated) and got["LastModified"] >= put["LastModified"]

    of_version = client.put_function_event_invoke_config(
        FunctionName=name, Qualifier=version, MaximumRetryAttempts=1)
    assert shown(of_version) == {
        "FunctionArn": f"{arn}:{version}", "MaximumRetryAttempts": 1,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
    pages = client.get_paginator("list_function_event_invoke_configs").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 1})
    listed = [config["FunctionArn"] for page in pages for config in page["FunctionEventInvokeConfigs"]]
    assert sorted(listed) == sorted([f"{arn}:$LATEST", f"{arn}:{version}"])
    for qualifier in ("$LATEST", version):
        client.delete_function_event_invoke_config(FunctionName=name, Qualifier=qualifier)
    assert client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"] == []


def test_refusals_in_aws_words(client, function, aws_error):
    put = client.put_function_event_invoke_config
    arn = client.get_function_configuration(FunctionName=function.name)["FunctionArn"]
    for members, code, message in [
        ({"FunctionName": "missing", "MaximumRetryAttempts": 1}, "ResourceNotFoundException", "The function doesn't exist."),
        ({"FunctionName": "missing"}, "InvalidParameterValueException",
         "You must specify at least one of error handling or destination setting."),
        ({"FunctionName": function.name, "DestinationConfig": {"OnSuccess": {"Destination": arn}}},
         "InvalidParameterValueException", "You can't specify the function as a destination for itself."),
        ({"FunctionName": function.name, "DestinationConfig": {"OnSuccess": {"Destination": f"{arn}-not"}}},
         "InvalidParameterValueException", f"The destination ARN {arn}-not is invalid."),
    ]:
        error = aws_error(put, **members).response["Error"]
        assert (error["Code"], error["Message"]) == (code, message)
    error = aws_error(client.get_function_event_invoke_config, FunctionName=function.name).response["Error"]
    assert error["Message"] == f"The function {arn}:$LATEST doesn't have an EventInvokeConfig"


def test_the_aws_cli_and_dead_letter_targets(platform, client, function, aws_error):
    done = platform.aws(
        "put-function-event-invoke-config", "--function-name", function.name, "--maximum-retry-attempts", "1",
        "--destination-config", json.dumps({"OnSuccess": {"Destination": QUEUE}}),
    )
    assert json.loads(done.stdout)["DestinationConfig"]["OnSuccess"] == {"Destination": QUEUE}
    client.update_function_configuration(FunctionName=function.name, DeadLetterConfig={"TargetArn": QUEUE})
    assert wait_active(client, function.name)["DeadLetterConfig"] == {"TargetArn": QUEUE}
    # A version keeps the target that it was published with.
    client.publish_version(FunctionName=function.name)
    client.update_function_configuration(FunctionName=function.name, DeadLetterConfig={"TargetArn": ""})
    assert "DeadLetterConfig" not in wait_active(client, function.name)
    kept = client.get_function_configuration(FunctionName=function.name, Qualifier="1")
    assert kept["DeadLetterConfig"] == {"TargetArn": QUEUE}
    error = aws_error(client.update_function_configuration, FunctionName=function.name,
                      DeadLetterConfig={"TargetArn": "arn:aws:s3:::bucket"})
    assert error.response["Error"]["Message"] == (
        "Invalid dead letter queue ARN: Only Amazon SQS queues and Amazon SNS topics are supported.")
