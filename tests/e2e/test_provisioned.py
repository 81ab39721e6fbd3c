"""Provisioned concurrency: instances made ahead, used first, and resident until they are released."""

import json
import re
import threading

import pytest

from conftest import deploy_to, eventually, wait_active
from packages import ECHO
from test_concurrency import assert_throttled, at_once, counts

WHO = """
import os, time

def lambda_handler(event, context):
    time.sleep((event or {}).get("wait", 0))
    if (event or {}).get("exit"):
        os._exit(1)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.log_stream_name]
"""


class Version:
    """A published version of a function."""

    def __init__(self, client, name, **change):
        self.client, self.name = client, name
        if change:
            client.update_function_configuration(FunctionName=name, **change)
            wait_active(client, name)
        self.number = client.publish_version(FunctionName=name)["Version"]

    def call(self, event=None, **kwargs):
        answer = self.client.invoke(
            FunctionName=self.name, Payload=json.dumps(event), **{"Qualifier": self.number} | kwargs)
        body = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, body
        return body

    def provision(self, count, **kwargs):
        return self.client.put_provisioned_concurrency_config(
            FunctionName=self.name, ProvisionedConcurrentExecutions=count, **{"Qualifier": self.number} | kwargs)

    def provisioned(self, **kwargs):
        """Status, allocated and available."""
        found = self.client.get_provisioned_concurrency_config(
            FunctionName=self.name, **{"Qualifier": self.number} | kwargs)
        found["counts"] = tuple(
            found[f"{which}ProvisionedConcurrentExecutions"] for which in ("Allocated", "Available"))
        return found

    def ready(self, count, **kwargs):
        def found():
            found = self.provisioned(**kwargs)
            assert found["Status"] != "FAILED", found
            return found["Status"] == "READY" and found["counts"] == (count, count)

        eventually(found, f"{count} of {self.name}:{self.number} are ready")


@pytest.fixture
def version(client, deploy):
    return Version(client, deploy(WHO, Timeout=30).name)


def metric(platform, name):
    from urllib.request import urlopen

    text = urlopen(f"{platform.url}/metrics").read().decode()
    return float(re.search(rf"^pilotlight_{name} (\S+)$", text, re.MULTILINE).group(1))


def test_life(platform, client, version, aws_error):
    name, number = version.name, version.number
    before = client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    answer = version.provision(3)
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 202
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000", answer.pop("LastModified"))
    assert answer == {
        "RequestedProvisionedConcurrentExecutions": 3, "AvailableProvisionedConcurrentExecutions": 0,
        "AllocatedProvisionedConcurrentExecutions": 0, "Status": "IN_PROGRESS",
    }
    version.ready(3)
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before - 3
    used = metric(platform, "provisioned_concurrency_invocations_total")
    # As often as it is called it is one of the three, and warm; `$LATEST` has none of them.
    for _ in range(5):
        answer = client.invoke(FunctionName=name, Qualifier=number, Payload=b"{}")
        assert answer["ResponseMetadata"]["HTTPHeaders"]["server-timing"].startswith('start;desc="warm"')
        assert json.loads(answer["Payload"].read())[0] == "provisioned-concurrency"
    assert version.call({}, Qualifier="$LATEST")[0] == "on-demand"
    assert metric(platform, "provisioned_concurrency_invocations_total") == used + 5
    # They wait at a cost.
    row = counts(platform, version)["provisioned"]
    assert (row["wanted"], row["allocated"]) == (3, 3) and row["usage"]["invocations"] == 5
    eventually(lambda: metric(platform, "provisioned_concurrency_idle_gb_seconds_total") > 0.05, "waiting costs")
    assert re.search(r"3/3, [\d.]+ GB-s idle", platform.pilot("ls").stdout)
    # More, and fewer.
    for count in (5, 2):
        version.provision(count)
        version.ready(count)
        eventually(lambda: counts(platform, version)["provisioned"]["allocated"] == count, "as many as asked for")
    listed = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    arn = client.get_function_configuration(FunctionName=name, Qualifier=number)["FunctionArn"]
    assert [(it["FunctionArn"], it["Status"], it["RequestedProvisionedConcurrentExecutions"]) for it in listed] == [
        (arn, "READY", 2)]
    client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier=number)
    error = aws_error(client.get_provisioned_concurrency_config, FunctionName=name, Qualifier=number)
    assert error.response["Error"] == {
        "Code": "ProvisionedConcurrencyConfigNotFoundException",
        "Message": "No Provisioned Concurrency Config found for this function",
    }
    eventually(lambda: counts(platform, version)["provisioned"] is None, "they are released")
    assert version.call({})[0] == "on-demand"


def test_nodejs_can_tell(client, deploy):
    source = "exports.handler = async () => [process.env.AWS_LAMBDA_INITIALIZATION_TYPE]"
    version = Version(client, deploy({"index.js": source}, Runtime="nodejs20.x", Handler="index.handler").name)
    version.provision(1)
    version.ready(1)
    assert version.call({}) == ["provisioned-concurrency"]
    assert version.call({}, Qualifier="$LATEST") == ["on-demand"]


def test_with_the_aws_cli(platform, version):
    of = ["--function-name", version.name, "--qualifier", version.number]
    platform.aws("put-provisioned-concurrency-config", *of, "--provisioned-concurrent-executions", "1")
    eventually(
        lambda: json.loads(platform.aws("get-provisioned-concurrency-config", *of).stdout)["Status"] == "READY", "ready")
    listed = json.loads(platform.aws("list-provisioned-concurrency-configs", *of[:2]).stdout)
    assert len(listed["ProvisionedConcurrencyConfigs"]) == 1
    platform.aws("delete-provisioned-concurrency-config", *of)
    assert "ProvisionedConcurrencyConfigNotFoundException" in platform.aws(
        "get-provisioned-concurrency-config", *of, check=False).stderr


def test_refusals(client, version, aws_error):
    name = version.name
    function = client.get_function_configuration(FunctionName=name)["FunctionArn"]

    def refused(call, code, message, **kwargs):
        assert aws_error(call, FunctionName=name, **kwargs).response["Error"] == {"Code": code, "Message": message}

    put = client.put_provisioned_concurrency_config
    invalid, missing = "InvalidParameterValueException", "ResourceNotFoundException"
    unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    refused(put, invalid, unpublished, Qualifier="$LATEST", ProvisionedConcurrentExecutions=1)
    for call in (client.get_provisioned_concurrency_config, client.delete_provisioned_concurrency_config):
        neither = "The function resource provided must be an alias or a published version."
        refused(call, invalid, neither, Qualifier="$LATEST")
        refused(call, missing, f"Function not found: {function}:10", Qualifier="10")
        refused(call, missing, f"Cannot find alias arn: {function}:noalias", Qualifier="noalias")
    limit = client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    least = "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution " \
            "below its minimum value of [100]."
    refused(put, invalid, least, Qualifier=version.number, ProvisionedConcurrentExecutions=limit)


def test_reserved_and_provisioned(client, version, aws_error):
    """What is reserved and all provisioned leaves nothing for other versions."""
    version.provision(2)
    version.ready(2)
    error = aws_error(client.put_function_concurrency, FunctionName=version.name, ReservedConcurrentExecutions=1)
    assert error.response["Error"]["Message"] == (
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].")
    client.put_function_concurrency(FunctionName=version.name, ReservedConcurrentExecutions=2)
    error = aws_error(client.invoke, FunctionName=version.name)
    assert_throttled(error, "ReservedFunctionConcurrentInvocationLimitExceeded")
    assert version.call({})[0] == "provisioned-concurrency"
    _, errors = at_once(8, lambda: version.call({"wait": 2}))
    assert errors
    for error in errors:
        assert_throttled(error, "ReservedFunctionConcurrentInvocationLimitExceeded")
    for count, qualifier in ((3, version.number), (1, Version(client, version.name, Timeout=29).number)):
        error = aws_error(
            client.put_provisioned_concurrency_config, FunctionName=version.name, Qualifier=qualifier,
            ProvisionedConcurrentExecutions=count)
        assert error.response["Error"]["Message"] == (
            "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")


def test_counts_while_busy_and_what_is_over(platform, version):
    version.provision(2)
    version.ready(2)
    spilled = metric(platform, "provisioned_concurrency_spillover_invocations_total")
    busy = [threading.Thread(target=version.call, args=[{"wait": 4}]) for _ in range(2)]
    for thread in busy:
        thread.start()
    eventually(lambda: version.provisioned()["counts"] == (2, 0), "both are busy")
    assert version.provisioned()["Status"] == "READY"
    assert version.call({})[0] == "on-demand"
    assert metric(platform, "provisioned_concurrency_spillover_invocations_total") == spilled + 1
    for thread in busy:
        thread.join()
    version.ready(2)
    assert version.call({})[0] == "provisioned-concurrency"


def test_one_that_dies_is_replaced(client, version):
    version.provision(2)
    version.ready(2)
    first = version.call({})[1]
    answer = client.invoke(FunctionName=version.name, Qualifier=version.number, Payload=b'{"exit": true}')
    assert answer["FunctionError"] == "Unhandled"
    version.ready(2)
    kind, stream = version.call({})
    assert kind == "provisioned-concurrency" and stream != first


def test_an_init_that_fails(platform, client, deploy):
    platform.expect_log("provisioned instance not made")
    function = deploy("raise ValueError('no')")
    version = Version(client, function.name)
    version.provision(2)

    def failed():
        found = version.provisioned()
        return found["Status"] == "FAILED" and found

    found = eventually(failed, "it fails")
    assert found["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE" and found["counts"] == (0, 0)


def test_an_alias_moves_them(client, version):
    name = version.name
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version.number)
    version.provision(1, Qualifier="live")
    version.ready(1, Qualifier="live")
    assert version.call({}, Qualifier="live")[0] == version.call({})[0] == "provisioned-concurrency"
    newer = Version(client, name, Timeout=29)
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=newer.number)
    version.ready(1, Qualifier="live")
    assert newer.call({}, Qualifier="live")[0] == newer.call({})[0] == "provisioned-concurrency"
    eventually(lambda: version.call({})[0] == "on-demand", "the old version has none")
    client.delete_alias(FunctionName=name, Name="live")
    eventually(lambda: newer.call({})[0] == "on-demand", "they are gone with the alias")


def test_a_version_that_is_deleted_lets_go_of_them(platform, client, version):
    version.provision(2)
    version.ready(2)
    client.delete_function(FunctionName=version.name, Qualifier=version.number)
    eventually(lambda: not counts(platform, version).get("provisioned"), "they are gone")
    assert client.list_provisioned_concurrency_configs(FunctionName=version.name)["ProvisionedConcurrencyConfigs"] == []


def test_restart_and_kill_9(new_platform):
    platform = new_platform()
    version = Version(platform.client(), deploy_to(platform.client(), WHO).name)
    version.provision(2)
    version.ready(2)
    # Acknowledged, and not carried out.
    version.provision(3)
    platform.kill()
    for end in (platform.stop, lambda: None):
        version.client = platform.start().client()
        version.ready(3)
        assert version.call({})[0] == "provisioned-concurrency"
        end()


def test_memory_pressure_and_no_room(new_platform):
    platform = new_platform("[limits]\nnode_memory_mb = 1000\n")
    platform.expect_log("no room for a provisioned instance")
    client = platform.client()
    version = Version(client, deploy_to(client, WHO).name)
    version.provision(2)
    version.ready(2)
    stream = version.call({})[1]
    large = deploy_to(client, ECHO, MemorySize=512)
    other = deploy_to(client, ECHO, MemorySize=400)
    for _ in range(2):
        assert large.call(1) == 1 and other.call(2) == 2
        assert version.provisioned()["counts"] == (2, 2)
    assert version.call({})[1] == stream
    # More than there ever can be: what there is room for is made, and the status says the rest.
    version.provision(9)

    def full():
        found = version.provisioned()
        return found["Status"] == "FAILED" and found["counts"][0] == 7 and found

    assert "no room" in eventually(full, "the node is full")["StatusReason"]
    version.provision(1)
    version.ready(1)
    assert large.call(3) == 3
