"""GetCallerIdentity: who an access key is, as tools ask before they do anything else."""

import json

import pytest


def identity(client):
    answer = client.get_caller_identity()
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "text/xml"
    return [answer[member] for member in ("Account", "UserId", "Arn")]


def refusal(call, **members):
    with pytest.raises(Exception) as error:
        call(**members)
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Message"]


def test_every_key_is_an_account_where_none_is_configured(platform):
    for key, account in (("any", "123456789012"), ("210987654321", "210987654321")):
        assert identity(platform.client(key, service="sts")) == [account, account, f"arn:aws:iam::{account}:root"]
    told = platform.aws("get-caller-identity", service="sts")
    assert json.loads(told.stdout)["Account"] == "123456789012"


def test_a_configured_key_is_its_account(new_platform):
    platform = new_platform('[[access_keys]]\nid = "mine"\nsecret = "secret"\naccount = "000000000007"\n')
    assert identity(platform.client("mine", "secret", service="sts"))[0] == "000000000007"
    wrong = platform.client("mine", "wrong", service="sts")
    assert refusal(wrong.get_caller_identity)[:2] == ("SignatureDoesNotMatch", 403)
    stranger = platform.client("stranger", "secret", service="sts")
    assert refusal(stranger.get_caller_identity)[:2] == ("InvalidClientTokenId", 403)


def test_what_is_not_served_is_told_in_the_protocol_of_who_asks(platform):
    for service, operation, members in (
        ("sts", "get_session_token", {}),
        ("sts", "assume_role", {"RoleArn": "arn:aws:iam::123456789012:role/any", "RoleSessionName": "one"}),
        ("iam", "get_role", {"RoleName": "any"}),
        ("cloudformation", "list_stacks", {}),
        ("sns", "list_topics", {}),
    ):
        client = platform.client(service=service)
        name = client.meta.method_to_api_mapping[operation]
        code, status, message = refusal(getattr(client, operation), **members)
        assert (code, status) == ("InvalidAction", 400), (service, code, message)
        assert message.startswith(f"{name} is for a service that is not served here. Served are: AWS Lambda, "), message


def test_services_of_the_json_protocol_are_told_in_it(platform):
    code, status, message = refusal(platform.client(service="dynamodb").list_tables)
    assert (code, status) == ("UnknownOperationException", 400), message
    assert message.startswith("DynamoDB_20120810.ListTables is for a service that is not served here."), message


def test_s3_is_told_in_its_own_words(platform):
    client = platform.client(service="s3")
    for operation, members in (("list_buckets", {}), ("put_object", {"Bucket": "b", "Key": "a&b", "Body": b"1"})):
        code, status, message = refusal(getattr(client, operation), **members)
        assert (code, status) == ("NotImplemented", 501), message
        assert "is for a service that is not served here. Served are: AWS Lambda, " in message
    assert refusal(client.head_object, Bucket="b", Key="k")[1] == 501
    shown = platform.aws("list-buckets", service="s3api", check=False)
    assert "NotImplemented" in shown.stderr and "Served are: AWS Lambda" in shown.stderr, shown.stderr
