"""Functions call functions: unmodified code reaches the platform's API from inside its sandbox, in every start kind and
runtime, and gets what its account may have there and no more."""

import json

import pytest

from conftest import ROLE, deploy_to, eventually
from forks import KINDS, call, deploy_node
from packages import ECHO, boto3_for, compiled

OTHER = "210987654321"

# Calls what it is told to, as the event says it; what comes of it is the answer.
CALLER = """
import json, os, boto3
from botocore.config import Config
from botocore.exceptions import ClientError

def ask(service, operation, members, **how):
    how.setdefault("config", Config(retries={"total_max_attempts": 1}))
    try:
        answer = getattr(boto3.client(service, **how), operation)(**members)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    for name in ("Payload", "EventStream"):
        if name in answer:
            body = answer.pop(name)
            if name == "Payload":
                answer["said"] = json.loads(body.read() or b"null")
            else:
                answer["said"] = "".join(
                    part["PayloadChunk"]["Payload"].decode() for part in body if "PayloadChunk" in part)
    answer["status"] = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    return json.loads(json.dumps(answer, default=str))

FIRST = None
if "IN_INIT" in os.environ:
    FIRST = ask("lambda", "invoke", {"FunctionName": os.environ["IN_INIT"], "Payload": b'"init"'})

def lambda_handler(event, context):
    if "variables" in event:
        return {name: os.environ.get(name) for name in event["variables"]}
    if "first" in event:
        return FIRST
    if "depth" in event:
        deeper = json.dumps({"depth": event["depth"] + 1})
        answer = ask("lambda", "invoke", {"FunctionName": context.function_name, "Payload": deeper})
        return answer.get("said") or answer | {"depth": event["depth"]}
    how = event.get("how", {})
    if "large" in event:
        event["members"]["Payload"] = json.dumps("x" * event["large"])
    return ask(event["service"], event["operation"], event.get("members", {}), **how)
"""

NODE = """
exports.handler = async (event) => {
    const url = `${process.env.AWS_ENDPOINT_URL_LAMBDA}/2015-03-31/functions/${event.name}/invocations`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(event.event) });
    return { status: answer.status, said: await answer.json() };
};
"""

NODE_STREAM = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
    for (const word of ["one ", "two ", "three"]) {
        stream.write(word);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stream.end();
});
"""

JAVA = """
package fn;

import java.net.URI;
import java.net.http.*;
import java.util.Map;

public class Caller {
    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    public Map<String, Object> handle(Map<String, Object> event) throws Exception {
        String url = System.getenv("AWS_ENDPOINT_URL_LAMBDA") + "/2015-03-31/functions/" + event.get("name") + "/invocations";
        HttpRequest request = HttpRequest.newBuilder(URI.create(url))
            .POST(HttpRequest.BodyPublishers.ofString((String) event.get("event"))).build();
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        return Map.of("status", answer.statusCode(), "said", answer.body());
    }
}
"""

# Speaks HTTP by hand: requests that no client of AWS makes.
RAW = """
import socket

def lambda_handler(event, context):
    with socket.create_connection(("127.0.0.1", 9002), timeout=20) as door:
        door.sendall(event["request"].encode())
        answer = b""
        while chunk := door.recv(65536):
            answer += chunk
    return answer.decode()
"""


@pytest.fixture(scope="module")
def clients():
    """The files of boto3, in which every caller is put."""
    return boto3_for("lambda", "scheduler", "logs", "sts")


@pytest.fixture(scope="module")
def echo(shared_platform):
    client = shared_platform.client()
    function = deploy_to(client, ECHO, name="called")
    yield function
    client.delete_function(FunctionName="called")


@pytest.fixture(scope="module")
def caller(shared_platform, clients, echo):
    client = shared_platform.client()
    function = deploy_to(
        client, clients | {"lambda_function.py": CALLER}, name="caller", MemorySize=512, Timeout=60,
        Environment={"Variables": {"IN_INIT": echo.name}},
    )
    yield function
    client.delete_function(FunctionName="caller")


def invoking(name, event=None, **members):
    members = {"FunctionName": name, "Payload": json.dumps(event)} | members
    return {"service": "lambda", "operation": "invoke", "members": members}


@pytest.mark.parametrize("kind", KINDS)
def test_boto3_needs_no_change(platform, caller, echo, kind):
    answer = call(platform, caller, kind, invoking(echo.name, {"from": kind}))
    assert (answer["status"], answer["said"]) == (200, {"from": kind})
    # What the init called did not keep the version from having a template.
    first = caller.call({"first": True})
    assert (first["status"], first["said"]) == (200, "init")


@pytest.mark.parametrize("kind", ["booted", "forked", "spare"])
def test_node_calls_with_fetch(platform, deploy, echo, kind):
    function = deploy_node(deploy, NODE)
    answer = call(platform, function, kind, {"name": echo.name, "event": {"n": 1}})
    assert answer == {"status": 200, "said": {"n": 1}}


@pytest.mark.parametrize("kind", ["booted", "forked"])
def test_java_calls_with_its_http_client(platform, deploy, echo, kind, tmp_path):
    classes = compiled(tmp_path, "Caller.java", JAVA)
    function = deploy(classes, Runtime="java17", Handler="fn.Caller::handle", MemorySize=1024, Timeout=60)
    answer = call(platform, function, kind, {"name": echo.name, "event": '{"n":1}'})
    assert answer == {"status": 200, "said": '{"n": 1}'}


def test_provisioned_instances_call_too(platform, client, caller, echo):
    version = client.publish_version(FunctionName=caller.name)["Version"]
    name = {"FunctionName": caller.name, "Qualifier": version}
    client.get_waiter("published_version_active").wait(FunctionName=caller.name, Qualifier=version)
    client.put_provisioned_concurrency_config(ProvisionedConcurrentExecutions=1, **name)
    eventually(lambda: client.get_provisioned_concurrency_config(**name)["Status"] == "READY", "it is provisioned")
    assert caller.call(invoking(echo.name, 7), Qualifier=version)["said"] == 7
    client.delete_provisioned_concurrency_config(**name)


def test_asynchronously(platform, caller, deploy, lines):
    function = deploy("def lambda_handler(event, context):\n    print('heard', event['word'])\n")
    answer = caller.call(invoking(function.name, {"word": "hello"}, InvocationType="Event"))
    assert answer["status"] == 202
    eventually(lambda: any("heard hello" in line for line in lines(function)), "the event arrived")
    assert caller.call(invoking(function.name, InvocationType="DryRun"))["status"] == 204


def test_an_answer_that_is_streamed(platform, caller, deploy):
    function = deploy_node(deploy, NODE_STREAM)
    event = invoking(function.name, {}) | {"operation": "invoke_with_response_stream"}
    assert caller.call(event)["said"] == "one two three"


def test_errors_and_limits_are_those_of_the_api(platform, caller, echo):
    missing = caller.call(invoking("missing"))
    assert missing["error"] == "ResourceNotFoundException"
    assert missing["message"] == f"Function not found: arn:aws:lambda:us-east-1:{account_of(caller)}:function:missing:$LATEST"
    large = caller.call(invoking(echo.name, InvocationType="Event") | {"large": (1 << 20) + 1})
    assert large["error"] == "RequestEntityTooLargeException"
    assert "Event invocation type" in large["message"]


def account_of(function):
    arn = function.client.get_function_configuration(FunctionName=function.name)["FunctionArn"]
    return arn.split(":")[4]


@pytest.mark.parametrize(
    ("service", "operation", "members", "action"),
    [
        ("lambda", "delete_function", {"FunctionName": "called", "Qualifier": "1"}, "lambda:DeleteFunction"),
        ("lambda", "list_functions", {}, "lambda:ListFunctions"),
        ("lambda", "get_function", {"FunctionName": "called"}, "lambda:GetFunction"),
        ("lambda", "update_function_configuration", {"FunctionName": "called", "Timeout": 9},
         "lambda:UpdateFunctionConfiguration"),
        ("lambda", "delete_function", {"FunctionName": "missing"}, "lambda:DeleteFunction"),
        ("scheduler", "list_schedules", {}, "scheduler:ListSchedules"),
        ("logs", "describe_log_groups", {}, "logs:DescribeLogGroups"),
    ],
)
def test_nothing_but_invocations(platform, caller, service, operation, members, action):
    found = caller.call({"service": service, "operation": operation, "members": members})
    assert found["error"] == "AccessDeniedException"
    account, name = account_of(caller), members.get("FunctionName")
    resource = f"arn:aws:lambda:us-east-1:{account}:function:{name}" if name else "*"
    session = f"arn:aws:sts::{account_of(caller)}:assumed-role/caller/caller"
    assert found["message"] == (
        f"User: {session} is not authorized to perform: {action} on resource: {resource} because no identity-based policy "
        f"allows the {action} action"
    )


def test_a_signature_makes_nobody_another(platform, caller):
    keys = {"aws_access_key_id": OTHER, "aws_secret_access_key": "secret", "endpoint_url": "http://127.0.0.1:9002"}
    theirs = deploy_to(platform.client(key=OTHER), ECHO, name="theirs")
    for how in ({"endpoint_url": keys["endpoint_url"]}, keys):
        asked = {"service": "sts", "operation": "get_caller_identity", "how": how}
        who = caller.call(asked)
        session = f"arn:aws:sts::{account_of(caller)}:assumed-role/caller/caller"
        assert (who["Account"], who["Arn"]) == (account_of(caller), session)
        assert who["UserId"].startswith("AROA") and who["UserId"].endswith(":caller")
    # By name it is not there, and by its ARN not allowed, whoever signs.
    arn = f"arn:aws:lambda:us-east-1:{OTHER}:function:theirs"
    for name, error in (("theirs", "ResourceNotFoundException"), (arn, "AccessDeniedException")):
        for how in ({}, keys):
            assert caller.call(invoking(name) | {"how": how})["error"] == error, name
    theirs.client.add_permission(
        FunctionName="theirs", StatementId="in", Action="lambda:InvokeFunction", Principal=account_of(caller))
    assert caller.call(invoking(arn, "let in"))["said"] == "let in"
    theirs.client.delete_function(FunctionName="theirs")


def request(line, host="127.0.0.1:9002", body="{}"):
    return f"{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"


def test_whatever_a_request_says_of_where_it_goes(platform, deploy, echo, client):
    raw = deploy(RAW)
    client.create_function_url_config(FunctionName=echo.name, AuthType="NONE")
    url = client.get_function_url_config(FunctionName=echo.name)["FunctionUrl"]
    host = url.split("/")[2]
    for line, host, status in [
        (f"POST /2015-03-31/functions/{echo.name}/invocations", "elsewhere.example", 200),
        (f"POST http://elsewhere.example/2015-03-31/functions/{echo.name}/invocations", "127.0.0.1:9002", 200),
        # A function URL, the platform's own API, its metrics, a download: none is behind this door.
        ("GET /", host, 403),
        ("GET http://" + host + "/", host, 403),
        ("GET /pilotlight/v1/nodes", "localhost", 403),
        ("GET /pilotlight/v1/health", "localhost", 403),
        ("GET /metrics", "localhost", 403),
        ("GET /pilotlight/v1/code/x", "localhost", 403),
        ("POST /pilotlight/v1/warm-up", "localhost", 403),
        (f"DELETE /2015-03-31/functions/{echo.name}", "localhost", 403),
        ("CONNECT 127.0.0.1:80", "127.0.0.1:80", 403),
        (f"POST /2015-03-31/functions/{echo.name}/../{echo.name}/invocations", "localhost", 403),
    ]:
        answer = raw.call({"request": request(line, host)})
        assert answer.startswith(f"HTTP/1.1 {status} "), (line, answer)
    client.delete_function_url_config(FunctionName=echo.name)


def test_places_that_the_user_names_win(platform, deploy, clients):
    names = [f"AWS_ENDPOINT_URL_{service}" for service in ("LAMBDA", "SCHEDULER", "CLOUDWATCH_LOGS")]
    files = {"lambda_function.py": "import os\ndef lambda_handler(event, context):\n    return [os.environ.get(n) for n in event]\n"}
    door, mine = "http://127.0.0.1:9002", "http://192.0.2.1"
    for variables, expected in [
        ({}, [door, door, door]),
        ({"AWS_ENDPOINT_URL_LAMBDA": mine}, [mine, door, door]),
        ({"AWS_ENDPOINT_URL": mine}, [None, None, None]),
    ]:
        function = deploy(files, Environment={"Variables": variables})
        for kind in ("booted", "zygote", "forked"):
            assert call(platform, function, kind, names) == expected, (variables, kind)


def test_limits_of_concurrency_hold(platform, client, caller):
    client.put_function_concurrency(FunctionName=caller.name, ReservedConcurrentExecutions=1)
    try:
        found = caller.call(invoking(caller.name))
        assert (found["error"], found["message"]) == ("TooManyRequestsException", "Rate Exceeded.")
    finally:
        client.delete_function_concurrency(FunctionName=caller.name)


def test_a_function_that_calls_itself_is_stopped(platform, caller):
    found = caller.call({"depth": 1})
    assert found["error"] == "RecursiveInvocationException", found
    assert found["depth"] == 16


KEYS = """
[[access_keys]]
id = "AKIDFIRST"
secret = "first"
account = "111111111111"

[[access_keys]]
id = "AKIDSECOND"
secret = "second"
account = "222222222222"
"""


def test_all_that_the_account_may_where_the_operator_says_so(new_platform, clients):
    platform = new_platform('function_api = "account"\n' + KEYS)
    first = platform.client(key="AKIDFIRST", secret="first")
    caller = deploy_to(first, clients | {"lambda_function.py": CALLER}, name="caller", MemorySize=512, Timeout=60, Role=ROLE)
    deploy_to(platform.client(key="AKIDSECOND", secret="second"), ECHO, name="theirs")

    def ask(service, operation, how=None, **members):
        return caller.call({"service": service, "operation": operation, "members": members, "how": how or {}})

    # The key of another account signs, and it is verified by nobody: it makes nobody another.
    for how in ({}, {"aws_access_key_id": "AKIDSECOND", "aws_secret_access_key": "second"}):
        listed = ask("lambda", "list_functions", how)["Functions"]
        assert [function["FunctionName"] for function in listed] == ["caller"]
    arn = "arn:aws:lambda:us-east-1:222222222222:function:theirs"
    assert ask("lambda", "delete_function", FunctionName=arn)["error"] == "AccessDeniedException"
    assert ask("logs", "describe_log_groups")["logGroups"][0]["logGroupName"] == "/aws/lambda/caller"
    made = ask(
        "scheduler", "create_schedule", Name="later", ScheduleExpression="rate(1 day)", FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": "arn:aws:lambda:us-east-1:111111111111:function:caller", "RoleArn": ROLE},
    )
    assert made["status"] == 200
    assert ask("lambda", "delete_function", FunctionName="missing")["error"] == "ResourceNotFoundException"


def test_functions_choose_no_folders_of_the_machine(new_platform, clients):
    """Without access keys whoever calls may load code from any folder: not so functions."""
    platform = new_platform('function_api = "account"\n')
    caller = deploy_to(
        platform.client(), clients | {"lambda_function.py": CALLER}, name="caller", MemorySize=512, Timeout=60)
    members = {
        "FunctionName": "looks", "Runtime": "python3.11", "Handler": "x.y", "Role": ROLE,
        "Code": {"S3Bucket": "hot-reload", "S3Key": "/etc"},
    }
    found = caller.call({"service": "lambda", "operation": "create_function", "members": members})
    assert found["error"] == "InvalidParameterValueException" and "bucket" in found["message"], found


def test_nothing_at_all_where_the_operator_says_so(new_platform):
    platform = new_platform('function_api = "none"\n')
    function = deploy_to(platform.client(), """
import os, socket
def lambda_handler(event, context):
    named = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]
    with socket.socket() as door:
        return named, os.strerror(door.connect_ex(("127.0.0.1", 9002)))
""")
    for kind in ("booted", "forked"):
        assert call(platform, function, kind) == [[], "Connection refused"]
