"""Extensions that tests put into layers."""

# As the page for users has it, with a line for each event.
PYTHON = '''#!/usr/bin/python3.11
import json, os, urllib.request

API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension"
NAME = os.path.basename(__file__)

def call(path, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{API}/{path}", body and json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request)

answer = call("register", {"events": ["INVOKE", "SHUTDOWN"]}, Lambda_Extension_Name=NAME,
              Lambda_Extension_Accept_Feature="accountId")
identifier, told = answer.headers["Lambda-Extension-Identifier"], json.load(answer)
print(NAME, "registered", json.dumps(told, sort_keys=True), os.environ.get("COLOUR"), flush=True)
'''

FOLLOW = PYTHON + '''
while True:
    event = json.load(call("event/next", Lambda_Extension_Identifier=identifier))
    what = event.get("requestId") or event["shutdownReason"]
    print(NAME, event["eventType"], what, flush=True)
    if event["eventType"] == "SHUTDOWN":
        break
'''

# Calls a function before it registers, and beside every request.
CALLS = PYTHON.replace("answer = call(", """
def invoke(event):
    url = f"{os.environ['AWS_ENDPOINT_URL_LAMBDA']}/2015-03-31/functions/{os.environ['CALLED']}/invocations"
    return urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode())).read().decode()
print(NAME, "called", invoke("before"), flush=True)

answer = call(""", 1) + '''
while True:
    event = json.load(call("event/next", Lambda_Extension_Identifier=identifier))
    print(NAME, "called", invoke(event["requestId"]), flush=True)
'''

# Speaks HTTP with nothing but bash.
BASH = r'''#!/bin/bash
api() {
    exec 5<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API%:*}/${AWS_LAMBDA_RUNTIME_API#*:}"
    printf '%s /2020-01-01/extension/%s HTTP/1.1\r\nHost: api\r\n%s\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" "$2" "$3" "${#4}" "$4" >&5
    length=0
    while IFS=$'\r' read -r line _ <&5 && [ -n "$line" ]; do
        case "${line,,}" in
            lambda-extension-identifier:*) id=${line#*: } ;;
            content-length:*) length=${line#*: } ;;
        esac
    done
    head -c "$length" <&5
    exec 5>&-
}
api POST register "Lambda-Extension-Name: ${0##*/}" '{"events":["INVOKE"]}' >/dev/null
while event=$(api GET event/next "Lambda-Extension-Identifier: $id" ''); [ -n "$event" ]; do
    echo "bash heard $event"
done
'''

# Follows AWS's sample: it listens first, subscribes, and for each request waits for the telemetry of its end.
LISTEN = PYTHON + '''
import http.server, queue, threading
heard = queue.Queue()
class Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        for told in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            heard.put(told)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
listener = http.server.ThreadingHTTPServer(("sandbox.localdomain", 4243), Listener)
threading.Thread(target=listener.serve_forever, daemon=True).start()
subscription = {
    "schemaVersion": "2022-12-13", "types": ["platform", "function"], "buffering": {"timeoutMs": 25},
    "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:4243"},
}
request = urllib.request.Request(f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2022-07-01/telemetry",
                                 json.dumps(subscription).encode(), {"Lambda-Extension-Identifier": identifier}, method="PUT")
assert urllib.request.urlopen(request).status == 200
while True:
    event = json.load(call("event/next", Lambda_Extension_Identifier=identifier))
    if event["eventType"] == "SHUTDOWN":
        break
    told = []
    while not told or told[-1]["type"] != "platform.runtimeDone":
        told.append(heard.get(timeout=10))
    print(NAME, "heard", json.dumps(told), flush=True)
'''
