/**
 * The warm-up that a function asks for: its handler is called before the process is parked, with a marked event.
 * What the handler loads, computes and compiles then is in the template, and in no request's time.
 */
'use strict';

const VARIABLE = 'PILOTLIGHT_WARM_UP_EVENT';
const ROUNDS = 3;
const REQUEST_ID = '00000000-0000-0000-0000-000000000000';
/** As long as an init may take. */
const TIME_MS = 10_000;

/** Calls the handler some times, or until it fails: a warm-up that fails is told, and nothing else. */
async function warmUp(runtime, timing) {
  const event = process.env[VARIABLE];
  try {
    JSON.parse(event);
  } catch {
    console.error(`${VARIABLE} is not JSON: there is no warm-up`);
    return;
  }
  const { api, logError, failStart } = runtime;
  let failed = false;
  runtime.logError = (title, error) => {
    failed = true;
    logError(title, error);
    console.error(`The error above is of the warm-up by ${VARIABLE}, which ends here`);
  };
  for (let round = 0; round < ROUNDS && !failed; round += 1) {
    await new Promise((resolve) => {
      // By a turn of the event loop: it may have nothing else to do, and would be over.
      runtime.api = new Audience(api, timing, () => setImmediate(resolve));
      // A handler that calls back, and waits until nothing is left to do, is asked as in an invocation.
      runtime.initialised = true;
      runtime.serve(marked(runtime.settings), event);
    });
  }
  Object.assign(runtime, { api, logError, failStart, current: null, idle() {}, initialised: false });
}

function marked({ functionName }) {
  return {
    'lambda-runtime-aws-request-id': REQUEST_ID,
    'lambda-runtime-deadline-ms': String(Date.now() + TIME_MS),
    'lambda-runtime-invoked-function-arn': `arn:aws:lambda:${process.env.AWS_REGION}:000000000000:function:${functionName}`,
    'lambda-runtime-client-context': '{"custom":{"pilotlight-warm-up":"true"}}',
  };
}

/** Stands in for the Runtime API: throws the answer away, and says that it is whole. */
class Audience {
  constructor(api, timing, answered) {
    this.respond = answered;
    this.fail = answered;
    this.next = answered;
    // What nobody catches ends the process, as it does anywhere in the init.
    this.abort = (_id, failure, told) => api.failInit(failure, undefined, timing(), told);
  }

  stream() {}

  chunk(_bytes, sent) {
    process.nextTick(sent);
  }

  endStream() {}

  told(told) {
    told();
  }
}

module.exports = { warmUp };
