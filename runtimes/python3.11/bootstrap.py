"""Pilotlight's Python runtime: takes events from the Lambda Runtime API and calls the handler.

Behaves as AWS's own runtime does (handler lookup, context, error objects, log format). It starts faster
because it imports almost nothing, not even `os`: only modules that are built into the interpreter, and
`_json`. What is seldom needed (log formats, tracebacks) is imported when it is.

The Runtime API is HTTP/1.1 over a connected socket that the process inherits: `_PILOTLIGHT_RUNTIME_FD`.
"""

import builtins
import gc
import posix
import sys
from time import monotonic_ns, time

import _json

# The largest header is the client context, of at most 3,583 bytes.
MAX_HEAD = 64 * 1024
# While modules load, few objects die: to collect as often as usual would only cost time.
INIT_GC_THRESHOLD = (100_000, 50, 100)

# Id of the running invocation, for log records.
current_request = ""


def main():
    """Runs the function until the platform hangs up."""
    wrapper = take_variable(b"AWS_LAMBDA_EXEC_WRAPPER")
    if wrapper:
        run_wrapper(wrapper)
    api = RuntimeApi(int(take_variable(b"_PILOTLIGHT_RUNTIME_FD")))
    try:
        settings = Settings()
        prepare_interpreter()
        if take_variable(b"_PILOTLIGHT_ZYGOTE"):
            helper("_pilotlight_zygote", settings).wait_for_assignment(api, settings)
        else:
            sys.meta_path.insert(0, LoggingHook(settings))
        set_module_path(settings)
        handler = init(api, settings)
        while True:
            serve(api, handler, settings)
    except ConnectionError:
        pass  # the platform has no more use for this process


def run_wrapper(wrapper):
    """Becomes the user's wrapper, which is to run the interpreter; ends as a shell does where it cannot."""
    try:
        posix.execv(wrapper, [wrapper, sys.executable, *sys.orig_argv[1:]])
    except OSError as error:
        write_line(f"{wrapper.decode(errors='replace')}: {error.strerror}")
        sys.exit(126 if isinstance(error, PermissionError) else 127)


def init(api, settings):
    """Runs the user's code outside the handler, tells how long that took, and asks for the first event."""
    template = None
    if settings.is_template:
        template = helper("_pilotlight_template", settings).Template(api, settings)
    ready = monotonic_ns()
    usual = gc.get_threshold()
    gc.set_threshold(*INIT_GC_THRESHOLD)
    try:
        handler = find_handler(settings.handler)
    except Exception as error:
        failure = Failure(error, "")
        failure.log(settings)
        api.fail_init(failure, timing(ready))
        sys.exit(1)
    if gc.get_threshold() == INIT_GC_THRESHOLD:
        gc.set_threshold(*usual)
    if template is not None:
        template.park(ready, handler)
    else:
        flush()
        api.ask(timing(ready))
    return handler


def timing(ready):
    """Headers that part the platform's preparation from the user's; readings of CLOCK_MONOTONIC."""
    return b"Pilotlight-Runtime-Ready: %d\r\nPilotlight-User-Init-Done: %d\r\n" % (
        ready,
        monotonic_ns(),
    )


def serve(api, handler, settings):
    """One invocation. What the handler raises becomes its answer, except what is meant to end a process."""
    global current_request
    request, body = api.receive()
    current_request = request_id = request[b"lambda-runtime-aws-request-id"].decode()
    set_trace_id(request.get(b"lambda-runtime-trace-id"))
    failure = None
    try:
        context = LambdaContext(request, settings)
        answer, content_type = marshal(handler(event(request, body), context))
    except Exception as error:
        failure = Failure(error, request_id)
        failure.log(settings)
    flush()
    if failure is None:
        api.respond(request_id, answer, content_type)
    else:
        api.fail(request_id, failure)


# --- The interpreter as user code expects it --------------------------------------------------------


class Settings:
    """What the environment says, read once and without `os`, whose import is left to user code."""

    def __init__(self):
        self.read_environment()

    def read_environment(self):
        """Reads it anew, for whoever holds these settings already."""

        def read(name, default=None):
            value = posix.environ.get(name)
            return default if value is None else value.decode("utf-8", "surrogateescape")

        self.handler = read(b"_HANDLER", "")
        self.task_root = read(b"LAMBDA_TASK_ROOT", "/var/task")
        self.runtime_dir = read(b"LAMBDA_RUNTIME_DIR", "/var/runtime")
        self.region = read(b"AWS_REGION")
        self.function_name = read(b"AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = read(b"AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = read(b"AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = read(b"AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = read(b"AWS_LAMBDA_LOG_STREAM_NAME")
        self.json_logs = read(b"AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
        self.log_level = read(b"AWS_LAMBDA_LOG_LEVEL", "").upper()
        self.is_template = read(b"AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def take_variable(name):
    """Removes a variable from the environment that `os` will be made from, and returns it."""
    value = posix.environ.pop(name, None)
    if value is not None:
        posix.unsetenv(name)
    return value


def set_variable(name, value):
    """Sets a variable. `os.environ` is a view of the dictionary set here; child processes get C's."""
    posix.environ[name] = value
    posix.putenv(name, value)


def set_trace_id(value):
    """`_X_AMZN_TRACE_ID` belongs to one invocation."""
    if value is None:
        take_variable(b"_X_AMZN_TRACE_ID")
    else:
        set_variable(b"_X_AMZN_TRACE_ID", value)


def prepare_interpreter():
    """The builtins that `site` would make, and output line by line."""
    from _sitebuiltins import Quitter, _Helper

    builtins.exit = Quitter("exit", "Ctrl-D (i.e. EOF)")
    builtins.quit = Quitter("quit", "Ctrl-D (i.e. EOF)")
    builtins.help = _Helper()

    sys.stdout.reconfigure(line_buffering=True)
    sys.stderr.reconfigure(line_buffering=True)


def set_module_path(settings):
    """Function and layers first, then the runtime."""
    # The last three entries are the standard library; what stands before them came from PYTHONPATH.
    python_path, stdlib = sys.path[:-3], sys.path[-3:]
    sys.path[:] = [*user_folders(settings, python_path), settings.runtime_dir, *stdlib]


def user_folders(settings, python_path):
    """Where the modules of a function and its layers are looked for, first of all."""
    return [
        settings.task_root,
        *python_path,
        "/opt/python/lib/python%d.%d/site-packages" % sys.version_info[:2],
        "/opt/python",
    ]


def install_logging(settings):
    """The root logger's new handler, with Lambda's text format."""
    return helper("_pilotlight_logging", settings).install(lambda: current_request)


def helper(name, settings):
    """A part of the runtime that an ordinary start has no need of. What it imports is not the function's."""
    path = sys.path[:]
    sys.path[:] = [*path[-3:], settings.runtime_dir]
    try:
        return __import__(name)
    finally:
        sys.path[:] = path


class LoggingHook:
    """Gives the root logger Lambda's handler at the moment when `logging` is first imported, if ever."""

    def __init__(self, settings):
        self.settings = settings

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        from _frozen_importlib_external import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.origin.startswith(sys._stdlib_dir):
            loader = spec.loader
            load = loader.exec_module

            def load_and_configure(module):
                load(module)
                del loader.exec_module
                install_logging(self.settings).configure(self.settings)

            loader.exec_module = load_and_configure
        return spec


def flush():
    """What was written before an answer comes out before it, even half a line."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass  # the function closed or replaced it


# --- Finding the handler ----------------------------------------------------------------------------


class Fault(Exception):
    """An error that the runtime itself finds, with Lambda's name for it."""

    def __init__(self, error_type, message, trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.trace = list(trace)


def find_handler(handler):
    """The function that `path/module.function` names. Source: "Define Lambda function handler in Python"."""
    try:
        module_name, function_name = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {error}") from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {module_name} as a handler module",
        )
    dotted = module_name.replace("/", ".")
    try:
        __import__(dotted)
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from None
    except SyntaxError as error:
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            f"Syntax error in module '{module_name}': {error}",
            [f'  File "{error.filename}" Line {error.lineno}\n    {error.text}'],
        ) from None
    try:
        return getattr(sys.modules[dotted], function_name)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        ) from None


# --- Events and answers -----------------------------------------------------------------------------


class JsonOptions:
    """What the interpreter's JSON scanner asks for; the same as `json.loads` without arguments."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {
        "-Infinity": float("-inf"),
        "Infinity": float("inf"),
        "NaN": float("nan"),
    }.__getitem__


scan_json = _json.make_scanner(JsonOptions)


def event(request, body):
    """The event as the handler gets it: decoded JSON, or the bytes if it is declared to be anything else."""
    if request.get(b"content-type", b"application/json") != b"application/json":
        return body
    try:
        return parse_json(body.decode())
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from None


def parse_json(text):
    """`json.loads`, without its imports unless the text is wrong and the error needs words."""
    try:
        stripped = text.strip(" \t\n\r")
        value, end = scan_json(stripped, 0)
        if end == len(stripped):
            return value
    except Exception:
        pass  # without `json.decoder` the scanner fails without a word
    import json

    return json.loads(text)


def marshal(answer):
    """The answer's bytes and content type, encoded as AWS's Python 3.11 runtime does."""
    if isinstance(answer, bytes):
        return answer, b"application/unknown"
    try:
        return to_json(answer), b"application/json"
    except Exception as error:
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {error}") from None


def to_json(value):
    """JSON in ASCII. Beyond `json.dumps`: Decimal as a number, bytes as text, a named tuple as an object."""
    if has_named_tuples():
        value = without_named_tuples(value)
    try:
        return encode_json(value, encode_text, refuse_decimals)
    except DecimalFound:
        # A number that is no float can only pass the interpreter's encoder as a string of a kind of its
        # own, and strings are much slower to encode through a function: hence the second attempt.
        return encode_json(value, encode_text_or_number, accept_decimals)


def encode_json(value, text_encoder, default):
    encoder = _json.make_encoder({}, default, text_encoder, None, ": ", ", ", False, False, True)
    return "".join(encoder(value, 0)).encode()


encode_text = _json.encode_basestring_ascii


class DecimalFound(Exception):
    """A value needs the slower encoder."""


class NumberText(str):
    """A number in its JSON form."""


def encode_text_or_number(value):
    return str(value) if type(value) is NumberText else encode_text(value)


def refuse_decimals(value):
    decimal = sys.modules.get("decimal")
    if decimal is not None and isinstance(value, decimal.Decimal):
        raise DecimalFound
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def accept_decimals(value):
    try:
        return refuse_decimals(value)
    except DecimalFound:
        return float("nan") if value.is_nan() else NumberText(value)


known_tuple_types = 0
named_tuple_types = False


def has_named_tuples():
    """Whether code outside the standard library has named tuples; only then is an answer searched for them."""
    global known_tuple_types, named_tuple_types
    types = tuple.__subclasses__()
    if len(types) != known_tuple_types:
        known_tuple_types = len(types)
        named_tuple_types = any(
            hasattr(kind, "_asdict") and kind.__module__.split(".")[0] not in sys.stdlib_module_names
            for kind in types
        )
    return named_tuple_types


def without_named_tuples(value):
    if isinstance(value, dict):
        return {key: without_named_tuples(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        if hasattr(value, "_asdict"):
            return without_named_tuples(value._asdict())
        return [without_named_tuples(item) for item in value]
    return value


# --- Errors -----------------------------------------------------------------------------------------


class Failure:
    """An error as the caller and the log get it."""

    def __init__(self, error, request_id):
        if isinstance(error, Fault):
            self.error_type, trace = error.error_type, error.trace
        else:
            self.error_type, trace = type(error).__name__, stack_trace(error)
        try:
            message = str(error)
        except Exception:
            message = f"<unprintable {self.error_type} object>"
        self.fields = {
            "errorMessage": message,
            "errorType": self.error_type,
            "requestId": request_id,
            "stackTrace": trace,
        }

    def log(self, settings):
        """One line of JSON, or Lambda's own text."""
        if settings.json_logs:
            from time import gmtime, strftime

            stamp = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime())
            line = to_json({"timestamp": stamp, "level": "ERROR", **self.fields}).decode()
        else:
            message = self.fields["errorMessage"]
            line = f"[ERROR] {self.error_type}: {message}" if message else f"[ERROR] {self.error_type}"
            line += "\nTraceback (most recent call last):\n" + "".join(self.fields["stackTrace"])
        write_line(line)


def stack_trace(error):
    """The frames of user code, formatted as `traceback` does."""
    import traceback

    trace = error.__traceback__
    while trace is not None and is_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    frames = traceback.extract_tb(trace)
    # Of plain tuples no columns are known, so that no markers are drawn: as on Lambda.
    return traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])


def is_own(filename):
    folder = main.__code__.co_filename.rpartition("/")[0]
    return filename.startswith((folder + "/", "<frozen importlib"))


def write_line(line):
    """To standard output, as Lambda's own lines; a closed or replaced one must not end the process."""
    try:
        sys.stdout.write(line if line.endswith("\n") else line + "\n")
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        pass


# --- The context object -----------------------------------------------------------------------------


class Record:
    """Named members that may be absent, as AWS's context objects have them."""

    __slots__ = ()

    def __init__(self, members):
        for name in self.__slots__:
            setattr(self, name, members.get(name))

    def __repr__(self):
        members = ",".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"{type(self).__name__}([{members}])"


class CognitoIdentity(Record):
    """The mobile user who called."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Record):
    """The mobile application that called."""

    __slots__ = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(Record):
    """What the caller said in `X-Amz-Client-Context`."""

    __slots__ = ("custom", "env", "client")

    def __init__(self, members):
        super().__init__(members)
        if self.client is not None:
            self.client = Client(self.client)


class LambdaContext:
    """The second argument of a handler. Source: "Using the Lambda context object in Python"."""

    def __init__(self, request, settings):
        self.aws_request_id = request[b"lambda-runtime-aws-request-id"].decode()
        self.log_group_name = settings.log_group_name
        self.log_stream_name = settings.log_stream_name
        self.function_name = settings.function_name
        self.memory_limit_in_mb = settings.memory_limit_in_mb
        self.function_version = settings.function_version
        self.invoked_function_arn = header(request, b"lambda-runtime-invoked-function-arn")
        self.tenant_id = header(request, b"lambda-runtime-aws-tenant-id")
        client = header_json(request, b"lambda-runtime-client-context", "Client Context")
        self.client_context = None if client is None else ClientContext(client)
        identity = header_json(request, b"lambda-runtime-cognito-identity", "Cognito Identity") or {}
        self.identity = CognitoIdentity(
            {
                "cognito_identity_id": identity.get("cognitoIdentityId"),
                "cognito_identity_pool_id": identity.get("cognitoIdentityPoolId"),
            }
        )
        self._deadline_ms = int(request[b"lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        """Milliseconds until the invocation is timed out; never negative."""
        return max(0, self._deadline_ms - int(time() * 1000))

    def log(self, message):
        """Writes a line to the function's log as it is."""
        write_line(str(message))

    def __repr__(self):
        members = ",".join(f"{k}={v}" for k, v in self.__dict__.items() if not k.startswith("_"))
        return f"LambdaContext([{members}])"


def header(request, name):
    value = request.get(name)
    return None if value is None else value.decode("utf-8", "replace")


def header_json(request, name, title):
    value = request.get(name)
    if not value:
        return None
    try:
        return parse_json(value.decode())
    except Exception as error:
        raise Fault(
            "Runtime.LambdaContextUnmarshalError", f"Unable to parse {title} JSON: {error}"
        ) from None


# --- The Runtime API --------------------------------------------------------------------------------


class RuntimeApi:
    """The platform's end of the socket. Every method raises ConnectionError once it is gone."""

    BASE = b" /2018-06-01/runtime/"
    HOST = b" HTTP/1.1\r\nHost: runtime\r\n"
    NEXT = b"GET" + BASE + b"invocation/next" + HOST
    RESTORE = b"GET" + BASE + b"restore/next" + HOST
    ASSIGNMENT = b"GET /pilotlight/assignment" + HOST

    def __init__(self, fd):
        posix.set_inheritable(fd, False)
        posix.set_blocking(fd, True)
        self.fd = fd
        self.unread = b""

    def ask(self, headers):
        """Asks for an event."""
        self.write(self.NEXT + headers + b"\r\n")

    def receive(self):
        """Headers and body of the event that was asked for."""
        status, headers, body = self.read()
        if status != 200:
            raise ConnectionError(f"the platform gives no event: {status} {body!r}")
        return headers, body

    def park(self, request, headers=b""):
        """Asks what to become. The process is frozen and forked while it waits for the answer, its JSON."""
        self.write(request + headers + b"\r\n")
        _, body = self.receive()
        return parse_json(body.decode()) if body else {}

    def respond(self, request_id, answer, content_type):
        """Answers an invocation and asks for the next."""
        path = b"invocation/" + request_id.encode() + b"/response"
        self.post(path, b"Content-Type: " + content_type + b"\r\n", answer, self.NEXT + b"\r\n")

    def fail(self, request_id, failure):
        """Answers an invocation with an error and asks for the next."""
        path = b"invocation/" + request_id.encode() + b"/error"
        self.post(path, error_headers(failure), to_json(failure.fields), self.NEXT + b"\r\n")

    def fail_init(self, failure, headers):
        """Says that the function cannot start."""
        self.post(b"init/error", error_headers(failure) + headers, to_json(failure.fields), b"")

    def fail_restore(self, failure):
        """Says that a fork cannot go on."""
        self.post(b"restore/error", error_headers(failure), to_json(failure.fields), b"")

    def post(self, path, headers, body, then):
        """Posts, and sends the following request along: one wake-up of the platform instead of two."""
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        self.write(b"".join((b"POST", self.BASE, path, self.HOST, headers, length, body, then)))
        # An answer that is refused (too large, too late) has been dealt with by the platform.
        self.read()

    def write(self, data):
        sent = posix.write(self.fd, data)
        if sent < len(data):
            rest = memoryview(data)
            while sent < len(data):
                sent += posix.write(self.fd, rest[sent:])

    def read(self):
        """Status, headers (names in lower case) and body of the next answer."""
        data = self.unread
        while (end := data.find(b"\r\n\r\n")) < 0:
            if len(data) > MAX_HEAD:
                raise ConnectionError("the platform's answer has no end of headers")
            data += self.read_some()
        status, *lines = data[:end].split(b"\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        length = int(headers.get(b"content-length", b"0"))
        body, self.unread = data[end + 4 : end + 4 + length], data[end + 4 + length :]
        if len(body) < length:
            parts, missing = [body], length - len(body)
            while missing:
                parts.append(self.read_some(min(missing, 1 << 20)))
                missing -= len(parts[-1])
            body = b"".join(parts)
        return int(status[9:12]), headers, body

    def read_some(self, most=16 * 1024):
        data = posix.read(self.fd, most)
        if not data:
            raise ConnectionError("the platform has hung up")
        return data


def error_headers(failure):
    # A class may have any name; a header may not.
    name = "".join(c for c in failure.error_type if " " < c < "\x7f") or "Exception"
    return b"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %b\r\n" % (
        name.encode()
    )


if __name__ == "__main__":
    main()
