"""Fixtures. Most tests share one platform; tests that stop, kill or configure one make their own."""

import itertools
import json
import os
import pathlib
import subprocess

import pytest

from packages import compiled, package
from pilot_up import PILOT, Platform, build_seed, eventually

ROLE = "arn:aws:iam::123456789012:role/test"
_layers = itertools.count()


def pytest_sessionstart(session):
    assert os.geteuid() == 0, "sandboxes are real: run as root (make test)"
    assert PILOT.exists(), f"{PILOT} is not built: run `make test`"


@pytest.fixture(scope="session")
def seed():
    build_seed()


@pytest.fixture(scope="session")
def shared_platform(seed, tmp_path_factory):
    platform = Platform(tmp_path_factory.mktemp("platform")).start()
    yield platform
    platform.close()


@pytest.fixture
def platform(shared_platform):
    """The shared platform. A test must leave it healthy, and its log without surprises."""
    since, shared_platform.expected = shared_platform.log_path.stat().st_size, []
    yield shared_platform
    assert shared_platform.process.poll() is None, "the platform died"
    shared_platform.assert_quiet_log(since)
    # What this test expected is no surprise at the end of the session either.
    shared_platform.log_path.write_text("")


@pytest.fixture
def new_platform(seed, tmp_path):
    """Makes platforms of the test's own: `new_platform(config_toml)`, started."""
    made, count = [], itertools.count()

    def make(config="", start=True):
        platform = Platform(tmp_path / f"platform-{next(count)}", config)
        made.append(platform)
        return platform.start() if start else platform

    yield make
    for platform in made:
        platform.close()


@pytest.fixture
def client(platform):
    return platform.client()


@pytest.fixture
def logs(platform):
    """A client of CloudWatch Logs."""
    return platform.client(service="logs")


class Function:
    """A deployed function."""

    def __init__(self, client, name):
        self.client, self.name = client, name

    def invoke(self, event=None, **kwargs):
        """The whole answer, with the payload read and parsed as `answer["json"]`."""
        return invoke(self.client, self.name, event, **kwargs)

    def call(self, event=None, **kwargs):
        """What the handler returned."""
        answer = self.invoke(event, **kwargs)
        assert "FunctionError" not in answer, answer["json"]
        return answer["json"]


def invoke(client, name, event=None, cold=False, **kwargs):
    """`cold` forces a cold start: the best that there is, or one of that kind."""

    def force(request, **_):
        request.headers["X-Pilotlight-Cold"] = cold if isinstance(cold, str) else "true"

    if cold:
        client.meta.events.register("before-sign.lambda.Invoke", force, unique_id="cold")
    try:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event), **kwargs)
    finally:
        client.meta.events.unregister("before-sign.lambda.Invoke", unique_id="cold")
    body = answer["Payload"].read()
    answer["json"] = json.loads(body) if body else None
    return answer


def wait_active(client, name):
    def settled():
        found = client.get_function_configuration(FunctionName=name)
        if "Failed" in (found["State"], found.get("LastUpdateStatus")):
            return found
        return found["State"] == "Active" and found.get("LastUpdateStatus", "Successful") == "Successful" and found

    found = eventually(settled, f"{name} is ready")
    assert "Failed" not in (found["State"], found.get("LastUpdateStatus")), found
    return found


_numbers = itertools.count()


def deploy_to(client, source, name=None, **kwargs):
    """Creates a function from Python source (or a dict of files) and waits until it is Active."""
    name = name or f"fn-{next(_numbers)}"
    files = source if isinstance(source, dict) else {"lambda_function.py": source}
    request = dict(
        FunctionName=name, Runtime="python3.11", Handler="lambda_function.lambda_handler", Role=ROLE,
        Code={"ZipFile": package(files)},
    )
    client.create_function(**(request | kwargs))
    wait_active(client, name)
    return Function(client, name)


@pytest.fixture
def deploy(client):
    """Deploys to the shared platform, and deletes in the end: `deploy(source, **members)`."""
    made = []

    def make(source, **kwargs):
        function = deploy_to(client, source, **kwargs)
        made.append(function.name)
        return function

    yield make
    for name in made:
        try:
            client.delete_function(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def layer(client):
    """Publishes a layer of those files and returns its ARN; deletes it in the end: `layer({path: text})`."""
    made = []

    def make(files):
        made.append(client.publish_layer_version(
            LayerName=f"test-layer-{next(_layers)}", Content={"ZipFile": package(files)},
        ))
        return made[-1]["LayerVersionArn"]

    yield make
    for answer in made:
        client.delete_layer_version(LayerName=answer["LayerArn"], VersionNumber=answer["Version"])


@pytest.fixture(scope="session")
def java_classes(tmp_path_factory):
    """The classes of `forks_java/Forks.java`."""
    source = pathlib.Path(__file__).parent / "forks_java" / "Forks.java"
    return compiled(tmp_path_factory.mktemp("java"), source.name, source.read_text())


@pytest.fixture
def aws_error(client):
    """Calls and returns the error that must come: `aws_error(call, **members)`."""

    def expect(call, **kwargs):
        try:
            answer = call(**kwargs)
        except client.exceptions.ClientError as error:
            return error
        raise AssertionError(f"no error but {answer}")

    return expect


@pytest.fixture
def lines(platform):
    """Log lines of a function, as `pilot logs` prints them."""

    def read(function):
        output = subprocess.run(
            [PILOT, "logs", function.name], env=platform.env(), capture_output=True, text=True, timeout=60, check=True,
        )
        return output.stdout.splitlines()

    return read
