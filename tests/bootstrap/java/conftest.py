"""Starts Java bootstraps with the functions in `functions`, and ends them whatever a test does."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from java_api import RUNTIME, JavaRuntime, compile_java

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    """Folders of compiled classes: the bootstrap's, the functions', and the simulation of forks."""
    folder = tmp_path_factory.mktemp("classes")
    made = SimpleNamespace(
        bootstrap=folder / "bootstrap", functions=folder / "functions", simulation=folder / "simulation"
    )
    compile_java(RUNTIME / "src", made.bootstrap, "-XDstringConcat=inline")
    compile_java(HERE / "functions", made.functions, "-cp", str(made.bootstrap))
    compile_java(HERE / "simulation", made.simulation, "-cp", str(made.bootstrap))
    return made


@pytest.fixture
def start(classes):
    """Starts the bootstrap; the package is the folder of compiled functions unless another is given."""
    running = []

    def run(handler, env=None, task=None, zygote=False):
        runtime = JavaRuntime(classes.bootstrap, task or classes.functions, handler, env or {}, zygote)
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
