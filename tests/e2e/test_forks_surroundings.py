"""What surrounds a fork is its own: files, environment, ids, network, limits, and its end."""

import re
import subprocess
import time

import pytest

from conftest import eventually
from forks import KINDS, NODE, call, counts, deploy_java, start

PYTHON_LOOK = """
import asyncio, os, socket, ssl, sys, threading, time, urllib.request
task = open("/var/task/lines.txt")
first = task.readline().strip()
raw = os.open("/var/task/lines.txt", os.O_RDONLY)
os.lseek(raw, 4, os.SEEK_SET)
loop = asyncio.new_event_loop()

def tls():
    context = ssl.create_default_context(cafile="/var/task/cert.pem")
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain("/var/task/cert.pem", "/var/task/key.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            with ours.wrap_socket(server.accept()[0], server_side=True) as peer:
                peer.sendall(peer.recv(100).upper())
        threading.Thread(target=serve).start()
        with socket.create_connection(server.getsockname()) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"over tls")
                return secure.recv(100).decode(), secure.version()

def resolve(name):
    try:
        return sorted({address[4][0] for address in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)})
    except OSError as error:
        return type(error).__name__, error.errno

def sockets():
    one, other = socket.socketpair()
    one.sendall(b"pair")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        datagrams.sendto(b"datagram", datagrams.getsockname())
        return other.recv(10).decode(), datagrams.recv(20).decode()

def lambda_handler(event, context):
    found = {
        "tmp": os.listdir("/tmp"), "shm": os.listdir("/dev/shm"), "files": [first, task.readline().strip(), os.read(raw, 3).decode()],
        "stream": [os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], context.log_stream_name],
        "id": context.aws_request_id, "trace": os.environ["_X_AMZN_TRACE_ID"], "resolved": [resolve("localhost"), resolve("no.invalid")],
        "tls": tls(), "sockets": sockets(), "left": context.get_remaining_time_in_millis(),
        "loop": loop.run_until_complete(asyncio.sleep(0.01, "slept")), "own": os.environ["OWN"],
    }
    open("/tmp/mine", "w").write("for nobody else")
    open("/dev/shm/mine", "w").write("for nobody else")
    return found
"""

NODE_LOOK = """
const fs = require('fs'), tls = require('tls'), dns = require('dns').promises, http = require('http'), dgram = require('dgram');
const { once } = require('events');
const raw = fs.openSync('/var/task/lines.txt');
const read = () => { const buffer = Buffer.alloc(4); fs.readSync(raw, buffer); return buffer.toString().trim(); };
const first = read();

const overTls = async () => {
  const [cert, key] = ['cert', 'key'].map((name) => fs.readFileSync(`/var/task/${name}.pem`));
  const server = tls.createServer({ cert, key }, (peer) => peer.once('data', (data) => peer.end(`${data}`.toUpperCase())));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = tls.connect({ port: server.address().port, host: '127.0.0.1', servername: 'localhost', ca: cert });
  socket.write('over tls');
  const [data] = await once(socket, 'data');
  const version = socket.getProtocol();
  socket.destroy();
  server.close();
  return [`${data}`, version];
};
const overHttp = async () => {
  const server = http.createServer((request, response) => response.end(request.url));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const answer = await fetch(`http://localhost:${server.address().port}/path`);
  const text = await answer.text();
  server.closeAllConnections();
  server.close();
  return text;
};
const datagram = async () => {
  const socket = dgram.createSocket('udp4');
  await once(socket.bind(0, '127.0.0.1'), 'listening');
  socket.send('datagram', socket.address().port);
  const [data] = await once(socket, 'message');
  socket.close();
  return `${data}`;
};
const resolve = (name) => dns.lookup(name, { all: true }).then(
  (found) => found.map(({ address }) => address).sort(), ({ code }) => code);

exports.handler = async (event, context) => {
  const found = {
    tmp: fs.readdirSync('/tmp'), shm: fs.readdirSync('/dev/shm'), files: [first, read()],
    stream: [process.env.AWS_LAMBDA_LOG_STREAM_NAME, context.logStreamName], id: context.awsRequestId,
    trace: process.env._X_AMZN_TRACE_ID, resolved: [await resolve('localhost'), await resolve('no.invalid')],
    tls: await overTls(), sockets: [await overHttp(), await datagram()], left: context.getRemainingTimeInMillis(),
    own: process.env.OWN,
  };
  fs.writeFileSync('/tmp/mine', 'for nobody else');
  fs.writeFileSync('/dev/shm/mine', 'for nobody else');
  return found;
};
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Of `localhost`, signed by itself: files for a package."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )
    subprocess.run(
        ["openssl", "pkcs12", "-export", "-in", folder / "cert.pem", "-inkey", folder / "key.pem", "-passout", "pass:secret",
         "-out", folder / "store.p12"],
        check=True, capture_output=True,
    )
    return {name: (folder / name).read_bytes() for name in ("key.pem", "cert.pem", "store.p12")}


def python(source):
    return {"files": {"lambda_function.py": source}}


def node(source):
    return {"files": {"index.js": source}, **NODE}


LOOKS = {"python": python(PYTHON_LOOK), "node": node(NODE_LOOK)}


@pytest.mark.parametrize("runtime", [*LOOKS, "java"])
def test_what_surrounds_an_instance_is_its_own(platform, deploy, certificate, java_classes, runtime):
    if runtime == "java":
        function = deploy_java(deploy, java_classes, files=certificate, variables={"OWN": "yes"}, Timeout=20)
    else:
        members = dict(LOOKS[runtime])
        files = members.pop("files") | certificate | {"lines.txt": "one\ntwo\nthree\n"}
        function = deploy(files, **members, MemorySize=512, Timeout=20, Environment={"Variables": {"OWN": "yes"}})
    ids, streams, traces, alike = set(), set(), set(), []
    # The last ones find what the first have left, if it is left to them.
    for kind in [*KINDS, "forked", "spare", "forked"]:
        answer = start(platform, function, kind, {"do": "surroundings"})
        assert "FunctionError" not in answer, answer["json"]
        found = answer["json"]
        assert found["id"] == answer["ResponseMetadata"]["RequestId"]
        assert 0 < found.pop("left") <= 20_000
        variable, member = found.pop("stream")
        assert variable == member and re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", variable)
        ids.add(found.pop("id")), streams.add(variable), traces.add(found.pop("trace"))
        alike.append(found)
    assert (len(ids), len(streams), len(traces)) == (7, 7, 7)
    booted = alike[0]
    assert booted["tmp"] == booted["shm"] == [] and booted["files"][:2] == ["one", "two"] and booted["own"] == "yes"
    assert "127.0.0.1" in booted["resolved"][0] and booted["tls"] == ["OVER TLS", "TLSv1.3"]
    for found in alike:
        assert found == booted


PYTHON_ENDS = """
import ctypes, os, signal, sys, threading, time
def lambda_handler(event, context):
    if event == "exit": sys.exit(3)
    if event == "_exit": os._exit(4)
    if event == "crash": ctypes.string_at(0)
    if event == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if event == "sleep": time.sleep(60)
    if event == "memory":
        hoard = []
        while True: hoard.append(bytearray(b"x") * (16 << 20))
    if event == "raise": raise ValueError("no")
    return event
"""

NODE_ENDS = """
exports.handler = async (event) => {
  if (event === 'exit') process.exit(3);
  if (event === 'abort') process.abort();
  if (event === 'kill') process.kill(process.pid, 'SIGKILL');
  if (event === 'sleep') return new Promise((done) => setTimeout(done, 60000));
  if (event === 'memory') { const hoard = []; for (;;) hoard.push(Buffer.alloc(16 << 20, 'x')); }
  if (event === 'raise') throw new RangeError('no');
  return event;
};
"""
ENDS = {
    "python": (python(PYTHON_ENDS), ["exit", "_exit", "crash", "kill", "sleep", "memory", "raise"]),
    "node": (node(NODE_ENDS), ["exit", "abort", "kill", "sleep", "memory", "raise"]),
}

EXPECTED = {
    "sleep": "Sandbox.Timedout", "memory": "Runtime.OutOfMemory",
    ("python", "raise"): "ValueError", ("node", "raise"): "RangeError",
    ("java", "raise"): "java.lang.IllegalStateException",
}


@pytest.mark.parametrize("runtime", [*ENDS, "java"])
def test_the_end_of_a_fork_is_told_as_of_any_instance(platform, deploy, java_classes, runtime):
    if runtime == "java":
        # Not of memory: a fork's heap has another limit, see docs/templates-java.md.
        events = ["exit", "halt", "sleep", "raise"]
        hasty, patient = (deploy_java(deploy, java_classes, MemorySize=512, Timeout=seconds) for seconds in (1, 60))
    else:
        members, events = ENDS[runtime]
        members = dict(members)
        files = members.pop("files")
        hasty, patient = (deploy(files, **members, MemorySize=256, Timeout=seconds) for seconds in (1, 60))
    def asked(event):
        return {"do": event} if runtime == "java" else event

    for event in events:
        function = hasty if event == "sleep" else patient
        told = []
        for kind in ("booted", "forked"):
            answer = start(platform, function, kind, asked(event))
            assert answer.get("FunctionError") == "Unhandled", event
            error = answer["json"]
            told.append((error["errorType"], error["errorMessage"].replace(answer["ResponseMetadata"]["RequestId"], "ID")))
        booted, forked = told
        assert forked == booted
        assert booted[0] == EXPECTED.get((runtime, event), EXPECTED.get(event, "Runtime.ExitError")), (event, booted)
        # Neither the template nor another instance has noticed.
        assert call(platform, function, "forked", asked("alive")) == asked("alive")
    for function in (hasty, patient):
        assert counts(platform, function.name)["rung"] in ("template", "spare", "idle")


def test_a_report_of_a_fork_tells_of_its_restore(platform, deploy, lines):
    function = deploy("import time\ntime.sleep(0.05)\nprint('at init')\ndef lambda_handler(event, context):\n    print('in', event)\n")
    ids = {kind: start(platform, function, kind, kind)["ResponseMetadata"]["RequestId"] for kind in KINDS}

    def reports():
        found = {kind: [line for line in lines(function) if line.startswith(f"REPORT RequestId: {ids[kind]}")] for kind in KINDS}
        return all(found.values()) and {kind: report[0] for kind, report in found.items()}

    reported = eventually(reports, "all starts are reported")
    for kind in KINDS:
        restored = kind in ("forked", "spare")
        assert ("Restore Duration: " in reported[kind]) == ("Billed Restore Duration: " in reported[kind]) == restored
        assert ("Init Duration: " in reported[kind]) != restored, reported[kind]
        assert re.search(r"Max Memory Used: [1-9]\d* MB", reported[kind])
    logged = lines(function)
    # What init printed stands in the log once for each init: booted, zygote and the template.
    assert logged.count("at init") == 3
    assert sum(line.startswith("RESTORE_REPORT Restore Duration: ") for line in logged) >= 2
    assert [line for line in logged if line.startswith("in ")] == [f"in {kind}" for kind in KINDS]
