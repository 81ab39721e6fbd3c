"""EventBridge Scheduler through boto3 and the AWS CLI, and what its schedules do on a real platform. Times are
near, so that nothing waits for a minute: a rate fires at once when it is made, and `at()` takes seconds."""

import datetime
import json

import pytest

from conftest import ROLE, deploy_to
from packages import ECHO
from pilot_up import eventually
from test_asynchronous import letters
from test_timed_warm_up import metric, starts

PRINTS = """
def lambda_handler(event, context):
    client = context.client_context
    print("event", event, client.custom if client else None, context.invoked_function_arn.rsplit(":", 1)[1])
"""
OFF = {"Mode": "OFF"}


@pytest.fixture
def scheduler(platform):
    """A client; schedules and groups that a test made are gone afterwards."""
    client = platform.client("AKIASCHEDULER", "x", service="scheduler")
    yield client
    for group in client.list_schedule_groups()["ScheduleGroups"]:
        if group["Name"] != "default":
            client.delete_schedule_group(Name=group["Name"])
    for schedule in client.list_schedules()["Schedules"]:
        client.delete_schedule(Name=schedule["Name"])


def arn(name):
    return f"arn:aws:lambda:us-east-1:123456789012:function:{name}"


def create(scheduler, name, function="nobody", **members):
    target = {"Arn": arn(function), "RoleArn": ROLE} | members.pop("Target", {})
    request = {"ScheduleExpression": "rate(1 day)", "FlexibleTimeWindow": OFF} | members
    return scheduler.create_schedule(Name=name, Target=target, **request)["ScheduleArn"]


def error_of(call, **members):
    try:
        answer = call(**members)
    except Exception as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError(f"no error but {answer}")


def in_seconds(count):
    """`at()` some seconds from now, in UTC."""
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=count)
    return f"at({time:%Y-%m-%dT%H:%M:%S})"


def lines_with(lines, function, text, count=1):
    def found():
        matching = [line for line in lines(function) if text in line]
        return len(matching) >= count and matching

    return eventually(found, f"{count} lines with {text}")


# --- the API -----------------------------------------------------------------------------------------------


def test_a_schedules_life(scheduler):
    made = create(scheduler, "life", Description="words", Target={"Input": '{"a": 1}'})
    assert made == "arn:aws:scheduler:us-east-1:123456789012:schedule/default/life"
    found = scheduler.get_schedule(Name="life")
    del found["ResponseMetadata"]
    created = found.pop("CreationDate")
    assert isinstance(created, datetime.datetime) and found.pop("LastModificationDate") == created
    assert found == {
        "ActionAfterCompletion": "NONE", "Arn": made, "Description": "words", "FlexibleTimeWindow": OFF,
        "GroupName": "default", "Name": "life", "ScheduleExpression": "rate(1 day)",
        "ScheduleExpressionTimezone": "UTC", "State": "ENABLED",
        "Target": {
            "Arn": arn("nobody"), "Input": '{"a": 1}', "RoleArn": ROLE,
            "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185},
        },
    }
    start = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(days=1)
    scheduler.update_schedule(
        Name="life", ScheduleExpression="cron(0/15 8-18 ? * MON-FRI *)", ScheduleExpressionTimezone="Europe/Berlin",
        FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 10}, State="DISABLED", StartDate=start,
        ActionAfterCompletion="DELETE",
        Target={"Arn": arn("other"), "RoleArn": ROLE, "RetryPolicy": {"MaximumRetryAttempts": 0}},
    )
    found = scheduler.get_schedule(Name="life")
    assert "Description" not in found and "Input" not in found["Target"]
    assert (found["State"], found["ActionAfterCompletion"], found["StartDate"]) == ("DISABLED", "DELETE", start)
    assert found["Target"]["RetryPolicy"]["MaximumRetryAttempts"] == 0
    scheduler.delete_schedule(Name="life")
    missing = ("ResourceNotFoundException", "Schedule life does not exist.", 404)
    assert error_of(scheduler.get_schedule, Name="life") == missing
    assert error_of(scheduler.delete_schedule, Name="life") == missing


def test_errors_are_aws_s_own(scheduler):
    create(scheduler, "twice")
    with pytest.raises(scheduler.exceptions.ConflictException, match="Schedule twice already exists."):
        create(scheduler, "twice")
    for text in ["cron(0 1 * * * *)", "rate(10 years)", "at(2021-12-31T23:59:59Z)", "some cron"]:
        with pytest.raises(scheduler.exceptions.ValidationException) as refused:
            create(scheduler, "wrong", ScheduleExpression=text)
        assert refused.value.response["Message"] == f"Invalid Schedule Expression {text}."
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    with pytest.raises(scheduler.exceptions.ValidationException, match="cannot be earlier than 5 minutes ago."):
        create(scheduler, "wrong", StartDate=past)
    with pytest.raises(scheduler.exceptions.ValidationException, match="'name' failed to satisfy constraint"):
        scheduler.get_schedule(Name="a name")
    with pytest.raises(scheduler.exceptions.ValidationException, match="not available as a target"):
        create(scheduler, "wrong", Target={"Arn": "arn:aws:sns:us-east-1:123456789012:topic"})
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException, match="Schedule group nobodys does not exist."):
        create(scheduler, "wrong", GroupName="nobodys")


def test_groups_tags_lists_and_pages(scheduler):
    group = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "k", "Value": "v"}])["ScheduleGroupArn"]
    assert group == "arn:aws:scheduler:us-east-1:123456789012:schedule-group/g"
    assert error_of(scheduler.create_schedule_group, Name="g")[:2] == ("ConflictException", "Schedule group g already exists.")
    scheduler.tag_resource(ResourceArn=group, Tags=[{"Key": "l", "Value": "w"}])
    scheduler.untag_resource(ResourceArn=group, TagKeys=["k"])
    assert scheduler.list_tags_for_resource(ResourceArn=group)["Tags"] == [{"Key": "l", "Value": "w"}]
    assert [it["Name"] for it in scheduler.list_schedule_groups()["ScheduleGroups"]] == ["default", "g"]
    for number in range(5):
        create(scheduler, f"page-{number}", GroupName="g", State="ENABLED" if number % 2 else "DISABLED")
    pages = list(scheduler.get_paginator("list_schedules").paginate(GroupName="g", PaginationConfig={"PageSize": 2}))
    assert [[it["Name"] for it in page["Schedules"]] for page in pages] == [["page-0", "page-1"], ["page-2", "page-3"], ["page-4"]]
    assert pages[0]["Schedules"][0]["Target"] == {"Arn": arn("nobody")}
    names = lambda **query: [it["Name"] for it in scheduler.list_schedules(**query)["Schedules"]]
    assert names(State="ENABLED") == ["page-1", "page-3"] and names(NamePrefix="page-4") == ["page-4"]
    scheduler.delete_schedule_group(Name="g")
    assert error_of(scheduler.get_schedule_group, Name="g") == ("ResourceNotFoundException", "Schedule group g does not exist.", 404)
    assert names() == []


def test_the_aws_cli_makes_and_lists_schedules(platform, scheduler):
    def aws(*args):
        done = platform.aws(*args, service="scheduler")
        return json.loads(done.stdout) if done.stdout.strip() else None

    target = json.dumps({"Arn": arn("nobody"), "RoleArn": ROLE, "Input": "{}"})
    made = aws("create-schedule", "--name", "cli", "--schedule-expression", "cron(0 8 ? * MON-FRI *)",
               "--schedule-expression-timezone", "America/New_York", "--flexible-time-window", '{"Mode": "OFF"}', "--target", target)
    assert made["ScheduleArn"].endswith(":schedule/default/cli")
    assert aws("get-schedule", "--name", "cli")["ScheduleExpressionTimezone"] == "America/New_York"
    assert [it["Name"] for it in aws("list-schedules")["Schedules"]] == ["cli"]
    aws("delete-schedule", "--name", "cli")
    gone = platform.aws("get-schedule", "--name", "cli", service="scheduler", check=False)
    assert "(ResourceNotFoundException) when calling the GetSchedule operation: Schedule cli does not exist." in gone.stderr


# --- what schedules do -------------------------------------------------------------------------------------


def test_a_rate_calls_its_function_at_once(scheduler, deploy, lines):
    function = deploy(PRINTS)
    made = create(scheduler, "rate", function.name)
    line = lines_with(lines, function, "event")[0]
    for words in ["'source': 'aws.scheduler'", "'detail-type': 'Scheduled Event'", made]:
        assert words in line
    # It goes on, and is due again in a day.
    assert scheduler.get_schedule(Name="rate")["State"] == "ENABLED"


def test_a_single_time_calls_a_version_and_the_schedule_goes(scheduler, client, deploy, lines):
    function = deploy(PRINTS)
    version = client.publish_version(FunctionName=function.name)["Version"]
    eventually(lambda: client.get_function_configuration(FunctionName=function.name, Qualifier=version)["State"] == "Active", "it is ready")
    create(
        scheduler, "once", f"{function.name}:{version}", ScheduleExpression=in_seconds(2), ActionAfterCompletion="DELETE",
        Target={"Input": '{"attempt": <aws.scheduler.attempt-number>, "of": "<aws.scheduler.schedule-arn>"}'},
    )
    line = lines_with(lines, function, "event")[0]
    assert "'attempt': 1" in line and "schedule/default/once" in line and line.endswith(f"None {version}")
    assert error_of(scheduler.get_schedule, Name="once")[0] == "ResourceNotFoundException"


def test_the_universal_target_invokes(scheduler, deploy, lines):
    function = deploy(PRINTS)
    request = {"FunctionName": function.name, "InvocationType": "Event", "Payload": '{"via": "invoke"}'}
    create(scheduler, "universal", Target={"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke", "Input": json.dumps(request)})
    lines_with(lines, function, "event {'via': 'invoke'}")


def test_a_schedule_warms_instances_up(platform, scheduler, deploy, lines):
    function = deploy(PRINTS)
    request = {"FunctionName": function.name, "Instances": 3}
    before = metric(platform, "pilotlight_control_warm_ups_total")
    create(scheduler, "warm", Target={"Arn": "arn:aws:scheduler:::aws-sdk:lambda:warmUp", "Input": json.dumps(request)})
    eventually(lambda: metric(platform, "pilotlight_control_warm_ups_total") == before + 1, "it is warm")
    row = [row for row in json.loads(platform.pilot("ls", "--output", "json").stdout) if row["name"] == function.name][0]
    assert row["idle"] == 3 and not any("event" in line for line in lines(function))
    function.call(1)
    assert [start["kind"] for start in starts(platform, function.name)] == ["warm"]
    request = {"FunctionName": function.name, "Instances": 2, "Payload": {"kind": "warm-up"}}
    create(scheduler, "marked", Target={"Arn": "arn:aws:scheduler:::aws-sdk:lambda:warmUp", "Input": json.dumps(request)})
    lines_with(lines, function, "event {'kind': 'warm-up'} {'pilotlight-warm-up': 'true'}", count=2)


def test_the_command_line_schedules_warm_ups(platform, scheduler, deploy):
    function = deploy(PRINTS)
    done = platform.pilot("warm", function.name, "-n", "2", "--schedule", "rate(5 minutes)")
    name = f"warm-{function.name}"
    assert name in done.stdout
    found = scheduler.get_schedule(Name=name)
    assert found["ScheduleExpression"] == "rate(5 minutes)"
    assert json.loads(found["Target"]["Input"]) == {"FunctionName": function.name, "Instances": 2}
    # Again changes it.
    platform.pilot("warm", function.name, "-n", "4", "--schedule", "cron(0 8 * * ? *)", "--timezone", "Europe/Berlin")
    found = scheduler.get_schedule(Name=name)
    assert (found["ScheduleExpression"], found["ScheduleExpressionTimezone"]) == ("cron(0 8 * * ? *)", "Europe/Berlin")
    assert json.loads(found["Target"]["Input"])["Instances"] == 4
    wrong = platform.pilot("warm", function.name, "--schedule", "rate(1 second)", check=False)
    assert wrong.returncode == 1 and "Invalid Schedule Expression rate(1 second)." in wrong.stderr
    assert platform.pilot("warm", "mistyped", "--schedule", "rate(5 minutes)", check=False).returncode == 4
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="warm-mistyped")


def test_what_cannot_be_delivered_is_in_the_dead_letter_queue(platform, scheduler):
    create(
        scheduler, "hopeless", function="not-there",
        Target={
            "Input": '{"a": 1}', "RetryPolicy": {"MaximumRetryAttempts": 0},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:123456789012:hopeless"},
        },
    )
    path = platform.data_dir / "dead-letters" / "123456789012" / "us-east-1" / "hopeless.jsonl"
    letter = json.loads(eventually(lambda: path.exists() and path.read_text(), "the letter is there"))
    assert letter["Body"] == '{"a": 1}'
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "ResourceNotFoundException"
    platform.expect_log("firing given up")


def test_a_firing_survives_a_kill(new_platform):
    platform = new_platform()
    client, scheduler = platform.client(), platform.client("x", "x", service="scheduler")
    deploy_to(client, ECHO, name="f")
    # Lines of a log may be lost in a kill; what is told of an event's end is not.
    client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": "arn:aws:sqs:us-east-1:123456789012:fired"}}
    )
    for number in range(20):
        create(scheduler, f"s{number}", "f", ScheduleExpression=in_seconds(1 + number % 3), Target={"Input": str(number)})
    platform.kill()
    platform.start()

    def fired():
        seen = [json.loads(letter["Body"])["requestPayload"] for letter in letters(platform, "fired")]
        return set(seen) == set(range(20)) and seen

    seen = eventually(fired, "every schedule has fired")
    # At least once; what was being run when the platform was killed may run again.
    assert len(seen) <= 25, seen
    platform.expect_log("due times have passed")
