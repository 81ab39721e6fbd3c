"""AWS's SDKs, which are in the runtime images: every kind of start has them, and a function's own copy comes first."""

import json

import pytest

from conftest import wait_active
from forks import KINDS, NODE, call, counts
from pilot_up import ROOT

# A client is made without a network: for its name, it asks nobody.
PYTHON = """
import boto3
CLIENT = boto3.client("dynamodb")
def lambda_handler(event, context):
    return [boto3.__version__, boto3.__file__, CLIENT.meta.endpoint_url, CLIENT.meta.service_model.operation_names[:1]]
"""
# What the recipe pins.
RECIPE = (ROOT / "runtimes" / "python3.11" / "recipe.toml").read_text()
LOCK = json.loads((ROOT / "runtimes" / "nodejs20.x" / "package-lock.json").read_text())["packages"]
CLIENT = LOCK["node_modules/@aws-sdk/client-sqs"]["version"]

COMMONJS = """
const { SQSClient, SendMessageCommand } = require("@aws-sdk/client-sqs");
const { version } = require("@aws-sdk/client-sqs/package.json");
const client = new SQSClient({});
exports.handler = async () => [version, require.resolve("@aws-sdk/client-sqs"), typeof SendMessageCommand, await client.config.region()];
"""
ES_MODULE = """
import { createRequire } from "node:module";
import { SQSClient, SendMessageCommand } from "@aws-sdk/client-sqs";
const { version } = createRequire(import.meta.url)("@aws-sdk/client-sqs/package.json");
const client = new SQSClient({});
export const handler = async () =>
  [version, import.meta.resolve("@aws-sdk/client-sqs"), typeof SendMessageCommand, await client.config.region()];
"""
NODE_FILES = {"require": {"index.js": COMMONJS}, "import": {"index.mjs": ES_MODULE}}


def pinned(name):
    """The version of a wheel that the recipe has."""
    return RECIPE.split(f"[wheels.packages.{name}]\nversion = \"")[1].split('"')[0]


def old_boto3(prefix=""):
    """An older boto3, as far as an import tells."""
    return {f"{prefix}boto3/__init__.py": "__version__ = '1.0.0'\n"}


def old_client(prefix=""):
    """An older client of SQS, as far as an import tells."""
    folder = f"{prefix}node_modules/@aws-sdk/client-sqs"
    return {
        f"{folder}/package.json": json.dumps({"name": "@aws-sdk/client-sqs", "version": "3.0.0", "main": "./main.js"}),
        f"{folder}/main.js": "exports.own = 'own';\n",
    }


def test_boto3_is_there_in_every_kind_of_start(platform, deploy):
    function = deploy(PYTHON)
    assert counts(platform, function.name)["refusal"] is None, "what boto3 leaves can be a template"
    for kind in KINDS:
        assert call(platform, function, kind) == [
            pinned("boto3"), "/var/runtime/boto3/__init__.py", "https://dynamodb.us-east-1.amazonaws.com",
            ["BatchExecuteStatement"],
        ], kind


def test_what_boto3_needs_is_there_and_compiled(deploy):
    function = deploy(
        "import importlib.metadata as metadata\n"
        "import botocore.session, dateutil.parser, jmespath, s3transfer, six, urllib3\n"
        "def lambda_handler(event, context):\n"
        "    modules = [botocore, dateutil, jmespath, s3transfer, six, urllib3]\n"
        "    assert all(open(module.__cached__, 'rb').read(5)[4] == 1 for module in modules), 'unchecked byte code'\n"
        "    return {name: metadata.version(name) for name in event}\n",
        MemorySize=256,
    )
    names = ["boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"]
    assert function.call(names) == {name: pinned(name) for name in names}


def test_an_interpreter_that_a_function_starts_finds_boto3(deploy):
    function = deploy(
        "import subprocess\n"
        "def lambda_handler(event, context):\n"
        "    code = 'import boto3; print(boto3.__version__, end=\\'\\')'\n"
        "    return subprocess.check_output(['python3', '-c', code], text=True)\n",
        MemorySize=256, Timeout=15,
    )
    assert function.call() == pinned("boto3")


def test_an_own_boto3_comes_first(platform, deploy, layer):
    source = "import boto3\ndef lambda_handler(event, context):\n    return [boto3.__version__, boto3.__file__]\n"
    own = deploy({"lambda_function.py": source, **old_boto3()})
    arns = [layer(old_boto3(prefix)) for prefix in ("python/", "python/lib/python3.11/site-packages/")]
    flat, site = (deploy(source, Layers=[arn]) for arn in arns)
    for kind in KINDS:
        assert call(platform, own, kind) == ["1.0.0", "/var/task/boto3/__init__.py"], kind
        assert call(platform, flat, kind) == ["1.0.0", "/opt/python/boto3/__init__.py"], kind
        found = call(platform, site, kind)
        assert found == ["1.0.0", "/opt/python/lib/python3.11/site-packages/boto3/__init__.py"], kind


def test_nothing_of_boto3_is_loaded_unless_it_is_used(platform, deploy):
    function = deploy(
        "import sys\n"
        "def lambda_handler(event, context):\n"
        "    return sorted({name.partition('.')[0] for name in sys.modules} & set(event))\n",
    )
    names = ["boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"]
    for kind in KINDS:
        assert call(platform, function, kind, names) == [], kind


@pytest.mark.parametrize("how", NODE_FILES)
def test_clients_are_there_in_every_kind_of_start(platform, deploy, how):
    function = deploy(NODE_FILES[how], **NODE)
    assert counts(platform, function.name)["refusal"] is None, "what a client leaves can be a template"
    for kind in KINDS:
        version, file, command, region = call(platform, function, kind)
        assert (version, command, region) == (CLIENT, "function", "us-east-1"), kind
        assert file.removeprefix("file://") == "/var/runtime/node_modules/@aws-sdk/client-sqs/dist-cjs/index.js", kind


@pytest.mark.parametrize("how", NODE_FILES)
def test_an_own_client_comes_first(platform, deploy, layer, how):
    files = {
        "require": {"index.js": "const { own } = require('@aws-sdk/client-sqs');\nexports.handler = async () => own;\n"},
        "import": {"index.mjs": "import { own } from '@aws-sdk/client-sqs';\nexport const handler = async () => own;\n"},
    }[how]
    functions = [deploy(files | old_client(), **NODE)]
    for prefix in ("nodejs/", "nodejs/node20/"):
        functions.append(deploy(files, **NODE, Layers=[layer(old_client(prefix))]))
    for kind in KINDS:
        assert [call(platform, function, kind) for function in functions] == ["own"] * 3, kind


def test_import_searches_what_require_does(platform, client, deploy, layer):
    """Packages of ES modules in a layer, with dependencies in the image; a worker thread; what is nowhere."""
    package_json = json.dumps({"name": "own", "type": "module", "exports": {".": "./main.js", "./sub": "./sub.js"}})
    arn = layer({
        "nodejs/node_modules/own/package.json": package_json,
        "nodejs/node_modules/own/main.js": "export { SQSClient } from '@aws-sdk/client-sqs';\n",
        "nodejs/node_modules/own/sub.js": "export const sub = import.meta.url;\n",
    })
    source = """
import { builtinModules, isBuiltin } from "node:module";
import { Worker } from "node:worker_threads";
import { SQSClient } from "own";
import { sub } from "own/sub";
import { elsewhere } from "elsewhere";

const failure = (name) => import(name).then(() => "found", (error) => `${error.code}: ${error.message}`);
const inWorker = () => new Promise((resolve, reject) => {
  const worker = new Worker(`import("own/sub").then(({ sub }) => require("worker_threads").parentPort.postMessage(
    [sub, process.execArgv, require("module").isBuiltin("internal/modules/esm/loader")]))`, { eval: true });
  worker.on("message", resolve).on("error", reject);
});
export const handler = async (event) => event === "worker" ? inWorker() : [
  SQSClient.name, sub, elsewhere, await failure("nowhere"), await failure("./nowhere.mjs"), await failure("own/hidden"),
  isBuiltin("internal/modules/esm/loader"), builtinModules.some((name) => name.startsWith("internal/")),
  process.execArgv.filter((argument) => /expose|require/.test(argument)),
];
"""
    function = deploy(
        {"index.mjs": source, "more/node_modules/elsewhere/package.json": '{"name": "elsewhere", "main": "./main.js"}',
         "more/node_modules/elsewhere/main.js": "exports.elsewhere = 'by NODE_PATH';\n"},
        **NODE, Layers=[arn],
    )
    # The layers' folders are in what is set here, as on Lambda, or are not searched.
    paths = "/var/task/more/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules"
    client.update_function_configuration(FunctionName=function.name, Environment={"Variables": {"NODE_PATH": paths}})
    wait_active(client, function.name)
    for kind in KINDS:
        assert call(platform, function, kind) == [
            "SQSClient", "file:///opt/nodejs/node_modules/own/sub.js", "by NODE_PATH",
            "ERR_MODULE_NOT_FOUND: Cannot find package 'nowhere' imported from /var/task/index.mjs",
            "ERR_MODULE_NOT_FOUND: Cannot find module '/var/task/nowhere.mjs' imported from /var/task/index.mjs",
            "ERR_PACKAGE_PATH_NOT_EXPORTED: Package subpath './hidden' is not defined by \"exports\" in "
            "/opt/nodejs/node_modules/own/package.json imported from /opt/nodejs/node_modules",
            False, False, [],
        ], kind
    found = call(platform, function, "booted", "worker")
    assert found[0] == "file:///opt/nodejs/node_modules/own/sub.js" and found[2] is False
    assert not [argument for argument in found[1] if "expose" in argument or "require" in argument]


def test_every_client_can_be_loaded(deploy):
    """By both ways, with the files that the image leaves out."""
    source = """
exports.handler = async (names) => {
  const failed = {};
  for (const name of names) {
    try {
      if (Object.keys(require(name)).length === 0) throw new Error("nothing in it");
      await import(name);
    } catch (error) {
      failed[name] = String(error);
    }
  }
  return failed;
};
"""
    function = deploy({"index.js": source}, **NODE, MemorySize=1024, Timeout=60)
    names = [name for name in LOCK[""]["dependencies"]]
    assert len(names) > 40
    assert function.call(names) == {}
