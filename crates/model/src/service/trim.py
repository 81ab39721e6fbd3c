#!/usr/bin/env python3
"""Writes lambda.json, scheduler.json, logs.json and sts.json: service models as botocore publishes them
(Apache-2.0), without their prose.

    python3 crates/model/src/service/trim.py [SERVICE…]

Input is `data/<service>/<version>/service-2.json.gz` of the installed botocore. Kept is what routing,
parsing and validation need; documentation, examples and client-side hints go. OVERLAY lists the few
facts in which a service is stricter or looser than its public model, each with its reason.
"""

import gzip
import json
import pathlib
import sys

import botocore

SERVICES = {"lambda": "2015-03-31", "scheduler": "2021-06-30", "logs": "2014-03-28", "sts": "2011-06-15"}
# Of CloudWatch Logs what has to do with groups, streams and their events; most of the service is about
# other things, and some of its shapes contain themselves.
OPERATIONS = {
    "logs": """
        CreateLogGroup DeleteLogGroup DescribeLogGroups ListLogGroups PutRetentionPolicy DeleteRetentionPolicy
        CreateLogStream DeleteLogStream DescribeLogStreams
        PutLogEvents GetLogEvents FilterLogEvents StartLiveTail
        StartQuery StopQuery GetQueryResults DescribeQueries
        PutSubscriptionFilter DescribeSubscriptionFilters DeleteSubscriptionFilter
        PutMetricFilter DescribeMetricFilters DeleteMetricFilter TestMetricFilter
        TagResource UntagResource ListTagsForResource TagLogGroup UntagLogGroup ListTagsLogGroup
    """.split(),
    # Roles and sessions need the rest of IAM.
    "sts": ["GetCallerIdentity"],
}
OVERLAY = {
    "lambda": {
        # The service caps it at 900 s (Lambda quotas); the public model only has the minimum.
        "Timeout": {"max": 900},
        # The service answers an unknown runtime itself, with InvalidParameterValueException, not as a
        # constraint of the shape; `open` keeps the list and leaves the check to the control plane.
        "Runtime": {"open": True},
        # The service's own order, which its errors show.
        "RecursiveLoop": {"enum": ["Terminate", "Allow"]},
        "InvokeMode": {"enum": ["RESPONSE_STREAM", "BUFFERED"]},
    },
    "logs": {
        # The service has words of its own for names that are too long; see the control plane.
        "LogGroupName": {"max": None},
        "LogStreamName": {"max": None},
        # The service does not repeat what it refuses of it.
        "LogGroupIdentifier": {"sensitive": True},
    },
}
# What the service takes of layers, in its own order, which its errors show: more than its public model tells of.
LAYER_RUNTIMES = """
    ruby3.5 ruby2.6 dotnetcore1.0 python3.7 nodejs8.10 nasa ruby2.7 python2.7-greengrass dotnetcore2.0 python3.8
    java21 dotnet6 dotnetcore2.1 python3.9 java11 nodejs6.10 provided dotnetcore3.1 dotnet8 java25 java17 nodejs
    nodejs4.3 java8.al2 go1.x dotnet10 nodejs20.x go1.9 byol nodejs10.x provided.al2023 nodejs22.x python3.10 java8
    nodejs12.x python3.11 nodejs24.x nodejs8.x python3.12 nodejs14.x nodejs8.9 nodejs26.x python3.13 python3.14
    nodejs16.x python3.15 provided.al2 nodejs4.3-edge nodejs18.x ruby3.2 python3.4 ruby3.3 ruby3.4 ruby2.5 python3.6
    python2.7
""".split()
# Names that came later.
LATER_RUNTIMES = ["ruby4.0", "java8.al2023", "java11.al2023", "java17.al2023"]
LAYER_VERSION = (
    r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}"
    ":layer:[a-zA-Z0-9-_]+:[0-9]+"
)
SHAPE_KEYS = ("type", "required", "min", "max", "pattern", "enum", "payload", "sensitive")
MEMBER_KEYS = ("shape", "location", "locationName")


def pick(source, keys):
    return {key: source[key] for key in keys if key in source}


def trim_shape(shape, overlay):
    out = pick(shape, SHAPE_KEYS)
    if "members" in shape:
        out["members"] = {
            member: pick(reference, MEMBER_KEYS) for member, reference in shape["members"].items()
        }
    for key in ("member", "key", "value"):
        if key in shape:
            out[key] = pick(shape[key], MEMBER_KEYS)
    out.update(overlay)
    return out


def refine(shapes):
    """Shapes of Lambda that its public model has merged, as the service tells them apart."""
    # What a layer is for is judged as a constraint like others, and a list of runtimes as one.
    runtimes = {"enum": LAYER_RUNTIMES, "untold": LATER_RUNTIMES}
    missing = set(shapes["Runtime"]["enum"]) - {*LAYER_RUNTIMES, *LATER_RUNTIMES}
    assert not missing, f"runtimes that layers cannot be for: {missing}"
    shapes["CompatibleRuntimes"].update(runtimes)
    shapes["CompatibleRuntime"] = {"type": "string"} | runtimes
    for request in ("ListLayersRequest", "ListLayerVersionsRequest"):
        shapes[request]["members"]["CompatibleRuntime"]["shape"] = "CompatibleRuntime"
    # Older models have a wider expression. What `Layers` of a function may hold is more.
    layer = shapes["LayerVersionArn"]
    layer["pattern"] = LAYER_VERSION
    shapes["LayerReference"] = layer | {
        "max": 2048,
        "pattern": f"({LAYER_VERSION})|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)",
    }
    shapes["LayerList"]["member"]["shape"] = "LayerReference"


def trim_operation(operation):
    out = {
        "method": operation["http"]["method"],
        "uri": operation["http"]["requestUri"],
        "responseCode": operation["http"].get("responseCode", 200),
    }
    for key in ("input", "output"):
        if key in operation:
            out[key] = operation[key]["shape"]
    out["errors"] = [error["shape"] for error in operation.get("errors", [])]
    return out


def reachable(operations, shapes):
    """Names of the shapes that inputs and outputs use, directly or through others."""
    seen, todo = set(), [op[k] for op in operations.values() for k in ("input", "output") if k in op]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        shape = shapes[name]
        references = list(shape.get("members", {}).values())
        references += [shape[key] for key in ("member", "key", "value") if key in shape]
        todo += [reference["shape"] for reference in references]
    return seen


def trim(service, version):
    source = pathlib.Path(botocore.__file__).parent / f"data/{service}/{version}/service-2.json.gz"
    model = json.loads(gzip.decompress(source.read_bytes()))
    names = OPERATIONS.get(service, model["operations"])
    operations = {name: trim_operation(model["operations"][name]) for name in names}
    kept = reachable(operations, model["shapes"])
    overlay = OVERLAY.get(service, {})
    document = {
        "source": f"botocore {botocore.__version__}, {service} {version}, trimmed by trim.py",
        "operations": operations,
        "shapes": {
            name: trim_shape(shape, overlay.get(name, {}))
            for name, shape in model["shapes"].items()
            if name in kept
        },
    }
    if service == "lambda":
        refine(document["shapes"])
    target = pathlib.Path(__file__).with_name(f"{service}.json")
    target.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{target}: {len(operations)} operations, {len(kept)} shapes")


if __name__ == "__main__":
    for name in sys.argv[1:] or SERVICES:
        trim(name, SERVICES[name])
