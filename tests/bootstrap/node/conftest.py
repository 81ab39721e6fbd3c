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
def write(tmp_path, running):
    """Writes `app.js`, or other files, into a folder of its own."""

    def run(source):
        task = tmp_path / f"task{len(running)}"
        for name, text in (source if isinstance(source, dict) else {"app.js": source}).items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return task

    return run


@pytest.fixture(params=["boot", "zygote"])
def start(request, write, running, tmp_path):
    """Starts a function in both ways that there are: user code must not see a difference."""

    def run(source, handler="app.handler", env=None):
        task = write(source)
        if request.param == "boot":
            running.append(boot(task, handler, env or {}))
        else:
            running.append(zygote(tmp_path))
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
