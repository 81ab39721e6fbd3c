"""A process that is parked before it knows its function, and what makes it that function's in a fork.

It imports what most functions will ask for. Nothing here depends on a function, and what the interpreter
reads from the environment once, at its start, is applied here as far as that is possible: docs/templates.md
says which variables it is not, so that such a function does not come to a zygote.
"""

# First, for what it notes.
from _pilotlight_modules import give_way

import gc
import io
import os
import sys
import time
import warnings
from __main__ import set_variable, take_variable, user_folders

import _pilotlight_logging
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
    rehearse(settings)
    gc.collect()
    gc.freeze()
    assignment = api.park(api.ASSIGNMENT)
    assign(assignment["env"], assignment["cwd"])
    settings.read_environment()
    give_way(user_folders(settings, sys.path[:-3]))


def assign(env, cwd):
    """Makes the process what it would be, had it been started with that environment and in that folder."""
    os.chdir(cwd)
    replace_environment(env)
    take_variable(b"_PILOTLIGHT_RUNTIME_FD")  # the connection that is in use stays
    sys.path[:0] = [os.path.abspath(entry) for entry in split("PYTHONPATH", ":")]
    apply_interpreter_variables()
    _pilotlight_random.renew_shared()
    # Log records count their milliseconds from here.
    sys.modules["logging"]._startTime = time.time()


def replace_environment(env):
    """The whole environment, for Python and for C; a variable that stays is not touched."""
    env = {os.fsencode(name): os.fsencode(value) for name, value in env.items()}
    zone = os.environb.get(b"TZ")
    for name in os.environb.keys() - env.keys():
        take_variable(name)
    for name, value in env.items():
        if os.environb.get(name) != value:
            set_variable(name, value)
    if env.get(b"TZ") != zone:
        time.tzset()


def split(name, separator):
    value = os.environ.get(name)
    return value.split(separator) if value else []


def apply_interpreter_variables():
    """What an interpreter would have read at its start, and still can."""
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.dont_write_bytecode = True
    if options := split("PYTHONWARNINGS", ","):
        sys.warnoptions[:] = options
        warnings._processoptions(options)
    if os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout = sys.__stdout__ = unbuffered(sys.stdout)
        sys.stderr = sys.__stderr__ = unbuffered(sys.stderr)


def unbuffered(stream):
    return io.TextIOWrapper(
        io.FileIO(stream.fileno(), "wb", closefd=False),
        stream.encoding,
        stream.errors,
        newline="\n",
        write_through=True,
    )
