"""Layers: the operations, as AWS has been recorded to answer them."""

import base64
import hashlib
import io
import itertools
import json
import urllib.request
import zipfile

import pytest

from conftest import ROLE, deploy_to, eventually, wait_active
from packages import ECHO, package

LAYER = package({"python/tool.py": "NAME = 'tool'\n"})
ARN = "arn:aws:lambda:us-east-1:123456789012:layer"
DOES_NOT_EXIST = "The resource you requested does not exist."
_numbers = itertools.count()


@pytest.fixture
def publish(client):
    """Publishes a version and returns the answer; all are deleted in the end."""
    made = []

    def make(name=None, files=None, zipped=LAYER, **members):
        content = package(files) if files else zipped
        answer = client.publish_layer_version(
            LayerName=name or f"layer-{next(_numbers)}", Content={"ZipFile": content}, **members,
        )
        made.append(answer)
        return answer

    yield make
    for answer in made:
        client.delete_layer_version(LayerName=answer["LayerArn"], VersionNumber=answer["Version"])


@pytest.fixture
def refused(aws_error):
    """Status, type and message of the error that must come."""

    def call(operation, **members):
        error = aws_error(operation, **members).response
        return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]

    return call


def body(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_a_version_is_shown_as_it_was_published(client, publish):
    answer = publish(
        "shown", Description="d", LicenseInfo="MIT", CompatibleRuntimes=["python3.11", "python3.9"],
        CompatibleArchitectures=["arm64", "x86_64"],
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert answer["LayerArn"] == f"{ARN}:shown" and answer["LayerVersionArn"] == f"{ARN}:shown:1"
    assert (answer["Version"], answer["Description"], answer["LicenseInfo"]) == (1, "d", "MIT")
    assert answer["CompatibleRuntimes"] == ["python3.11", "python3.9"]
    assert answer["CompatibleArchitectures"] == ["arm64", "x86_64"]
    assert answer["CreatedDate"].endswith("+0000")
    content = answer["Content"]
    assert content["CodeSha256"] == base64.b64encode(hashlib.sha256(LAYER).digest()).decode()
    assert content["CodeSize"] == len(LAYER)
    by_name = body(client.get_layer_version(LayerName="shown", VersionNumber=1))
    by_arn = body(client.get_layer_version_by_arn(Arn=f"{ARN}:shown:1"))
    for found in (by_name, by_arn):
        with urllib.request.urlopen(found["Content"].pop("Location"), timeout=10) as download:
            assert download.read() == LAYER
    content.pop("Location")
    assert body(answer) == by_name == by_arn

    plain = publish("plain")
    assert plain["Description"] == ""
    assert not {"LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"} & plain.keys()
    empty = publish("empty", CompatibleRuntimes=[], CompatibleArchitectures=[])
    assert empty["CompatibleRuntimes"] == [] and empty["CompatibleArchitectures"] == []


def test_versions_are_listed_and_never_numbered_again(client, publish):
    for version in (1, 2):
        assert publish("counted", CompatibleRuntimes=["python3.11"])["Version"] == version
    listed = client.list_layer_versions(LayerName="counted")["LayerVersions"]
    assert [item["Version"] for item in listed] == [2, 1]
    assert not {"Content", "LayerArn"} & listed[0].keys()
    # Lists leave an empty description out, as AWS's do.
    assert "Description" not in listed[0]
    assert client.list_layer_versions(LayerName=f"{ARN}:counted", MaxItems=1)["NextMarker"]
    assert client.list_layer_versions(LayerName="counted", CompatibleRuntime="java17")["LayerVersions"] == []
    layers = client.list_layers(CompatibleRuntime="python3.11")["Layers"]
    item = next(item for item in layers if item["LayerName"] == "counted")
    assert (item["LayerArn"], item["LatestMatchingVersion"]["Version"]) == (f"{ARN}:counted", 2)
    for version in (2, 1, 1):
        answer = client.delete_layer_version(LayerName="counted", VersionNumber=version)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert body(client.list_layer_versions(LayerName="counted")) == {"LayerVersions": []}
    assert "counted" not in [item["LayerName"] for item in client.list_layers()["Layers"]]
    assert publish("counted")["Version"] == 3


def test_what_is_not_there_or_cannot_be(platform, client, publish, refused):
    publish("there")
    unchecked = platform.client(validate=False)
    missing = (404, "ResourceNotFoundException", DOES_NOT_EXIST)
    assert refused(client.get_layer_version, LayerName="nowhere", VersionNumber=1) == missing
    assert refused(client.get_layer_version, LayerName="there", VersionNumber=2) == missing
    assert refused(client.get_layer_version_by_arn, Arn=f"{ARN}:there:2") == missing
    assert refused(client.get_layer_version_by_arn, Arn="arn:aws:lambda:eu-west-1:123456789012:layer:there:1") == missing
    small = (400, "InvalidParameterValueException", "Layer Version Cannot be less than 1")
    for number in (0, -1):
        assert refused(client.get_layer_version, LayerName="there", VersionNumber=number) == small
        assert refused(client.delete_layer_version, LayerName="there", VersionNumber=number) == small
    status, kind, message = refused(client.get_layer_version_by_arn, Arn=f"{ARN}:there")
    assert (status, kind) == (400, "ValidationException")
    assert message == (
        f"1 validation error detected: Value '{ARN}:there' at 'arn' failed to satisfy constraint: Member must satisfy "
        r"regular expression pattern: arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:"
        r"\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+"
    )
    status, kind, message = refused(client.list_layers, CompatibleRuntime="runtimedoesnotexist")
    assert (status, kind) == (400, "ValidationException")
    assert message.startswith(
        "1 validation error detected: Value 'runtimedoesnotexist' at 'compatibleRuntime' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )
    assert refused(client.list_layers, CompatibleArchitecture="arch") == (
        400, "ValidationException",
        "1 validation error detected: Value 'arch' at 'compatibleArchitecture' failed to satisfy constraint: "
        "Member must satisfy enum value set: [x86_64, arm64]",
    )
    status, kind, message = refused(
        unchecked.publish_layer_version, LayerName="bad", Content={"ZipFile": LAYER},
        CompatibleRuntimes=["one", "python3.11"], CompatibleArchitectures=["arch"],
    )
    assert (status, kind) == (400, "ValidationException")
    assert message.startswith(
        "2 validation errors detected: Value '[one, python3.11]' at 'compatibleRuntimes' failed to satisfy constraint: "
        "Member must satisfy enum value set: ["
    )
    assert (
        "; Value '[arch]' at 'compatibleArchitectures' failed to satisfy constraint: Member must satisfy constraint: "
        "[Member must satisfy enum value set: [x86_64, arm64]" in message
    )
    status, kind, message = refused(
        client.publish_layer_version, LayerName="bad", Content={"S3Bucket": "no-such-bucket", "S3Key": "k"}
    )
    assert (status, kind) == (400, "InvalidParameterValueException") and "NoSuchBucket" in message


@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "/etc/passwd", "python/../../x"])
def test_paths_that_lead_out_of_a_layer_are_refused(client, refused, path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(path, "x")
    status, kind, message = refused(
        client.publish_layer_version, LayerName="hostile", Content={"ZipFile": out.getvalue()}
    )
    assert (status, kind) == (400, "InvalidParameterValueException") and message
    assert client.list_layer_versions(LayerName="hostile")["LayerVersions"] == []


def test_a_policy_grows_and_shrinks(client, publish, refused):
    arn = publish("shared")["LayerVersionArn"]
    version = dict(LayerName="shared", VersionNumber=1)
    allowed = dict(version, Action="lambda:GetLayerVersion", Principal="*")
    missing = (404, "ResourceNotFoundException", "No policy is associated with the given resource.")
    assert refused(client.get_layer_version_policy, **version) == missing
    added = client.add_layer_version_permission(**allowed, StatementId="s1")
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    s1 = {"Sid": "s1", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion", "Resource": arn}
    assert list(json.loads(added["Statement"]).items()) == list(s1.items())
    policy = client.get_layer_version_policy(**version)
    assert policy["RevisionId"] == added["RevisionId"]
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [s1]}

    stale = (
        412, "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the "
        "latest Revision Id",
    )
    assert refused(client.add_layer_version_permission, **allowed, StatementId="s1") == (
        409, "ResourceConflictException",
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing "
        "statement.",
    )
    assert refused(client.add_layer_version_permission, **allowed, StatementId="s2", RevisionId="wrong") == stale
    assert refused(client.add_layer_version_permission, **(allowed | {"Action": "*"}), StatementId="s2") == (
        400, "ValidationException",
        "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: lambda:GetLayerVersion",
    )
    second = client.add_layer_version_permission(
        **(allowed | {"Principal": "000000000001"}), StatementId="s2", RevisionId=added["RevisionId"],
    )
    assert json.loads(second["Statement"])["Principal"] == {"AWS": "arn:aws:iam::000000000001:root"}
    organization = client.add_layer_version_permission(**allowed, StatementId="s3", OrganizationId="o-abcdefghij")
    condition = json.loads(organization["Statement"])["Condition"]
    assert condition == {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}

    assert refused(client.remove_layer_version_permission, **version, StatementId="s1", RevisionId="wrong") == stale
    assert refused(client.remove_layer_version_permission, **version, StatementId="no") == (
        404, "ResourceNotFoundException", "Statement no is not found in resource policy.",
    )
    for sid in ("s2", "s3"):
        removed = client.remove_layer_version_permission(**version, StatementId=sid)
        assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert json.loads(client.get_layer_version_policy(**version)["Policy"])["Statement"] == [s1]

    for name, number in (("shared-not", 1), ("shared", 2)):
        gone = (404, "ResourceNotFoundException", f"Layer version {ARN}:{name}:{number} does not exist.")
        other = dict(LayerName=name, VersionNumber=number)
        assert refused(client.get_layer_version_policy, **other) == gone
        assert refused(client.remove_layer_version_permission, **other, StatementId="s1") == gone
        assert refused(client.add_layer_version_permission, **(allowed | other), StatementId="s1") == gone


def test_which_layers_a_function_may_have(platform, client, publish, deploy, refused):
    function = deploy(ECHO)
    first, second, third = (publish("one")["LayerVersionArn"] for _ in range(3))

    def layers(*arns):
        return refused(client.update_function_configuration, FunctionName=function.name, Layers=list(arns))

    twice = (
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{first} and %s are versions of the same layer."
    )
    invalid = (400, "InvalidParameterValueException")
    assert layers(first, second) == (*invalid, twice % second)
    assert layers(first, second, third) == (*invalid, twice % second)
    assert layers(first, first) == (*invalid, twice % first)
    for absent in (f"{ARN}:doesnotexist:1", f"{ARN}:one:9", "arn:aws:lambda:::awslayer:AmazonLinux1803"):
        assert layers(absent) == (*invalid, f"Layer version {absent} does not exist.")
    six = [publish()["LayerVersionArn"] for _ in range(6)]
    assert layers(*six) == (*invalid, "Cannot reference more than 5 layers.")
    pattern = (
        r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:"
        r"[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)"
    )
    assert layers(f"{ARN}:one") == (
        400, "ValidationException",
        f"1 validation error detected: Value '[{ARN}:one]' at 'layers' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 2048, Member must have length greater than or equal "
        f"to 1, Member must satisfy regular expression pattern: {pattern}, Member must not be null]",
    )
    elsewhere = platform.client(region="eu-west-1")
    other = elsewhere.publish_layer_version(LayerName="one", Content={"ZipFile": LAYER})["LayerVersionArn"]
    assert layers(other) == (
        *invalid,
        "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.",
    )
    assert refused(
        client.create_function, FunctionName="never", Runtime="python3.11", Handler="a.b", Role=ROLE,
        Code={"ZipFile": package({"a.py": ""})}, Layers=[other],
    )[:2] == invalid
    elsewhere.delete_layer_version(LayerName="one", VersionNumber=1)


def test_a_function_shows_its_layers_while_it_has_them(client, publish, deploy):
    first, second = publish(), publish()
    function = deploy(ECHO, Layers=[first["LayerVersionArn"]])
    shown = [{"Arn": answer["LayerVersionArn"], "CodeSize": len(LAYER)} for answer in (second, first)]
    assert client.get_function(FunctionName=function.name)["Configuration"]["Layers"] == shown[1:]
    answer = client.update_function_configuration(
        FunctionName=function.name, Layers=[second["LayerVersionArn"], first["LayerVersionArn"]],
    )
    assert answer["Layers"] == shown and answer["LastUpdateStatus"] == "InProgress"
    wait_active(client, function.name)
    client.update_function_configuration(FunctionName=function.name, Timeout=4)
    assert wait_active(client, function.name)["Layers"] == shown, "what is not said stays"
    version = client.publish_version(FunctionName=function.name)
    assert version["Layers"] == shown
    client.update_function_configuration(FunctionName=function.name, Layers=[])
    assert "Layers" not in wait_active(client, function.name)
    listed = client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [item.get("Layers") for item in listed] == [None, shown]


def test_the_command_line_publishes_and_lists(platform, tmp_path):
    (tmp_path / "layer.zip").write_bytes(LAYER)
    published = json.loads(platform.aws(
        "publish-layer-version", "--layer-name", "cli", "--zip-file", f"fileb://{tmp_path}/layer.zip",
        "--compatible-runtimes", "python3.11", "--license-info", "MIT",
    ).stdout)
    assert published["LayerVersionArn"] == f"{ARN}:cli:1"
    listed = json.loads(platform.aws("list-layers", "--compatible-runtime", "python3.11").stdout)
    assert "cli" in [item["LayerName"] for item in listed["Layers"]]
    platform.aws(
        "add-layer-version-permission", "--layer-name", "cli", "--version-number", "1", "--statement-id", "all",
        "--action", "lambda:GetLayerVersion", "--principal", "*",
    )
    found = json.loads(platform.aws("get-layer-version-by-arn", "--arn", f"{ARN}:cli:1").stdout)
    assert found["CompatibleRuntimes"] == ["python3.11"]
    platform.aws("delete-layer-version", "--layer-name", "cli", "--version-number", "1")
    gone = platform.aws("get-layer-version", "--layer-name", "cli", "--version-number", "1", check=False)
    assert gone.returncode != 0 and DOES_NOT_EXIST in gone.stderr


def test_another_account_may_what_a_policy_says(platform, client, publish, refused):
    arn = publish("lent", files={"python/lent.py": "X = 'lent'\n"})["LayerVersionArn"]
    other = platform.client(key="000000000009")
    source = "import lent\ndef lambda_handler(event, context):\n    return lent.X\n"
    denied = (
        403, "AccessDeniedException",
        "User: arn:aws:iam::000000000009:root is not authorized to perform: lambda:GetLayerVersion on resource: "
        f"{arn} because no resource-based policy allows the lambda:GetLayerVersion action",
    )
    create = dict(
        FunctionName="borrows", Runtime="python3.11", Handler="lambda_function.lambda_handler", Role=ROLE,
        Code={"ZipFile": package({"lambda_function.py": source})}, Layers=[arn],
    )
    assert refused(other.get_layer_version_by_arn, Arn=arn) == denied
    assert refused(other.create_function, **create) == denied
    for call in (other.delete_layer_version, other.get_layer_version_policy):
        assert refused(call, LayerName=f"{ARN}:lent", VersionNumber=1)[0] == 403
    assert other.list_layers()["Layers"] == []
    client.add_layer_version_permission(
        LayerName="lent", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal="000000000009",
    )
    assert other.get_layer_version_by_arn(Arn=arn)["LayerVersionArn"] == arn
    function = deploy_to(other, source, name="borrows", Layers=[arn])
    # What is taken away or deleted stays with who has it.
    client.remove_layer_version_permission(LayerName="lent", VersionNumber=1, StatementId="s")
    client.delete_layer_version(LayerName="lent", VersionNumber=1)
    try:
        assert function.call() == "lent"
        assert refused(other.get_layer_version_by_arn, Arn=arn)[0] == 403
    finally:
        other.delete_function(FunctionName="borrows")


def test_a_deleted_layer_outlives_a_crash_with_its_function(new_platform):
    platform = new_platform()
    client = platform.client()
    layer = client.publish_layer_version(
        LayerName="gone", Content={"ZipFile": package({"python/kept.py": "X = [1, 2]\n"})},
    )
    source = "import kept\ndef lambda_handler(event, context):\n    return kept.X\n"
    function = deploy_to(client, source, Layers=[layer["LayerVersionArn"]])
    client.publish_version(FunctionName=function.name)
    client.delete_layer_version(LayerName="gone", VersionNumber=1)
    client.update_function_configuration(FunctionName=function.name, Layers=[], Handler="nothing.at_all")
    wait_active(client, function.name)
    platform.kill()
    platform.start()
    client = platform.client()
    # The collection that every start makes takes what is not needed, and nothing else.
    extra = client.publish_layer_version(LayerName="gone", Content={"ZipFile": package({"python/x.py": "1"})})
    assert extra["Version"] == 2
    function.client = client

    def called():
        answer = function.invoke(Qualifier="1")
        return "FunctionError" not in answer and answer["json"] == [1, 2]

    eventually(called, "the version runs with the layer that it was published with")
