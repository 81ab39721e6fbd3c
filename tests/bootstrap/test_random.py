"""No two forks of a template have random state in common. The forks are real, with the same process id."""

import json

import pytest
from fake_api import ForkableZygote


def answers(template, count=3, event=None):
    """What that many forks of a template answer to their first event."""
    found = []
    for _ in range(count):
        fork = template.fork()
        fork.restore()
        found.append(fork.call(event))
        fork.socket.close()
    return found


def all_differ(values):
    return len({json.dumps(value) for value in values}) == len(values)


SOURCES = {
    "random": ("import random", "[random.random(), random.getrandbits(64), random.sample(range(10**6), 3)]"),
    "from random": ("from random import random, gauss; gauss(0, 1)", "[random(), gauss(0, 1)]"),
    "seeded module": ("import random; random.seed(1)", "random.random()"),
    "own generator": ("import random; mine = random.Random()", "mine.random()"),
    "reseeded from the kernel": ("import random; mine = random.Random(4); mine.seed()", "mine.random()"),
    "subclass": (
        "import random\nclass R(random.Random):\n    def seed(self, *a): super().seed()\nmine = R(4)",
        "mine.random()",
    ),
    "system": ("import random; mine = random.SystemRandom(); mine.random()", "mine.random()"),
    "secrets": ("import secrets; secrets.token_hex()", "secrets.token_hex()"),
    "urandom": ("import os; os.urandom(9)", "os.urandom(9).hex()"),
    "uuid1": ("import uuid; uuid.uuid1()", "[uuid.uuid1().node, uuid.getnode()]"),
    "uuid1 sequence": ("import uuid; uuid.uuid1()", "[uuid.uuid1().clock_seq for _ in range(4)]"),
    "uuid4": ("import uuid; uuid.uuid4()", "str(uuid.uuid4())"),
    "temporary names": (
        "import tempfile; tempfile.mktemp()",
        "tempfile.mktemp()",
    ),
    "authentication key": (
        "import multiprocessing",
        "bytes(multiprocessing.current_process().authkey).hex()",
    ),
    "semaphores": (
        "from multiprocessing import synchronize as s; s.SemLock._make_name()",
        "s.SemLock._make_name()",
    ),
    "ssl": ("import ssl; ssl.RAND_bytes(9)", "ssl.RAND_bytes(9).hex()"),
    "sqlite": (
        "import sqlite3; db = sqlite3.connect(':memory:'); db.execute('select random()').fetchone()",
        "db.execute('select random(), hex(randomblob(8))').fetchone()",
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_forks_have_nothing_random_in_common(template, name):
    init, expression = SOURCES[name]
    found = answers(template(f"{init}\ndef handler(e, c): return {expression}"))
    assert all_differ(found), found


def test_the_test_sees_what_nobody_renews(template):
    """A generator that the function gave a seed is the function's own: all forks go on as it says."""
    source = "import random, os\nmine = random.Random(7); mine.random()\n"
    found = answers(template(source + "def handler(e, c): return [mine.random(), os.getpid()]"))
    assert found[0] == found[1] == found[2] and found[0][1] == 1


def test_a_seed_given_by_a_hook_counts(template):
    source = (
        "import random\nfrom snapshot_restore_py import register_after_restore\n"
        "register_after_restore(random.seed, 7)\n"
    )
    found = answers(template(source + "def handler(e, c): return random.random()"))
    assert found[0] == found[1] == found[2]


def test_the_class_is_left_as_it_was(park):
    runtime = park(
        "import random\n"
        "def handler(e, c): return [random.Random.seed.__qualname__, random.seed.__func__ is random.Random.seed]"
    )
    runtime.restore()
    assert runtime.call() == ["Random.seed", True]


def test_assignments_of_a_zygote_have_nothing_random_in_common(running, write, tmp_path):
    zygote = ForkableZygote(tmp_path)
    running.append(zygote)
    task = write("import random, uuid\ndef handler(e, c): return [random.random(), str(uuid.uuid1())]")
    found = []
    for _ in range(3):
        fork = zygote.fork()
        fork.assign(task, "app.handler", {})
        fork.asks()
        found.append(fork.call())
    values, identities = zip(*found)
    assert all_differ(values) and all_differ(identities)


def test_before_and_after_a_restore_in_one_process(park):
    """Without a fork, and without a zygote, too."""
    runtime = park(
        "import random, tempfile\n"
        "mine, kept = random.Random(), random.Random(7)\n"
        "def states(): return [g.getstate() for g in (random, mine, tempfile._get_candidate_names().rng, kept)]\n"
        "before = states()\n"
        "def handler(e, c): return [a == b for a, b in zip(before, states())]"
    )
    runtime.restore()
    assert runtime.call() == [False, False, False, True]


def test_hash_seeds_are_shared(template):
    """Known and documented: `hash()` of a string is the same in all forks."""
    found = answers(template("def handler(e, c): return hash('text')"))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("module, has", [("hashlib", True), ("json", False)])
def test_openssl_is_set_up_before_a_fork_has_it_reseed(park, module, has):
    runtime = park(f"import sys, {module}\ndef handler(e, c): return '_ssl' in sys.modules")
    runtime.restore()
    assert runtime.call() is has
