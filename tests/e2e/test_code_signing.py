"""Code signing configurations as boto3 and the AWS CLI see them."""

import json

from packages import ECHO, package

PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/MyProfile/abcdef1234"


def test_enforced_signatures_refuse_code_that_has_none(platform, client, deploy, aws_error):
    name = deploy(ECHO).name
    config = json.loads(platform.aws(
        "create-code-signing-config", "--allowed-publishers", f"SigningProfileVersionArns={PROFILE}",
        "--code-signing-policies", "UntrustedArtifactOnDeployment=Enforce",
    ).stdout)["CodeSigningConfig"]
    arn = config["CodeSigningConfigArn"]
    assert arn.endswith(config["CodeSigningConfigId"])
    client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=arn)
    assert client.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"] == arn
    assert client.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"] == [
        f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    ]
    code = package({"lambda_function.py": ECHO + "\n"})
    refused = aws_error(client.update_function_code, FunctionName=name, ZipFile=code)
    assert refused.response["Error"]["Code"] == "CodeVerificationFailedException"
    client.update_code_signing_config(
        CodeSigningConfigArn=arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Warn"},
    )
    client.update_function_code(FunctionName=name, ZipFile=code)
    in_use = aws_error(client.delete_code_signing_config, CodeSigningConfigArn=arn)
    assert in_use.response["Error"]["Code"] == "ResourceConflictException"
    client.delete_function_code_signing_config(FunctionName=name)
    client.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert json.loads(platform.aws("list-code-signing-configs").stdout)["CodeSigningConfigs"] == []
