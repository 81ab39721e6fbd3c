"""The function operations, as boto3 sees them."""

import base64
import hashlib
import urllib.request

import pytest

from conftest import ROLE, deploy_to, wait_active
from packages import ECHO, package

ZIP = package({"lambda_function.py": ECHO})
CREATE = dict(Runtime="python3.11", Handler="lambda_function.lambda_handler", Role=ROLE, Code={"ZipFile": ZIP})


@pytest.fixture
def created(client):
    """`created(name, **members)` is the answer of CreateFunction."""
    names = []

    def create(name, **members):
        answer = client.create_function(FunctionName=name, **(CREATE | members))
        names.append(name)
        return answer

    yield create
    for name in names:
        client.delete_function(FunctionName=name)


def test_creation_answers_pending_and_becomes_active(client, created):
    answer = created("new", Description="d", Tags={"team": "a"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (answer["State"], answer["StateReasonCode"]) == ("Pending", "Creating")
    assert answer["StateReason"] == "The function is being created."
    assert answer["FunctionArn"] == "arn:aws:lambda:us-east-1:123456789012:function:new"
    assert answer["CodeSha256"] == base64.b64encode(hashlib.sha256(ZIP).digest()).decode()
    assert answer["CodeSize"] == len(ZIP)
    assert answer["Version"] == "$LATEST"
    assert (answer["MemorySize"], answer["Timeout"], answer["PackageType"]) == (128, 3, "Zip")
    assert answer["EphemeralStorage"] == {"Size": 512}
    assert answer["TracingConfig"] == {"Mode": "PassThrough"}
    assert answer["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert answer["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/new"}
    assert "RuntimeVersionConfig" in answer and answer["RevisionId"]
    absent = {"LastUpdateStatus", "Layers", "VpcConfig", "KMSKeyArn", "Environment"}
    assert not absent & answer.keys()

    client.get_waiter("function_active_v2").wait(FunctionName="new", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    active = client.get_function_configuration(FunctionName="new")
    assert (active["State"], active["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in active


def test_get_function_gives_the_package_back(client, created):
    created("download", Tags={"team": "a"})
    answer = client.get_function(FunctionName="download")
    assert answer["Configuration"]["FunctionName"] == "download"
    assert answer["Tags"] == {"team": "a"}
    assert answer["Code"]["RepositoryType"] == "S3"
    with urllib.request.urlopen(answer["Code"]["Location"], timeout=10) as download:
        assert download.read() == ZIP


def test_listing_pages_and_leaves_states_out(client, created):
    for number in range(5):
        created(f"listed-{number}")
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Functions"]) <= 2 for page in pages)
    listed = [function for page in pages for function in page["Functions"]]
    names = [function["FunctionName"] for function in listed]
    assert {f"listed-{number}" for number in range(5)} <= set(names) and len(names) == len(set(names))
    for function in listed:
        assert not {"State", "LastUpdateStatus", "RuntimeVersionConfig"} & function.keys()


def test_new_code_is_what_runs(client, deploy):
    function = deploy("def lambda_handler(event, context):\n    return 1\n")
    assert function.call() == 1
    before = client.get_function_configuration(FunctionName=function.name)
    code = package({"lambda_function.py": "def lambda_handler(event, context):\n    return 2\n"})

    dry = client.update_function_code(FunctionName=function.name, ZipFile=code, DryRun=True)
    assert dry["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert client.get_function_configuration(FunctionName=function.name)["CodeSha256"] == before["CodeSha256"]

    answer = client.update_function_code(FunctionName=function.name, ZipFile=code)
    assert answer["LastUpdateStatus"] == "InProgress"
    assert answer["CodeSha256"] != before["CodeSha256"] and answer["RevisionId"] != before["RevisionId"]
    client.get_waiter("function_updated_v2").wait(
        FunctionName=function.name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert function.call() == 2


def test_new_configuration_is_what_runs(client, deploy):
    function = deploy("""
import os
def lambda_handler(event, context):
    return os.environ.get("COLOUR"), context.memory_limit_in_mb, context.get_remaining_time_in_millis() > 3000
""")
    assert function.call() == [None, "128", False]
    answer = client.update_function_configuration(
        FunctionName=function.name, MemorySize=256, Timeout=30, Environment={"Variables": {"COLOUR": "grün"}},
    )
    assert (answer["MemorySize"], answer["Timeout"]) == (256, 30)
    assert answer["Environment"] == {"Variables": {"COLOUR": "grün"}}
    wait_active(client, function.name)
    assert function.call() == ["grün", "256", True]


def test_a_stale_revision_changes_nothing(client, deploy, aws_error):
    function = deploy(ECHO)
    for call, members in (
        (client.update_function_configuration, {"Timeout": 9}),
        (client.update_function_code, {"ZipFile": ZIP}),
    ):
        error = aws_error(call, FunctionName=function.name, RevisionId="00000000-0000-4000-8000-000000000000", **members)
        assert error.response["Error"]["Code"] == "PreconditionFailedException"
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412
    current = client.get_function_configuration(FunctionName=function.name)
    assert current["Timeout"] == 3
    client.update_function_configuration(FunctionName=function.name, RevisionId=current["RevisionId"], Timeout=9)


def test_a_deleted_function_is_gone(client, deploy, aws_error):
    function = deploy(ECHO)
    function.call()
    answer = client.delete_function(FunctionName=function.name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    for call in (client.get_function, client.invoke, client.delete_function, client.get_function_configuration):
        error = aws_error(call, FunctionName=function.name)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
        named = f"{arn}:$LATEST" if call == client.invoke else arn
        assert error.response["Error"]["Message"] == f"Function not found: {named}"
    again = deploy("def lambda_handler(event, context):\n    return 'again'\n", name=function.name)
    assert again.call() == "again"


def test_a_name_is_taken_once(client, created, aws_error):
    created("taken")
    error = aws_error(client.create_function, FunctionName="taken", **CREATE)
    assert error.response["Error"]["Code"] == "ResourceConflictException"
    assert error.response["Error"]["Message"] == "Function already exist: taken"
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_a_function_has_many_names(client, deploy):
    function = deploy(ECHO)
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    for name in (
        function.name, f"{function.name}:$LATEST", arn, f"{arn}:$LATEST", f"123456789012:function:{function.name}",
        f"function:{function.name}",
    ):
        assert client.get_function_configuration(FunctionName=name)["FunctionName"] == function.name, name
        answer = client.invoke(FunctionName=name, Payload=b'"hello"')
        assert answer["Payload"].read() == b'"hello"', name
        assert answer["ExecutedVersion"] == "$LATEST"


def test_regions_and_accounts_are_apart(platform, client, deploy, aws_error):
    function = deploy(ECHO)
    elsewhere, other = platform.client(region="eu-west-1"), platform.client(key="111122223333")
    for stranger in (elsewhere, other):
        error = aws_error(stranger.get_function, FunctionName=function.name)
        assert error.response["Error"]["Code"] == "ResourceNotFoundException"
    same_name = deploy_to(other, "def lambda_handler(event, context):\n    return context.invoked_function_arn\n", name=function.name)
    assert same_name.call() == f"arn:aws:lambda:us-east-1:111122223333:function:{function.name}"
    assert function.call("mine") == "mine"
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    assert aws_error(elsewhere.get_function, FunctionName=arn).response["Error"]["Code"] == "ResourceNotFoundException"
    assert aws_error(other.get_function, FunctionName=arn).response["Error"]["Code"] == "AccessDeniedException"
    other.delete_function(FunctionName=function.name)
    assert function.call("still") == "still"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-northwest-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b")],
)
def test_arns_have_the_partition_of_their_region(platform, region, partition):
    client = platform.client(region=region)
    function = deploy_to(client, "def lambda_handler(event, context):\n    return context.invoked_function_arn\n", name="f")
    try:
        arn = f"arn:{partition}:lambda:{region}:123456789012:function:f"
        assert client.get_function_configuration(FunctionName=arn)["FunctionArn"] == arn
        assert function.call() == arn
        logs = platform.client(service="logs", region=region)
        logs.create_log_group(logGroupName="g")
        assert logs.describe_log_groups(logGroupNamePrefix="g")["logGroups"][0]["logGroupArn"].startswith(
            f"arn:{partition}:logs:{region}:"
        )
        logs.delete_log_group(logGroupName="g")
    finally:
        client.delete_function(FunctionName="f")


@pytest.mark.parametrize(
    ("members", "code", "words"),
    [
        ({"FunctionName": "a b"}, "ValidationException", "functionName"),
        ({"FunctionName": "x" * 200}, "ValidationException", "functionName"),
        ({"MemorySize": 64}, "ValidationException", "memorySize"),
        ({"Timeout": 0}, "ValidationException", "timeout"),
        ({"Role": "nobody"}, "ValidationException", "role"),
        ({"Handler": "with space.handler"}, "ValidationException", "handler"),
        ({"Runtime": "cobol85"}, "InvalidParameterValueException", "runtime"),
        ({"EphemeralStorage": {"Size": 1}}, "ValidationException", "ephemeralStorage.size"),
        ({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "InvalidParameterValueException", "AWS_REGION"),
        ({"Environment": {"Variables": {"BIG": "x" * 5000}}}, "InvalidParameterValueException", "4"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_members_are_named(platform, aws_error, members, code, words):
    client = platform.client(validate=False)
    error = aws_error(client.create_function, **({"FunctionName": "wrong"} | CREATE | members))
    assert error.response["Error"]["Code"] == code, error
    assert words in error.response["Error"]["Message"], error
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_required_members_are_asked_for(platform, aws_error):
    client = platform.client(validate=False)
    for missing in ("Role", "Code"):
        members = {key: value for key, value in CREATE.items() if key != missing}
        error = aws_error(client.create_function, FunctionName="wrong", **members)
        assert error.response["Error"]["Code"] in ("ValidationException", "InvalidParameterValueException")
    for missing in ("Runtime", "Handler"):
        members = {key: value for key, value in CREATE.items() if key != missing}
        error = aws_error(client.create_function, FunctionName="wrong", **members)
        assert error.response["Error"]["Code"] == "InvalidParameterValueException"
        assert "mandatory" in error.response["Error"]["Message"]


def test_a_version_stays_what_it_was(client, deploy):
    function = deploy(
        "def lambda_handler(event, context):\n    return ['old', context.function_version, context.invoked_function_arn]\n"
    )
    arn = client.get_function(FunctionName=function.name)["Configuration"]["FunctionArn"]
    first = client.publish_version(FunctionName=function.name, Description="first")
    assert (first["Version"], first["FunctionArn"], first["State"]) == ("1", f"{arn}:1", "Active")
    second = client.update_function_code(
        FunctionName=function.name, Publish=True,
        ZipFile=package({"lambda_function.py": "def lambda_handler(event, context):\n    return context.function_version\n"}),
    )
    assert (second["Version"], second["State"]) == ("2", "Pending")
    client.get_waiter("published_version_active").wait(FunctionName=function.name, Qualifier="2")
    wait_active(client, function.name)
    assert function.call(Qualifier="1") == ["old", "1", f"{arn}:1"]
    assert function.invoke(Qualifier="2")["ExecutedVersion"] == function.call(Qualifier="2") == "2"
    assert function.call() == "$LATEST"

    listed = client.get_paginator("list_versions_by_function").paginate(
        FunctionName=function.name, PaginationConfig={"PageSize": 1}
    ).build_full_result()["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1", "2"]
    client.delete_function(FunctionName=function.name, Qualifier="1")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        function.invoke(Qualifier="1")
    assert function.call(Qualifier="2") == "2"
