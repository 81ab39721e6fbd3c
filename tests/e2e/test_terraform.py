"""What Terraform's AWS provider asks for each of its resources, in its order: create and wait, read, change, plan
again, destroy. Any error among the reads fails an apply, and anything that reads back otherwise than it was given
shows as a change in the next plan. (The provider itself is in none of the registries that tests install from.)"""

import json

import pytest

from conftest import ROLE
from packages import ECHO, package
from pilot_up import eventually

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"


def not_found(call, **members):
    with pytest.raises(Exception) as error:
        call(**members)
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def created(client, name, **members):
    """`aws_lambda_function`, created."""
    request = dict(
        FunctionName=name, Role=ROLE, Runtime="python3.11", Handler="lambda_function.lambda_handler", MemorySize=128,
        Timeout=3, Publish=False, PackageType="Zip", EphemeralStorage={"Size": 512}, Architectures=["x86_64"],
        Code={"ZipFile": package({"lambda_function.py": ECHO})}, LoggingConfig={"LogFormat": "Text"},
        Tags={"team": "a"},
    )
    client.create_function(**(request | members))
    eventually(
        lambda: client.get_function(FunctionName=name)["Configuration"]["State"] == "Active", f"{name} is active"
    )
    return read(client, name)


def read(client, name):
    """The read of `aws_lambda_function`."""
    found = client.get_function(FunctionName=name)
    assert found["Code"]["RepositoryType"] == "S3" and found["Code"]["Location"]
    pages = client.get_paginator("list_versions_by_function").paginate(
        FunctionName=name, PaginationConfig={"PageSize": 10_000}
    )
    versions = [version["Version"] for page in pages for version in page["Versions"]]
    assert versions[0] == "$LATEST"
    signing = client.get_function_code_signing_config(FunctionName=name)
    assert signing["FunctionName"] == name and not signing.get("CodeSigningConfigArn")
    assert client.list_tags(Resource=found["Configuration"]["FunctionArn"])["Tags"] == found["Tags"]
    return found, versions


def updated(client, name):
    def settled():
        configuration = client.get_function(FunctionName=name)["Configuration"]
        return configuration["State"] == "Active" and configuration["LastUpdateStatus"] == "Successful"

    eventually(settled, f"{name} is updated")


@pytest.fixture
def named(client, request):
    name = f"tf-{request.node.name[5:40].replace('[', '-').strip('-_]')}"
    yield name
    try:
        client.delete_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        pass


def test_a_function_reads_back_as_it_was_given_and_changes(client, named):
    found, versions = created(client, named, Environment={"Variables": {"STAGE": "one"}})
    configuration = found["Configuration"]
    assert versions == ["$LATEST"] and found["Tags"] == {"team": "a"}
    given = dict(
        Role=ROLE, Runtime="python3.11", Handler="lambda_function.lambda_handler", MemorySize=128, Timeout=3,
        PackageType="Zip", EphemeralStorage={"Size": 512}, Architectures=["x86_64"], Description="",
        Environment={"Variables": {"STAGE": "one"}}, TracingConfig={"Mode": "PassThrough"}, Version="$LATEST",
    )
    assert {key: configuration.get(key) for key in given} == given
    assert configuration["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{named}"}
    assert configuration["SnapStart"]["ApplyOn"] == "None"
    for absent in ("DeadLetterConfig", "FileSystemConfigs", "KMSKeyArn", "Layers", "VpcConfig", "ImageConfigResponse"):
        assert not configuration.get(absent), absent
    assert read(client, named)[0]["Configuration"] == configuration, "a second plan finds nothing to change"

    client.update_function_configuration(
        FunctionName=named, MemorySize=256, Timeout=5, Environment={"Variables": {"STAGE": "two"}}
    )
    updated(client, named)
    client.update_function_code(
        FunctionName=named, ZipFile=package({"lambda_function.py": ECHO + "\n# changed\n"}), Architectures=["x86_64"],
        DryRun=False,
    )
    updated(client, named)
    changed = client.get_function(FunctionName=named)["Configuration"]
    assert changed["CodeSha256"] != configuration["CodeSha256"]
    assert (changed["MemorySize"], changed["Environment"]["Variables"]) == (256, {"STAGE": "two"})
    published = client.publish_version(FunctionName=named)
    assert read(client, named)[1] == ["$LATEST", published["Version"]]
    client.tag_resource(Resource=ARN + named, Tags={"team": "b", "more": "1"})
    client.untag_resource(Resource=ARN + named, TagKeys=["more"])
    assert read(client, named)[0]["Tags"] == {"team": "b"}
    client.put_function_concurrency(FunctionName=named, ReservedConcurrentExecutions=5)
    assert client.get_function(FunctionName=named)["Concurrency"] == {"ReservedConcurrentExecutions": 5}
    client.delete_function_concurrency(FunctionName=named)
    assert "Concurrency" not in client.get_function(FunctionName=named)
    client.delete_function(FunctionName=named)
    not_found(client.get_function, FunctionName=named)


def test_alias_permission_and_url(client, named):
    created(client, named, Publish=True)
    client.create_alias(FunctionName=named, Name="live", FunctionVersion="1", Description="")
    alias = client.get_alias(FunctionName=named, Name="live")
    assert (alias["AliasArn"], alias["FunctionVersion"]) == (f"{ARN}{named}:live", "1")
    assert "RoutingConfig" not in alias or not alias["RoutingConfig"].get("AdditionalVersionWeights")

    client.add_permission(
        FunctionName=named, StatementId="AllowExecutionFromEvents", Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com", SourceArn="arn:aws:events:us-east-1:123456789012:rule/r", Qualifier="live",
    )
    policy = json.loads(client.get_policy(FunctionName=named, Qualifier="live")["Policy"])
    (statement,) = policy["Statement"]
    assert (statement["Sid"], statement["Resource"]) == ("AllowExecutionFromEvents", f"{ARN}{named}:live")
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/r"}}
    client.remove_permission(FunctionName=named, StatementId="AllowExecutionFromEvents", Qualifier="live")
    not_found(client.get_policy, FunctionName=named, Qualifier="live")

    client.create_function_url_config(FunctionName=named, Qualifier="live", AuthType="NONE", InvokeMode="BUFFERED")
    client.add_permission(
        FunctionName=named, StatementId="FunctionURLAllowPublicAccess", Action="lambda:InvokeFunctionUrl",
        Principal="*", FunctionUrlAuthType="NONE", Qualifier="live",
    )
    url = client.get_function_url_config(FunctionName=named, Qualifier="live")
    assert url["FunctionArn"] == f"{ARN}{named}:live" and url["AuthType"] == "NONE"
    client.update_function_url_config(
        FunctionName=named, Qualifier="live", AuthType="NONE", Cors={"AllowOrigins": ["*"], "MaxAge": 10}
    )
    assert client.get_function_url_config(FunctionName=named, Qualifier="live")["Cors"]["MaxAge"] == 10
    client.delete_function_url_config(FunctionName=named, Qualifier="live")
    not_found(client.get_function_url_config, FunctionName=named, Qualifier="live")
    client.delete_alias(FunctionName=named, Name="live")
    not_found(client.get_alias, FunctionName=named, Name="live")


def test_event_invoke_config_and_provisioned_concurrency(client, named):
    created(client, named, Publish=True)
    client.put_function_event_invoke_config(FunctionName=named, MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60)
    config = client.get_function_event_invoke_config(FunctionName=named)
    assert (config["MaximumRetryAttempts"], config["MaximumEventAgeInSeconds"]) == (0, 60)
    client.delete_function_event_invoke_config(FunctionName=named)
    not_found(client.get_function_event_invoke_config, FunctionName=named)

    client.put_provisioned_concurrency_config(
        FunctionName=named, Qualifier="1", ProvisionedConcurrentExecutions=1
    )

    def status():
        return client.get_provisioned_concurrency_config(FunctionName=named, Qualifier="1")

    eventually(lambda: status()["Status"] == "READY", "the instance is there")
    assert status()["AllocatedProvisionedConcurrentExecutions"] == 1
    client.delete_provisioned_concurrency_config(FunctionName=named, Qualifier="1")
    with pytest.raises(client.exceptions.ProvisionedConcurrencyConfigNotFoundException):
        status()


def test_a_layer_and_a_function_that_has_it(client, named):
    content = package({"python/shared.py": "VALUE = 7\n"})
    layer = client.publish_layer_version(
        LayerName=named, Content={"ZipFile": content}, CompatibleRuntimes=["python3.11"], LicenseInfo="Apache-2.0"
    )
    found = client.get_layer_version(LayerName=named, VersionNumber=layer["Version"])
    assert found["LayerVersionArn"] == layer["LayerVersionArn"] and found["Content"]["CodeSha256"]
    source = "import shared\ndef lambda_handler(event, context):\n    return shared.VALUE\n"
    _, _ = created(
        client, named, Layers=[layer["LayerVersionArn"]], Code={"ZipFile": package({"lambda_function.py": source})}
    )
    (shown,) = read(client, named)[0]["Configuration"]["Layers"]
    assert shown["Arn"] == layer["LayerVersionArn"]
    assert json.loads(client.invoke(FunctionName=named)["Payload"].read()) == 7
    client.add_layer_version_permission(
        LayerName=named, VersionNumber=layer["Version"], StatementId="other", Action="lambda:GetLayerVersion",
        Principal="000000000001",
    )
    policy = json.loads(client.get_layer_version_policy(LayerName=named, VersionNumber=layer["Version"])["Policy"])
    assert policy["Statement"][0]["Sid"] == "other"
    client.delete_layer_version(LayerName=named, VersionNumber=layer["Version"])
    not_found(client.get_layer_version, LayerName=named, VersionNumber=layer["Version"])
