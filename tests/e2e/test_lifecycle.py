"""`pilot up`: ending in good order, its lock, its leftovers."""

import json
import signal
import socket
import subprocess
import threading

import pytest

from conftest import deploy_to, eventually
from packages import ECHO
from pilot_up import PILOT, Platform

SLOW = "import time\ndef lambda_handler(event, context):\n    print('begun', flush=True)\n    time.sleep(event)\n    return 'done'\n"


def in_flight(platform, function, seconds):
    """Starts an invocation, and returns when the handler runs."""
    outcome = []

    def work():
        try:
            outcome.append(function.invoke(seconds))
        except Exception as error:  # whatever the client saw
            outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: "begun" in platform.pilot("logs", function.name).stdout, "the handler has begun")
    return thread, outcome


def test_sigterm_lets_requests_in_flight_finish(new_platform):
    platform = new_platform()
    function = deploy_to(platform.client(), SLOW, Timeout=30)
    thread, outcome = in_flight(platform, function, 3)
    platform.process.send_signal(signal.SIGTERM)

    def refused():
        try:
            socket.create_connection(("127.0.0.1", platform.port), timeout=1).close()
            return False
        except OSError:
            return True

    eventually(refused, "new connections are refused")
    assert platform.wait() == 0
    thread.join()
    assert outcome[0]["json"] == "done"


def test_the_drain_has_a_deadline(new_platform):
    platform = new_platform("drain_seconds = 1\n")
    platform.expect_log("cut off|drain")
    function = deploy_to(platform.client(), SLOW, Timeout=600)
    thread, outcome = in_flight(platform, function, 300)
    assert platform.stop() == 0
    thread.join()
    assert isinstance(outcome[0], Exception) or "FunctionError" in outcome[0]


def test_a_second_signal_ends_at_once(new_platform):
    platform = new_platform("drain_seconds = 600\n")
    platform.expect_log("signal|cut off|drain")
    function = deploy_to(platform.client(), SLOW, Timeout=600)
    thread, _ = in_flight(platform, function, 300)
    platform.process.send_signal(signal.SIGTERM)
    eventually(lambda: any("draining" in line["message"] for line in platform.log()), "it drains")
    platform.process.send_signal(signal.SIGINT)
    assert platform.wait() == 1
    thread.join()
    eventually(lambda: not [left for left in platform.leftovers() if left.startswith("process")], "no process is left")
    platform.start()


def test_a_signal_while_images_are_built_leaves_nothing(tmp_path):
    platform = Platform(tmp_path / "platform", seeded=False)
    with open(platform.log_path, "ab") as log:
        process = subprocess.Popen(
            [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", platform.data_dir, "--config", platform.config],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
    eventually(lambda: any("building images" in line["message"] for line in platform.log()), "it builds images")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    platform.assert_nothing_left()
    assert not list((platform.data_dir / "runtimes").iterdir())


def test_a_start_that_fails_leaves_nothing(new_platform):
    platform = new_platform()
    assert platform.stop() == 0
    catalog = platform.data_dir / "catalog.sqlite"
    catalog.write_bytes(b"x" * 8192)
    failed = subprocess.run(
        [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", platform.data_dir],
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert failed.returncode == 1
    assert str(catalog) in failed.stderr
    platform.assert_nothing_left()


def test_one_platform_per_data_directory(platform):
    second = subprocess.run(
        [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", platform.data_dir],
        capture_output=True, text=True, timeout=30, check=False,
    )
    assert second.returncode == 1
    assert str(platform.process.pid) in second.stderr and "in use" in second.stderr


def test_two_platforms_live_side_by_side(new_platform):
    one, two = new_platform('subnet = "10.214.0.0/16"\n'), new_platform('subnet = "10.215.0.0/16"\n')
    functions = [deploy_to(platform.client(), ECHO, name="same") for platform in (one, two)]
    assert [function.call(n) for n, function in enumerate(functions)] == [0, 1]
    assert one.stop() == 0
    one.assert_nothing_left()
    assert functions[1].invoke("still", cold=True)["json"] == "still"


def test_idle_instances_are_reclaimed(new_platform):
    platform = new_platform("keep_alive_seconds = 1\n")
    function = deploy_to(platform.client(), ECHO)

    def counts():
        rows = json.loads(platform.pilot("ls", "--output", "json").stdout)
        return next(row for row in rows if row["name"] == function.name)

    function.call()
    eventually(lambda: counts()["idle"] == 0, "the idle instance is gone")
    assert function.call("back") == "back"


@pytest.mark.parametrize("text", ["poolsize = 3", "[limits]\nfunction = 3", "listen = 9000"])
def test_a_wrong_configuration_does_not_start(tmp_path, text):
    config = tmp_path / "pilot.toml"
    config.write_text("pool_size = 1\n" + text)
    refused = subprocess.run([PILOT, "up", "--config", config, "--data-dir", tmp_path / "data"], capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 2
    assert f"line {2 if chr(10) not in text else 3}" in refused.stderr and str(config) in refused.stderr
