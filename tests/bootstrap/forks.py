"""Forks a parked bootstrap as a node does: the copy has the same process id, and a connection of its own.

Run as a program, this is the bootstrap with the part of the fork engine in it: it clones itself when the test
asks for it while the bootstrap waits for an answer. Python does not learn of it (no `os.fork`), so nothing
reseeds itself. A process id of its own in a new namespace needs root.
"""

import ctypes
import os
import posix
import select
import signal
import socket
import sys
from pathlib import Path

CLONE_NEWPID = 0x20000000
SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]


def engine(control):
    """Puts the engine into this process, under the bootstrap's reads."""
    clone = ctypes.PyDLL(None, use_errno=True).syscall
    read = os.read
    runtime = int(os.environ["_PILOTLIGHT_RUNTIME_FD"])

    def read_or_fork(fd, most):
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        waiting.register(control, select.POLLIN)
        while fd == runtime and control.fileno() in dict(waiting.poll()):
            _, (connection,), _, _ = socket.recv_fds(control, 1, 1)
            pid = clone(SYS_CLONE, CLONE_NEWPID | signal.SIGCHLD, 0, 0, 0, 0)
            assert pid >= 0, os.strerror(ctypes.get_errno())
            if pid == 0:
                control.close()
                os.dup2(connection, runtime, inheritable=False)
                posix.read = read
            os.close(connection)
            if pid == 0:
                break
        return read(fd, most)

    posix.read = read_or_fork


def main(script, control):
    engine(socket.socket(fileno=control))
    source = Path(script).read_text()
    sys.argv = [script]
    own = {"__name__": "__main__", "__builtins__": __builtins__}
    sys.modules["__main__"].__dict__.update(own)
    exec(compile(source, script, "exec"), sys.modules["__main__"].__dict__)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
