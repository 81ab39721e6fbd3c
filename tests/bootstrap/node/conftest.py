"""Starts Node.js bootstraps, and ends them whatever a test does."""

import pytest

from .fake_node import SNAP_START, boot, zygote


@pytest.fixture
def running():
    """Everything that a test has started."""
    runtimes = []
    yield runtimes
    for runtime in runtimes:
        runtime.socket.close()
        if runtime.process.poll() is None:
            runtime.process.kill()
        runtime.process.communicate()


@pytest.fixture
def folder(tmp_path, running):
    """Makes an empty folder for a function."""

    def make():
        task = tmp_path / f"task{len(running)}"
        task.mkdir()
        return task

    return make


@pytest.fixture
def write():
    """Writes `app.js`, or other files, into a folder."""

    def run(task, source):
        for name, text in (source if isinstance(source, dict) else {"app.js": source}).items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return run


@pytest.fixture(params=["boot", "zygote"])
def start(request, write, running, folder):
    """Starts a function in both ways that there are: user code must not see a difference."""

    def run(source, handler="app.handler", env=None):
        task = folder()
        if request.param == "boot":
            write(task, source)
            running.append(boot(task, handler, env or {}))
        else:
            # In the place where the function will be, as in a sandbox.
            running.append(zygote(task))
            write(task, source)
            running[-1].assign(task, handler, env or {})
        return running[-1]

    return run


@pytest.fixture
def ready(start):
    """Starts a function and waits until it has asked for its first event."""

    def run(*args, **kwargs):
        runtime = start(*args, **kwargs)
        runtime.first = runtime.asks()
        return runtime

    return run


@pytest.fixture
def park(start):
    """Starts a function as a template and waits until it is parked."""

    def run(source, env=None):
        runtime = start(source, env={**SNAP_START, **(env or {})})
        runtime.first = runtime.parks("/2018-06-01/runtime/restore/next")
        return runtime

    return run
