"""`pilot keys`: access keys that are made and taken away while the platform runs, and what they sign."""

import datetime
import hashlib
import hmac
import http.client
import json
import subprocess

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

from conftest import deploy_to
from packages import ECHO
from pilot_up import PILOT, eventually


def keys(platform, *args, check=True):
    return platform.pilot("keys", *args, "--data-dir", platform.data_dir, check=check)


def create(platform, *args):
    return json.loads(keys(platform, "create", "--output", "json", *args).stdout)


def refusal(client):
    try:
        client.list_functions()
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_keys_come_and_go_while_the_platform_runs(new_platform):
    platform = new_platform()
    anyone = platform.client()
    assert refusal(anyone) is None, "open without keys"
    one = create(platform, "--account", "000000000001", "--description", "ci")
    assert len(one["secret"]) == 40 and one["account"] == "000000000001"
    eventually(lambda: refusal(anyone) == "UnrecognizedClientException", "the first key closes it")
    mine = platform.client(one["id"], one["secret"])
    deploy_to(mine, ECHO, name="mine")
    assert refusal(platform.client(one["id"], "wrong")) == "InvalidSignatureException"

    two = create(platform, "--account", "000000000002")
    other = platform.client(two["id"], two["secret"])
    eventually(lambda: refusal(other) is None, "the second key counts")
    assert other.list_functions()["Functions"] == []
    listed = json.loads(keys(platform, "ls", "--output", "json").stdout)
    assert [(key["id"], key["description"]) for key in listed] == [(one["id"], "ci"), (two["id"], "")]
    assert one["secret"] not in keys(platform, "ls").stdout

    keys(platform, "delete", one["id"])
    eventually(lambda: refusal(mine) == "UnrecognizedClientException", "a deleted key counts no more")
    assert keys(platform, "delete", one["id"], check=False).returncode == 1
    assert "last key" in keys(platform, "delete", two["id"]).stderr
    eventually(lambda: refusal(other) == "UnrecognizedClientException", "the last key is gone")
    assert refusal(anyone) == "UnrecognizedClientException", "what was closed does not open by itself"


def test_keys_outlive_the_platform_and_no_secret_is_readable(new_platform):
    platform = new_platform()
    key = create(platform)
    platform.kill()
    platform.start()
    client = platform.client(key["id"], key["secret"])
    deploy_to(client, ECHO, name="f").call({"a": 1})
    assert platform.stop() == 0
    for path in platform.folder.rglob("*"):
        if path.is_file() and path.stat().st_size < 1 << 24:
            assert key["secret"].encode() not in path.read_bytes(), path
    damaged = platform.data_dir / "keys.json"
    damaged.write_text("{")
    refused = subprocess.run(
        [PILOT, "up", "--listen", "127.0.0.1:0", "--data-dir", platform.data_dir], capture_output=True, text=True,
        timeout=60, check=False,
    )
    assert refused.returncode == 1 and "does not hold access keys" in refused.stderr


def test_secrets_that_others_may_read_are_told_once_with_what_mends_it(new_platform):
    platform = new_platform('[[access_keys]]\nid = "a"\nsecret = "b"\naccount = "000000000001"\n')
    secrets = (platform.config, platform.data_dir / "secret.key")
    warned = lambda: [line["message"] for line in platform.log() if "holds secrets" in line.get("message", "")]  # noqa: E731
    assert platform.stop() == 0 and not warned()
    for path in secrets:
        path.chmod(0o644)
    platform.expect_log("holds secrets")
    platform.start()
    told = warned()
    assert len(told) == 2, told
    for path, line in zip(secrets, told, strict=True):
        assert line.endswith(f"(mode 644): chmod 600 {path}"), line
        subprocess.run(line.rsplit(": ", 1)[1].split(), check=True)
    assert platform.stop() == 0
    platform.start()
    assert warned() == told, "nothing is left to warn of"


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path):
    for action in (["ls"], ["delete", "AKIAXXXXXXXXXXXXXXXX"]):
        done = subprocess.run(
            [PILOT, "keys", *action, "--data-dir", tmp_path / "typo"], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 1 and "there is no data directory" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_first_key_is_made_before_the_first_start(tmp_path):
    config = tmp_path / "pilot.toml"
    config.write_text('listen = "0.0.0.0:9000"\n')
    made = subprocess.run(
        [PILOT, "keys", "create", "--output", "env", "--data-dir", tmp_path / "data", "--config", config],
        capture_output=True, text=True, timeout=30, check=True,
    )
    names = [line.split("=")[0] for line in made.stdout.splitlines()]
    assert names == ["export AWS_ACCESS_KEY_ID", "export AWS_SECRET_ACCESS_KEY"]


@pytest.fixture
def signed(new_platform):
    platform = new_platform()
    key = create(platform)
    eventually(lambda: refusal(platform.client()), "the key counts")
    deploy_to(platform.client(key["id"], key["secret"]), ECHO, name="f")
    return platform, botocore.credentials.Credentials(key["id"], key["secret"])


def test_a_presigned_request_is_good_for_what_was_signed(signed):
    platform, credentials = signed
    request = botocore.awsrequest.AWSRequest("GET", f"{platform.url}/2015-03-31/functions/f")
    botocore.auth.SigV4QueryAuth(credentials, "lambda", "us-east-1", expires=60).add_auth(request)
    path = request.url.removeprefix(platform.url)
    status, answer = send(platform, path, {}, None, method="GET")
    assert status == 200 and json.loads(answer)["Configuration"]["FunctionName"] == "f"
    for change in (("X-Amz-Expires=60", "X-Amz-Expires=600"), ("functions/f?", "functions/g?")):
        assert send(platform, path.replace(*change), {}, None, method="GET")[0] == 403


def test_a_clock_that_is_far_off_is_told(signed):
    platform, credentials = signed
    long_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=16)
    headers, body = chunked(platform, credentials, "/2015-03-31/functions/f/invocations", b"[1]", at=long_ago)
    status, answer = send(platform, "/2015-03-31/functions/f/invocations", headers, body)
    assert status == 403 and b"Signature expired" in answer


def test_a_payload_signed_in_chunks_is_decoded(signed):
    platform, credentials = signed
    path, event = "/2015-03-31/functions/f/invocations", json.dumps({"text": "x" * 100_000}).encode()
    headers, body = chunked(platform, credentials, path, event)
    assert send(platform, path, headers, body) == (200, event)
    forged = body.replace(b"xxxx", b"yyyy", 1)
    assert send(platform, path, headers, forged)[0] == 403
    shorter = body[: body.rindex(b"0;chunk-signature")]
    assert send(platform, path, headers, shorter)[0] == 400


def chunked(platform, credentials, path, data, at=None, size=64 * 1024):
    """Head and body of a request in `aws-chunked` encoding, as the SDKs for Java and C++ send it."""
    now = (at or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{now[:8]}/us-east-1/lambda/aws4_request"
    headers = {
        "content-encoding": "aws-chunked",
        "host": f"127.0.0.1:{platform.port}",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "x-amz-date": now,
        "x-amz-decoded-content-length": str(len(data)),
    }
    key = b"AWS4" + credentials.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")

    def sign(*lines):
        return hmac.new(key, "\n".join(lines).encode(), "sha256").hexdigest()

    def sha256(content):
        return hashlib.sha256(content).hexdigest()

    names = ";".join(headers)
    canonical = "\n".join(
        ["POST", path, "", *(f"{name}:{value}" for name, value in headers.items()), "", names,
         headers["x-amz-content-sha256"]]
    )
    signature = sign("AWS4-HMAC-SHA256", now, scope, sha256(canonical.encode()))
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    body = b""
    for chunk in [*(data[at : at + size] for at in range(0, len(data), size)), b""]:
        signature = sign("AWS4-HMAC-SHA256-PAYLOAD", now, scope, signature, sha256(b""), sha256(chunk))
        body += f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk + b"\r\n"
    return headers, body


def send(platform, path, headers, body, method="POST"):
    connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()
