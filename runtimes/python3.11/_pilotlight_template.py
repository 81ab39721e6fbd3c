"""Parks the process after the user's init, and makes each of its forks an instance of its own.

The order is that of Lambda's snapshots: hooks, last registered first; `restore/next`, where the process is
frozen and forked; hooks, first registered first. Source: "Lambda SnapStart runtime hooks for Python".
"""

# First, for what it notes.
from _pilotlight_modules import give_way, not_ordinary

import gc
import posix
import sys
from __main__ import Failure, flush, helper, set_variable, timing
from time import monotonic_ns

import _pilotlight_random
from _pilotlight_rehearsal import rehearse, rehearse_spare

WARM_UP_EVENT = b"PILOTLIGHT_WARM_UP_EVENT"
# Exit codes as of AWS's own runtime.
BEFORE_SNAPSHOT_FAILED = 64
AFTER_RESTORE_FAILED = 65


class Template:
    """Made before the user's init, which it watches."""

    def __init__(self, api, settings):
        self.api = api
        self.settings = settings
        self.generators = _pilotlight_random.Generators()
        # Behind these come the runtime's own folder and the standard library.
        give_way(not_ordinary(), sys.path[:-4])

    def park(self, ready, handler):
        """Returns in a fork, which has then asked for its first event."""
        self.handler = handler
        try:
            run_before_snapshot()
        except BaseException as error:
            failure = self.tell(error, "Runtime.BeforeSnapshotError")
            self.api.fail_init(failure, timing(ready))
            sys.exit(BEFORE_SNAPSHOT_FAILED)
        event = posix.environ.get(WARM_UP_EVENT)
        if event is not None:
            helper("_pilotlight_warm_up", self.settings).warm_up(event, handler, self.settings)
        times = timing(ready)
        self.generators.close()
        _pilotlight_random.warm_openssl()
        rehearse(self.settings)
        flush()
        gc.collect()
        gc.freeze()
        self.restore(self.api.park(self.api.RESTORE, times))

    def restore(self, answer):
        """On the path of a start, but for a spare's: what is here is what such a start costs."""
        if env := answer.get("env"):
            for name, value in env.items():
                set_variable(name.encode(), value.encode())
            # Of the settings, the only one that is an instance's own.
            stream = env.get("AWS_LAMBDA_LOG_STREAM_NAME")
            self.settings.log_stream_name = stream or self.settings.log_stream_name
        self.generators.renew()
        try:
            run_after_restore()
        except BaseException as error:
            self.api.fail_restore(self.tell(error, "Runtime.AfterRestoreError"))
            sys.exit(AFTER_RESTORE_FAILED)
        done = monotonic_ns()
        if answer.get("spare"):
            # Nobody waits: what a request writes to first is copied now.
            rehearse_spare(self.settings, self.handler)
        self.api.ask(b"Pilotlight-Restore-Done: %d\r\n" % done)

    def tell(self, error, error_type):
        """Logs an error under its own name; the platform gets it under that of the phase."""
        failure = Failure(error, "")
        failure.log(self.settings)
        failure.error_type = error_type
        return failure


def hooks():
    """The module that the function registered with: ours, or the package that it brought along."""
    return sys.modules.get("snapshot_restore_py")


def run_before_snapshot():
    if hooks() is not None:
        registered = hooks().get_before_snapshot()
        while registered:  # one may register another
            func, args, kwargs = registered.pop()
            func(*args, **kwargs)


def run_after_restore():
    if hooks() is not None:
        for func, args, kwargs in hooks().get_after_restore():
            func(*args, **kwargs)
