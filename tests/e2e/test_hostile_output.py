"""Functions and clients that misbehave: floods of logs, closed streams, clients that leave, many at once."""

import concurrent.futures
import http.client
import json
import socket

from conftest import eventually
from packages import COUNTER, ECHO


def test_a_flood_of_logs_is_bounded(platform, deploy):
    function = deploy("""
import sys
def lambda_handler(event, context):
    line = "x" * 1023 + "\\n"
    for _ in range(event * 1024):
        sys.stdout.write(line)
    sys.stdout.flush()
    return "done"
""", Timeout=120)
    assert function.call(200) == "done"
    assert function.call(0) == "done", "the instance is still good"
    kept = sum(file.stat().st_size for file in (platform.data_dir / "logs").rglob("*") if file.is_file())
    assert kept < 160 << 20, f"{kept} bytes of log are kept"


def test_a_line_without_an_end_is_bounded(deploy):
    function = deploy("""
import os
def lambda_handler(event, context):
    for _ in range(64):
        os.write(1, b"x" * (1 << 20))
    return "done"
""", Timeout=60)
    assert function.call() == "done"


def test_closed_streams_do_not_matter(deploy):
    function = deploy("""
import os, sys
def lambda_handler(event, context):
    os.close(1), os.close(2)
    try:
        print("nobody hears this")
    except OSError:
        pass
    return "done"
""")
    assert function.call() == "done"
    assert function.invoke(cold=True)["json"] == "done"


def test_logs_that_are_not_text_are_kept_apart(deploy, lines):
    function = deploy("import os\ndef lambda_handler(event, context):\n    os.write(1, bytes(range(256)) + b'\\nafter\\n')\n")
    function.invoke()
    eventually(lambda: any(line.endswith("after") for line in lines(function)), "what follows is there")


def test_a_client_that_leaves_does_not_stop_the_function(platform, deploy, lines):
    function = deploy(COUNTER + """
import time
count = lambda_handler
def lambda_handler(event, context):
    print("begun", flush=True)
    time.sleep(event)
    print("finished", flush=True)
    return count(event, context)
""", Timeout=30)
    with socket.create_connection(("127.0.0.1", platform.port)) as client:
        client.sendall(
            f"POST /2015-03-31/functions/{function.name}/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1".encode()
        )
        eventually(lambda: "begun" in lines(function), "the handler has begun")
    eventually(lambda: "finished" in lines(function), "the handler has finished")
    eventually(lambda: function.call(0)["count"] > 1, "the instance is used again")


def test_a_client_that_never_finishes_its_request_harms_nobody(platform, deploy):
    function = deploy(ECHO)
    slow = [socket.create_connection(("127.0.0.1", platform.port)) for _ in range(100)]
    for connection in slow:
        connection.sendall(b"POST /2015-03-31/functions/x/invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert function.call("quick") == "quick"
    for connection in slow:
        connection.close()


def test_garbage_is_answered_and_closed(platform):
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, b"GET /\0 HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", platform.port), timeout=70) as client:
            try:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                client.recv(65536)
            except OSError:
                pass
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    connection.request("GET", "/pilotlight/v1/health")
    assert json.loads(connection.getresponse().read())["status"] == "ready"


def test_many_requests_on_one_connection(platform, deploy):
    function = deploy(ECHO)
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    for number in range(200):
        connection.request("POST", f"/2015-03-31/functions/{function.name}/invocations", json.dumps(number).encode())
        assert json.loads(connection.getresponse().read()) == number


def test_fifty_cold_starts_at_once(deploy):
    function = deploy("import time\ndef lambda_handler(event, context):\n    time.sleep(event)\n    return context.log_stream_name\n", Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: function.invoke(2, cold=False), range(50)))
    assert [answer["json"] for answer in answers if "FunctionError" in answer] == []
    assert len({answer["json"] for answer in answers}) >= 25, "instances grow with demand"


def test_many_functions_cold_at_once(deploy):
    functions = [deploy(ECHO) for _ in range(20)]
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert list(pool.map(lambda item: item[1].call(item[0]), enumerate(functions))) == list(range(20))
