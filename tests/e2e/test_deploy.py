"""`pilot deploy` of projects: what they depend on is installed and built, and the report says what is slow."""

import io
import json
import os
import subprocess
import tarfile
import zipfile

import pytest

from packages import JDK, compiled


@pytest.fixture
def deployed(platform, client, tmp_path):
    """`deployed(name, files, *options)` deploys a folder of that name; returns what is told, and the errors."""
    made = []

    def make(name, files, *options):
        folder = tmp_path / name
        for path, contents in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(contents) if isinstance(contents, str) else (folder / path).write_bytes(contents)
            if contents[:2] in ("#!", b"#!"):
                (folder / path).chmod(0o755)
        # The tools look for their own settings there.
        env = platform.env() | {"HOME": os.environ["HOME"]}
        done = platform.pilot("deploy", folder, "--output", "json", *options, env=env)
        made.append(name)
        return json.loads(done.stdout), done.stderr

    yield make
    for name in made:
        client.delete_function(FunctionName=name)
    # The trial's function is gone.
    assert not [it for it in client.list_functions()["Functions"] if it["FunctionName"].startswith("pilot-trial")]


def call(platform, name, event="1"):
    return json.loads(platform.pilot("invoke", name, "--payload", event).stdout)


def wheel(folder, name, source):
    """A wheel of one package, as pip takes it without a network."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", source)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return path


def test_python_with_requirements(platform, deployed, tmp_path):
    used = wheel(tmp_path, "slowish", "import time\ntime.sleep(0.02)\nX = 'installed'\n")
    unused = wheel(tmp_path, "unusedone", "#" * 5000)
    told, errors = deployed("py-project", {
        "app.py": "import slowish\ndef handler(event, context):\n    return slowish.X\n",
        "requirements.txt": f"slowish @ file://{used}\nunusedone @ file://{unused}\n",
    })
    assert (told["Runtime"], told["Handler"]) == ("python3.11", "app.handler") and "running pip" in errors
    assert call(platform, "py-project") == "installed"
    report = told["Package"]
    assert report["LargestFiles"][0]["Name"] == "unusedone/__init__.py" and report["UnpackedBytes"] > 5000
    slowest = report["Trial"]["SlowestImports"]
    found = {item["Name"]: item["Microseconds"] for item in slowest}
    assert found["slowish"] >= 20_000
    assert [item["Name"] for item in report["Trial"]["UnusedPackages"]] == ["unusedone"]
    words = platform.pilot("deploy", tmp_path / "py-project", "--no-trial").stderr
    assert "largest files" in words and "trial" not in words


def tarball(folder, name, source):
    path, data = folder / f"{name}.tgz", {"package.json": json.dumps({"name": name, "version": "1.0.0"}), "index.js": source}
    with tarfile.open(path, "w:gz") as archive:
        for file, text in data.items():
            entry = tarfile.TarInfo(f"package/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_node_with_packages(platform, deployed, tmp_path):
    used = tarball(tmp_path, "used", "const end = Date.now() + 20; while (Date.now() < end); module.exports = 'installed';")
    unused, dev = tarball(tmp_path, "unused", "// " + "x" * 5000), tarball(tmp_path, "dev", "// " + "x" * 90_000)
    told, errors = deployed("node-project", {
        "src/app.js": "const used = require('used');\nexports.handler = async () => used;",
        "package.json": json.dumps({
            "main": "src/app.js", "dependencies": {"used": f"file:{used}", "unused": f"file:{unused}"},
            "devDependencies": {"dev": f"file:{dev}"},
        }),
        # What was installed for development stays out.
        "node_modules/stale/index.js": "x" * 90_000,
    })
    assert (told["Runtime"], told["Handler"]) == ("nodejs20.x", "src/app.handler") and "running npm" in errors
    assert call(platform, "node-project") == "installed"
    assert told["Package"]["UnpackedBytes"] < 90_000
    trial = told["Package"]["Trial"]
    assert trial["SlowestImports"][0]["Name"] == "used/index.js"
    assert [item["Name"] for item in trial["UnusedPackages"]] == ["unused"]


def test_java_with_a_build(platform, deployed, tmp_path):
    source = "package fn;\npublic class Fn { public String hello(Object event) { return \"built\"; } }\n"
    (tmp_path / "java").mkdir()
    compiled(tmp_path / "java", "Fn.java", source)
    jar = tmp_path / "built.jar"
    subprocess.run([JDK / "jar", "--create", "--file", jar, "-C", tmp_path / "java" / "out", "."], check=True, timeout=60)
    # A wrapper is what a project brings along to build itself.
    wrapper = f"#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nmkdir -p build/libs && cp {jar} build/libs/app.jar\n"
    told, _ = deployed(
        "java-project", {"build.gradle": "", "gradlew": wrapper}, "--handler", "fn.Fn::hello", "--memory", "512",
    )
    assert told["Runtime"] == "java17" and call(platform, "java-project") == "built"


RUST = r"""
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn ask(api: &str, request: String) -> (Vec<String>, String) {
    let mut stream = TcpStream::connect(api).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_lowercase();
        if line.is_empty() { break; }
        if let Some(value) = line.strip_prefix("content-length:") { length = value.trim().parse().unwrap(); }
        head.push(line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn main() {
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let base = "/2018-06-01/runtime/invocation";
    loop {
        let (head, event) = ask(&api, format!("GET {base}/next HTTP/1.1\r\nHost: {api}\r\n\r\n"));
        let id = head.iter().find_map(|it| it.strip_prefix("lambda-runtime-aws-request-id:")).unwrap().trim();
        let answer = format!("[\"rust\",{event}]");
        let length = answer.len();
        ask(&api, format!("POST {base}/{id}/response HTTP/1.1\r\nHost: {api}\r\nContent-Length: {length}\r\n\r\n{answer}"));
    }
}
"""


def test_rust_with_cargo(platform, deployed):
    told, errors = deployed("rust-project", {
        "Cargo.toml": "[package]\nname = \"rust-project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
        "src/main.rs": RUST,
    })
    assert (told["Runtime"], told["Handler"]) == ("provided.al2023", "bootstrap") and "cargo build" in errors
    assert call(platform, "rust-project", "7") == ["rust", 7]


def test_a_tool_that_fails_deploys_nothing(platform, client, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context): pass\n")
    (folder / "requirements.txt").write_text(f"nothing @ file://{tmp_path}/nothing-1.0-py3-none-any.whl\n")
    done = platform.pilot("deploy", folder, check=False)
    assert done.returncode == 1 and "pip failed" in done.stderr
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName="broken")


def test_layers_by_option(platform, client, deployed):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("python/layered.py", "X = 'from a layer'\n")
    layer = client.publish_layer_version(LayerName="deployed", Content={"ZipFile": out.getvalue()})
    source = "import layered\ndef handler(event, context):\n    return layered.X\n"
    told, _ = deployed("with-layer", {"app.py": source}, "--layer", layer["LayerVersionArn"])
    assert told["Layers"][0]["Arn"] == layer["LayerVersionArn"]
    assert call(platform, "with-layer") == "from a layer"
    client.delete_layer_version(LayerName="deployed", VersionNumber=layer["Version"])
