"""Powertools for AWS Lambda, unmodified, as pip and npm install it: what its logs, metrics and traces say of each start."""

import base64
import json
import pathlib

import pytest

from forks import KINDS, counts, kind_of, start, warm
from packages import installed, npm_installed

PYTHON = """
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import LambdaFunctionUrlResolver

logger, metrics, tracer = Logger(service="orders"), Metrics(namespace="shop", service="orders"), Tracer(service="orders")
app = LambdaFunctionUrlResolver()

@app.get("/orders/<number>")
@tracer.capture_method
def order(number):
    logger.info("asked", number=number)
    return {"number": number}

@metrics.log_metrics(capture_cold_start_metric=True)
@logger.inject_lambda_context
@tracer.capture_lambda_handler
def lambda_handler(event, context):
    metrics.add_metric(name="calls", unit="Count", value=1)
    return app.resolve(event, context)
"""

NODE = """
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { Tracer } from '@aws-lambda-powertools/tracer';

const of = { serviceName: 'orders' };
const logger = new Logger(of), metrics = new Metrics({ namespace: 'shop', ...of }), tracer = new Tracer(of);

export const handler = async (event, context) => {
  logger.addContext(context);
  metrics.setFunctionName(context.functionName);
  metrics.captureColdStartMetric();
  const number = event.rawPath.split('/').pop();
  const segment = tracer.getSegment();
  tracer.annotateColdStart();
  segment?.addNewSubsegment('order').close();
  logger.info('asked', { number });
  metrics.addMetric('calls', MetricUnit.Count, 1);
  metrics.publishStoredMetrics();
  return { statusCode: 200, body: JSON.stringify({ number }) };
};
"""

PYTHON_PACKAGES = ["aws-lambda-powertools", "botocore", "jmespath", "python-dateutil", "six", "typing_extensions", "urllib3", "wrapt"]


@pytest.fixture(params=["python3.11", "nodejs20.x"])
def function(request, deploy):
    memory = {"MemorySize": 256, "Timeout": 30}
    if request.param == "python3.11":
        packages = installed("aws-xray-sdk", data=(".json",))
        for name in PYTHON_PACKAGES:
            packages |= installed(name)
        return deploy(packages | {"lambda_function.py": PYTHON}, **memory)
    folder = npm_installed(pathlib.Path(__file__).parent / "powertools")
    packages = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in (folder / "node_modules").rglob("*") if path.suffix in (".js", ".cjs", ".mjs", ".json") and path.is_file()
    }
    return deploy(packages | {"index.mjs": NODE}, Runtime="nodejs20.x", Handler="index.handler", **memory)


def told(answer):
    """The JSON lines of an invocation's log."""
    log = base64.b64decode(answer["LogResult"]).decode()
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def test_every_start_is_told_of_truly(platform, function):
    found = counts(platform, function.name)
    assert found["refusal"] is None and found["template_bytes"] > 0, found
    http = {"method": "GET", "path": "/orders/7"}
    event = {"version": "2.0", "rawPath": "/orders/7", "headers": {}, "requestContext": {"http": http, "stage": "$default"}}
    for kind in KINDS:
        cold = start(platform, function, kind, event, LogType="Tail")
        for answer in (cold, warm(platform, function, event, LogType="Tail")):
            assert json.loads(answer["json"]["body"]) == {"number": "7"}, answer["json"]
            first, lines = answer is cold, told(answer)
            [asked] = [line for line in lines if line.get("message") == "asked"]
            assert asked["cold_start"] is first, (kind, kind_of(answer))
            assert asked["function_request_id"] == answer["ResponseMetadata"]["RequestId"]
            assert (asked["function_name"], asked["function_memory_size"]) == (function.name, "256")
            assert asked["service"] == "orders" and asked["number"] == "7" and asked["xray_trace_id"]
            metrics = [metric["Name"] for line in lines if "_aws" in line
                       for group in line["_aws"]["CloudWatchMetrics"] for metric in group["Metrics"]]
            assert sorted(metrics) == (["ColdStart", "calls"] if first else ["calls"]), (kind, lines)
