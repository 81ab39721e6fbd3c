"""No two instances share random state, whatever they were made from. Every generator has been used in init, so
that it had a state before the fork; what instances draw from it must differ, and look random all together."""

import collections
import math

import pytest

from forks import NODE, call, deploy_java
from packages import installed

STARTS = {"forked": 44, "spare": 6, "zygote": 3}
DRAWS = 3

PYTHON_DRAWS = """
import multiprocessing, os, random, secrets, sqlite3, ssl, tempfile, uuid
from random import getrandbits
import bson, numpy, numpy.random

own, system = random.Random(), random.SystemRandom()
pcg, legacy = numpy.random.default_rng(), numpy.random.RandomState()
database = sqlite3.connect(":memory:")

def draw():
    return {
        "random": random.randbytes(16).hex(), "imported from random": getrandbits(128).to_bytes(16).hex(),
        "random.Random": own.randbytes(16).hex(), "random.SystemRandom": system.randbytes(16).hex(),
        "secrets": secrets.token_hex(16), "uuid1": uuid.uuid1().hex, "uuid4": uuid.uuid4().hex,
        "numpy.random": numpy.random.bytes(16).hex(), "numpy default_rng": pcg.bytes(16).hex(),
        "numpy RandomState": legacy.bytes(16).hex(), "ssl": ssl.RAND_bytes(16).hex(),
        "sqlite3": database.execute("select hex(randomblob(16))").fetchone()[0],
        "tempfile": tempfile.mktemp(),
    }

def once():
    # Of the process, the same at each use. Without a template a UUID's node is the network card, as everywhere.
    node = {"uuid node": hex(uuid.getnode())} if templated else {}
    authkey = bytes(multiprocessing.current_process().authkey).hex()
    return {"authkey": authkey, "ObjectId": bson.ObjectId().binary[4:9].hex(), **node}

templated = os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
draw(), once()
if templated:
    # An init that seeds what everybody shares; see docs/templates-python.md.
    random.seed(1), numpy.random.seed(1)

def lambda_handler(event, context):
    return [[draw() for _ in range(event)], once()]
"""

NODE_DRAWS = """
const crypto = require('crypto'), vm = require('vm');
const { randomUUID, randomInt, randomBytes } = crypto;
const context = vm.createContext(), plain = vm.createContext(vm.constants.DONT_CONTEXTIFY);
const own = Buffer.alloc(256);
let used = own.length;
// As the packages `uuid` and `nanoid` have it.
const stock = () => {
  if (used + 16 > own.length) { crypto.randomFillSync(own); used = 0; }
  return own.subarray(used, used += 16).toString('hex');
};
const bytes = (random) => Buffer.from(Array.from({ length: 16 }, () => Math.floor(random() * 256))).toString('hex');
const draw = async () => ({
  'Math.random': bytes(Math.random), 'Math.random of a context': bytes(vm.runInContext('Math.random', context)),
  'Math.random of a new context': bytes(vm.runInNewContext('Math.random')),
  'Math.random of a plain context': bytes(vm.runInContext('Math.random', plain)),
  'Math.random of a new plain context': bytes(vm.runInNewContext('Math.random', vm.constants.DONT_CONTEXTIFY)),
  randomUUID: randomUUID(), 'webcrypto.randomUUID': globalThis.crypto.randomUUID(),
  randomBytes: randomBytes(16).toString('hex'),
  'randomBytes later': await new Promise((done) => randomBytes(16, (_, drawn) => done(drawn.toString('hex')))),
  randomInt: bytes(() => randomInt(256) / 256),
  'randomInt later': await new Promise((done) => randomInt(2 ** 47, (_, drawn) => done(drawn))),
  randomFillSync: crypto.randomFillSync(Buffer.alloc(16)).toString('hex'), stock: stock(),
  getRandomValues: Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString('hex'),
  'EC key pair': crypto.generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey
    .export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex'),
  'X25519 key pair': crypto.generateKeyPairSync('x25519').publicKey.export({ format: 'der', type: 'spki' })
    .subarray(-32).toString('base64'),
  generateKey: crypto.generateKeySync('aes', { length: 128 }).export().toString('hex'),
  subtle: Buffer.from(await crypto.subtle.exportKey('raw', await crypto.subtle.generateKey(
    { name: 'AES-CBC', length: 128 }, true, ['encrypt']))).toString('hex'),
});
const initialised = draw();
exports.handler = async (draws) => {
  await initialised;
  const drawn = [];
  for (let count = 0; count < draws; count += 1) drawn.push(await draw());
  return [drawn, {}];
};
"""

NODE_MODULE_DRAWS = """
import { randomUUID, randomInt, webcrypto } from 'node:crypto';
const { random } = Math;
const draw = () => ({ 'Math.random': random(), randomUUID: randomUUID(), randomInt: randomInt(2 ** 47),
  'webcrypto.randomUUID': webcrypto.randomUUID() });
draw();
export const handler = async (draws) => [Array.from({ length: draws }, draw), {}];
"""


def python(deploy, _):
    files = {"lambda_function.py": PYTHON_DRAWS, **installed("numpy"), **installed("pymongo")}
    return deploy(files, MemorySize=512, Timeout=60)


def node(deploy, _):
    return deploy({"index.js": NODE_DRAWS}, **NODE | {"MemorySize": 512, "Timeout": 30})


def node_module(deploy, _):
    return deploy({"index.mjs": NODE_MODULE_DRAWS}, **NODE | {"MemorySize": 256})


def java(deploy, classes):
    return deploy_java(deploy, classes, "random")


@pytest.mark.parametrize("make", [python, node, node_module, java])
def test_no_two_instances_draw_the_same(platform, deploy, java_classes, make):
    function = make(deploy, java_classes)
    drawn = collections.defaultdict(list)
    for kind, count in STARTS.items():
        for _ in range(count):
            draws, once = (call(platform, function, kind, {"do": "random"}), {}) if make is java else call(platform, function, kind, DRAWS)
            for draw in [*draws, once]:
                for generator, value in draw.items():
                    drawn[generator].append(value)
    for generator, values in drawn.items():
        repeated = [value for value, times in collections.Counter(values).items() if times > 1]
        assert not repeated, f"{generator} gave the same in several instances: {repeated}"
        assert len(values) >= STARTS["forked"] + STARTS["spare"]
    assert_random(b"".join(filter(None, map(plain, (value for values in drawn.values() for value in values)))))


def plain(value):
    """16 bytes that are all random, where the value is that; a UUID's version, for one, is not."""
    if not isinstance(value, str) or len(value) != 32 or value[12] in "14" and value[16] in "89ab":
        return None
    return bytes.fromhex(value)


def assert_random(data):
    """A bound that one run in millions exceeds by chance, and any common state by far."""
    if not data:
        return
    bits = 8 * len(data)
    ones = sum(map(int.bit_count, data))
    assert abs(ones - bits / 2) < 6 * math.sqrt(bits) / 2, f"{ones} of {bits} bits are set"
    expected = len(data) / 256
    chi_square = sum((count - expected) ** 2 / expected for count in (data.count(byte) for byte in range(256)))
    # 255 degrees of freedom: mean 255, standard deviation 22.6.
    assert 255 - 6 * 22.6 < chi_square < 255 + 7 * 22.6, f"chi-square of {len(data)} bytes is {chi_square}"
