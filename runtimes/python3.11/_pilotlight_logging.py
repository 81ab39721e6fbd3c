"""Lambda's log formats for Python's `logging`; imported only by functions that use it.

Source: "Log and monitor Python Lambda functions" of the AWS Lambda developer guide.
"""

import logging
import sys
import time

# What `logging` itself puts on a record; anything else came in by `extra`.
OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"aws_request_id", "message", "asctime"}


def install(request_id):
    """Gives the root logger a handler that writes Lambda's text format to standard output."""
    logging.Formatter.converter = time.gmtime
    handler = StandardOutput()
    handler.setFormatter(TextFormatter())
    handler.addFilter(RequestId(request_id))
    logging.getLogger().addHandler(handler)
    return handler


class StandardOutput(logging.Handler):
    """Writes to whatever `sys.stdout` is at that moment, a record at a time."""

    def configure(self, settings):
        """Does what the function's settings say."""
        if settings.json_logs:
            self.setFormatter(JsonFormatter())
        level = "DEBUG" if settings.log_level == "TRACE" else settings.log_level
        if level in logging._nameToLevel:
            logging.getLogger().setLevel(level)

    def emit(self, record):
        try:
            sys.stdout.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


class RequestId(logging.Filter):
    """Puts the running invocation's id on every record."""

    def __init__(self, request_id):
        super().__init__()
        self.request_id = request_id

    def filter(self, record):
        record.aws_request_id = self.request_id()
        return True


class TextFormatter(logging.Formatter):
    """`[LEVEL]<tab>time<tab>request id<tab>message`."""

    def __init__(self):
        super().__init__(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )


class JsonFormatter(logging.Formatter):
    """One JSON object to a record, with what was given as `extra` beside Lambda's own members."""

    def __init__(self):
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")

    def format(self, record):
        import json

        whole = isinstance(record.msg, dict) and not record.args
        fields = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.msg if whole else record.getMessage(),
            "logger": record.name,
            **self.exception(record),
            "requestId": record.aws_request_id,
        }
        for name, value in vars(record).items():
            if name not in OWN_FIELDS:
                fields.setdefault(name, value)
        fields = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(fields, ensure_ascii=False, default=str)

    @staticmethod
    def exception(record):
        if not record.exc_info:
            return {}
        import traceback

        kind, error, trace = record.exc_info
        return {
            "stackTrace": traceback.format_tb(trace),
            "errorType": kind.__name__ if kind else None,
            "errorMessage": str(error),
            "location": f"{record.pathname}:{record.funcName}:{record.lineno}",
        }
