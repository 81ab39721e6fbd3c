"""A fake Runtime API that drives the real bootstrap in a process of its own, as a node does."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

RUNTIME = Path(__file__).resolve().parents[2] / "runtimes" / "python3.11"
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


class Runtime:
    """A running bootstrap and the platform's end of its socket."""

    def __init__(self, task, handler, env, options):
        self.task = task
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.buffer = b""
        self.requests = 0
        fd = theirs.fileno()
        environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": handler,
            "LAMBDA_TASK_ROOT": str(task),
            "LAMBDA_RUNTIME_DIR": str(RUNTIME),
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
            "_PILOTLIGHT_RUNTIME_FD": str(fd),
            **env,
        }
        self.process = subprocess.Popen(
            [PYTHON, "-S", "-s", "-P", "-B", *options, str(RUNTIME / "bootstrap.py")],
            env=environment,
            cwd=task,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()

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

    def init_error(self):
        """The error with which the init fails, and the exit that follows."""
        message = self.read()
        assert (message.method, message.path) == ("POST", "/2018-06-01/runtime/init/error")
        assert message.headers["lambda-runtime-function-error-type"] == message.json["errorType"]
        self.acknowledges()
        assert self.process.wait(PATIENCE) == 1
        return message.json

    def log(self):
        """Hangs up, and returns everything that was written to standard output."""
        return self.end()[0]

    def end(self):
        self.socket.close()
        out, err = self.process.communicate(timeout=PATIENCE)
        return out.decode(), err.decode()
