"""What the platform tells of a function in its log: as text, and as JSON from a level on."""

import json

import pytest

from pilot_up import eventually

HANDLER = """
def lambda_handler(event, context):
    if event == "raise":
        raise ValueError("no")
    return event
"""


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARN"])
def test_a_log_in_json_has_events_from_its_level_on(deploy, lines, level):
    function = deploy(HANDLER, LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": level},
                      SnapStart={"ApplyOn": "None"})
    function.call(1)
    answer = function.invoke("raise")
    assert answer["FunctionError"] == "Unhandled"

    def reported():
        parsed = [json.loads(line) for line in lines(function) if line.startswith("{")]
        events = [line for line in parsed if line.get("type", "").startswith("platform.")]
        errors = [event for event in events if event["record"].get("status") == "error"]
        return errors and errors[-1]["type"] == "platform.report" and events

    events = eventually(reported, "the second report")
    kinds = [event["type"].removeprefix("platform.") for event in events]
    arc = {
        "DEBUG": ["initStart", "initRuntimeDone", "initReport", "start", "runtimeDone", "report", "start", "runtimeDone", "report"],
        "INFO": ["initStart", "start", "report", "start", "runtimeDone", "report"],
        # What went wrong only.
        "WARN": ["runtimeDone", "report"],
    }
    assert kinds == arc[level]
    report = events[-1]["record"]
    assert report["requestId"] == answer["ResponseMetadata"]["RequestId"]
    metrics = report["metrics"]
    assert isinstance(metrics["billedDurationMs"], int) and metrics["memorySizeMB"] == 128
    assert metrics["durationMs"] <= metrics["billedDurationMs"]
