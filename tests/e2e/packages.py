"""Code packages: zips with the files that a test gives, and functions that many tests use."""

import hashlib
import importlib.metadata
import io
import os
import pathlib
import shutil
import subprocess
import zipfile

from pilot_up import ROOT

ECHO = "def lambda_handler(event, context):\n    return event\n"

# Tells apart instances and their invocations. What is made at import is the same in all forks of a template; the log
# stream is each instance's own.
COUNTER = """
COUNT = 0
def lambda_handler(event, context):
    global COUNT
    COUNT += 1
    return {"instance": context.log_stream_name, "count": COUNT}
"""

# Asks the Runtime API for events with nothing but bash. The answer to `$id` is to be written to descriptor 5.
BASH_ASKS = r"""#!/bin/bash
set -u
host=${AWS_LAMBDA_RUNTIME_API%:*} port=${AWS_LAMBDA_RUNTIME_API#*:}
base=/2018-06-01/runtime/invocation
while true; do
    exec 5<>"/dev/tcp/$host/$port"
    printf 'GET %s/next HTTP/1.1\r\nHost: %s\r\n\r\n' "$base" "$host" >&5
    length=0 id=
    while IFS=$'\r' read -r line _ <&5 && [ -n "$line" ]; do
        case "${line,,}" in
            lambda-runtime-aws-request-id:*) id=${line#*: } ;;
            content-length:*) length=${line#*: } ;;
        esac
    done
    event=$(head -c "$length" <&5)
"""
# The event is answered as it came; an event that holds "die" gets half an answer from a process that is gone.
BASH_BOOTSTRAP = BASH_ASKS + r"""
    exec 5>&-
    echo "handling $id"
    exec 5<>"/dev/tcp/$host/$port"
    printf 'POST %s/%s/response HTTP/1.1\r\nHost: %s\r\n' "$base" "$id" "$host" >&5
    case "$event" in
        *die*) printf 'Content-Length: 1000\r\n\r\n{"half' >&5; exit 7 ;;
    esac
    printf 'Content-Length: %s\r\n\r\n%s' "$(printf %s "$event" | wc -c)" "$event" >&5
    head -c 12 <&5 >/dev/null
    exec 5>&-
done
"""

AWSLAMBDARIC_BOOTSTRAP = """#!/bin/sh
exec /usr/bin/python3.11 -m awslambdaric "$_HANDLER"
"""


def awslambdaric(files):
    """Adds AWS's own runtime client, as pip has installed it here, and a `bootstrap` that runs it.

    With `AWS_LAMBDA_EXEC_WRAPPER=/var/task/bootstrap` it runs in place of the runtime's bootstrap.
    """
    found = {"bootstrap": AWSLAMBDARIC_BOOTSTRAP}
    for name in ("awslambdaric", "simplejson", "snapshot-restore-py"):
        found |= installed(name)
    return {**found, **files}


def installed(name, data=()):
    """What a function needs of a package that pip has installed here: code, and files of these suffixes."""
    return {
        str(file): file.read_binary()
        for file in importlib.metadata.files(name)
        # With the libraries that wheels carry along, such as `numpy.libs/libopenblas.so.0`.
        if file.parts[0] != ".." and "tests" not in file.parts and (file.suffix in (".py", *data) or ".so" in file.suffixes)
    }


def boto3_for(*services):
    """AWS's own Python client, as functions bring it along, with the models of these services alone."""
    found = {}
    for name in ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"):
        found |= installed(name, (".json", ".gz"))

    def wanted(name):
        parts = name.split("/")
        return parts[:2] != ["botocore", "data"] or len(parts) == 3 or parts[2] in services

    return {name: contents for name, contents in found.items() if wanted(name)}


def npm_installed(lock, env=None):
    """The folder that `npm ci` makes of a folder with a lock file. It is made once, like the images."""
    digest = hashlib.sha256((lock / "package-lock.json").read_bytes()).hexdigest()
    folder = ROOT / "target" / f"e2e-{lock.name.replace('_', '-')}-{digest[:16]}"
    if not folder.exists():
        made = folder.with_suffix(".new")
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(lock, made)
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=made, env=os.environ | (env(made) if env else {}), text=True,
            timeout=900, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, done.stdout[-8000:]
        made.rename(folder)
    return folder


JDK = pathlib.Path("/usr/lib/jvm/java-17-openjdk-amd64/bin")
JAVA_API = ROOT / "runtimes" / "java17" / "src"


def compiled(folder, name, source):
    """The classes of one Java file, as `{name: bytes}`; `folder` is empty."""
    (folder / name).write_text(source)
    api = [str(path) for part in ("com", "org") for path in (JAVA_API / part).rglob("*.java")]
    subprocess.run([JDK / "javac", "-nowarn", "-d", folder / "api", *api], check=True)
    subprocess.run([JDK / "javac", "-nowarn", "-cp", folder / "api", "-d", folder / "out", folder / name], check=True)
    return {str(path.relative_to(folder / "out")): path.read_bytes() for path in (folder / "out").rglob("*.class")}


def package(files):
    """A zip of `{name: text or bytes}`; a file named bootstrap is executable, and what is in a folder named bin or
    extensions."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            executable = name == "bootstrap" or pathlib.PurePath(name).parent.name in ("bin", "extensions")
            entry.external_attr = (0o755 if executable else 0o644) << 16
            archive.writestr(entry, contents, compresslevel=1)
    return out.getvalue()
