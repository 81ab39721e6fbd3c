"""LoggingConfig: what is accepted and shown, and what a function finds of it."""

import pytest

from conftest import wait_active

ENVIRONMENT = """
import os
def lambda_handler(event, context):
    names = ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME")
    return {name: os.environ.get(name) for name in names}
"""

NO_LEVELS = (
    'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the '
    'LogFormat to "JSON" and try again.'
)


def update(client, name, **logging):
    answer = client.update_function_configuration(FunctionName=name, LoggingConfig=logging)
    wait_active(client, name)
    shown = client.get_function_configuration(FunctionName=name)["LoggingConfig"]
    assert shown == answer["LoggingConfig"]
    return shown


def test_the_log_format_is_shown_and_told_to_the_function(client, deploy):
    function = deploy(ENVIRONMENT, LoggingConfig={"LogFormat": "JSON"})
    group = f"/aws/lambda/{function.name}"
    json = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": group}
    assert client.get_function_configuration(FunctionName=function.name)["LoggingConfig"] == json
    told = function.call()
    assert (told["AWS_LAMBDA_LOG_FORMAT"], told["AWS_LAMBDA_LOG_LEVEL"]) == ("JSON", "INFO")

    assert update(client, function.name, ApplicationLogLevel="TRACE") == json | {"ApplicationLogLevel": "TRACE"}
    assert function.call()["AWS_LAMBDA_LOG_LEVEL"] == "TRACE"
    assert update(client, function.name, LogFormat="JSON", SystemLogLevel="WARN") == json | {"SystemLogLevel": "WARN"}
    assert update(client, function.name, LogFormat="Text") == {"LogFormat": "Text", "LogGroup": group}
    told = function.call()
    assert (told["AWS_LAMBDA_LOG_FORMAT"], told["AWS_LAMBDA_LOG_LEVEL"]) == (None, None)


def test_levels_are_refused_with_text(client, deploy, aws_error):
    function = deploy(ENVIRONMENT)
    for logging in (
        {"ApplicationLogLevel": "DEBUG"}, {"SystemLogLevel": "DEBUG"}, {"LogFormat": "Text", "ApplicationLogLevel": "INFO"},
    ):
        error = aws_error(client.update_function_configuration, FunctionName=function.name, LoggingConfig=logging)
        assert error.response["Error"] == {"Code": "InvalidParameterValueException", "Message": NO_LEVELS}
    error = aws_error(
        client.update_function_configuration, FunctionName=function.name, LoggingConfig={"LogFormat": "XML"},
    )
    assert error.response["Error"] == {
        "Code": "ValidationException",
        "Message": "1 validation error detected: Value 'XML' at 'loggingConfig.logFormat' failed to satisfy constraint: "
        "Member must satisfy enum value set: [JSON, Text]",
    }


@pytest.mark.parametrize("kind", ["booted", "forked"])
def test_functions_share_a_log_group(client, deploy, lines, kind):
    functions = [deploy(ENVIRONMENT, LoggingConfig={"LogGroup": "shared/by-two"}) for _ in range(2)]
    for function in functions:
        told = function.call(cold=kind)
        assert told["AWS_LAMBDA_LOG_GROUP_NAME"] == "shared/by-two"
        assert f"/{function.name}[$LATEST]" in told["AWS_LAMBDA_LOG_STREAM_NAME"]
