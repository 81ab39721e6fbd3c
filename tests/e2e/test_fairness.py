"""A flood on one function beside another function, of the same account and of another one."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from statistics import median

import pytest

from conftest import deploy_to
from packages import ECHO

ACCOUNTS = {"same": "000000000001", "other": "000000000002"}
SLOW = "import time\ndef lambda_handler(event, context):\n    time.sleep(1)\n    return event\n"
STARTS = '\n[limits]\nconcurrent_starts = 2\n[policy]\nname = "{policy}"\n'
ROOM = '\n[limits]\nnode_memory_mb = 700\n[policy]\nname = "{policy}"\n'


class Flood:
    """Requests of one function, so many at once, that are counted as they end."""

    def __init__(self, client, function, requests, cold=None):
        self.ended, self.lock = 0, threading.Lock()
        if cold:
            client.meta.events.register(
                "before-sign.lambda.Invoke", lambda request, **_: request.headers.add_header("X-Pilotlight-Cold", cold))
        self.pool = ThreadPoolExecutor(requests)
        self.calls = [self.pool.submit(self.call, client, function) for _ in range(requests)]

    def call(self, client, function):
        assert "FunctionError" not in client.invoke(FunctionName=function.name, Payload=b"1")
        with self.lock:
            self.ended += 1

    def over(self):
        for call in self.calls:
            call.result()
        self.pool.shutdown()


def booted(function):
    """How long a request takes that gets a start of the dearest kind."""
    began = time.monotonic()
    assert function.call(1, cold="booted") == 1
    return time.monotonic() - began


@pytest.mark.parametrize("policy", ["fixed:10m", "pilot"])
def test_a_flood_of_starts_costs_another_function_little(new_platform, policy):
    platform = new_platform(STARTS.format(policy=policy))
    flooding = platform.client(key=ACCOUNTS["same"])
    flooded = deploy_to(flooding, ECHO)
    others = {name: deploy_to(platform.client(key=key), ECHO, name=f"trickle-{name}") for name, key in ACCOUNTS.items()}
    alone = median(booted(others["same"]) for _ in range(5))
    flood = Flood(platform.client(key=ACCOUNTS["same"]), flooded, 150, cold="booted")
    while flood.ended < 2:
        time.sleep(0.01)
    beside = {name: median(booted(function) for _ in range(3)) for name, function in others.items()}
    ended = flood.ended
    flood.over()
    # In order of arrival each would wait for dozens of starts. Now it is one, what is under way, and a busy machine.
    assert ended < 130, f"the flood was over too soon: {beside}"
    assert all(it < 12 * alone for it in beside.values()), (alone, beside)


@pytest.mark.parametrize("policy", ["fixed:10m", "pilot"])
def test_a_node_full_of_a_flood_serves_another_function(new_platform, policy):
    platform = new_platform(ROOM.format(policy=policy))
    flooded = deploy_to(platform.client(key=ACCOUNTS["same"]), SLOW)
    others = {name: deploy_to(platform.client(key=key), ECHO, name=f"trickle-{name}") for name, key in ACCOUNTS.items()}
    flood = Flood(platform.client(key=ACCOUNTS["same"]), flooded, 50)
    while flood.ended < 5:
        time.sleep(0.01)
    for name, function in others.items():
        for _ in range(2):
            before = flood.ended
            assert function.call(1) == 1
            # Five instances have room. In order of arrival the others wait until the flood is over.
            assert flood.ended - before <= 12, (name, before, flood.ended)
    assert flood.ended < 45, "the flood was over too soon"
    flood.over()
