"""What a process parked without a function becomes in a fork. The other tests start from a zygote, too."""

import os
import time

import pytest
from fake_api import RUNTIME

ENVIRONMENT = """
import os, subprocess
at_init = dict(os.environ)
def handler(e, c):
    import posix
    child = subprocess.check_output(["env", "-0"], text=True).split("\\0")
    inner = {k.decode(): v.decode() for k, v in posix.environ.items()}
    return [at_init, dict(os.environ), inner, dict(v.split("=", 1) for v in child if v), os.getcwd()]
"""


def test_the_environment_is_the_functions_everywhere(assign):
    runtime = assign(ENVIRONMENT, env={"MINE": "is é\n=1", "PATH": "/usr/bin:/bin", "EMPTY": ""})
    runtime.asks()
    *views, cwd = runtime.call(lambda_runtime_trace_id=None)
    assert cwd == str(runtime.task)
    for view in views:
        assert view == views[0]
    assert views[0]["MINE"] == "is é\n=1" and views[0]["EMPTY"] == ""
    assert views[0]["PATH"] == "/usr/bin:/bin"
    assert views[0]["_HANDLER"] == "app.handler"
    assert not {"LEFT_OVER", "_PILOTLIGHT_ZYGOTE", "_PILOTLIGHT_RUNTIME_FD"} & views[0].keys()


def test_ready_is_when_the_assignment_is_applied(assign):
    before = time.monotonic_ns()
    runtime = assign("import time; time.sleep(0.02)\ndef handler(e, c): return 1")
    first = runtime.asks().headers
    begun, done = int(first["pilotlight-runtime-ready"]), int(first["pilotlight-user-init-done"])
    assert before < begun and begun + 20_000_000 <= done < time.monotonic_ns()


def test_a_zygote_that_is_hung_up_on_ends_quietly(assign, running):
    assign("")
    zygote = type(running[0])(running[0].task)
    running.append(zygote)
    assert zygote.end() == ("", "")
    assert zygote.process.returncode == 0


def test_relative_entries_of_pythonpath(assign):
    runtime = assign(
        "import sys, below\ndef handler(e, c): return [sys.path[:4], below.x]",
        env={"PYTHONPATH": "lib::/p/../q/"},
        files={"lib/below.py": "x = 1"},
    )
    runtime.asks()
    task = str(runtime.task)
    assert runtime.call() == [[task, f"{task}/lib", task, "/q"], 1]


@pytest.mark.parametrize(
    ("name", "value", "expression", "result"),
    [
        ("PYTHONDONTWRITEBYTECODE", "1", "sys.dont_write_bytecode", True),
        ("PYTHONWARNINGS", "error::UserWarning,ignore", "sys.warnoptions", ["error::UserWarning", "ignore"]),
        ("PYTHONUNBUFFERED", "1", "type(sys.stdout.buffer).__name__", "FileIO"),
        ("PYTHONUNBUFFERED", "1", "sys.stdout is sys.__stdout__ and sys.stdout.line_buffering", True),
        ("TZ", "Asia/Tokyo", "[time.tzname[0], time.localtime(0).tm_hour, time.timezone]", ["JST", 9, -32400]),
    ],
)
def test_variables_that_an_interpreter_reads_at_its_start(ready, name, value, expression, result):
    runtime = ready(f"import sys, time\ndef handler(e, c): return {expression}", env={name: value})
    assert runtime.call() == result


def test_warnings_are_filtered_as_the_variable_says(ready):
    source = "import warnings\ndef handler(e, c): warnings.warn('loud', UserWarning)"
    runtime = ready(source, env={"PYTHONWARNINGS": "ignore,error::UserWarning"})
    assert runtime.error()["errorType"] == "UserWarning"


def test_unbuffered_output_is_out_before_its_line_ends(ready):
    runtime = ready(
        "import sys\ndef handler(e, c):\n    print('part', end='')\n    sys.stderr.write('err')\n"
        "    sys.stdin.read(); import select; select.select([], [], [])",
        env={"PYTHONUNBUFFERED": "1"},
    )
    runtime.sends(1)
    assert runtime.process.stdout.read(4) == b"part"
    assert runtime.process.stderr.read(3) == b"err"


OWN_MODULES = {
    "random.py": "mine = 1",
    "decimal/__init__.py": "mine = 2",
    "uuid/data.txt": "",
    "os.py": "mine = 3",
    "layer/base64.py": "mine = 4",
}


def test_the_functions_own_modules_come_before_preloaded_ones(ready, tmp_path):
    runtime = ready(
        "import random, decimal, uuid, os, base64\n"
        "def handler(e, c):\n"
        "    return [random.mine, decimal.mine, len(str(uuid.uuid4())), hasattr(os, 'mine'), base64.mine]",
        files=OWN_MODULES,
        env={"PYTHONPATH": "layer"},
    )
    # The interpreter has `os` built in, and a folder is no module where there is one of that name.
    assert runtime.call() == [1, 2, 36, False, 4]


def test_log_records_are_the_functions(assign):
    runtime = assign(
        "import logging\n"
        "root = logging.getLogger()\n"
        "made = logging.makeLogRecord({}), logging.LogRecord('', 0, '', 0, '', (), None).relativeCreated\n"
        "def handler(e, c): return [len(root.handlers), root.level, 0 <= made[1] < 2000]",
        env={"AWS_LAMBDA_LOG_LEVEL": "DEBUG"},
    )
    runtime.asks()
    assert runtime.call() == [1, 10, True]


def test_the_zygotes_host_name_is_not_kept(assign):
    runtime = assign("import platform\ndef handler(e, c): return [platform._uname_cache, platform.node()]")
    runtime.asks()
    assert runtime.call() == [None, os.uname().nodename]


def test_nothing_of_openssl_is_in_a_zygote(assign):
    runtime = assign("def handler(e, c): return open('/proc/self/maps').read()")
    runtime.asks()
    maps = runtime.call()
    assert "libcrypto" not in maps and "libssl" not in maps


def test_code_of_the_runtime_is_found_without_a_variable(assign):
    """`/var/runtime` is the default; here the zygote is told, and the function is not."""
    runtime = assign(
        "import sys\ndef handler(e, c): return sys.path", env={"LAMBDA_RUNTIME_DIR": os.fspath(RUNTIME)}
    )
    runtime.asks()
    path = runtime.call()
    assert path.count(str(RUNTIME)) == 1 and path[-4] == str(RUNTIME)
