#!/usr/bin/env bash
# First light: a function deployed with the AWS CLI runs from zero, and shows where its time went.
# With --stay the platform stays up afterwards. Run by `make demo` and `make up`, as root.
set -euo pipefail
cd "$(dirname "$0")/.."

STAY=${1:-}
DEMO=$PWD/.demo
PILOT=$PWD/target/debug/pilot
AWS=$PWD/.venv/bin/aws
FUNCTION=word-stats
PID=

say() { printf '\n\033[1m== %s\033[0m\n' "$*" >&2; }

# Whatever happens, the platform that was started here ends.
stop() { if [ -n "$PID" ]; then kill -TERM "$PID" 2>/dev/null || true; wait "$PID" || true; fi; }
trap stop EXIT

mkdir -p "$DEMO"
rm -f "$DEMO/url"
LISTEN=127.0.0.1:0
if [ "$STAY" = --stay ]; then LISTEN=127.0.0.1:9000; fi

say "pilot up (runtime images are built the first time)"
"$PILOT" up --listen "$LISTEN" --data-dir "$DEMO/data" --ready-file "$DEMO/url" &
PID=$!
until [ -s "$DEMO/url" ]; do
    kill -0 "$PID" 2>/dev/null || { PID=; echo "the platform did not start" >&2; exit 1; }
    sleep 0.05
done
export AWS_ENDPOINT_URL PILOTLIGHT_ENDPOINT AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo
export AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=
AWS_ENDPOINT_URL=$(cat "$DEMO/url")
PILOTLIGHT_ENDPOINT=$AWS_ENDPOINT_URL

say "deploy examples/$FUNCTION with the AWS CLI"
rm -f "$DEMO/function.zip"
(cd "examples/$FUNCTION" && "$PWD/../../.venv/bin/python" -m zipfile -c "$DEMO/function.zip" ./*.py)
if "$AWS" lambda get-function --function-name "$FUNCTION" >/dev/null 2>&1; then
    "$AWS" lambda delete-function --function-name "$FUNCTION"
fi
"$AWS" lambda create-function --function-name "$FUNCTION" --runtime python3.11 \
    --handler lambda_function.lambda_handler --zip-file "fileb://$DEMO/function.zip" \
    --role arn:aws:iam::123456789012:role/demo --memory-size 512 --timeout 10 \
    --query '{Function: FunctionArn, Code: CodeSha256, State: State}' --output table
"$AWS" lambda wait function-active-v2 --function-name "$FUNCTION"

cat >"$DEMO/event.json" <<EVENT
{"text": "A pilot light is the small flame that never goes out, so that the big one lights at once."}
EVENT
for start in cold warm; do
    say "invoke it ($start)"
    "$AWS" lambda invoke --function-name "$FUNCTION" --payload "fileb://$DEMO/event.json" \
        "$DEMO/$start.json" >"$DEMO/$start.meta"
    if grep -q FunctionError "$DEMO/$start.meta"; then cat "$DEMO/$start.json"; exit 1; fi
    cat "$DEMO/$start.json"
    echo
done

say "where the time of the cold start went"
"$PILOT" starts "$FUNCTION"

if [ "$STAY" = --stay ]; then
    cat >&2 <<TRY

The platform stays up at $AWS_ENDPOINT_URL; Ctrl-C stops it. Try in another terminal:

  export AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_DEFAULT_REGION=us-east-1
  .venv/bin/aws lambda invoke --function-name $FUNCTION --payload fileb://.demo/event.json /dev/stdout
  target/debug/pilot invoke $FUNCTION --payload '{"text": "hello"}' --cold --waterfall
  target/debug/pilot deploy YOUR-FOLDER
  target/debug/pilot logs -f $FUNCTION

TRY
    # Ctrl-C reaches the platform itself as well; what it ends with is what we end with.
    trap : INT
    until wait "$PID"; do kill -0 "$PID" 2>/dev/null || break; done
    PID=
    exit 0
fi

say "stop (SIGTERM)"
kill -TERM "$PID"
STATUS=0
wait "$PID" || STATUS=$?
PID=
echo "pilot up ended with $STATUS" >&2
exit "$STATUS"
