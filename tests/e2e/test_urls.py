"""Function URLs: their configuration, and requests to them through real sockets."""

import base64
import http.client
import json
import subprocess
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from conftest import deploy_to
from test_streaming import in_flight

# Answers what it is told to in the body, else the event.
TOLD = """
import json
def lambda_handler(event, context):
    body = json.loads(event.get("body") or "null")
    if body == "raise":
        raise ValueError("no")
    return event if body is None else body["answer"]
"""

FORBIDDEN = (
    b'{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: '
    b'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}'
)

NODE = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  const how = event.queryStringParameters?.how;
  if (how === 'early') throw new Error('early');
  if (how !== 'plain') {
    stream = awslambda.HttpResponseStream.from(stream, {
      statusCode: 203, headers: { 'X-A': 'b', 'Content-Type': 'text/x' }, cookies: ['c=1', 'd=2'],
    });
  }
  stream.write('first');
  await new Promise((done) => setTimeout(done, how === 'hang' ? 600_000 : 50));
  if (how === 'late') throw new Error('late');
  stream.write('last');
  stream.end();
});
"""


class Answer:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def json(self):
        return json.loads(self.body)


def send(url, method="GET", path="", body=None, headers=None):
    """A request to a function URL, whose host name no resolver is asked for; the answer is still to be read."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
    connection.request(method, f"{parts.path}{path}", body=body, headers={"Host": parts.netloc, **(headers or {})})
    return connection.getresponse()


def call(*args, **kwargs):
    return Answer(send(*args, **kwargs))


def by_host(url):
    """A function URL by its host name, also where it is shown by path because no resolver here knows the name."""
    parts = urllib.parse.urlsplit(url)
    _, form, *rest = parts.path.split("/")
    return url if form != "lambda-url" else f"http://{rest[0]}.lambda-url.us-east-1.localhost:{parts.port}/"


@pytest.fixture
def with_url(client):
    """Gives a function a URL, open to all: `with_url(function, **members)`."""

    def make(function, **kwargs):
        members = {"AuthType": "NONE", **kwargs}
        return by_host(client.create_function_url_config(FunctionName=function.name, **members)["FunctionUrl"])

    return make


@pytest.fixture
def told(deploy, with_url):
    return with_url(deploy(TOLD))


def test_the_life_of_a_configuration(deploy, client, aws_error):
    function = deploy(TOLD)
    made = client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["FunctionArn"].endswith(f":function:{function.name}") and "InvokeMode" not in made
    got = client.get_function_url_config(FunctionName=function.name)
    assert (got["FunctionUrl"], got["InvokeMode"], got["AuthType"]) == (made["FunctionUrl"], "BUFFERED", "NONE")
    error = aws_error(client.create_function_url_config, FunctionName=function.name, AuthType="NONE").response
    assert error["Error"]["Code"] == "ResourceConflictException"
    assert error["message"] == (
        f"Failed to create function url config for [functionArn = {made['FunctionArn']}]. Error message:  "
        "FunctionUrlConfig exists for this Lambda function"
    )
    cors = {"AllowOrigins": ["*"], "AllowMethods": ["GET"], "MaxAge": 10}
    changed = client.update_function_url_config(FunctionName=function.name, AuthType="AWS_IAM", Cors=cors)
    assert (changed["AuthType"], changed["Cors"]) == ("AWS_IAM", cors)
    listed = client.list_function_url_configs(FunctionName=function.name)["FunctionUrlConfigs"]
    assert [config["FunctionUrl"] for config in listed] == [made["FunctionUrl"]]
    client.delete_function_url_config(FunctionName=function.name)
    error = aws_error(client.get_function_url_config, FunctionName=function.name).response
    assert (error["Error"]["Code"], error["Message"]) == (
        "ResourceNotFoundException", "The resource you requested does not exist.",
    )
    answer = call(made["FunctionUrl"])
    assert (answer.status, answer.body) == (403, b'{"Message":null}')
    assert answer.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    assert answer.headers["Content-Type"] == "application/json"


def test_the_address_that_is_shown_is_found_by_any_program(deploy, client):
    function = deploy(TOLD)
    url = client.create_function_url_config(FunctionName=function.name, AuthType="NONE")["FunctionUrl"]
    with urllib.request.urlopen(f"{url}a/b?c=d", timeout=60) as answer:
        event = json.load(answer)
    assert (event["rawPath"], event["rawQueryString"]) == ("/a/b", "c=d")
    id = event["requestContext"]["apiId"]
    assert event["requestContext"]["domainName"] == f"{id}.lambda-url.us-east-1.localhost"
    assert id in url


def test_the_command_line_makes_one_for_an_alias(deploy, client, platform):
    function = deploy("def lambda_handler(event, context):\n    return context.invoked_function_arn\n")
    client.publish_version(FunctionName=function.name)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    command = ["create-function-url-config", "--function-name", function.name, "--auth-type", "NONE"]
    made = json.loads(platform.aws(*command, "--qualifier", "live").stdout)
    assert call(made["FunctionUrl"]).body.decode() == made["FunctionArn"]
    refused = platform.aws(*command, "--qualifier", "1", check=False)
    assert "ValidationException" in refused.stderr and "'qualifier'" in refused.stderr


def test_a_request_is_the_event(told):
    answer = call(told, "PUT", "a%20b/c?x=1&x=2&y=%C3%BC", headers={
        "Cookie": "a=1; b=2", "X-Custom": "Weird CAPS", "User-Agent": "test/echo", "Content-Type": "application/json",
    })
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    event = answer.json
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/a%20b/c")
    assert event["rawQueryString"] == "x=1&x=2&y=%C3%BC"
    assert event["queryStringParameters"] == {"x": "1,2", "y": "ü"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert (event["headers"]["x-custom"], event["headers"]["x-forwarded-proto"]) == ("Weird CAPS", "http")
    assert "body" not in event and event["isBase64Encoded"] is False
    context = event["requestContext"]
    host = urllib.parse.urlsplit(told).hostname
    assert (context["domainName"], context["domainPrefix"]) == (host, host.split(".")[0])
    assert context["accountId"] == "anonymous"
    assert context["http"] == {
        "method": "PUT", "path": "/a b/c", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test/echo",
    }
    assert context["requestId"] == answer.headers["x-amzn-RequestId"]
    assert event["headers"]["x-amzn-trace-id"] == answer.headers["X-Amzn-Trace-Id"]


def test_bodies_come_as_text_or_in_base64(deploy, with_url):
    url = with_url(deploy("def lambda_handler(event, context):\n    return [event.get('body'), event['isBase64Encoded']]\n"))
    assert call(url, "POST", body=b"text", headers={"Content-Type": "text/plain"}).json == ["text", False]
    form = b"\r\n--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--\r\n"
    body, encoded = call(url, "POST", body=form, headers={"Content-Type": "multipart/form-data; boundary=x"}).json
    assert (base64.b64decode(body), encoded) == (form, True)
    assert call(url, "POST").json == [None, False]


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        ({"hello": "world"}, 200, b'{"hello":"world"}'),
        ({"statusCode": 200, "body": "body123"}, 200, b"body123"),
        ({"statusCode": 200, "body": '{"hello": "world"}'}, 200, b'{"hello": "world"}'),
        (["hello", 3, True], 200, b'["hello",3,true]'),
        ("hello", 200, b"hello"),
        (3.1, 200, b"3.1"),
        (True, 200, b"true"),
        ({"statusCode": "418", "body": "tea"}, 418, b"tea"),
        ({"statusCode": 201, "body": "aGk=", "isBase64Encoded": True}, 201, b"hi"),
        ({"statusCode": 9}, 502, b"Internal Server Error"),
    ],
)
def test_what_is_returned_is_the_answer(told, answer, status, body):
    found = call(told, "POST", body=json.dumps({"answer": answer}), headers={"Content-Type": "application/json"})
    assert (found.status, found.body) == (status, body)
    assert found.headers["Content-Type"] == "application/json"
    assert found.headers["Content-Length"] == str(len(body))


def test_headers_cookies_and_errors(told):
    answer = {"statusCode": 302, "headers": {"Location": "/x", "My-Header": "V"}, "cookies": ["a=1", "b=2"]}
    found = call(told, "POST", body=json.dumps({"answer": answer}), headers={"Content-Type": "application/json"})
    assert (found.status, found.headers["location"], found.headers["my-header"]) == (302, "/x", "V")
    assert found.headers.get_all("set-cookie") == ["a=1", "b=2"]
    found = call(told, "POST", body=b'"raise"', headers={"Content-Type": "application/json"})
    assert (found.status, found.body) == (502, b"Internal Server Error")
    assert call(told, "HEAD").body == b""


def test_the_path_form_and_curl(told, platform):
    """Where names below `localhost` do not resolve, the path says which URL is meant; curl resolves them itself."""
    identity = urllib.parse.urlsplit(told).hostname.split(".")[0]
    found = call(f"{platform.url}/lambda-url/{identity}/a", path="?b=1")
    assert (found.json["rawPath"], found.json["rawQueryString"]) == ("/a", "b=1")
    assert found.headers["Content-Security-Policy"].startswith("sandbox")
    output = subprocess.run(["curl", "-sS", f"{told}c"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(output.stdout)["rawPath"] == "/c"


def test_browsers_ask_and_are_told(deploy, with_url):
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["PUT"], "AllowHeaders": ["x-a"], "MaxAge": 5}
    url = with_url(deploy(TOLD), Cors=cors)
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    found = call(url, "OPTIONS", headers=asked)
    assert (found.status, found.body) == (200, b"")
    assert found.headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert found.headers["Access-Control-Allow-Methods"] == "PUT"
    assert call(url, headers={"Origin": "https://a.example"}).headers["Access-Control-Allow-Origin"] == "https://a.example"
    assert "Access-Control-Allow-Origin" not in call(url, headers={"Origin": "https://b.example"}).headers


def test_pages_of_functions_do_not_reach_the_api(told, platform):
    origin = told.rstrip("/")
    found = call(platform.url, path="/2015-03-31/functions", headers={"Origin": origin})
    assert (found.status, found.headers["x-amzn-ErrorType"]) == (403, "AccessDeniedException")


def test_reserved_concurrency_holds_for_urls(deploy, with_url, client):
    function = deploy(TOLD)
    url = with_url(function)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    found = call(url)
    assert (found.status, found.json["Reason"]) == (429, "ReservedFunctionConcurrentInvocationLimitExceeded")


def test_streamed_answers_bring_status_and_headers(deploy, with_url, platform):
    function = deploy({"index.js": NODE}, Runtime="nodejs20.x", Handler="index.handler", Timeout=3, MemorySize=256)
    url = with_url(function, InvokeMode="RESPONSE_STREAM")
    found = call(url)
    assert (found.status, found.body) == (203, b"firstlast")
    assert (found.headers["x-a"], found.headers["content-type"]) == ("b", "text/x")
    assert found.headers.get_all("set-cookie") == ["c=1", "d=2"]
    assert found.headers["transfer-encoding"] == "chunked"
    plain = call(url, path="?how=plain")
    assert (plain.status, plain.headers["content-type"], plain.body) == (200, "application/octet-stream", b"firstlast")
    early = call(url, path="?how=early")
    assert (early.status, early.body) == (502, b"Internal Server Error")
    late = send(url, path="?how=late")
    with pytest.raises(http.client.IncompleteRead) as broken:
        late.read()
    assert broken.value.partial == b"first"
    # The first byte is there while the function runs; its end breaks the answer off.
    hanging = send(url, path="?how=hang")
    assert hanging.read(5) == b"first" and in_flight(platform) >= 1
    with pytest.raises(http.client.IncompleteRead):
        hanging.read()
    # A buffered URL of the same function answers whole.
    function.client.update_function_url_config(FunctionName=function.name, InvokeMode="BUFFERED")
    found = call(url)
    assert (found.status, found.body, found.headers["x-a"]) == (203, b"firstlast", "b")
    assert found.headers["content-length"] == "9"


def sign(url, key, secret, path="", region="us-east-1"):
    """The headers of a signed GET."""
    request = AWSRequest(method="GET", url=f"{url}{path}", headers={})
    SigV4Auth(boto3.Session(key, secret).get_credentials(), "lambda", region).add_auth(request)
    return dict(request.headers)


KEYS = """
[[access_keys]]
id = "AKIAONE"
secret = "first"
account = "000000000001"

[[access_keys]]
id = "AKIATWO"
secret = "second"
account = "000000000002"
"""


def test_iam_urls_ask_for_the_accounts_signature_and_urls_survive(new_platform):
    platform = new_platform(KEYS)
    client = platform.client("AKIAONE", "first")
    function = deploy_to(client, TOLD, name="f")
    url = client.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    unsigned = call(url)
    assert (unsigned.status, unsigned.body) == (403, FORBIDDEN)
    found = call(url, path="schedules/x?a=b", headers=sign(url, "AKIAONE", "first", "schedules/x?a=b"))
    assert found.status == 200, found.body
    context = found.json["requestContext"]
    assert (context["accountId"], context["authorizer"]["iam"]["accessKey"]) == ("000000000001", "AKIAONE")
    # A signature in the query is good as well, and nothing that the function could send again.
    request = AWSRequest(method="GET", url=f"{url}x?a=b")
    SigV4QueryAuth(boto3.Session("AKIAONE", "first").get_credentials(), "lambda", "us-east-1").add_auth(request)
    found = call(url, path=request.url.removeprefix(url)).json
    assert found["queryStringParameters"]["X-Amz-Expires"] == "3600" and found["rawQueryString"].startswith("a=b&")
    assert "X-Amz-Signature" in request.url and "Signature=" not in json.dumps(found)
    assert call(url, headers=sign(url, "AKIAONE", "wrong")).status == 403
    assert call(url, headers=sign(url, "AKIATWO", "second")).body == FORBIDDEN
    assert call(url, path="other", headers=sign(url, "AKIAONE", "first")).status == 403
    # Another account, and whoever comes, are let in by the function's policy.
    statement = {"FunctionName": "f", "Action": "lambda:InvokeFunctionUrl"}
    client.add_permission(StatementId="two", Principal="000000000002", FunctionUrlAuthType="AWS_IAM", **statement)
    assert call(url, headers=sign(url, "AKIATWO", "second")).json["requestContext"]["accountId"] == "000000000002"
    client.update_function_url_config(FunctionName="f", AuthType="NONE")
    assert call(url).body == FORBIDDEN
    client.add_permission(StatementId="all", Principal="*", FunctionUrlAuthType="NONE", **statement)
    assert call(url).json["requestContext"]["accountId"] == "anonymous"
    client.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")

    platform.kill()
    platform.start()
    client = platform.client("AKIAONE", "first")
    again = client.get_function_url_config(FunctionName="f")["FunctionUrl"]
    # The port is another, the address in all else the same.
    before, after = (urllib.parse.urlsplit(by_host(shown)).hostname for shown in (url, again))
    assert before == after
    assert call(again, headers=sign(again, "AKIAONE", "first")).status == 200
    assert function.name == "f"
