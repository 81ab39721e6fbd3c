"""Why the last starts of a function were what they were."""

import json
import threading

import pytest

from packages import ECHO

SLOW = """
import time

def lambda_handler(event, context):
    time.sleep(event)
"""


@pytest.fixture
def why(platform):
    """What `pilot why` says of a function, as JSON."""
    return lambda name, **kwargs: platform.pilot("why", name, "--output", "json", **kwargs)


def told(answer):
    """What is said of the one version that the name means."""
    [version] = json.loads(answer.stdout)["versions"]
    return version


def test_a_first_start_and_what_was_warm_after_it(deploy, why, platform):
    function = deploy(ECHO)
    for _ in range(3):
        function.call(1)
    said = told(why(function.name))
    assert said["version"].endswith(f":function:{function.name}:$LATEST") and said["policy"] == "pilot:node"
    assert said["starts"][-1]["reason"] == "first" and said["starts"][-1]["kind"] == "spare", said
    assert said["warm"] + len(said["starts"]) == 3, said
    function.call(1, cold="forked")
    assert told(why(f"{function.name}:$LATEST"))["starts"][0]["reason"] == "asked"
    text = platform.pilot("why", function.name).stdout
    assert "its spare was there: no instance before it" in text and "a start was asked for" in text, text


def test_a_burst_and_a_change(deploy, why, client):
    function = deploy(SLOW)
    threads = [threading.Thread(target=function.call, args=(0.5,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reasons = [start["reason"] for start in told(why(function.name))["starts"]]
    assert any("burst" in reason for reason in reasons), reasons
    client.update_function_configuration(FunctionName=function.name, MemorySize=256)
    client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    function.call(0)
    last = told(why(function.name))["starts"][0]
    assert "changed" in last["reason"], last


def test_an_alias_with_two_versions_has_both_explained(deploy, why, platform, client):
    function = deploy(ECHO, Publish=True)
    client.update_function_configuration(FunctionName=function.name, Description="the second")
    client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
    client.publish_version(FunctionName=function.name)
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    alias = {"FunctionName": function.name, "Name": "live"}
    client.create_alias(**alias, FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.25}})
    versions = json.loads(why(f"{function.name}:live").stdout)["versions"]
    assert [version["version"].split(":")[-1] for version in versions] == ["1", "2"]
    assert [version["weight"] for version in versions] == [0.75, 0.25]
    text = platform.pilot("why", f"{function.name}:live").stdout
    assert ":1  policy" in text and ":2  policy" in text and "gets 25% of the invocations" in text, text
    client.update_alias(**alias, FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {}})
    assert told(why(f"{function.name}:live"))["weight"] == 1


def test_a_function_that_there_is_not_has_no_starts(why):
    answer = why("nobody", check=False)
    assert answer.returncode == 4 and "ResourceNotFound" in answer.stderr, answer
