"""Logs in JSON, from the loggers that functions use, in instances of every kind."""

import json
import time

import pytest

from conftest import wait_active
from packages import compiled

JSON = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO"}
PYTHON = """
import logging
log = logging.getLogger("mine")
def lambda_handler(event, context):
    log.debug("too low")
    log.warning("look %s", "here", extra={"colour": "blue"})
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("failed")
    print("plain")
    return context.aws_request_id
"""
NODE = """
exports.handler = async (event, context) => {
  console.debug("too low");
  console.warn("look %s", "here");
  console.error("failed", new TypeError("as asked"));
  process.stdout.write("plain\\n");
  return context.awsRequestId;
};
"""
JAVA = """
package fn;
import com.amazonaws.services.lambda.runtime.*;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
public class Log implements RequestHandler<Object, String> {
    public String handleRequest(Object event, Context context) {
        context.getLogger().log("too low", LogLevel.DEBUG);
        context.getLogger().log("look here", LogLevel.WARN);
        System.out.println("plain");
        return context.getAwsRequestId();
    }
}
"""


def messages(answer):
    return [event["message"] for event in answer["events"]]


def entries(logs, function, request_id):
    """The JSON entries of one request's application log by their messages, and the lines that are none."""
    said = messages(logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}"))
    found, plain = {}, []
    for line in said:
        try:
            entry = json.loads(line)
        except ValueError:
            plain.append(line)
            continue
        if entry.get("requestId", entry.get("AWSRequestId")) == request_id:
            found[entry["message"]] = entry
    return found, plain


@pytest.mark.parametrize("kind", ["booted", "zygote", "forked", "spare"])
def test_python_logs_json(logs, deploy, kind):
    function = deploy(PYTHON, LoggingConfig=JSON)
    request_id = function.call(cold=kind)
    found, plain = entries(logs, function, request_id)
    assert "plain\n" in plain and "too low" not in found
    look = found["look here"]
    assert (look["level"], look["logger"], look["colour"]) == ("WARNING", "mine", "blue")
    assert time.strptime(look["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    failed = found["failed"]
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == ("ERROR", "ZeroDivisionError", "division by zero")
    assert "lambda_handler" in failed["stackTrace"][0] and ":lambda_handler:" in failed["location"]
    # The pattern that people look for errors with.
    errors = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}", filterPattern='{ $.level = "ERROR" }')
    assert [json.loads(message)["message"] for message in messages(errors)] == ["failed"]

    client = function.client
    client.update_function_configuration(FunctionName=function.name, LoggingConfig={"ApplicationLogLevel": "DEBUG"})
    wait_active(client, function.name)
    found, _ = entries(logs, function, function.call(cold=kind))
    assert found["too low"]["level"] == "DEBUG"


@pytest.mark.parametrize("kind", ["booted", "forked"])
def test_node_logs_json(logs, deploy, kind):
    function = deploy({"index.js": NODE}, Runtime="nodejs20.x", Handler="index.handler", LoggingConfig=JSON)
    found, plain = entries(logs, function, function.call(cold=kind))
    assert "plain\n" in plain and "too low" not in found
    assert found["look here"]["level"] == "WARN"
    [failed] = [entry for message, entry in found.items() if message.startswith("failed")]
    assert (failed["level"], failed["errorType"], failed["errorMessage"]) == ("ERROR", "TypeError", "as asked")
    assert failed["stackTrace"][0] == "TypeError: as asked"


@pytest.mark.parametrize("kind", ["booted", "forked"])
def test_java_logs_json(logs, deploy, tmp_path, kind):
    classes = compiled(tmp_path, "Log.java", JAVA)
    function = deploy(
        classes, Runtime="java17", Handler="fn.Log", LoggingConfig=JSON, MemorySize=512, Timeout=30,
    )
    found, plain = entries(logs, function, function.call(cold=kind))
    assert "plain\n" in plain and "too low" not in found
    assert found["look here"]["level"] == "WARN"
