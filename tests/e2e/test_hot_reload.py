"""Hot reload: a function runs from a folder of this machine, and the next call sees what has changed."""

import concurrent.futures
import json
import shutil
import urllib.request

import pytest

from conftest import ROLE, deploy_to, eventually, wait_active
from packages import ECHO, package

NO_BUCKET = (
    400, "InvalidParameterValueException",
    "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist",
)
PYTHON = "import helper\ndef lambda_handler(event, context):\n    return [%r, helper.X]\n"
NODE = "const helper = require('./helper');\nexports.handler = async () => [%s, helper.x];\n"


def code(folder):
    return {"S3Bucket": "hot-reload", "S3Key": str(folder)}


def message(call, **members):
    with pytest.raises(Exception) as caught:
        call(**members)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "code"
    path.mkdir(mode=0o755)
    return path


@pytest.mark.parametrize(
    ("runtime", "handler", "main", "helper"),
    [
        (
            "python3.11", "lambda_function.lambda_handler",
            ("lambda_function.py", lambda value: PYTHON % value), ("helper.py", lambda value: f"X = {value!r}\n"),
        ),
        (
            "nodejs20.x", "index.handler",
            ("index.js", lambda value: NODE % json.dumps(value)), ("helper.js", lambda value: f"exports.x = {value};"),
        ),
    ],
    ids=["python", "node"],
)
def test_the_next_call_sees_every_change(client, deploy, folder, runtime, handler, main, helper):
    def write(file, value):
        (folder / file[0]).write_text(file[1](value))

    write(main, 0)
    write(helper, 0)
    function = deploy(ECHO, Code=code(folder), Runtime=runtime, Handler=handler)
    assert function.call() == [0, 0]
    for value in range(1, 4):
        # Of the same length, and at once.
        write(main, value)
        assert function.call() == [value, value - 1]
        write(helper, value)
        assert function.call() == [value, value]
        assert function.invoke()["ResponseMetadata"]["HTTPHeaders"]["server-timing"].startswith('start;desc="warm"')
    # As editors save: another file takes the name.
    temporary = folder / ".temporary"
    temporary.write_text(helper[1](9))
    temporary.rename(folder / helper[0])
    assert function.call() == [3, 9]


def test_a_change_while_calls_run_is_seen_by_those_that_come_after(deploy, folder):
    source = "import time\ndef lambda_handler(event, context):\n    time.sleep(0.05)\n    return %d\n"

    def save(value):
        # As editors do: a file that is written in place is empty for a moment, which a call may see.
        beside = folder / ".beside"
        beside.write_text(source % value)
        beside.rename(folder / "lambda_function.py")

    save(0)
    function = deploy(ECHO, Code=code(folder))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for value in range(1, 6):
            running = [pool.submit(function.call) for _ in range(4)]
            save(value)
            assert [function.call(), function.call()] == [value, value]
            assert all(call.result() in (value - 1, value) for call in running)


def test_new_folders_and_another_folder_in_its_place(deploy, folder):
    (folder / "lambda_function.py").write_text(
        "import os\ndef lambda_handler(event, context):\n"
        "    return sorted(os.path.join(path, file)[10:] for path, _, files in os.walk('/var/task') for file in files)\n"
    )
    function = deploy(ECHO, Code=code(folder))
    assert function.call() == ["lambda_function.py"]
    (folder / "a" / "b").mkdir(parents=True)
    assert function.call() == ["lambda_function.py"]
    (folder / "a" / "b" / "new").write_text("x")
    assert function.call() == ["a/b/new", "lambda_function.py"]
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    (other / "more").write_text("x")
    folder.rename(folder.with_name("old"))
    other.rename(folder)
    assert function.call() == ["a/b/new", "lambda_function.py", "more"]


def test_a_folder_that_is_gone_is_told_and_comes_back(client, deploy, folder):
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 'here'\n")
    function = deploy(ECHO, Code=code(folder))
    assert function.call() == "here"
    shutil.rmtree(folder)
    gone = (
        400, "InvalidParameterValueException",
        f"The folder {folder} that the function's code is loaded from does not exist.",
    )
    assert message(client.invoke, FunctionName=function.name) == gone
    folder.mkdir(mode=0o755)
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 'back'\n")
    assert function.call() == "back"


def test_the_folder_is_read_only_for_the_function(deploy, folder):
    (folder / "lambda_function.py").write_text(
        "def lambda_handler(event, context):\n    open('/var/task/lambda_function.py', 'a').write('#')\n"
    )
    folder.chmod(0o777)
    (folder / "lambda_function.py").chmod(0o666)
    answer = deploy(ECHO, Code=code(folder)).invoke()
    assert answer["FunctionError"] == "Unhandled" and answer["json"]["errorType"] == "OSError"


def test_code_moves_between_packages_and_folders(client, deploy, folder):
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 'folder'\n")
    function = deploy("def lambda_handler(event, context):\n    return 'package'\n")
    before = client.get_function_configuration(FunctionName=function.name)
    assert function.call() == "package"
    updated = client.update_function_code(FunctionName=function.name, S3Bucket="hot-reload", S3Key=str(folder))
    assert updated["CodeSize"] == 0 and updated["CodeSha256"] != before["CodeSha256"]
    wait_active(client, function.name)
    assert function.call() == "folder"
    location = client.get_function(FunctionName=function.name)["Code"]["Location"]
    with urllib.request.urlopen(location, timeout=10) as download:
        assert download.read(2) == b"PK"
    # A version is of the folder, too.
    # A folder has no hash that a tool could know: it gives that of what it would have uploaded.
    version = client.publish_version(FunctionName=function.name, CodeSha256="zipfilehash")["Version"]
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 'changed'\n")
    assert function.invoke(Qualifier=version)["json"] == "changed"
    zipped = package({"lambda_function.py": "def lambda_handler(event, context):\n    return 'again'\n"})
    client.update_function_code(FunctionName=function.name, ZipFile=zipped)
    wait_active(client, function.name)
    assert function.call() == "again"


def test_provisioned_instances_are_made_again(client, deploy, folder):
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 1\n")
    function = deploy(ECHO, Code=code(folder))
    version = client.publish_version(FunctionName=function.name)["Version"]
    which = dict(FunctionName=function.name, Qualifier=version)

    def ready():
        return client.get_provisioned_concurrency_config(**which)["Status"] == "READY"

    client.put_provisioned_concurrency_config(**which, ProvisionedConcurrentExecutions=2)
    eventually(ready, "the instances are there")
    assert function.invoke(Qualifier=version)["json"] == 1
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 2\n")
    assert function.invoke(Qualifier=version)["json"] == 2
    eventually(ready, "the instances are there again")
    client.delete_provisioned_concurrency_config(**which)


def test_folders_that_cannot_be(platform, client, folder):
    create = dict(FunctionName="never", Runtime="python3.11", Handler="a.b", Role=ROLE)

    def refused(path):
        status, kind, text = message(client.create_function, Code=code(path), **create)
        assert (status, kind) == (400, "InvalidParameterValueException")
        return text

    assert refused(folder / "nowhere") == f"The folder {folder / 'nowhere'} does not exist."
    assert "must be the absolute path of a folder" in refused("relative/path")
    (folder / "file").write_text("x")
    assert refused(folder / "file") == f"{folder / 'file'} is not a folder."
    assert "platform's own data" in refused(platform.data_dir) and "platform's own data" in refused("/")
    assert all("no folder of files" in refused(path) for path in ("/proc", "/proc/net", "/sys", "/dev"))
    folder.chmod(0o700)
    assert "readable by others" in refused(folder)


def test_a_crash_changes_nothing(new_platform, folder):
    platform = new_platform()
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 1\n")
    function = deploy_to(platform.client(), ECHO, Code=code(folder))
    assert function.call() == 1
    platform.kill()
    (folder / "lambda_function.py").write_text("def lambda_handler(event, context):\n    return 2\n")
    platform.start()
    function.client = platform.client()
    assert function.call() == 2
    platform.kill()
    shutil.rmtree(folder)
    platform.start()
    assert message(platform.client().invoke, FunctionName=function.name)[1] == "InvalidParameterValueException"


KEY = """
[[access_keys]]
id = "AKIAONE"
secret = "secret"
account = "000000000001"
"""


@pytest.mark.parametrize(
    ("config", "keys", "refused"),
    [
        ("hot_reload = false\n", "", NO_BUCKET[2]), ("", KEY, NO_BUCKET[2]),
        ("hot_reload = true\n", KEY, "where there are access keys, folders must be listed"),
        ('hot_reload = ["{folder}"]\n', KEY, None),
    ],
    ids=["off", "keyed", "keyed-and-any", "keyed-and-listed"],
)
def test_who_may_load_folders_is_configured(new_platform, folder, config, keys, refused):
    platform = new_platform(config.format(folder=folder) + keys)
    client = platform.client(key="AKIAONE", secret="secret")
    (folder / "lambda_function.py").write_text(ECHO)
    if refused is None:
        assert deploy_to(client, ECHO, Code=code(folder)).call(1) == 1
        folder = "/etc"
        refused = "configuration does not let"
    create = dict(FunctionName="never", Runtime="python3.11", Handler="a.b", Role=ROLE)
    assert refused in message(client.create_function, Code=code(folder), **create)[2]


def test_folders_within_others_are_configured(new_platform, folder):
    inside = folder / "inside"
    inside.mkdir(mode=0o755)
    (inside / "lambda_function.py").write_text(ECHO)
    (folder / "link").symlink_to("/etc")
    client = new_platform(f'hot_reload = ["{folder}"]\n').client()
    assert deploy_to(client, ECHO, Code=code(inside)).call(1) == 1
    create = dict(FunctionName="never", Runtime="python3.11", Handler="a.b", Role=ROLE)
    for outside in (folder.parent, folder / "link", f"{folder}/../.."):
        assert "configuration does not let" in message(client.create_function, Code=code(outside), **create)[2]
