"""An alias moves requests from one version to another, by steps and under load: the new version is ready before each."""

import collections
import json
import threading

import pytest

from conftest import wait_active
from forks import counts
from packages import package

SOURCE = """
import time
{init}
def lambda_handler(event, context):
    time.sleep(event)
    return {number}
"""
# What is listened to in init keeps a version from having a template: each start of it pays for its init.
INITS = {"forks": "", "no template": "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"}
CALLERS = 3


def versions(client, deploy, init):
    """A function whose alias `live` is its version 1; version 2 waits."""
    function = deploy(SOURCE.format(init=INITS[init], number=1))
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    code = package({"lambda_function.py": SOURCE.format(init=INITS[init], number=2)})
    client.update_function_code(FunctionName=function.name, ZipFile=code, Publish=True)
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    wait_active(client, function.name)
    return function


class Load:
    """Calls the alias from a few threads, each as soon as it has its answer."""

    def __init__(self, function):
        self.function, self.over, self.calls = function, threading.Event(), 0
        self.threads = [threading.Thread(target=self.run) for _ in range(CALLERS)]

    def run(self):
        while not self.over.is_set():
            assert self.function.call(0.01, Qualifier="live") in (1, 2)
            self.calls += 1

    def more(self, calls):
        """Lets so many more calls come."""
        wanted = self.calls + calls
        while self.calls < wanted and all(thread.is_alive() for thread in self.threads):
            self.over.wait(0.005)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def kinds(platform, function, version):
    """What the instances came from that answered requests of a version."""
    records = json.loads(platform.pilot("starts", function.name, "--limit", "10000", "--output", "json").stdout)
    return collections.Counter(it["kind"] for it in records if it["version"]["version"] == version)


@pytest.mark.parametrize("init", INITS)
def test_a_shift_under_load_has_no_cold_start_on_the_new_version(platform, client, deploy, init):
    function = versions(client, deploy, init)
    with Load(function) as load:
        load.more(50)
        for tenths in range(1, 11):
            weights = {"AdditionalVersionWeights": {"2": tenths / 10}}
            client.update_alias(FunctionName=function.name, Name="live", RoutingConfig=weights)
            if tenths == 1:
                # Of three requests at once, in one moment of a thousand all three go there.
                has = counts(platform, function.name, "2")
                assert has["idle"] + has["busy"] >= CALLERS, has
            load.more(30)
        client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2", RoutingConfig={})
        load.more(30)
    found = kinds(platform, function, "2")
    assert not found.keys() & {"zygote", "booted"}, found
    assert found["warm"] >= 0.9 * sum(found.values()) >= 90, found
    print(f"{init}: requests of the new version by start: {dict(found)}")


def test_a_switch_at_once_finds_as_many_instances_as_before(platform, client, deploy):
    function = versions(client, deploy, "no template")
    with Load(function) as load:
        load.more(60)
        client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2")
        load.more(60)
        client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
        load.more(30)
    found = kinds(platform, function, "2")
    assert found.keys() == {"warm"}, found
