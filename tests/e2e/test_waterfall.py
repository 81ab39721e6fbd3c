"""Every start shows where its time went, and what it shows adds up."""

import http.client
import http.server
import json
import re
import statistics
import threading
import time

import pytest

from conftest import deploy_to, eventually
from packages import ECHO

COLD = ["gateway", "slot", "cgroup", "mounts", "network", "spawn", "runtime_init", "user_init", "handler", "respond"]
SLEEPS = "import time\ntime.sleep(0.05)\ndef lambda_handler(event, context):\n    time.sleep(0.2)\n"


def starts(platform, **query):
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    connection.request("GET", "/pilotlight/v1/starts?" + "&".join(f"{key}={value}" for key, value in query.items()))
    answer = connection.getresponse()
    assert answer.status == 200
    return json.loads(answer.read())["starts"]


def test_phases_add_up_to_what_the_client_saw(platform, deploy):
    function = deploy(SLEEPS)
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    connection.connect()
    errors = []
    for _ in range(7):
        begin = time.monotonic()
        connection.request(
            "POST", f"/2015-03-31/functions/{function.name}/invocations", b"{}", {"X-Pilotlight-Cold": "booted"}
        )
        answer = connection.getresponse()
        answer.read()
        seen_us = (time.monotonic() - begin) * 1e6
        identity = answer.headers["x-amzn-requestid"]
        record = eventually(
            lambda identity=identity: [s for s in starts(platform, function=function.name) if s["request_id"] == identity],
            "the start is recorded",
        )[0]
        assert record["kind"] == "booted"
        phases = {phase["phase"]: phase["us"] for phase in record["phases"]}
        assert set(COLD) <= phases.keys(), phases
        assert sum(phases.values()) == record["total_us"]
        assert phases["handler"] >= 200_000 and phases["user_init"] >= 50_000, phases
        assert phases["runtime_init"] > 0 and phases["spawn"] > 0
        errors.append(abs(record["total_us"] - seen_us) / seen_us)
    assert statistics.median(errors) <= 0.05, errors


def test_server_timing_tells_the_same(platform, deploy):
    function = deploy(ECHO)
    header = function.invoke(cold="booted")["ResponseMetadata"]["HTTPHeaders"]["server-timing"]
    assert header.startswith('start;desc="booted", ')
    named = re.findall(r"(\w+);dur=", header)
    assert [name for name in named if name in COLD] == COLD, "each once, in order"
    warm = function.invoke()["ResponseMetadata"]["HTTPHeaders"]["server-timing"]
    assert warm.startswith('start;desc="warm", ')
    assert not {"slot", "spawn", "runtime_init", "user_init"} & set(re.findall(r"(\w+);dur=", warm))


def test_starts_are_filtered(platform, deploy):
    one, two = deploy(ECHO), deploy(ECHO)
    since = int(time.time() * 1000)
    one.invoke(cold="booted"), one.invoke(), two.invoke(cold="booted")
    eventually(lambda: len(starts(platform, since=since)) >= 3, "three starts are recorded")
    assert [start["kind"] for start in starts(platform, function=one.name)] == ["warm", "booted"]
    assert {start["version"]["name"] for start in starts(platform, kind="booted", since=since)} == {one.name, two.name}
    assert len(starts(platform, limit=1)) == 1
    assert starts(platform, since=int(time.time() * 1000) + 60_000) == []


def test_an_event_s_start_is_recorded_too(platform, deploy):
    function = deploy(ECHO)
    identity = function.invoke(InvocationType="Event")["ResponseMetadata"]["RequestId"]
    record = eventually(lambda: starts(platform, function=function.name), "the event's start is recorded")[0]
    assert record["request_id"] == identity and record["kind"] != "warm"


def test_the_terminal_shows_bars(platform, deploy):
    function = deploy(SLEEPS)
    function.invoke(cold="booted"), function.invoke()
    eventually(lambda: len(starts(platform, function=function.name)) == 2, "both are recorded")
    shown = platform.pilot("starts", function.name).stdout
    lines = {line.split("  ")[1]: line for line in shown.split("medians")[0].splitlines() if line.startswith("  ")}
    assert lines["handler"].count("█") > lines["user init"].count("█") > 0, shown
    assert lines["handler"].index("█") > lines["user init"].index("█")
    assert re.search(r"phase +warm \(1\) +booted \(1\)", shown), shown
    assert "all 2 that are kept" in shown
    one = platform.pilot("starts", f"{function.name}:$LATEST", "--limit", "1").stdout
    assert "the newest 1; --limit looks further" in one and "booted" in one.splitlines()[0], one
    assert platform.pilot("starts", f"{function.name}:nobody", check=False).returncode == 4
    records = json.loads(platform.pilot("starts", function.name, "--output", "json").stdout)
    assert [record["kind"] for record in records] == ["warm", "booted"]


def test_metrics_count_phases_by_kind(platform, deploy):
    deploy(ECHO).invoke(cold="booted")

    def text():
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()

    pattern = r'_bucket\{[^}]*phase="user_init"[^}]*kind="booted"|_bucket\{[^}]*kind="booted"[^}]*phase="user_init"'
    eventually(lambda: re.search(pattern, text()), "the histogram has the phase", patience=10)
    deploys = re.search(r"^pilotlight_control_deploys_total (\d+)$", text(), re.MULTILINE)
    assert deploys and int(deploys[1]) >= 1, "the control plane's metrics stand beside the gateway's"


@pytest.fixture
def collector():
    """Takes what an OTLP collector would."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], received
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector(new_platform, collector):
    port, received = collector
    platform = new_platform(f'otlp_endpoint = "http://127.0.0.1:{port}"\n')
    deploy_to(platform.client(), ECHO, name="traced").invoke(cold="booted")
    body = eventually(lambda: b"".join(body for path, body in received if path == "/v1/traces"), "spans arrive")
    assert b"traced" in body and b"user_init" in body and b"booted" in body
