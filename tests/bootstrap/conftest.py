"""Starts bootstraps, and ends them whatever a test does."""

import pytest
from fake_api import Runtime


@pytest.fixture
def start(tmp_path):
    """Starts the bootstrap with `app.py` of the given source."""
    running = []

    def run(source, handler="app.handler", env=None, files=None, options=()):
        task = tmp_path / f"task{len(running)}"
        for name, text in {"app.py": source, **(files or {})}.items():
            path = task / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        runtime = Runtime(task, handler, env or {}, options)
        running.append(runtime)
        return runtime

    yield run
    for runtime in running:
        runtime.socket.close()
        if runtime.process.poll() is None:
            runtime.process.kill()
        runtime.process.communicate()


@pytest.fixture
def ready(start):
    """Starts the bootstrap and waits until it has asked for its first event."""

    def run(*args, **kwargs):
        runtime = start(*args, **kwargs)
        runtime.first = runtime.asks()
        return runtime

    return run
