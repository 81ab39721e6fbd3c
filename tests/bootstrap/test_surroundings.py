"""What user code finds around it: context, environment, module path, output and logging."""

import json
import re
import sys
import tomllib
from pathlib import Path

from fake_api import RUNTIME

CONTEXT = """
def handler(event, c):
    first = c.get_remaining_time_in_millis()
    return {
        "id": c.aws_request_id, "group": c.log_group_name, "stream": c.log_stream_name,
        "name": c.function_name, "memory": c.memory_limit_in_mb, "version": c.function_version,
        "arn": c.invoked_function_arn, "tenant": c.tenant_id, "left": first,
        "identity": [c.identity.cognito_identity_id, c.identity.cognito_identity_pool_id],
        "client": c.client_context and [
            c.client_context.custom, c.client_context.env,
            c.client_context.client and c.client_context.client.app_title],
        "repr": repr(c),
    }
"""


def test_context(ready):
    runtime = ready(CONTEXT)
    found = runtime.call()
    assert 0 < found.pop("left") <= 3000
    assert found.pop("repr").startswith(f"LambdaContext([aws_request_id={runtime.id},log_group_name=")
    assert found == {
        "id": runtime.id,
        "group": "/aws/lambda/fn",
        "stream": "2026/01/01/[$LATEST]abc",
        "name": "fn",
        "memory": "128",
        "version": "$LATEST",
        "arn": "arn:aws:lambda:us-east-1:123456789012:function:fn",
        "tenant": None,
        "identity": [None, None],
        "client": None,
    }


def test_context_of_a_mobile_caller(ready):
    client = {"client": {"app_title": "T"}, "custom": {"k": "v"}, "env": {"e": "1"}, "other": 1}
    identity = {"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"}
    runtime = ready(CONTEXT)
    found = runtime.call(
        lambda_runtime_client_context=json.dumps(client),
        lambda_runtime_cognito_identity=json.dumps(identity),
        lambda_runtime_aws_tenant_id="blue",
        lambda_runtime_deadline_ms="1000",
    )
    assert found["client"] == [{"k": "v"}, {"e": "1"}, "T"]
    assert found["identity"] == ["i", "p"]
    assert (found["tenant"], found["left"]) == ("blue", 0)
    assert runtime.call(lambda_runtime_client_context="{}")["client"] == [None, None, None]


def test_context_that_is_not_json(ready):
    error = ready(CONTEXT).error(lambda_runtime_client_context="{")
    assert error["errorType"] == "Runtime.LambdaContextUnmarshalError"
    assert error["errorMessage"].startswith("Unable to parse Client Context JSON: ")


def test_trace_id_belongs_to_the_invocation(ready):
    source = "{}\ndef handler(e, c):\n    import os, subprocess\n    return [os.environ.get('_X_AMZN_TRACE_ID'), os.getenv('_X_AMZN_TRACE_ID'), subprocess.run('echo $_X_AMZN_TRACE_ID', shell=True, capture_output=True, text=True).stdout.strip()]"
    for early in ("", "import os"):
        runtime = ready(source.format(early))
        assert runtime.call(lambda_runtime_trace_id="Root=1") == ["Root=1", "Root=1", "Root=1"]
        assert runtime.call(lambda_runtime_trace_id="Root=2") == ["Root=2", "Root=2", "Root=2"]
        assert runtime.call(lambda_runtime_trace_id=None) == [None, None, ""]


def test_the_platforms_variables_are_not_seen(ready):
    runtime = ready(
        "import os, subprocess\n"
        "def handler(e, c): return [sorted(os.environ), subprocess.check_output('env', text=True)]"
    )
    names, child = runtime.call()
    assert "_PILOTLIGHT_RUNTIME_FD" not in names and "_PILOTLIGHT_RUNTIME_FD" not in child
    assert "AWS_LAMBDA_FUNCTION_NAME" in names


def test_module_path(ready, tmp_path):
    runtime = ready("import sys\ndef handler(e, c): return sys.path", env={"PYTHONPATH": "/p/one:/p/two"})
    path = runtime.call()
    assert path[:6] == [
        str(runtime.task),
        "/p/one",
        "/p/two",
        "/opt/python/lib/python3.11/site-packages",
        "/opt/python",
        str(RUNTIME),
    ]
    assert [Path(entry).name for entry in path[6:]] == ["python311.zip", "python3.11", "lib-dynload"]


def test_variables_of_the_interpreter_are_honoured(boot):
    source = "import sys\ndef handler(e, c): return [sys.flags.hash_randomization, sys.flags.optimize]"
    runtime = boot(source, env={"PYTHONHASHSEED": "0", "PYTHONOPTIMIZE": "1"})
    runtime.asks()
    assert runtime.call() == [0, 1]


def test_user_modules_come_first(ready):
    files = {"bootstrap.py": "mine = 1", "secrets.py": "mine = 2"}
    source = "import bootstrap, secrets\ndef handler(e, c): return [bootstrap.mine, secrets.mine]"
    assert ready(source, files=files).call() == [1, 2]


def test_collector_is_as_usual(ready):
    assert ready("import gc\ndef handler(e, c): return gc.get_threshold()").call() == [700, 10, 10]
    source = "import gc\ngc.set_threshold(5)\ndef handler(e, c): return gc.get_threshold()[0]"
    assert ready(source).call() == 5


def test_little_is_imported(boot):
    runtime = boot("import sys\ndef handler(e, c): return sorted(sys.modules)")
    runtime.asks()
    heavy = {"os", "re", "json", "socket", "logging", "traceback", "importlib", "http", "site"}
    assert heavy.isdisjoint(runtime.call())


def test_exec_wrapper(boot, tmp_path):
    wrapper = tmp_path / "wrapper"
    wrapper.write_text('#!/bin/sh\nexport WRAPPED=yes\nexec "$@"\n')
    wrapper.chmod(0o755)
    source = (
        "import os\n"
        "def handler(e, c): return [os.environ['WRAPPED'], os.environ.get('AWS_LAMBDA_EXEC_WRAPPER')]"
    )
    runtime = boot(source, env={"AWS_LAMBDA_EXEC_WRAPPER": str(wrapper)})
    runtime.asks()
    assert runtime.call() == ["yes", None]


def test_a_wrapper_that_is_not_there_ends_the_process_as_a_shell_does(boot):
    runtime = boot("", env={"AWS_LAMBDA_EXEC_WRAPPER": "/nowhere"})
    assert runtime.process.wait(60) == 127
    assert runtime.process.stdout.read() == b"/nowhere: No such file or directory\n"


def test_lines_come_out_at_once(ready):
    runtime = ready(
        "import sys\n"
        "def handler(e, c):\n"
        "    print('line', e); print('to err', file=sys.stderr)\n"
        "    sys.stdin.read()\n"
        "    print('part', end='')\n"
    )
    runtime.sends(1)
    assert runtime.process.stdout.readline() == b"line 1\n"
    assert runtime.process.stderr.readline() == b"to err\n"
    runtime.read()
    # Half a line is out before the answer is.
    assert runtime.process.stdout.read1() == b"part"


def test_closed_output_does_no_harm(ready):
    runtime = ready(
        "import sys\nsys.stdout.close()\nsys.stderr = None\n"
        "def handler(e, c):\n    if e: raise ValueError(e)\n    c.log('x')\n    return 'fine'"
    )
    assert runtime.call() == "fine"
    assert runtime.error("bad")["errorMessage"] == "bad"
    assert runtime.call() == "fine"


def test_context_log_writes_a_line(ready):
    runtime = ready("def handler(e, c):\n    c.log('one')\n    c.log('two\\n')\n    c.log(3)")
    runtime.call()
    assert runtime.log() == "one\ntwo\n3\n"


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def test_log_lines(ready):
    runtime = ready(
        "import logging\n"
        "log = logging.getLogger(__name__)\n"
        "logging.basicConfig(format='never used')\n"
        "log.warning('at init')\n"
        "def handler(e, c):\n"
        "    log.error('in %s', 'handler')\n"
        "    log.info('unseen')\n"
        "    logging.getLogger().setLevel('INFO')\n"
        "    log.info('seen')\n"
    )
    runtime.call()
    first = runtime.id
    lines = runtime.log().splitlines()
    assert len(lines) == 3
    assert re.fullmatch(rf"\[WARNING\]\t{STAMP}\t\tat init", lines[0])
    assert re.fullmatch(rf"\[ERROR\]\t{STAMP}\t{first}\tin handler", lines[1])
    assert re.fullmatch(rf"\[INFO\]\t{STAMP}\t{first}\tseen", lines[2])


def test_log_level(ready):
    source = "import logging\ndef handler(e, c):\n    logging.debug('d'); logging.getLogger('x').info('i')"
    for level, levels in {"TRACE": ["DEBUG", "INFO"], "INFO": ["INFO"], "WARN": [], "bogus": []}.items():
        runtime = ready(source, env={"AWS_LAMBDA_LOG_LEVEL": level})
        runtime.call()
        assert re.findall(r"\[(\w+)\]", runtime.log()) == levels


def test_json_logs(ready):
    runtime = ready(
        "import logging\n"
        "log = logging.getLogger('my.log')\n"
        "def handler(e, c):\n"
        "    if e == 'raise': raise ValueError('é')\n"
        "    log.info('n=%d', 1, extra={'user': {'id': 2}, 'odd': {1}})\n"
        "    log.warning({'whole': True})\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: log.exception('caught')\n",
        env={"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"},
    )
    runtime.call()
    first = runtime.id
    runtime.error("raise")
    info, warning, caught, raised = map(json.loads, runtime.log().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", info.pop("timestamp"))
    assert info == {
        "level": "INFO",
        "message": "n=1",
        "logger": "my.log",
        "requestId": first,
        "user": {"id": 2},
        "odd": "{1}",
    }
    assert warning["message"] == {"whole": True}
    assert caught["errorType"] == "ZeroDivisionError" and caught["errorMessage"] == "division by zero"
    assert "1 / 0" in caught["stackTrace"][0] and caught["location"].endswith("app.py:handler:8")
    assert (raised["level"], raised["errorType"], raised["errorMessage"]) == ("ERROR", "ValueError", "é")
    assert raised["requestId"] == runtime.id and raised["timestamp"] and raised["stackTrace"]


def test_a_users_own_logging_module_is_left_alone(ready):
    runtime = ready(
        "import logging\ndef handler(e, c): return logging.mine", files={"logging.py": "mine = True"}
    )
    assert runtime.call() is True


def test_python_of_the_tests_is_the_runtimes(ready):
    version = ready("import sys\ndef handler(e, c): return sys.version_info[:2]").call()
    assert version == [3, 11], sys.version


def test_the_image_has_every_part_of_the_runtime():
    recipe = tomllib.loads((RUNTIME / "recipe.toml").read_text())
    parts = {path.name for path in RUNTIME.glob("*.py")}
    assert recipe["tree"]["sources"] == {f"var/runtime/{name}": name for name in parts}
