"""The power cord: `kill -9` in the middle of things loses nothing acknowledged and leaves nothing behind."""

import threading

import botocore.exceptions
import pytest

from conftest import ROLE, Function, deploy_to, eventually, wait_active
from packages import ECHO, package

# What a client sees when the other side is gone.
GONE = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)


def answering(number):
    return package({"lambda_function.py": f"def lambda_handler(event, context):\n    return {number}\n"})


def in_threads(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    return threads


def assert_all_gone(platform):
    """Nothing of the killed platform runs on. (Folders of cgroups are for the next start to sweep.)"""
    eventually(
        lambda: not [left for left in platform.leftovers() if left.startswith(("process", "mount"))],
        "the processes and mounts of the killed platform are gone", patience=20,
    )


@pytest.mark.parametrize("acknowledged", [1, 5, 12])
def test_killed_in_the_middle_of_deploys(new_platform, acknowledged):
    platform = new_platform()
    client, created, lock, enough = platform.client(), {}, threading.Lock(), threading.Event()

    def deploy(thread):
        for number in range(1000):
            name = f"fn-{thread}-{number}"
            try:
                client.create_function(
                    FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="lambda_function.lambda_handler",
                    Code={"ZipFile": answering(number)},
                )
            except GONE:
                return
            with lock:
                created[name] = number
                if len(created) >= acknowledged:
                    enough.set()

    threads = in_threads(4, deploy)
    assert enough.wait(60)
    platform.kill()
    for thread in threads:
        thread.join()
    assert_all_gone(platform)

    client = platform.start().client()
    listed = {f["FunctionName"] for page in client.get_paginator("list_functions").paginate() for f in page["Functions"]}
    assert created.keys() <= listed, "an acknowledged function is lost"
    for name, number in created.items():
        wait_active(client, name)
        assert Function(client, name).call() == number
    # What was not acknowledged may be there or not, but never half.
    for name in listed - created.keys():
        wait_active(client, name)
        assert Function(client, name).call() == int(name.rsplit("-", 1)[1])


def test_killed_in_the_middle_of_updates_and_deletions(new_platform):
    platform = new_platform()
    client = platform.client()
    names = [deploy_to(client, ECHO, name=f"fn-{n}").name for n in range(4)]
    done, lock, enough = {}, threading.Lock(), threading.Event()

    def update(thread):
        for number in range(1000):
            try:
                answer = client.update_function_code(FunctionName=names[thread], ZipFile=answering(number))
                with lock:
                    done[names[thread]] = (number, answer["CodeSha256"])
                wait_active(client, names[thread])
            except GONE:
                return
            with lock:
                if len(done) == 3:
                    enough.set()

    client.delete_function(FunctionName=names[3])
    threads = in_threads(3, update)
    assert enough.wait(60)
    platform.kill()
    for thread in threads:
        thread.join()

    client = platform.start().client()
    for name, (number, sha256) in done.items():
        found = wait_active(client, name)
        answer = Function(client, name).call()
        # The last acknowledged one, or one that was under way when the cord was pulled.
        assert answer >= number and (found["CodeSha256"] == sha256 or answer > number), (name, answer, number)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName=names[3])


def test_killed_in_the_middle_of_invocations(new_platform):
    platform = new_platform()
    client = platform.client()
    function = deploy_to(client, "import time\ndef lambda_handler(event, context):\n    time.sleep(0.05)\n    return event\n")
    answered, gone, enough = [], [], threading.Event()

    def work(thread):
        for number in range(1000):
            try:
                answered.append(function.call(number))
            except GONE as error:
                return gone.append(error)
            if len(answered) > 20:
                enough.set()

    threads = in_threads(8, work)
    assert enough.wait(60)
    platform.kill()
    for thread in threads:
        thread.join()
    assert len(gone) == 8, "every thread was cut off"
    assert_all_gone(platform)
    function = Function(platform.start().client(), function.name)
    assert function.call("again") == "again"
    assert platform.stop() == 0
    platform.assert_nothing_left()


def test_accepted_events_are_delivered_after_a_kill(new_platform):
    platform = new_platform()
    client = platform.client()
    function = deploy_to(client, "import time\ndef lambda_handler(event, context):\n    time.sleep(0.3)\n    print('ran', event)\n")
    for number in range(20):
        assert function.invoke(number, InvocationType="Event")["StatusCode"] == 202
    platform.kill()
    platform.start()

    def ran():
        lines = platform.pilot("logs", function.name).stdout.splitlines()
        return {f"ran {number}" for number in range(20)} <= set(lines)

    eventually(ran, "every accepted event was run")


def test_killed_again_and_again_while_starting(new_platform):
    platform = new_platform()
    deploy_to(platform.client(), ECHO, name="survivor")
    for _ in range(5):
        platform.kill()
        platform.start()
    assert Function(platform.client(), "survivor").call("alive") == "alive"
    assert platform.stop() == 0
    platform.assert_nothing_left()


def test_functions_survive_an_orderly_restart(new_platform):
    platform = new_platform()
    deploy_to(platform.client(), "import os\ndef lambda_handler(event, context):\n    return os.environ['WORD']\n",
              name="kept", Environment={"Variables": {"WORD": "ü"}}, Tags={"a": "b"})
    before = platform.client().get_function(FunctionName="kept")
    assert platform.stop() == 0
    client = platform.start().client()
    after = client.get_function(FunctionName="kept")
    assert (after["Configuration"], after["Tags"]) == (before["Configuration"], before["Tags"])
    assert Function(client, "kept").call() == "ü"


def test_an_image_of_a_deleted_function_is_collected(new_platform):
    platform = new_platform()
    client = platform.client()
    images = lambda: len(list((platform.data_dir / "images").iterdir()))  # noqa: E731
    before = images()
    deploy_to(client, answering_source(1), name="one"), deploy_to(client, answering_source(1), name="same")
    deployed = images()
    assert deployed > before
    client.delete_function(FunctionName="one")
    assert Function(client, "same").call() == 1
    client.delete_function(FunctionName="same")
    eventually(lambda: images() == before, "images that nothing refers to are removed")


def answering_source(number):
    return f"def lambda_handler(event, context):\n    return {number}\n"
