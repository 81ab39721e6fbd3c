"""cargo-lambda as people use it with Rust: build, deploy, invoke, aliases, function URLs, layers."""

import json
import os
import pathlib
import subprocess
import urllib.request

import pytest

from conftest import ROLE
from pilot_up import ROOT

PROJECT = pathlib.Path(__file__).parent / "cargo_lambda"
TARGET = ROOT / "target" / "e2e-cargo-lambda"
VENV = ROOT / ".venv" / "bin"
BUILDING = 900


def cargo_lambda(platform, *args, check=True, timeout=180):
    env = os.environ | (platform.env() if platform else {}) | {
        # Its compiler (zig) comes with it, in the same folder.
        "PATH": f"{VENV}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "CARGO_TARGET_DIR": str(TARGET),
        "AWS_REGION": "us-east-1", "NO_COLOR": "1",
    }
    done = subprocess.run(
        [VENV / "cargo-lambda", "lambda", *args], cwd=PROJECT, env=env, capture_output=True, text=True, timeout=timeout,
        check=False,
    )
    assert not check or done.returncode == 0, f"{args}: {done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def built():
    cargo_lambda(None, "build", timeout=BUILDING)
    bootstrap = TARGET / "lambda" / "greeter" / "bootstrap"
    assert bootstrap.exists()
    return bootstrap


def deploy(platform, *args):
    return cargo_lambda(platform, "deploy", "--iam-role", ROLE, *args, "greeter")


def invoke(platform, name, *args):
    data = json.dumps({"name": name})
    return json.loads(cargo_lambda(platform, "invoke", "--remote", "--data-ascii", data, *args, "greeter").stdout)


def test_build_deploy_and_invoke(platform, client, built):
    arn = "arn:aws:lambda:us-east-1:123456789012:function:greeter"
    try:
        deploy(platform, "--memory", "256", "--timeout", "10", "--env-var", "STAGE=one", "--tag", "team=a")
        client.get_waiter("function_active_v2").wait(FunctionName="greeter", WaiterConfig={"Delay": 1})
        answer = invoke(platform, "world")
        assert answer == {"name": "world", "arn": arn}
        found = client.get_function(FunctionName="greeter")
        configuration = found["Configuration"]
        assert (configuration["MemorySize"], configuration["Timeout"]) == (256, 10)
        assert found["Tags"]["team"] == "a"

        deploy(platform, "--memory", "128", "--env-var", "STAGE=two")
        client.get_waiter("function_updated_v2").wait(FunctionName="greeter", WaiterConfig={"Delay": 1})
        client.create_alias(FunctionName="greeter", Name="live", FunctionVersion="1")
        deploy(platform, "--alias", "live", "--env-var", "STAGE=three")
        alias = client.get_alias(FunctionName="greeter", Name="live")
        assert int(alias["FunctionVersion"]) > 1, "the alias follows what was deployed"
        active = client.get_waiter("function_active_v2")
        active.wait(FunctionName="greeter", Qualifier="live", WaiterConfig={"Delay": 1})
        assert invoke(platform, "again", "--alias", "live") == {"name": "again", "arn": f"{arn}:live"}

        deploy(platform, "--enable-function-url")
        url = client.get_function_url_config(FunctionName="greeter")["FunctionUrl"]
        request = urllib.request.Request(url, data=b"{}")
        with urllib.request.urlopen(request, timeout=30) as response:
            assert json.load(response)["arn"] == arn
        deploy(platform, "--disable-function-url")
        with pytest.raises(client.exceptions.ResourceNotFoundException):
            client.get_function_url_config(FunctionName="greeter")
    finally:
        client.delete_function(FunctionName="greeter")


def test_a_function_that_is_not_there_is_told(platform, built):
    done = cargo_lambda(platform, "invoke", "--remote", "--data-ascii", "{}", "nobody", check=False)
    assert done.returncode != 0 and "ResourceNotFoundException" in done.stderr
