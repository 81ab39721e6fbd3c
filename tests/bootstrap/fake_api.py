"""A fake Runtime API that drives the real bootstrap in a process of its own, as a node does."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[2] / "runtimes" / "python3.11"
ENGINE = Path(__file__).with_name("forks.py")
DEBIAN_PYTHON = Path("/usr/bin/python3.11")
PYTHON = str(DEBIAN_PYTHON if DEBIAN_PYTHON.exists() else sys.executable)
# Only so that a broken bootstrap fails its test instead of hanging it.
PATIENCE = 30


class Message:
    """One HTTP request of the runtime."""

    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = first.split(" ")
        self.headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in self.headers, f"{name} is sent twice"
            self.headers[name.lower()] = value.strip()
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


class Connection:
    """The platform's end of a bootstrap's socket."""

    def __init__(self, end):
        self.socket = end
        self.socket.settimeout(PATIENCE)
        self.buffer = b""
        self.requests = 0

    def read(self):
        """The runtime's next request."""
        while b"\r\n\r\n" not in self.buffer:
            self.more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        message = Message(head, b"")
        length = int(message.headers.get("content-length", 0))
        while len(self.buffer) < length:
            self.more()
        message.body, self.buffer = self.buffer[:length], self.buffer[length:]
        return message

    def more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("the runtime has closed its socket")
        self.buffer += data

    def asks(self):
        """Waits for `GET …/next`."""
        message = self.read()
        assert (message.method, message.path) == ("GET", "/2018-06-01/runtime/invocation/next"), (
            message.path,
            message.body,
        )
        return message

    def sends(self, event, chunk=None, **headers):
        """Delivers an event; `chunk` cuts the answer into pieces of that many bytes."""
        self.requests += 1
        self.id = f"00000000-0000-4000-8000-{self.requests:012d}"
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        fields = {
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": self.id,
            "lambda-runtime-deadline-ms": str(int(time.time() * 1000) + 3000),
            "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:123456789012:function:fn",
            "lambda-runtime-trace-id": "Root=1-5-a",
            "content-length": str(len(body)),
        }
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        data = "\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body
        for at in range(0, len(data), chunk or len(data)):
            self.socket.sendall(data[at : at + (chunk or len(data))])

    def acknowledges(self, status="202 Accepted"):
        body = b'{"status":"OK"}'
        self.socket.sendall(
            f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )

    def answer(self, event, **headers):
        """One invocation from the delivered event to the runtime's answer; the runtime waits again after."""
        self.sends(event, **headers)
        message = self.read()
        self.asks()
        self.acknowledges()
        return message

    def call(self, event=None, **headers):
        """The handler's answer."""
        message = self.answer(event, **headers)
        assert message.path.endswith(f"/invocation/{self.id}/response"), message.body
        return message.json

    def error(self, event=None, **headers):
        """The error with which an invocation fails."""
        message = self.answer(event, **headers)
        assert message.path.endswith(f"/invocation/{self.id}/error"), message.body
        assert message.headers["lambda-runtime-function-error-type"]
        return message.json

    def parks(self, path):
        """Waits for the request at which the bootstrap is frozen and forked."""
        message = self.read()
        assert (message.method, message.path) == ("GET", path), (message.path, message.body)
        assert self.buffer == b"", "a parked process has sent more than its request"
        return message

    def parks_as_template(self):
        return self.parks("/2018-06-01/runtime/restore/next")

    def replies(self, value=None):
        """Answers the request of a parked process, with JSON or nothing."""
        body = b"" if value is None else json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def assign(self, task, handler, env):
        """Gives a zygote, or a fork of it, a function."""
        self.task = task
        self.replies({"env": {**surroundings(), **function(task, handler), **env}, "cwd": str(task)})

    def restore(self, env=None):
        """Makes the parked process an instance, as in a fork; returns its first request for an event."""
        self.replies(None if env is None else {"env": env})
        return self.asks()


class Runtime(Connection):
    """A running bootstrap."""

    PROGRAM = [PYTHON, "-S", "-s", "-P", "-B", str(RUNTIME / "bootstrap.py")]

    def __init__(self, task, handler, env):
        self.start(task, {**surroundings(), **function(task, handler), **env}, self.PROGRAM)

    def start(self, task, env, program, fds=()):
        self.task = task
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        self.process = subprocess.Popen(
            program,
            env={**env, "_PILOTLIGHT_RUNTIME_FD": str(theirs.fileno())},
            cwd=task,
            pass_fds=[theirs.fileno(), *fds],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()

    def init_error(self):
        """The error with which the init fails, and the exit that follows."""
        message = self.fails("init/error", 1)
        assert message.headers["lambda-runtime-function-error-type"] == message.json["errorType"]
        return message.json

    def fails(self, path, code):
        """Waits for an error that is no invocation's, and for the exit that follows."""
        message = self.read()
        assert (message.method, message.path) == ("POST", f"/2018-06-01/runtime/{path}")
        self.acknowledges()
        assert self.process.wait(PATIENCE) == code
        return message

    def log(self):
        """Hangs up, and returns everything that was written to standard output."""
        return self.end()[0]

    def end(self):
        self.socket.close()
        out, err = self.process.communicate(timeout=PATIENCE)
        return out.decode(), err.decode()


class Zygote(Runtime):
    """A bootstrap that is started without a function."""

    def __init__(self, folder):
        self.start(folder, self.variables(), self.PROGRAM)
        self.parks("/pilotlight/assignment")

    @staticmethod
    def variables():
        return {**surroundings(), "_PILOTLIGHT_ZYGOTE": "1", "LEFT_OVER": "of the zygote"}


class ForkableZygote(Zygote):
    """One that can be forked when it is parked, as a zygote or as a template; see `forks.py`."""

    def __init__(self, folder):
        self.control, theirs = socket.socketpair()
        # The process that is forked is the first of its namespace, as all its copies are of theirs.
        program = ["unshare", "--pid", "--fork", "--kill-child", *self.PROGRAM]
        program[-1:] = [str(ENGINE), program[-1], str(theirs.fileno())]
        self.start(folder, self.variables(), program, [theirs.fileno()])
        theirs.close()
        self.parks("/pilotlight/assignment")

    def fork(self):
        """The platform's end of a fork's socket. The fork ends when that is closed."""
        ours, theirs = socket.socketpair()
        socket.send_fds(self.control, [b"f"], [theirs.fileno()])
        theirs.close()
        return Connection(ours)


def surroundings():
    """Variables of every process."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_RUNTIME_DIR": str(RUNTIME),
    }


def function(task, handler):
    """Variables of a function."""
    return {
        "_HANDLER": handler,
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
    }
