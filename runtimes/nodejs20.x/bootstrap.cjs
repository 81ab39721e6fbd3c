/**
 * Pilotlight's Node.js runtime: takes events from the Lambda Runtime API and calls the handler.
 *
 * Behaves as AWS's own runtime does (handler lookup, context, errors, log format, response streaming). The
 * Runtime API is HTTP/1.1 over a connected socket that the process inherits, `_PILOTLIGHT_RUNTIME_FD`: spoken
 * directly, without `http` and its agents. `.cjs`, so that Node looks for no `package.json` around it.
 */
'use strict';

const { fitHeap, takeBackFlags } = require('./heap.cjs');
takeBackFlags();
const { patchConsole, setRequest } = require('./console.cjs');
const { asText, describe, Fault } = require('./errors.cjs');
const { findHandler, provideAwslambda } = require('./handler.cjs');
const { Runtime } = require('./invocation.cjs');
const { RuntimeApi } = require('./runtime_api.cjs');
const { Connection } = require('./connection.cjs');

/** Exit statuses, as AWS's runtime has them. */
const UNSETTLED = 13, REJECTED = 128, UNCAUGHT = 129;

function main() {
  const api = new RuntimeApi();
  api.connection = new Connection(
    Number(takeVariable('_PILOTLIGHT_RUNTIME_FD')),
    (buffer, length) => api.received(buffer, length),
    () => process.exit(0), // the platform has no more use for this process
  );
  // `require.main` of user code; on Lambda there is none.
  process.mainModule = undefined;
  if (takeVariable('_PILOTLIGHT_ZYGOTE') === undefined) {
    start(api);
  } else {
    require('./zygote.cjs').becomeZygote(api, () => start(api));
  }
}

/** Everything from the environment to the first event. */
async function start(api) {
  // Variables of the platform's own that an assignment may bring.
  takeVariable('_PILOTLIGHT_RUNTIME_FD');
  const settings = readSettings();
  const logError = patchConsole(settings);
  const runtime = new Runtime(api, settings, logError);
  const template = becomesTemplate() ? new (require('./template.cjs').Template)() : undefined;
  provideAwslambda(template?.hooks);

  const ready = process.hrtime.bigint();
  const timing = () =>
    `Pilotlight-Runtime-Ready: ${ready}\r\nPilotlight-User-Init-Done: ${process.hrtime.bigint()}\r\n`;
  runtime.failStart = (error, status, type) =>
    api.failInit(describe(error), type, timing(), () => process.exit(status));
  catchErrors(runtime, logError);
  try {
    runtime.setHandler(await findHandler(settings));
    // A rejection that nobody handles is told at the end of a turn.
    await new Promise(setImmediate);
  } catch (error) {
    // AWS's runtime words it so: an error while loading reaches its top.
    logError('Uncaught Exception', error);
    return runtime.failStart(error, UNCAUGHT);
  }
  if (runtime.ending) return;
  const headers = timing();
  fitHeap(Number(settings.memoryLimitInMB), process.env.NODE_OPTIONS);
  if (template === undefined) runtime.next(headers);
  else await template.await({ runtime, timing });
}

/** What the environment says. */
function readSettings() {
  const env = process.env;
  return {
    handler: env._HANDLER ?? '',
    taskRoot: env.LAMBDA_TASK_ROOT ?? '/var/task',
    runtimeDir: env.LAMBDA_RUNTIME_DIR ?? '/var/runtime',
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    jsonLogs: env.AWS_LAMBDA_LOG_FORMAT?.toUpperCase() === 'JSON',
    logLevel: env.AWS_LAMBDA_LOG_LEVEL?.toUpperCase(),
  };
}

/**
 * Whether this process is to be forked. User code sees what its instances will be: Powertools and the like take what they
 * find here while they load for the truth, and would count no cold start.
 */
function becomesTemplate() {
  if (process.env.AWS_LAMBDA_INITIALIZATION_TYPE !== 'snap-start') return false;
  process.env.AWS_LAMBDA_INITIALIZATION_TYPE = 'on-demand';
  return true;
}

/** What nobody catches ends the process, after the caller and the log have heard of it. */
function catchErrors(runtime, logError) {
  const end = (title, error, status) => {
    logError(title, error);
    if (runtime.ending) return; // the first error is the one that is told
    runtime.ending = true;
    if (runtime.current !== null) {
      runtime.current.abort(error, () => process.exit(status));
    } else if (runtime.failStart !== undefined) {
      runtime.failStart(error, status);
    } else {
      process.exit(status);
    }
  };
  process.on('uncaughtException', (error) => end('Uncaught Exception', error, UNCAUGHT));
  process.on('unhandledRejection', (reason, promise) => {
    const error = new Fault('UnhandledPromiseRejection', asText(reason));
    end('Unhandled Promise Rejection', Object.assign(error, { reason, promise }), REJECTED);
  });
  // Nothing is left that could go on. During the init that is an `await` at the top of a module, for good.
  process.on('beforeExit', () => (runtime.initialised ? runtime.idle() : process.exit(UNSETTLED)));
  setRequest(undefined);
}

/** Removes a variable from the environment that user code sees, and returns it. */
function takeVariable(name) {
  const value = process.env[name];
  delete process.env[name];
  return value;
}

main();
