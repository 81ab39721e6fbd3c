"""AWS's own Python client, unmodified, in the image of `python3.11`: it speaks the Runtime API over TCP."""

import pytest

from packages import awslambdaric

SOURCE = """
import os, sys
from snapshot_restore_py import register_after_restore, register_before_snapshot
done = []
register_before_snapshot(done.append, "before")
register_after_restore(done.append, "after")
def lambda_handler(event, context):
    if event == "raise":
        raise ValueError("no")
    return {
        "event": event, "client": "awslambdaric.bootstrap" in sys.modules, "done": done,
        "ours": "_pilotlight_template" in sys.modules, "name": context.function_name,
        "id": context.aws_request_id, "type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
    }
"""


@pytest.fixture
def official(deploy):
    return deploy(
        awslambdaric({"lambda_function.py": SOURCE}),
        Environment={"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/bootstrap"}},
    )


def test_it_serves_cold_and_warm(official):
    ids = set()
    for cold in (True, False, True):
        answer = official.invoke({"é": [1]}, cold=cold)
        assert "FunctionError" not in answer, answer["json"]
        found = answer["json"]
        ids.add(found["id"])
        assert (found["event"], found["name"]) == ({"é": [1]}, official.name)
        assert found["client"] and not found["ours"]
        # Its hooks run where the start comes from a template, and only there.
        assert found["done"] == (["before", "after"] if found["type"] == "snap-start" else [])
    assert len(ids) == 3


def test_its_errors_are_the_functions(official):
    answer = official.invoke("raise")
    assert answer["FunctionError"] == "Unhandled"
    assert (answer["json"]["errorType"], answer["json"]["errorMessage"]) == ("ValueError", "no")
    assert official.call("on")["event"] == "on"
