"""Who may call: signatures, the open default, and where it may listen."""

import http.client
import json
import subprocess

import pytest

from conftest import deploy_to
from packages import ECHO
from pilot_up import PILOT

KEYS = """
[[access_keys]]
id = "AKIAONE"
secret = "first secret/+="
account = "000000000001"

[[access_keys]]
id = "AKIATWO"
secret = "second"
account = "000000000002"
"""


@pytest.fixture
def keyed(new_platform):
    return new_platform(KEYS)


def code_of(client):
    try:
        client.list_functions()
    except client.exceptions.ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        return error.response["Error"]["Code"]
    return None


def test_a_right_signature_opens_the_account(keyed):
    one, two = keyed.client("AKIAONE", "first secret/+="), keyed.client("AKIATWO", "second")
    function = deploy_to(one, ECHO, name="mine")
    # A name that must be encoded in the path, a body, and a query: all are signed.
    arn = "arn:aws:lambda:us-east-1:000000000001:function:mine"
    answer = one.invoke(FunctionName=arn, Qualifier="$LATEST", Payload='"ü"'.encode())
    assert json.loads(answer["Payload"].read()) == "ü"
    assert function.call({"a": 1}) == {"a": 1}
    assert two.list_functions()["Functions"] == []
    assert code_of(two) is None


def test_everything_else_is_refused(keyed):
    assert code_of(keyed.client("AKIAONE", "second")) == "InvalidSignatureException"
    assert code_of(keyed.client("AKIANOBODY", "second")) == "UnrecognizedClientException"
    for path in ("/2015-03-31/functions", "/pilotlight/v1/starts", "/pilotlight/v1/nodes", "/pilotlight/v1/logs?function=x"):
        connection = http.client.HTTPConnection("127.0.0.1", keyed.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 403, path
        assert answer.headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"


def test_a_changed_body_does_not_pass(keyed):
    client = keyed.client("AKIAONE", "first secret/+=")
    deploy_to(client, ECHO, name="mine")
    client.meta.events.register("before-send.lambda.Invoke", lambda request, **_: setattr(request, "body", b'"forged"'))
    with pytest.raises(client.exceptions.ClientError) as error:
        client.invoke(FunctionName="mine", Payload=b'"honest"')
    assert error.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_the_command_line_signs(keyed, tmp_path):
    env = keyed.env("AKIAONE", "first secret/+=")
    (tmp_path / "signed").mkdir()
    (tmp_path / "signed" / "app.py").write_text("def handler(event, context):\n    return event\n")
    keyed.pilot("deploy", tmp_path / "signed", env=env)
    arn = "arn:aws:lambda:us-east-1:000000000001:function:signed"
    assert json.loads(keyed.pilot("invoke", arn, "--payload", '"ü b&c=d"', env=env).stdout) == "ü b&c=d"
    assert "signed" in keyed.pilot("ls", env=env).stdout
    refused = keyed.pilot("ls", env=keyed.env("AKIAONE", "wrong"), check=False)
    assert refused.returncode == 1 and "InvalidSignatureException" in refused.stderr
    unsigned = {key: value for key, value in env.items() if not key.startswith("AWS_") or key == "AWS_ENDPOINT_URL"}
    refused = keyed.pilot("ls", env=unsigned, check=False)
    assert refused.returncode == 1 and "AWS_SECRET_ACCESS_KEY" in refused.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "198.51.100.7:9000"])
def test_without_keys_it_listens_on_loopback_only(tmp_path, address):
    refused = subprocess.run(
        [PILOT, "up", "--listen", address, "--data-dir", tmp_path / "data"], capture_output=True, text=True, timeout=30,
        check=False,
    )
    assert refused.returncode == 2
    assert address in refused.stderr and "access keys" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_web_pages_from_elsewhere_are_kept_out(platform):
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=10)
    connection.request("GET", "/2015-03-31/functions", headers={"Origin": "https://evil.example"})
    assert connection.getresponse().status == 403


def test_variables_are_not_readable_in_the_data_directory(new_platform):
    platform = new_platform()
    client = platform.client()
    source = "import os\ndef lambda_handler(event, context):\n    return os.environ['TOKEN']"
    function = deploy_to(client, source, Environment={"Variables": {"TOKEN": "correct horse battery"}})
    client.publish_version(FunctionName=function.name)
    assert function.call() == "correct horse battery"
    catalog = [path for path in platform.data_dir.iterdir() if path.name.startswith("catalog.sqlite")]
    assert catalog and not any(b"correct horse" in path.read_bytes() for path in catalog)
    assert b"correct horse" not in platform.log_path.read_bytes()
    platform.kill()
    platform.start()
    answer = platform.client().invoke(FunctionName=function.name, Qualifier="1")
    assert json.loads(answer["Payload"].read()) == "correct horse battery"
    assert platform.stop() == 0
    (platform.data_dir / "secret.key").unlink()
    refused = subprocess.run(
        [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", platform.data_dir], capture_output=True, text=True,
        timeout=60, check=False,
    )
    assert refused.returncode == 1 and "restore it from a backup" in refused.stderr
