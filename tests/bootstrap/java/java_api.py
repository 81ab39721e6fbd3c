"""The fake Runtime API with the Java bootstrap: compiled once, started in a process of its own."""

import json
import os
import socket
import subprocess
from pathlib import Path

import fake_api

RUNTIME = Path(__file__).resolve().parents[3] / "runtimes" / "java17"
JDK = Path("/usr/lib/jvm/java-17-openjdk-amd64")
# As the recipe has them, but for the archive of classes, which is the image's alone.
OPTIONS = [f"-XX:Flags={RUNTIME / 'java.flags'}", "-XX:MaxRAM=10240m", f"-XX:SharedArchiveFile={JDK / 'lib/server/classes.jsa'}", "-Djava.net.preferIPv4Stack=true"]
NEXT = "/2018-06-01/runtime/invocation/next"
RESTORE_NEXT = "/2018-06-01/runtime/restore/next"


def compile_java(sources, target, *options):
    files = sorted(str(path) for path in sources.rglob("*.java"))
    command = [str(JDK / "bin" / "javac"), "-nowarn", "-proc:none", "-XDignore.symbol.file", *options, "-d", str(target)]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class JavaRuntime(fake_api.Runtime):
    """A running Java bootstrap and the platform's end of its socket. Its package is `classes`."""

    def __init__(self, bootstrap, task, handler, env, zygote=False):
        self.task = task
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(fake_api.PATIENCE)
        self.buffer = b""
        self.requests = 0
        self.variables = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": handler,
            "LAMBDA_TASK_ROOT": str(task),
            "AWS_LAMBDA_FUNCTION_NAME": "fn",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/fn",
            "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
            **env,
        }
        inherited = {"_PILOTLIGHT_RUNTIME_FD": str(theirs.fileno())}
        if zygote:
            first = {name: self.variables[name] for name in ("PATH", "LANG", "TZ")} | {"_PILOTLIGHT_ZYGOTE": "1"}
        else:
            first = self.variables
        self.process = subprocess.Popen(
            [JDK / "bin" / "java", *OPTIONS, "-cp", str(bootstrap), "dev.pilotlight.runtime.Bootstrap"],
            env=first | inherited,
            cwd=task,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        theirs.close()

    def parks(self, path):
        """Waits until the process has asked for what lets it go on."""
        message = self.read()
        assert (message.method, message.path) == ("GET", path), (message.path, message.body)
        return message

    def replies(self, body=b""):
        """The answer to a request that parks."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        self.socket.sendall(head.encode() + data)

    def assigned(self, **more):
        """A zygote becomes the function."""
        self.parks("/pilotlight/assignment")
        self.replies({"env": self.variables | more, "cwd": str(self.task)})
        return self
