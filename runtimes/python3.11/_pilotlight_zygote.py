"""A process that is parked before it knows its function, and what makes it that function's in a fork.

It imports what most functions will ask for. Nothing here depends on a function, and what the interpreter
reads from the environment once, at its start, is applied here as far as that is possible: docs/templates.md
says which variables it is not, so that such a function does not come to a zygote.
"""

# First, for what it notes.
from _pilotlight_modules import give_way, not_ordinary

import gc
import io
import os
import posix
import sys
import time
import warnings
from __main__ import install_logging, set_variable, take_variable, user_folders

import _pilotlight_random
import _pilotlight_template
from _pilotlight_rehearsal import rehearse

# What most functions import, and what the bootstrap does to tell of an error. Chosen by what it costs: a
# fork's time follows the zygote's memory, about 80 microseconds for each MiB, whatever the function uses.
# These take 4 MiB; `http`, `ssl`, `asyncio` and what belongs to them would be 8 more. And as long as
# OpenSSL is not loaded, it cannot have read another function's OPENSSL_CONF, nor seeded itself.
PRELOADED = (
    "base64",
    "collections.abc",
    "contextlib",
    "copy",
    "datetime",
    "decimal",
    "functools",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "random",
    "re",
    "threading",
    "traceback",
    "types",
    "typing",
    "uuid",
)


def wait_for_assignment(api, settings):
    """Parks the process. In a fork, returns once it is the process of the function that it is to serve."""
    for name in PRELOADED:
        __import__(name)
    sys.modules["platform"]._uname_cache = None  # has the zygote's host name
    logging, log = sys.modules["logging"], install_logging(settings)
    rehearse(settings)
    preloaded = not_ordinary()
    gc.collect()
    gc.freeze()
    # From here on it is a start that takes the time: most of it for memory that is written for the first
    # time since the fork, be it by a look at an object.
    assignment = api.park(api.ASSIGNMENT)
    assign(assignment["env"], assignment["cwd"])
    settings.read_environment()
    give_way(preloaded, user_folders(settings, sys.path[:-3]))
    log.configure(settings)
    # Log records count their milliseconds from here.
    logging._startTime = time.time()


def assign(env, cwd):
    """Makes the process what it would be, had it been started with that environment and in that folder."""
    posix.chdir(cwd)
    zone = posix.environ.get(b"TZ")
    replace_environment(env)
    take_variable(b"_PILOTLIGHT_RUNTIME_FD")  # the connection that is in use stays
    if posix.environ.get(b"TZ") != zone:
        time.tzset()
    if python_path := env.get("PYTHONPATH"):
        sys.path[:0] = [os.path.abspath(entry) for entry in python_path.split(":")]
    apply_interpreter_variables(env)
    _pilotlight_random.renew_shared()


def replace_environment(env):
    """The whole environment, for Python and for C; a variable that stays is not touched."""
    wanted = {name.encode(): value.encode() for name, value in env.items()}
    for name in [name for name in posix.environ if name not in wanted]:
        take_variable(name)
    for name, value in wanted.items():
        if posix.environ.get(name) != value:
            set_variable(name, value)


def apply_interpreter_variables(env):
    """What an interpreter would have read at its start, and still can."""
    if env.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    if options := env.get("PYTHONWARNINGS"):
        sys.warnoptions[:] = options.split(",")
        warnings._processoptions(sys.warnoptions)
    if env.get("PYTHONUNBUFFERED"):
        sys.stdout = sys.__stdout__ = unbuffered(sys.stdout)
        sys.stderr = sys.__stderr__ = unbuffered(sys.stderr)


def unbuffered(stream):
    return io.TextIOWrapper(
        io.FileIO(stream.fileno(), "wb", closefd=False),
        stream.encoding,
        stream.errors,
        newline="\n",
        line_buffering=True,
        write_through=True,
    )
