"""A function that asks for a warm-up is called before its process is parked, and starts from what that left."""

import pytest

from pilot_up import eventually

PYTHON = """
calls = []
def lambda_handler(event, context):
    client = context.client_context
    calls.append([event, client.custom if client else None])
    if event == "fails":
        raise KeyError(event)
    return calls
"""
NODE = """
const calls = [];
exports.handler = async (event, context) => {
  calls.push([event, context.clientContext?.custom ?? null]);
  if (event === 'fails') throw new RangeError(event);
  return calls;
};
"""
FORMS = {
    "python": (PYTHON, {}),
    "node": ({"index.js": NODE}, {"Runtime": "nodejs20.x", "Handler": "index.handler"}),
}
MARK = {"pilotlight-warm-up": "true"}


@pytest.fixture(params=FORMS)
def warmed(request, deploy):
    """Deploys the function with that warm-up event."""
    source, members = FORMS[request.param]
    return lambda event: deploy(
        source, Environment={"Variables": {"PILOTLIGHT_WARM_UP_EVENT": event}}, MemorySize=256, **members
    )


@pytest.mark.parametrize("cold", ["spare", "forked"])
def test_instances_of_a_template_find_what_the_warm_up_left(warmed, cold):
    function = warmed('{"key": "value"}')
    assert function.call("mine", cold=cold) == [[{"key": "value"}, MARK]] * 3 + [["mine", None]]


@pytest.mark.parametrize("cold", ["zygote", "booted"])
def test_without_a_template_there_is_no_warm_up(warmed, cold):
    assert warmed("1").call("mine", cold=cold) == [["mine", None]]


def test_a_warm_up_that_fails_is_in_the_log_and_in_nobodys_way(warmed, lines):
    function = warmed('"fails"')
    assert function.call("mine", cold="spare") == [["fails", MARK], ["mine", None]]
    told = "The error above is of the warm-up by PILOTLIGHT_WARM_UP_EVENT"
    # The template wrote it, whose log nobody waits for.
    eventually(lambda: any(told in line for line in lines(function)), "it is told in the log")
