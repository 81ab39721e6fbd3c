"""The AWS CLI and `pilot` as people type them."""

import fcntl
import json
import os
import pty
import struct
import subprocess
import termios

import pytest

from conftest import ROLE, eventually
from packages import ECHO, package
from pilot_up import PILOT


@pytest.fixture
def zip_file(tmp_path):
    path = tmp_path / "function.zip"
    path.write_bytes(package({"lambda_function.py": ECHO}))
    return path


def test_the_aws_cli_does_a_whole_life(platform, tmp_path, zip_file):
    def aws(*args):
        done = platform.aws(*args)
        return json.loads(done.stdout) if done.stdout.strip() else None

    created = aws("create-function", "--function-name", "cli", "--runtime", "python3.11", "--role", ROLE,
                  "--handler", "lambda_function.lambda_handler", "--zip-file", f"fileb://{zip_file}")
    assert created["State"] == "Pending"
    aws("wait", "function-active-v2", "--function-name", "cli")
    out = tmp_path / "out.json"
    invoke = ("invoke", "--function-name", "cli", "--payload")
    told = aws(*invoke, '{"ü": 1}', "--log-type", "Tail", str(out))
    assert json.loads(out.read_text()) == {"ü": 1} and told["StatusCode"] == 200 and told["LogResult"]
    assert aws(*invoke, "{}", "--invocation-type", "Event", str(out))["StatusCode"] == 202
    assert aws(*invoke, "{}", "--invocation-type", "DryRun", str(out))["StatusCode"] == 204
    assert "cli" in [function["FunctionName"] for function in aws("list-functions")["Functions"]]
    location = aws("get-function", "--function-name", "cli")["Code"]["Location"]
    assert location.startswith(platform.url)
    aws("update-function-configuration", "--function-name", "cli", "--timeout", "9")
    aws("wait", "function-updated-v2", "--function-name", "cli")
    assert aws("get-function-configuration", "--function-name", "cli")["Timeout"] == 9
    aws("update-function-code", "--function-name", "cli", "--zip-file", f"fileb://{zip_file}")
    aws("wait", "function-updated", "--function-name", "cli")
    aws("delete-function", "--function-name", "cli")
    gone = platform.aws("get-function", "--function-name", "cli", check=False)
    assert gone.returncode != 0
    assert "(ResourceNotFoundException) when calling the GetFunction operation: Function not found: arn:aws:lambda:" in gone.stderr


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "greeter"
    path.mkdir()
    (path / "app.py").write_text(
        "import os\ndef handler(event, context):\n    if event == 'fail': raise ValueError('as asked')\n"
        "    print('greeting', event)\n    return f\"{os.environ.get('WORD', 'hello')} {event}\"\n"
    )
    return path


@pytest.fixture
def greeter(platform, client, folder):
    platform.pilot("deploy", folder)
    yield "greeter"
    client.delete_function(FunctionName="greeter")


def test_deploy_finds_out_and_updates(platform, client, greeter, folder):
    first = client.get_function_configuration(FunctionName="greeter")
    assert (first["Runtime"], first["Handler"]) == ("python3.11", "app.handler")
    done = platform.pilot("deploy", folder, "--memory", "256", "--timeout", "9", "--env", "WORD=hallo", "--output", "json")
    told = json.loads(done.stdout)
    assert (told["MemorySize"], told["Timeout"], told["State"]) == (256, 9, "Active")
    assert told["CodeSha256"] == first["CodeSha256"], "the same folder is the same package"
    assert platform.pilot("invoke", greeter, "--payload", '"you"').stdout == '"hallo you"\n'


def test_deploy_warns_of_an_init_that_fails(platform, client, tmp_path):
    folder = tmp_path / "no-init"
    folder.mkdir()
    (folder / "app.py").write_text("import nothing_of_that_name\n\ndef handler(event, context):\n    return 1\n")
    try:
        done = platform.pilot("deploy", folder)
        assert "warning: the init fails" in done.stderr and "Runtime.ImportModuleError" in done.stderr
        (folder / "app.py").write_text("def handler(event, context):\n    return 1\n")
        assert "warning" not in platform.pilot("deploy", folder).stderr
    finally:
        client.delete_function(FunctionName="no-init")


def test_deploy_says_what_it_misses(platform, tmp_path):
    (tmp_path / "empty-one").mkdir()
    (tmp_path / "empty-one" / "notes.txt").write_text("x")
    refused = platform.pilot("deploy", tmp_path / "empty-one", check=False)
    assert refused.returncode == 1 and "--runtime" in refused.stderr and "Node.js" in refused.stderr


def test_invoke_has_exit_codes(platform, greeter):
    assert platform.pilot("invoke", greeter, "--payload", "-", stdin='"pipe"').stdout == '"hello pipe"\n'
    failed = platform.pilot("invoke", greeter, "--payload", '"fail"', check=False)
    assert failed.returncode == 3 and json.loads(failed.stdout)["errorType"] == "ValueError"
    assert platform.pilot("invoke", "nobody", check=False).returncode == 4
    assert platform.pilot("invoke", greeter, "--payload", "{", check=False).returncode == 1
    assert platform.pilot("invoke", check=False).returncode == 2
    tail = platform.pilot("invoke", greeter, "--payload", '"x"', "--tail", "--cold=booted", "--waterfall")
    assert "REPORT RequestId" in tail.stderr and "greeting x" in tail.stderr and "booted" in tail.stderr
    assert "█" in tail.stderr and tail.stdout == '"hello x"\n'


def test_a_throttle_says_which_limit_it_was(platform, client, greeter):
    client.put_function_concurrency(FunctionName=greeter, ReservedConcurrentExecutions=0)
    try:
        throttled = platform.pilot("invoke", greeter, check=False)
    finally:
        client.delete_function_concurrency(FunctionName=greeter)
    assert throttled.returncode == 1 and "(ReservedFunctionConcurrentInvocationLimitExceeded)" in throttled.stderr


def test_requests_for_services_that_are_not_here_are_told(platform):
    # What `AWS_ENDPOINT_URL` does to every other service in the same shell.
    refused = platform.aws("list-rules", service="events", check=False)
    assert refused.returncode != 0 and "for a service that is not served here" in refused.stderr, refused.stderr


def test_ls_shows_states_and_counts(platform, greeter):
    platform.pilot("invoke", greeter)

    def row():
        rows = json.loads(platform.pilot("ls", "--output", "json").stdout)
        return next(row for row in rows if row["name"] == "greeter")

    found = eventually(lambda: (it := row())["idle"] == 1 and it, "the instance is idle")
    assert (found["runtime"], found["state"], found["busy"], found["memory_mb"]) == ("python3.11", "Active", 0, 128)
    assert "greeter" in platform.pilot("ls").stdout


def test_logs_follow(platform, greeter):
    with subprocess.Popen([PILOT, "logs", "-f", greeter], env=platform.env(), stdout=subprocess.PIPE, text=True) as following:
        platform.pilot("invoke", greeter, "--payload", '"one"')
        platform.pilot("invoke", greeter, "--payload", '"two"')
        seen = []
        for line in following.stdout:
            seen.append(line.rstrip("\n"))
            if seen[-1] == "greeting two":
                break
        assert "greeting one" in seen
        following.terminate()
    assert "greeting one" in platform.pilot("logs", greeter, "--since", "1d").stdout
    assert "greeting" not in platform.pilot("logs", greeter, "--since", "0s").stdout
    assert platform.pilot("logs", "nobody", check=False).returncode == 4
    assert platform.pilot("starts", "nobody", check=False).returncode == 4


def test_a_closed_pipe_is_no_failure(platform, greeter):
    platform.pilot("invoke", greeter)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([PILOT, "ls"], env=platform.env(), stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False)
    os.close(writer)
    assert done.returncode == 0 and b"panicked" not in done.stderr


def test_the_waterfall_is_as_wide_as_the_terminal(platform, greeter):
    platform.pilot("invoke", greeter, "--cold")
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    done = subprocess.run([PILOT, "starts", greeter], env=platform.env() | {"LANG": "C"}, stdout=terminal, timeout=30, check=True)
    os.close(terminal)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert done.returncode == 0 and "#" in shown and "█" not in shown
    bars = [line for line in shown.splitlines() if "#" in line]
    assert bars and max(len(line) for line in bars) == 60, shown


def test_doctor_finds_this_machine_fit(platform):
    done = platform.pilot("doctor", "--output", "json")
    checks = json.loads(done.stdout)
    assert len(checks) >= 5 and all(check["outcome"] in ("ok", "warn") for check in checks), checks
    assert platform.pilot("doctor").stdout
