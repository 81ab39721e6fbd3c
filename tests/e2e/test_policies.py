"""Function policies, and what they let another account do."""

import json

from packages import ECHO

FRIEND = "111122223333"


def test_a_policy_lets_another_account_call(platform, client, deploy, aws_error):
    function = deploy(ECHO)
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    friend, arn = platform.client(key=FRIEND), f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"

    def refused(call, **kwargs):
        error = aws_error(call, **kwargs).response
        assert error["Error"]["Code"] == "AccessDeniedException", error
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
        return error["Error"]["Message"]

    assert refused(friend.invoke, FunctionName=arn) == (
        f"User: arn:aws:iam::{FRIEND}:root is not authorized to perform: lambda:InvokeFunction on resource: {arn} "
        "because no resource-based policy allows the lambda:InvokeFunction action"
    )
    added = client.add_permission(
        FunctionName=function.name, StatementId="friend", Action="lambda:InvokeFunction", Principal=FRIEND,
    )
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    statement = {
        "Sid": "friend", "Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{FRIEND}:root"},
        "Action": "lambda:InvokeFunction", "Resource": arn,
    }
    assert json.loads(added["Statement"]) == statement
    policy = client.get_policy(FunctionName=function.name)
    assert json.loads(policy["Policy"]) == {"Version": "2012-10-17", "Id": "default", "Statement": [statement]}
    assert policy["RevisionId"] == client.get_function_configuration(FunctionName=function.name)["RevisionId"]

    answer = friend.invoke(FunctionName=arn, Payload='"hello"')
    assert json.load(answer["Payload"]) == "hello"
    assert friend.invoke(FunctionName=arn, InvocationType="Event", Payload="1")["StatusCode"] == 202
    refused(friend.invoke, FunctionName=f"{arn}:live")
    refused(friend.get_function, FunctionName=arn)
    client.add_permission(
        FunctionName=function.name, Qualifier="live", StatementId="friend", Action="lambda:*", Principal=FRIEND,
    )
    assert friend.invoke(FunctionName=f"{arn}:live")["ExecutedVersion"] == "1"
    assert friend.get_function(FunctionName=f"{arn}:live")["Configuration"]["FunctionArn"] == f"{arn}:live"

    client.remove_permission(FunctionName=function.name, StatementId="friend")
    refused(friend.invoke, FunctionName=arn)
    assert aws_error(client.get_policy, FunctionName=function.name).response["Error"] == {
        "Code": "ResourceNotFoundException", "Message": "The resource you requested does not exist.",
    }


def test_the_command_line_makes_policies(platform, deploy):
    name = deploy(ECHO).name
    platform.aws(
        "add-permission", "--function-name", name, "--statement-id", "s3", "--action", "lambda:InvokeFunction",
        "--principal", "s3.amazonaws.com", "--source-arn", "arn:aws:s3:::bucket", "--source-account", FRIEND,
    )
    policy = json.loads(json.loads(platform.aws("get-policy", "--function-name", name).stdout)["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "s3.amazonaws.com"}
    assert policy["Statement"][0]["Condition"] == {
        "StringEquals": {"AWS:SourceAccount": FRIEND}, "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
    }
    platform.aws("remove-permission", "--function-name", name, "--statement-id", "s3")
    missing = platform.aws("get-policy", "--function-name", name, check=False)
    assert missing.returncode != 0 and "The resource you requested does not exist." in missing.stderr
