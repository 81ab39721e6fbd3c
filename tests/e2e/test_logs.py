"""The API of CloudWatch Logs, as boto3 and the AWS CLI see it."""

import subprocess
import threading
import time

import pytest

from conftest import deploy_to
from pilot_up import PILOT

# `aws logs tail` is of version 2 of the AWS CLI, which PyPI does not have; Debian does.
AWS = "/usr/bin/aws"
NO_GROUP = {"Code": "ResourceNotFoundException", "Message": "The specified log group does not exist."}
NO_STREAM = {"Code": "ResourceNotFoundException", "Message": "The specified log stream does not exist."}
BAD_TOKEN = {"Code": "InvalidParameterException", "Message": "The specified nextToken is invalid."}
SAYS = """
def lambda_handler(event, context):
    for line in event:
        print(line)
"""


@pytest.fixture
def group(logs, request):
    """A log group of the test's own."""
    name = f"/test/{request.node.name}".replace("[", "-").replace("]", "")[:200]
    logs.create_log_group(logGroupName=name)
    yield name
    try:
        logs.delete_log_group(logGroupName=name)
    except logs.exceptions.ResourceNotFoundException:
        pass


@pytest.fixture
def refused(logs):
    """The `Error` that a call must end with: `refused("operation", **members)`."""

    def call(operation, **members):
        try:
            answer = getattr(logs, operation)(**members)
        except logs.exceptions.ClientError as error:
            return error.response["Error"]
        raise AssertionError(f"no error but {answer}")

    return call


def messages(answer):
    return [event["message"] for event in answer["events"]]


def now_ms():
    return int(time.time() * 1000)


def tail(platform, *args):
    # Debian's is too old to know AWS_ENDPOINT_URL.
    return [AWS, "--endpoint-url", platform.url, "logs", "tail", *args]


def tailed(platform, *args):
    done = subprocess.run(
        tail(platform, *args), env=platform.env(), capture_output=True, text=True, timeout=60, check=True,
    )
    return done.stdout.splitlines()


# --- what functions log ------------------------------------------------------------------------------


def test_a_group_appears_when_its_function_first_logs(logs, deploy, refused):
    function = deploy(SAYS)
    group = f"/aws/lambda/{function.name}"
    found = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    # Its init may have been logged already, when its template was made.
    assert len(found) <= 1
    before = now_ms()
    function.call(["one", "two"])
    [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert found["logGroupName"] == group
    assert found["arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
    assert found["logGroupArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    assert (found["metricFilterCount"], found["logGroupClass"]) == (0, "STANDARD")
    assert found["storedBytes"] > 0 and found["creationTime"] <= now_ms() and "retentionInDays" not in found

    streams = logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True)["logStreams"]
    # The newest may be that of a spare, which has been made since.
    [said] = logs.filter_log_events(logGroupName=group, filterPattern="one")["events"]
    [newest] = [stream for stream in streams if stream["logStreamName"] == said["logStreamName"]]
    assert "/[$LATEST]" in newest["logStreamName"]
    assert newest["arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:log-stream:{newest['logStreamName']}"
    assert before - 60_000 < newest["firstEventTimestamp"] <= newest["lastEventTimestamp"] <= newest["lastIngestionTime"]

    answer = logs.get_log_events(logGroupName=group, logStreamName=newest["logStreamName"], startFromHead=True)
    said = messages(answer)
    assert [line for line in said if line in ("one\n", "two\n")] == ["one\n", "two\n"]
    assert any(line.startswith("START RequestId: ") and line.endswith(" Version: $LATEST\n") for line in said)
    assert said[-1].startswith("REPORT RequestId: ") and said[-1].endswith("\t\n")
    for event in answer["events"]:
        assert event["timestamp"] <= event["ingestionTime"]

    filtered = logs.filter_log_events(logGroupName=group, filterPattern="?one ?two", startTime=before)
    assert messages(filtered) == ["one\n", "two\n"] and filtered["searchedLogStreams"] == []
    assert "nextToken" not in filtered
    assert {event["logStreamName"] for event in filtered["events"]} == {newest["logStreamName"]}
    assert len({event["eventId"] for event in filtered["events"]}) == 2
    # A name by which the group can be called as well.
    assert messages(logs.filter_log_events(logGroupIdentifier=found["logGroupArn"], filterPattern="one")) == ["one\n"]


def test_aws_logs_tail_follows(platform, deploy):
    function = deploy(SAYS)
    group = f"/aws/lambda/{function.name}"
    function.call(["before"])
    short = tailed(platform, group, "--since", "1h", "--format", "short")
    assert any(line.endswith(" before") for line in short)
    detailed = tailed(platform, group, "--since", "1h", "--filter-pattern", "before")
    assert len(detailed) == 1 and "/[$LATEST]" in detailed[0]

    with subprocess.Popen(
        tail(platform, group, "--follow", "--since", "1h", "--format", "short"),
        env=platform.env() | {"PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True,
    ) as follower:
        try:
            lines = iter(follower.stdout.readline, "")
            assert any(line.rstrip().endswith(" before") for line in lines)
            function.call(["after"])
            seen = []
            for line in lines:
                seen.append(line)
                if line.rstrip().endswith(" after"):
                    break
            assert not any(line.rstrip().endswith(" before") for line in seen), "nothing is told twice"
        finally:
            follower.kill()


def test_functions_share_a_group(logs, deploy, platform):
    functions = [deploy(SAYS, LoggingConfig={"LogGroup": "shared/logs"}) for _ in range(2)]
    for number, function in enumerate(functions):
        function.call([f"from {number}"])
    assert messages(logs.filter_log_events(logGroupName="shared/logs", filterPattern='"from "')) == ["from 0\n", "from 1\n"]
    for number, function in enumerate(functions):
        streams = logs.describe_log_streams(logGroupName="shared/logs")["logStreams"]
        own = [it["logStreamName"] for it in streams if f"/{function.name}[$LATEST]" in it["logStreamName"]]
        found = logs.filter_log_events(logGroupName="shared/logs", logStreamNames=own, filterPattern="from")
        assert messages(found) == [f"from {number}\n"]
        shown = platform.pilot("logs", function.name)
        assert f"from {number}" in shown.stdout and f"from {1 - number}" not in shown.stdout, shown.stdout
        assert "shared/logs" in shown.stderr, "that it is another group than one expects is said"
    marked = platform.pilot("logs", "--log-group", "shared/logs").stdout.splitlines()
    for number, function in enumerate(functions):
        assert f"{function.name}  from {number}" in marked, marked
    logs.delete_log_group(logGroupName="shared/logs")


def test_pilot_logs_follows_a_function_to_another_group(client, logs, deploy, platform):
    function = deploy(SAYS)
    function.call(["in its own"])
    with subprocess.Popen(
        [PILOT, "logs", "-f", function.name], env=platform.env(), stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL,
    ) as follower:
        try:
            until(follower, "in its own")
            change = {"FunctionName": function.name, "LoggingConfig": {"LogGroup": "another"}}
            client.update_function_configuration(**change)
            client.get_waiter("function_updated_v2").wait(FunctionName=function.name)
            function.call(["in another"])
            until(follower, "in another")
        finally:
            follower.kill()
    assert "in its own" not in platform.pilot("logs", function.name).stdout
    former = platform.pilot("logs", "--log-group", f"/aws/lambda/{function.name}").stdout
    assert "in its own" in former and "in another" not in former
    logs.delete_log_group(logGroupName="another")


def until(follower, end):
    """Reads lines up to one that ends so, and fails when none comes in a minute."""
    impatience = threading.Timer(60, follower.kill)
    impatience.start()
    try:
        assert any(line.rstrip().endswith(end) for line in follower.stdout), f"no {end}"
    finally:
        impatience.cancel()


def test_a_deleted_group_is_made_again_by_the_next_line(logs, deploy):
    function = deploy(SAYS)
    group = f"/aws/lambda/{function.name}"
    function.call(["old"])
    logs.put_retention_policy(logGroupName=group, retentionInDays=7)
    logs.delete_log_group(logGroupName=group)
    function.call(["new"])
    [found] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert "retentionInDays" not in found
    said = messages(logs.filter_log_events(logGroupName=group))
    assert "new\n" in said and "old\n" not in said


# --- groups ------------------------------------------------------------------------------------------


def test_a_group_s_life(logs, refused):
    """What Terraform's `aws_cloudwatch_log_group` does."""
    name = "/test/life"
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{name}"
    logs.create_log_group(logGroupName=name, tags={"team": "a"})
    assert refused("create_log_group", logGroupName=name) == {
        "Code": "ResourceAlreadyExistsException", "Message": "The specified log group already exists",
    }
    logs.put_retention_policy(logGroupName=name, retentionInDays=14)
    [found] = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert (found["retentionInDays"], found["storedBytes"], found["arn"]) == (14, 0, f"{arn}:*")
    wrong = refused("put_retention_policy", logGroupName=name, retentionInDays=8)
    assert wrong == {
        "Code": "InvalidParameterException",
        "Message": "1 validation error detected: Value '8' at 'retentionInDays' failed to satisfy constraint: Member must "
        "satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, "
        "2922, 3288, 3653]",
    }
    logs.delete_retention_policy(logGroupName=name)
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]

    logs.tag_resource(resourceArn=arn, tags={"stage": "test"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "a", "stage": "test"}
    logs.untag_resource(resourceArn=arn, tagKeys=["team"])
    logs.tag_log_group(logGroupName=name, tags={"old": "way"})
    assert logs.list_tags_log_group(logGroupName=name)["tags"] == {"stage": "test", "old": "way"}
    logs.untag_log_group(logGroupName=name, tags=["old", "stage"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}

    logs.delete_log_group(logGroupName=name)
    for operation, members in {
        "delete_log_group": {}, "put_retention_policy": {"retentionInDays": 1}, "delete_retention_policy": {},
        "create_log_stream": {"logStreamName": "s"}, "describe_log_streams": {}, "filter_log_events": {},
        "get_log_events": {"logStreamName": "s"}, "list_tags_log_group": {}, "tag_log_group": {"tags": {"a": "b"}},
        "put_log_events": {"logStreamName": "s", "logEvents": [{"timestamp": now_ms(), "message": "m"}]},
    }.items():
        assert refused(operation, logGroupName=name, **members) == NO_GROUP, operation
    assert refused("list_tags_for_resource", resourceArn=arn) == NO_GROUP


def test_groups_are_paged_and_found_by_parts_of_names(logs):
    names = [f"/paged/{number}" for number in range(7)] + ["other/Paged"]
    for name in names:
        logs.create_log_group(logGroupName=name)
    pages = list(logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/paged/", PaginationConfig={"PageSize": 3}))
    assert [len(page["logGroups"]) for page in pages] == [3, 3, 1]
    assert [found["logGroupName"] for page in pages for found in page["logGroups"]] == names[:7]
    found = logs.describe_log_groups(logGroupNamePattern="paged")["logGroups"]
    assert [it["logGroupName"] for it in found] == sorted(names)
    assert all(not {"storedBytes", "deletionProtectionEnabled"} & it.keys() for it in found)
    page = logs.list_log_groups(logGroupNamePattern="^/paged/|her/Paged", limit=7)
    rest = logs.list_log_groups(logGroupNamePattern="^/paged/|her/Paged", nextToken=page["nextToken"])
    assert [it["logGroupName"] for it in page["logGroups"] + rest["logGroups"]] == names
    assert "nextToken" not in rest
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:other/Paged"
    assert rest["logGroups"] == [{"logGroupName": "other/Paged", "logGroupArn": arn, "logGroupClass": "STANDARD"}]
    assert logs.list_log_groups(logGroupNamePattern="no-such-group")["logGroups"] == []
    for name in names:
        logs.delete_log_group(logGroupName=name)


def test_a_group_has_no_filters(logs, group, refused):
    assert logs.describe_subscription_filters(logGroupName=group)["subscriptionFilters"] == []
    assert logs.describe_metric_filters(logGroupName=group)["metricFilters"] == []
    assert logs.describe_metric_filters()["metricFilters"] == []
    for operation in ("describe_subscription_filters", "describe_metric_filters"):
        assert refused(operation, logGroupName="absent") == NO_GROUP
    made = refused("put_subscription_filter", logGroupName=group, filterName="f", filterPattern="",
                   destinationArn="arn:aws:lambda:us-east-1:123456789012:function:f")
    assert made["Code"] == "UnknownOperationException"
    assert refused("describe_destinations") == {
        "Code": "UnknownOperationException",
        "Message": "No operation of Amazon CloudWatch Logs is Logs_20140328.DescribeDestinations",
    }


def test_accounts_and_regions_are_kept_apart(platform, logs, group):
    for other in (
        platform.client(service="logs", key="000000000002"), platform.client(service="logs", region="eu-west-1"),
    ):
        assert other.describe_log_groups(logGroupNamePrefix=group)["logGroups"] == []
        with pytest.raises(other.exceptions.ResourceNotFoundException):
            other.filter_log_events(logGroupName=group)
        arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupArn"]
        with pytest.raises(other.exceptions.ResourceNotFoundException):
            other.list_tags_for_resource(resourceArn=arn)
        other.create_log_group(logGroupName=group)
        other.delete_log_group(logGroupName=group)
    assert len(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]) == 1


def test_what_is_wrong_is_refused_in_aws_s_words(logs, group, refused):
    assert refused("create_log_group", logGroupName="a b")["Code"] == "InvalidParameterException"
    assert refused("create_log_group", logGroupName="a" * 513) == {
        "Code": "InvalidParameterException",
        "Message": "Invalid LogGroup or LogStream, both must have length less than or equal to 512.",
    }
    assert refused("describe_log_streams", logGroupName=group, logGroupIdentifier=group) == {
        "Code": "ValidationException", "Message": "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
    }
    for operation in ("filter_log_events", "get_log_events"):
        more = {"logStreamName": "s"} if operation == "get_log_events" else {}
        assert refused(operation, logGroupName=group, limit=10001, **more) == {
            "Code": "InvalidParameterException",
            "Message": "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have "
            "value less than or equal to 10000",
        }
    # Of an identifier the service repeats nothing; that of a group is its ARN without `:*`.
    arn = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["arn"]
    assert refused("describe_log_streams", logGroupIdentifier=arn) == {
        "Code": "InvalidParameterException",
        "Message": "1 validation error detected: Value at 'logGroupIdentifier' failed to satisfy constraint: Member must "
        "satisfy regular expression pattern: [\\w#+=/:,.@-]*",
    }
    both = refused("describe_log_groups", logGroupNamePrefix="a", logGroupNamePattern="a")
    assert both["Message"] == "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
    assert refused("describe_log_groups", limit=51)["Code"] == "InvalidParameterException"
    assert refused("filter_log_events", logGroupName=group, nextToken="x") == BAD_TOKEN
    assert refused("describe_log_groups", nextToken="!") == BAD_TOKEN
    pattern = refused("filter_log_events", logGroupName=group, filterPattern="{ $.a = }")
    assert pattern == {"Code": "InvalidParameterException", "Message": "Invalid filter pattern"}
    both = refused("filter_log_events", logGroupName=group, logStreamNames=["a"], logStreamNamePrefix="a")
    assert both["Code"] == "InvalidParameterException"
    assert refused("filter_log_events", logGroupName=group, logStreamNames=["a"]) == NO_STREAM
    ordered = refused("describe_log_streams", logGroupName=group, orderBy="LastEventTime", logStreamNamePrefix="a")
    assert ordered["Message"] == "Cannot order by LastEventTime with a logStreamNamePrefix."
    assert refused("describe_queries", logGroupName=group)["Code"] == "UnknownOperationException"


# --- streams and events ------------------------------------------------------------------------------


def test_events_are_put_and_read_page_by_page(logs, group, refused):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    assert refused("create_log_stream", logGroupName=group, logStreamName="s") == {
        "Code": "ResourceAlreadyExistsException", "Message": "The specified log stream already exists",
    }
    read = dict(logGroupName=group, logStreamName="s")
    empty = logs.get_log_events(**read, startFromHead=True)
    assert empty["events"] == []
    began = now_ms() - 60_000
    events = [{"timestamp": began + number, "message": f"event {number}"} for number in range(10)]
    put = logs.put_log_events(**read, logEvents=events)
    assert put["nextSequenceToken"] and "rejectedLogEventsInfo" not in put

    first = logs.get_log_events(**read, startFromHead=True, limit=4)
    assert messages(first) == ["event 0", "event 1", "event 2", "event 3"]
    assert first["nextForwardToken"].startswith("f/") and first["nextBackwardToken"].startswith("b/")
    second = logs.get_log_events(**read, startFromHead=True, limit=4, nextToken=first["nextForwardToken"])
    assert messages(second) == ["event 4", "event 5", "event 6", "event 7"]
    back = logs.get_log_events(**read, startFromHead=True, limit=4, nextToken=second["nextBackwardToken"])
    assert messages(back) == messages(first)
    third = logs.get_log_events(**read, startFromHead=True, limit=4, nextToken=second["nextForwardToken"])
    assert messages(third) == ["event 8", "event 9"]
    end = logs.get_log_events(**read, startFromHead=True, nextToken=third["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == third["nextForwardToken"], "the same token at the end"
    begin = logs.get_log_events(**read, nextToken=first["nextBackwardToken"])
    assert begin["events"] == [] and begin["nextBackwardToken"] == first["nextBackwardToken"]
    # Who waits at the end sees what comes.
    logs.put_log_events(**read, logEvents=[{"timestamp": began + 20, "message": "later"}])
    assert messages(logs.get_log_events(**read, nextToken=end["nextForwardToken"])) == ["later"]

    newest = logs.get_log_events(**read, limit=2)
    assert messages(newest) == ["event 9", "later"]
    older = logs.get_log_events(**read, limit=2, nextToken=newest["nextBackwardToken"])
    assert messages(older) == ["event 7", "event 8"]
    # The end is no part of the time that GetLogEvents reads, and one of that which FilterLogEvents does.
    times = dict(startTime=began + 2, endTime=began + 4)
    assert messages(logs.get_log_events(**read, **times)) == ["event 2", "event 3"]
    assert messages(logs.filter_log_events(logGroupName=group, **times)) == ["event 2", "event 3", "event 4"]
    assert refused("get_log_events", **read, nextToken="f/1/s") == BAD_TOKEN
    assert refused("get_log_events", logGroupName=group, logStreamName="none") == NO_STREAM

    logs.delete_log_stream(logGroupName=group, logStreamName="s")
    assert logs.describe_log_streams(logGroupName=group)["logStreams"] == []
    assert refused("delete_log_stream", logGroupName=group, logStreamName="s") == NO_STREAM
    assert logs.filter_log_events(logGroupName=group)["events"] == []


def test_streams_are_interleaved_by_time_and_chosen_by_name(logs, group):
    began = now_ms() - 600_000
    for stream in ("b", "a", "c/1"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    # Written one stream after the other; read in the order of time.
    for shift, stream in enumerate(("b", "a")):
        logs.put_log_events(
            logGroupName=group, logStreamName=stream,
            logEvents=[{"timestamp": began + 10 * number + shift, "message": f"{stream}{number}"} for number in range(30)],
        )
    wanted = [f"{stream}{number}" for number in range(30) for stream in ("b", "a")]
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 7}))
    assert [message for page in pages for message in messages(page)] == wanted and len(pages) == 9
    assert messages(logs.filter_log_events(logGroupName=group, limit=1, startFromHead=False)) == ["a29"]
    named = logs.filter_log_events(logGroupName=group, logStreamNames=["a"], filterPattern="%a[12]0%")
    assert messages(named) == ["a10", "a20"]
    assert len(logs.filter_log_events(logGroupName=group, logStreamNamePrefix="b")["events"]) == 30

    def names(**members):
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=group, PaginationConfig={"PageSize": 2}, **members,
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert names() == ["a", "b", "c/1"]
    assert names(orderBy="LastEventTime", descending=True) == ["a", "b", "c/1"]
    assert names(orderBy="LastEventTime") == ["c/1", "b", "a"]
    assert names(descending=True) == ["c/1", "b", "a"]
    assert names(logStreamNamePrefix="c/") == ["c/1"]


def test_events_that_are_not_taken(logs, group, refused):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    put = dict(logGroupName=group, logStreamName="s")
    now, day = now_ms(), 86_400_000
    events = [{"timestamp": now - 1_000, "message": "m"}, {"timestamp": now + 3 * 3_600_000, "message": "new"}]
    assert logs.put_log_events(**put, logEvents=events)["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    events = [{"timestamp": now - 15 * day, "message": "old"}]
    assert logs.put_log_events(**put, logEvents=events)["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    events = [{"timestamp": now - 2 * day, "message": "expired"}]
    assert logs.put_log_events(**put, logEvents=events)["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert messages(logs.filter_log_events(logGroupName=group)) == ["m"]
    events = [{"timestamp": now, "message": "b"}, {"timestamp": now - 1, "message": "a"}]
    assert refused("put_log_events", **put, logEvents=events) == {
        "Code": "InvalidParameterException",
        "Message": "Log events in a single PutLogEvents request must be in chronological order.",
    }
    assert refused("put_log_events", logGroupName=group, logStreamName="none", logEvents=events[:1]) == NO_STREAM


def test_pages_are_bounded_in_bytes(logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    began = now_ms()
    for batch in range(3):
        events = [{"timestamp": began + batch, "message": str(number) + "x" * 200_000} for number in range(5)]
        logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    pages = list(logs.get_paginator("filter_log_events").paginate(logGroupName=group))
    assert [len(page["events"]) for page in pages] == [5, 5, 5]
    assert [event["message"][0] for page in pages for event in page["events"]] == list("01234" * 3)


# --- what stays --------------------------------------------------------------------------------------


def test_groups_retention_and_events_survive(new_platform):
    platform = new_platform()
    logs = platform.client(service="logs")
    logs.create_log_group(logGroupName="g", tags={"a": "b"})
    logs.put_retention_policy(logGroupName="g", retentionInDays=3)
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    now = now_ms()
    events = [{"timestamp": now - 2 * 86_400_000 - 5, "message": "old"}, {"timestamp": now - 86_400_000 - 5, "message": "new"}]
    logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
    function = deploy_to(platform.client(), SAYS, name="f")
    function.call(["said"])
    # The writer has it once it has been read.
    assert "said\n" in messages(logs.filter_log_events(logGroupName="/aws/lambda/f"))

    platform.kill()
    platform.start()
    logs = platform.client(service="logs")
    [found] = logs.describe_log_groups(logGroupNamePrefix="g")["logGroups"]
    assert found["retentionInDays"] == 3
    assert logs.list_tags_log_group(logGroupName="g")["tags"] == {"a": "b"}
    assert messages(logs.filter_log_events(logGroupName="g")) == ["old", "new"]
    assert "said\n" in messages(logs.filter_log_events(logGroupName="/aws/lambda/f"))
    # Two of those days are over.
    logs.put_retention_policy(logGroupName="g", retentionInDays=1)
    assert logs.filter_log_events(logGroupName="g")["events"] == []
    logs.put_retention_policy(logGroupName="g", retentionInDays=3)
    assert messages(logs.filter_log_events(logGroupName="g")) == ["old", "new"]
