"""The warm-up that a function asks for: its handler is called before the process is parked, with a marked event.

What the handler loads, computes and touches then is in the template, and in no request's time.
"""

import sys
import time
from __main__ import Failure, RuntimeApi, parse_json, serve, write_line

VARIABLE = "PILOTLIGHT_WARM_UP_EVENT"
ROUNDS = 3
REQUEST_ID = b"00000000-0000-0000-0000-000000000000"
# As long as an init may take.
TIME_MS = 10_000


class Audience(RuntimeApi):
    """A Runtime API that gives the event, and throws the answer away."""

    def __init__(self, event, settings):
        self.event = event
        self.arn = f"arn:aws:lambda:{settings.region}:000000000000:function:{settings.function_name}".encode()
        self.failed = False

    def receive(self):
        return {
            b"lambda-runtime-aws-request-id": REQUEST_ID,
            b"lambda-runtime-deadline-ms": b"%d" % (time.time() * 1000 + TIME_MS),
            b"lambda-runtime-invoked-function-arn": self.arn,
            b"lambda-runtime-client-context": b'{"custom": {"pilotlight-warm-up": "true"}}',
        }, self.event

    def respond(self, request_id, answer, content_type):
        pass

    def fail(self, request_id, failure):
        self.failed = True


def warm_up(event, handler, settings):
    """Calls the handler some times, or until it fails: a warm-up that fails is told, and nothing else."""
    try:
        parse_json(event.decode())
    except ValueError:
        write_line(f"{VARIABLE} is not JSON: there is no warm-up")
        return
    audience = Audience(event, settings)
    for _ in range(ROUNDS):
        try:
            serve(audience, handler, settings)
        except BaseException as error:  # an exit, too, is only the warm-up's
            Failure(error, REQUEST_ID.decode()).log(settings)
            audience.failed = True
        if audience.failed:
            write_line(f"The error above is of the warm-up by {VARIABLE}, which ends here")
            break
    sys.modules["__main__"].current_request = ""
