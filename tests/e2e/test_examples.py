"""The examples, deployed as their readers would."""

import json

import pytest

from pilot_up import ROOT


@pytest.mark.parametrize(
    ("name", "event", "words"),
    [
        ("hello-python", {"name": "you"}, "you"),
        ("hello-node", {"name": "you"}, "hello you"),
        ("hello-shell", {"name": "you"}, "hello from"),
        ("word-stats", {"text": "to be or not to be", "csv": "name,size\na,1\nb,2\n"}, "distinct_words"),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value else "",
)
def test_an_example_runs(platform, client, name, event, words):
    platform.pilot("deploy", ROOT / "examples" / name, "--timeout", "10")
    try:
        for _ in range(2):
            answer = platform.pilot("invoke", name, "--payload", json.dumps(event)).stdout
            assert words in json.dumps(json.loads(answer)), answer
    finally:
        client.delete_function(FunctionName=name)
