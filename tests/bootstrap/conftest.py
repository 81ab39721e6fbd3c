"""Starts bootstraps, and ends them whatever a test does."""

import pytest
from fake_api import ForkableZygote, Runtime, Zygote

SNAP_START = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}


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
    """Writes `app.py` and other files into a folder of its own."""

    def run(source, files=None):
        task = tmp_path / f"task{len(running)}"
        for name, text in {"app.py": source, **(files or {})}.items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return task

    return run


@pytest.fixture
def boot(write, running):
    """Starts the bootstrap with `app.py` of the given source."""

    def run(source, handler="app.handler", env=None, files=None):
        runtime = Runtime(write(source, files), handler, env or {})
        running.append(runtime)
        return runtime

    return run


@pytest.fixture
def assign(write, running, tmp_path):
    """The same from a zygote, as in a fork."""

    def run(source, handler="app.handler", env=None, files=None):
        zygote = Zygote(tmp_path)
        running.append(zygote)
        zygote.assign(write(source, files), handler, env or {})
        return zygote

    return run


@pytest.fixture(params=["boot", "assign"])
def start(request):
    """Both ways to start: user code must not see a difference."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def ready(start):
    """Starts the bootstrap and waits until it has asked for its first event."""

    def run(*args, **kwargs):
        runtime = start(*args, **kwargs)
        runtime.first = runtime.asks()
        return runtime

    return run


@pytest.fixture
def park(start):
    """Starts the bootstrap as a template and waits until it is parked."""

    def run(source, env=None, **kwargs):
        runtime = start(source, env={**SNAP_START, **(env or {})}, **kwargs)
        runtime.first = runtime.parks_as_template()
        return runtime

    return run


@pytest.fixture
def template(write, running, tmp_path):
    """A template, parked, that can really be forked; from a zygote."""

    def run(source, env=None, files=None):
        zygote = ForkableZygote(tmp_path)
        running.append(zygote)
        zygote.assign(write(source, files), "app.handler", {**SNAP_START, **(env or {})})
        zygote.parks_as_template()
        return zygote

    return run
