"""Packages that are not what they should be. Each is refused with a reason, and leaves nothing behind."""

import io
import os
import stat
import struct
import warnings
import zipfile

import pytest

from conftest import ROLE
from packages import ECHO, package

GOOD = package({"lambda_function.py": ECHO})


def archive(*entries):
    """A zip of (ZipInfo or name, contents)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, contents in entries:
            file.writestr(name, contents)
    return out.getvalue()


def encrypted():
    data = bytearray(GOOD)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.index(signature) + offset
        struct.pack_into("<H", data, at, struct.unpack_from("<H", data, at)[0] | 1)
    return bytes(data)


def link(target):
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return archive(("lambda_function.py", ECHO), (entry, target))


def wrong_checksum():
    data = bytearray(archive((zipfile.ZipInfo("lambda_function.py"), ECHO)))
    at = data.index(ECHO.encode())
    data[at] ^= 0xFF
    return bytes(data)


MALFORMED = {
    "not-a-zip": lambda: b"this is not a zip",
    "truncated": lambda: GOOD[:-30],
    "cut-in-the-middle": lambda: GOOD[: len(GOOD) // 2],
    "encrypted": encrypted,
    "wrong-checksum": wrong_checksum,
    "zip-slip": lambda: archive(("../../etc/cron.d/x", "x")),
    "absolute": lambda: archive(("/etc/passwd", "x")),
    "dot-dot-within": lambda: archive(("a/../../x", "x")),
    "nul-in-name": lambda: archive(("aQb", "x")).replace(b"aQb", b"a\0b"),
    "duplicate": lambda: archive(("a.py", "1"), ("a.py", "2")),
    "file-is-folder": lambda: archive(("a", "1"), ("a/b", "2")),
    "symlink-out": lambda: link("/etc/passwd"),
    "symlink-up": lambda: link("../../etc/passwd"),
    "bomb": lambda: archive(("zeros", bytes(200 << 20))),
    "too-large": lambda: archive(*((f"zeros-{n}", bytes(90 << 20)) for n in range(3))),
    "too-deep": lambda: archive(("a/" * 500 + "x", "x")),
    "too-many": lambda: archive(*((f"{n:x}", "") for n in range(200_000))),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_packages_are_refused(client, aws_error, kind):
    error = aws_error(
        client.create_function, FunctionName=f"zip-{kind}", Runtime="python3.11", Role=ROLE,
        Handler="lambda_function.lambda_handler", Code={"ZipFile": MALFORMED[kind]()},
    )
    assert error.response["Error"]["Code"] == "InvalidParameterValueException", error
    assert len(error.response["Error"]["Message"]) > 20, error
    missing = aws_error(client.get_function, FunctionName=f"zip-{kind}")
    assert missing.response["Error"]["Code"] == "ResourceNotFoundException"


def test_a_malformed_update_leaves_the_function_as_it_was(client, deploy, aws_error):
    function = deploy(ECHO)
    before = client.get_function_configuration(FunctionName=function.name)
    for kind in ("not-a-zip", "zip-slip", "encrypted"):
        error = aws_error(client.update_function_code, FunctionName=function.name, ZipFile=MALFORMED[kind]())
        assert error.response["Error"]["Code"] == "InvalidParameterValueException"
    after = client.get_function_configuration(FunctionName=function.name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])
    assert function.call("alive") == "alive"


def test_an_upload_over_the_limit_is_refused(client, aws_error):
    for size in (51 << 20, 60 << 20):
        error = aws_error(
            client.create_function, FunctionName="zip-huge", Runtime="python3.11", Role=ROLE,
            Handler="lambda_function.lambda_handler", Code={"ZipFile": os.urandom(1 << 20) * (size >> 20)},
        )
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 413, error


def test_links_within_a_package_are_kept(deploy):
    """As on AWS: packages of npm and pip have them."""
    source = "import os\ndef lambda_handler(event, context):\n    return os.readlink('link'), open('link').read(3)\n"
    entry = zipfile.ZipInfo("link")
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    zipped = archive(("lambda_function.py", source), (entry, "lambda_function.py"))
    assert deploy(source, Code={"ZipFile": zipped}).call() == ["lambda_function.py", "imp"]


def test_unusual_packages_that_are_fine_run(deploy):
    files = {
        "lambda_function.py": "from pkg.deep import value\ndef lambda_handler(event, context):\n    return value()\n",
        "pkg/__init__.py": "", "pkg/deep/__init__.py": "def value():\n    return open('/var/task/dätä.txt').read()\n",
        "dätä.txt": "ünïcode", "empty": b"", "pkg/noise.bin": bytes(range(256)) * 4096,
        "broken.py": "this is not python (but nobody imports it)",
    }
    assert deploy(files).call() == "ünïcode"
