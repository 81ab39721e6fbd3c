"""What user code finds around it: context, environment, module path, output and logging."""

import json
import re

CONTEXT = """
exports.handler = async (event, c) => ({
  ...c, left: c.getRemainingTimeInMillis(), waits: c.callbackWaitsForEmptyEventLoop,
  calls: [typeof c.done, typeof c.succeed, typeof c.fail],
});
"""


def test_context(ready):
    runtime = ready(CONTEXT)
    found = runtime.call()
    assert 0 < found.pop("left") <= 3000
    assert found == {
        "callbackWaitsForEmptyEventLoop": True,
        "functionVersion": "$LATEST",
        "functionName": "fn",
        "memoryLimitInMB": "128",
        "logGroupName": "/aws/lambda/fn",
        "logStreamName": "2026/01/01/[$LATEST]abc",
        "invokedFunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:fn",
        "awsRequestId": runtime.id,
        "waits": True,
        "calls": ["function"] * 3,
    }


def test_context_of_a_mobile_caller(ready):
    runtime = ready(CONTEXT)
    found = runtime.call(
        lambda_runtime_client_context=json.dumps({"custom": {"k": "ü"}}),
        lambda_runtime_cognito_identity='{"cognitoIdentityId": "i"}',
        lambda_runtime_aws_tenant_id="blue",
    )
    assert found["clientContext"] == {"custom": {"k": "ü"}} and found["tenantId"] == "blue"
    assert found["identity"] == {"cognitoIdentityId": "i"}
    error = runtime.error(lambda_runtime_client_context="{")
    assert error["errorMessage"].startswith("Cannot parse ClientContext as json: SyntaxError: ")


def test_trace_id_belongs_to_the_invocation(ready):
    runtime = ready(
        "const { execSync } = require('child_process');\n"
        "exports.handler = async () => [process.env._X_AMZN_TRACE_ID,"
        " execSync('echo $_X_AMZN_TRACE_ID').toString().trim()]"
    )
    assert runtime.call(lambda_runtime_trace_id="Root=1") == ["Root=1", "Root=1"]
    assert runtime.call(lambda_runtime_trace_id="Root=2") == ["Root=2", "Root=2"]
    assert runtime.call(lambda_runtime_trace_id=None) == [None, ""]


def test_the_environment_is_the_functions(ready):
    """In a zygote nothing is left of the zygote's own, and the C library agrees."""
    runtime = ready(
        "const { execSync } = require('child_process'); const before = process.env.MINE;\n"
        "exports.handler = async () => ({ before, env: process.env, child: execSync('env').toString(),"
        " cwd: process.cwd() })",
        env={"MINE": "ü=1", "TZ": "Asia/Tokyo"},
    )
    found = runtime.call()
    assert found["before"] == "ü=1" and found["cwd"] == str(runtime.task)
    assert "MINE=ü=1\n" in found["child"]
    assert {"_HANDLER", "AWS_LAMBDA_FUNCTION_NAME"} <= found["env"].keys()
    for name in ("_PILOTLIGHT_ZYGOTE", "_PILOTLIGHT_RUNTIME_FD", "LEFT_OVER"):
        assert name not in found["env"] and name not in found["child"]


def test_time_zone(ready):
    source = "exports.handler = async () => new Date(0).getHours()"
    assert ready(source, env={"TZ": "Asia/Tokyo"}).call() == 9


def test_module_path(ready, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}/{name}").mkdir(parents=True)
        (tmp_path / f"{name}/{name}/index.js").write_text(f"module.exports = '{name}'")
    runtime = ready(
        "exports.handler = async () => [require('one'), require('two'), require.main === undefined]",
        env={"NODE_PATH": f"{tmp_path}/one:{tmp_path}/two"},
    )
    assert runtime.call() == ["one", "two", True]


def test_packages_around_the_handler(ready):
    files = {
        "src/app.mjs": "import dep from 'dep'; export const handler = async () => dep",
        "node_modules/dep/package.json": '{"type": "module", "exports": "./main.js"}',
        "node_modules/dep/main.js": "export default 'dep'",
    }
    assert ready(files, "src/app.handler").call() == "dep"


STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def test_log_lines(ready):
    runtime = ready(
        "console.log('at init');\n"
        "exports.handler = async () => {\n"
        "  console.log('n=%d', 1, { a: [1] }); console.debug('d'); console.info('i'); console.warn('w');\n"
        "  console.error(new Error('e').message); console.trace('t'); console.fatal('f');\n"
        "  console.log('two\\nlines');\n"
        "}"
    )
    runtime.call()
    out = runtime.log()
    assert re.match(rf"{STAMP}\tundefined\tINFO\tat init\n", out)
    lines = re.findall(rf"{STAMP}\t{runtime.id}\t(\w+)\t(.*)", out)
    assert lines == [
        ("INFO", "n=1 { a: [ 1 ] }"), ("DEBUG", "d"), ("INFO", "i"), ("WARN", "w"), ("ERROR", "e"), ("TRACE", "t"),
        ("FATAL", "f"), ("INFO", "two"),
    ]
    assert out.endswith("\tINFO\ttwo\nlines\n")


def test_log_level(ready):
    source = (
        "exports.handler = async () => { for (const l of ['trace', 'debug', 'log', 'warn', 'error', 'fatal'])"
        " console[l]('x'); }"
    )
    expected = {"DEBUG": 5, "INFO": 4, "warn": 3, "ERROR": 2, "FATAL": 1, "bogus": 6}
    for level, count in expected.items():
        runtime = ready(source, env={"AWS_LAMBDA_LOG_LEVEL": level})
        runtime.call()
        assert len(runtime.log().splitlines()) == count, level


def test_json_logs(ready):
    runtime = ready(
        "exports.handler = async (event) => {\n"
        "  if (event === 'throw') throw new RangeError('r');\n"
        "  console.log({ a: 1 }); console.warn('n=%d', 1); console.error('it', new TypeError('t'));\n"
        "  console.error(new Error('alone')); const c = {}; c.c = c; console.log(c);\n"
        "}",
        env={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
    )
    runtime.call()
    first = runtime.id
    runtime.error("throw")
    records = [json.loads(line) for line in runtime.log().splitlines()]
    assert all(re.fullmatch(STAMP, record.pop("timestamp")) for record in records)
    assert [record.pop("requestId") for record in records] == [first] * 5 + [runtime.id]
    assert records[0] == {"level": "INFO", "message": {"a": 1}}
    assert records[1] == {"level": "WARN", "message": "n=1"}
    assert (records[2]["errorType"], records[2]["errorMessage"]) == ("TypeError", "t")
    assert records[2]["message"].startswith("it TypeError: t\n") and records[2]["stackTrace"][0] == "TypeError: t"
    assert records[3]["message"]["errorMessage"] == "alone"
    assert "[Circular" in records[4]["message"]
    assert records[5]["level"] == "ERROR" and records[5]["message"]["errorType"] == "RangeError"


def test_output_is_whole_when_the_pipe_is_slow(ready):
    runtime = ready(
        "process.stdout.write('first\\n');\n"
        "exports.handler = async () => { for (let i = 0; i < 40; i++) console.log('x'.repeat(10000)); return 1; }"
    )
    runtime.sends(None)
    lines = [runtime.process.stdout.readline() for _ in range(41)]
    assert lines[0] == b"first\n" and {len(line) for line in lines[1:]} == {10000 + 24 + 1 + 36 + 1 + 4 + 1 + 1}
    assert runtime.read().json == 1


def test_closed_output_does_no_harm(ready):
    runtime = ready("require('fs').closeSync(1); exports.handler = async () => { console.log('x'); return 1; }")
    assert runtime.call() == 1


def test_the_collector_is_as_usual(ready):
    assert ready("exports.handler = async () => typeof gc").call() == "undefined"
