"""Random state that lives in the process, and would be the same in all forks.

What is read from the kernel at each use needs nothing: `os.urandom`, `secrets`, `SystemRandom`, `uuid4`.
"""

import gc
import random
import sys
import weakref
from os import urandom


def seeding(generator):
    """A function that seeds it, as of the interpreter: Python code costs a fork more than the seeding does.

    Besides, Python code keeps half a pair of normal variates: whoever wants that dropped calls `seed`.
    """
    return super(random.Random, generator).seed


# Of the generator behind the functions of `random`, which is seeded when the module is imported.
renew_shared = seeding(random._inst)


class Generators:
    """Generators of user code that were seeded from the kernel, and the process-wide ones of libraries.

    A generator that user code gave a seed keeps it: that is what the seed is for. The process-wide ones are
    renewed even so, as they are for security's sake by `os.fork`.
    """

    def __init__(self):
        self.unseeded = weakref.WeakSet()
        self.renewals = []
        self.frozen = gc.get_freeze_count()
        self.seed = random.Random.seed
        self.watched = random.Random.seed = self.watch()

    def watch(self):
        """`Random.seed` as it is, except that it notes what has its seed from the kernel."""
        seed, unseeded = self.seed, self.unseeded

        def watched(self, a=None, version=2):
            seed(self, a, version)
            try:
                (unseeded.add if a is None else unseeded.discard)(self)
            except TypeError:
                pass  # a subclass without a hash is not noted

        return watched

    def close(self):
        """Ends the watch, and finds what there is to renew."""
        if random.Random.seed is self.watched:
            random.Random.seed = self.seed
        if gc.get_freeze_count() > self.frozen:
            gc.unfreeze()  # what the function froze could not be searched; it is all frozen again later
        shared_and_own = [random._inst, *self.unseeded]
        for generator in shared_and_own:
            self.seed(generator)
        self.renewals = [*map(seeding, shared_and_own), *library_renewals()]
        self.renew()  # warms the code

    def renew(self):
        """Gives every generator a state of its own. On the path of a start."""
        for renew in self.renewals:
            renew()


def warm_openssl():
    """Has OpenSSL set up its generators, if it is there at all.

    The engine has it reseed in each fork, and what nobody has asked for randomness yet would make and seed all
    of them then: 2 to 3 ms of a start.
    """
    if "_hashlib" in sys.modules or "_ssl" in sys.modules:
        try:
            from _ssl import RAND_bytes
        except ImportError:
            return  # a library that the function brought along does not fit
        RAND_bytes(1)


def library_renewals():
    """Functions that renew what the loaded libraries keep. What a library makes when asked is only dropped."""
    for name, find in LIBRARIES.items():
        module = sys.modules.get(name)
        if module is not None:
            yield from find(module)


def of_uuid(uuid):
    """Version 1 has a node, a clock and a sequence: libuuid would go on with the node and sequence of all."""
    uuid._generate_time_safe = uuid._last_timestamp = uuid._node = None
    uuid._GETTERS = []  # leaves the random node
    return []


def of_tempfile(tempfile):
    tempfile._name_sequence = None
    return []


def of_multiprocessing(process):
    def renew():
        process.current_process().authkey = urandom(32)

    yield renew


def of_sqlite(sqlite):
    """`random()` and `randomblob()` in SQL."""
    import ctypes

    randomness = ctypes.CDLL(sqlite.__file__).sqlite3_randomness

    def renew():
        randomness(0, None)

    yield renew


def of_numpy(mtrand):
    """`numpy.random`'s own generator, and those that got their seed from the kernel."""
    from numpy.random.bit_generator import BitGenerator

    shared = mtrand._rand._bit_generator
    if type(shared).__name__ == "MT19937":
        yield numpy_shared_renewal(mtrand.set_state)
    else:  # `set_bit_generator` has put another one there
        yield numpy_renewal(shared)
    for generator in gc.get_objects():
        # Not `isinstance`: it would ask a proxy for the class of what it stands for.
        if issubclass(type(generator), BitGenerator) and generator is not shared:
            entropy = getattr(generator._seed_seq, "entropy", None)
            # A seed of a person's own choice is hardly that long; the kernel's has 128 bits.
            if isinstance(entropy, int) and entropy.bit_length() > 64:
                yield numpy_renewal(generator)


def numpy_shared_renewal(set_state):
    """All of the state at once: `seed` checks what it is given by computing with arrays, which costs a fork 0.1 ms.

    Half a pair of normal variates is dropped too.
    """

    def renew():
        key = memoryview(urandom(4 * 624)).cast("I").tolist()
        set_state(("MT19937", key, 624, 0, 0.0))

    return renew


def numpy_renewal(generator):
    kind = type(generator)

    def renew():
        generator.state = kind().state

    return renew


def of_ssl(ssl):
    """OpenSSL knows a fork by the process id, which is the same in ours. What is added makes it reseed."""

    def renew():
        ssl.RAND_add(urandom(32), 32.0)

    yield renew


def of_cryptography(rust):
    """The package has an OpenSSL of its own inside, which nobody else can reach."""
    add = rust._openssl.lib.RAND_add

    def renew():
        add(urandom(32), 32, 32.0)

    yield renew


def of_bson(objectid):
    """MongoDB's ids: what tells processes apart in them, and their counter. The package knows a fork by the process id."""
    kind = objectid.ObjectId

    def renew():
        kind._pid = None
        kind._inc = int.from_bytes(urandom(3))

    if hasattr(kind, "_pid") and hasattr(kind, "_inc"):
        yield renew


LIBRARIES = {
    "bson.objectid": of_bson,
    "uuid": of_uuid,
    "tempfile": of_tempfile,
    "multiprocessing.process": of_multiprocessing,
    "_sqlite3": of_sqlite,
    "_ssl": of_ssl,
    "numpy.random.mtrand": of_numpy,
    "cryptography.hazmat.bindings._rust": of_cryptography,
}
