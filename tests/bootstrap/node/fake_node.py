"""The Node.js bootstrap in a process of its own, driven by the same fake Runtime API."""

import json
import os
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path

from fake_api import PATIENCE, Runtime

FOLDER = Path(__file__).resolve().parents[3] / "runtimes" / "nodejs20.x"
RECIPE = tomllib.loads((FOLDER / "recipe.toml").read_text())
SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


def program(folder=FOLDER):
    """What starts the bootstrap here, with the flags that it has in its image."""
    node = shutil.which("node")
    assert node, "Node.js is not installed"
    flags = [flag.replace("/var/runtime", str(folder)) for flag in RECIPE["argv"][1:-1]]
    return [node, *flags, str(folder / "bootstrap.cjs")]


def surroundings():
    """Variables of every process."""
    return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": ":UTC", "LAMBDA_RUNTIME_DIR": "/var/runtime"}


def function(task, handler):
    """Variables of a function."""
    return {
        **surroundings(),
        "_HANDLER": handler,
        "LAMBDA_TASK_ROOT": str(task),
        "AWS_LAMBDA_FUNCTION_NAME": "fn",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
    }


class Node(Runtime):
    """A running bootstrap."""

    def __init__(self, folder, env):
        self.task = folder
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(PATIENCE)
        self.buffer, self.requests = b"", 0
        self.process = subprocess.Popen(
            program(), env={**env, "_PILOTLIGHT_RUNTIME_FD": str(theirs.fileno())}, cwd=folder,
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        theirs.close()

    def read(self):
        """The runtime's next request; a body in chunks is put together, and trailers become headers."""
        message = super().read()
        if message.headers.get("transfer-encoding") == "chunked":
            message.body, message.chunks = b"", []
            while chunk := self.exactly(int(self.line(), 16)):
                message.chunks.append(chunk)
                assert self.line() == b""
            message.body = b"".join(message.chunks)
            while line := self.line():
                name, _, value = line.decode().partition(":")
                message.headers[name.lower()] = value.strip()
        return message

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def fails(self, path, code):
        """Waits for an error that is no invocation's, and for the exit that follows."""
        message = self.read()
        assert (message.method, message.path) == ("POST", f"/2018-06-01/runtime/{path}"), message.body
        self.acknowledges()
        assert self.process.wait(PATIENCE) == code
        return message

    def init_error(self, code=129):
        message = self.fails("init/error", code)
        assert message.headers["lambda-runtime-function-error-type"] == message.json["errorType"]
        return message.json

    def dies(self, event, code):
        """The error with which an invocation ends the process."""
        self.sends(event)
        message = self.read()
        assert message.path.endswith(f"/invocation/{self.id}/error"), message.path
        self.acknowledges()
        assert self.process.wait(PATIENCE) == code
        return message.json

    def parks(self, path):
        """Waits for the request at which the bootstrap is frozen and forked."""
        message = self.read()
        assert (message.method, message.path) == ("GET", path), (message.path, message.body)
        assert self.buffer == b"", "a parked process has sent more than its request"
        return message

    def replies(self, value=None):
        """Answers the request of a parked process, with JSON or nothing."""
        body = b"" if value is None else json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def assign(self, task, handler, env):
        """Gives a zygote a function."""
        self.task = task
        self.replies({"env": {**function(task, handler), **env}, "cwd": str(task)})


def boot(task, handler, env):
    return Node(task, {**function(task, handler), **env})


def zygote(folder):
    """A bootstrap without a function, parked."""
    node = Node(folder, {**surroundings(), "_PILOTLIGHT_ZYGOTE": "1", "LEFT_OVER": "of the zygote"})
    node.parks("/pilotlight/assignment")
    return node
