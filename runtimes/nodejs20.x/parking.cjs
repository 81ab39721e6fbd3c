/**
 * Zygotes and templates: processes that wait, are frozen by the node, and go on as forks of themselves.
 *
 * All that a start would do and that is the same for every start is done before; what a fork does first
 * is on the path of a cold start, and is kept short.
 */
'use strict';

const Module = require('module');
const { setFlagsFromString } = require('v8');
const { runInNewContext } = require('vm');
const { setRequest } = require('./console.cjs');
const { describe } = require('./errors.cjs');
const random = require('./random.cjs');
const { warm } = require('./warm.cjs');

/** Exit statuses of AWS's SnapStart. */
const BEFORE_SNAPSHOT = 64, AFTER_RESTORE = 65;

let randomInstalled = false;

/** Waits to be told whose instance this is, and then goes on with `start`. */
async function becomeZygote(api, start) {
  const { preload } = require('./preload.cjs');
  installRandom();
  preload();
  await park();
  api.assignment((_headers, body) => {
    adopt(JSON.parse(body));
    random.forked();
    start();
  });
}

/** What this process will be a template with. Before any user code. */
function prepare() {
  installRandom();
  const hooks = { before: [], after: [] };
  return { hooks, becomeTemplate: (start) => becomeTemplate(hooks, start) };
}

/** Runs the first hooks, waits to be forked, runs the other hooks, and serves. */
async function becomeTemplate(hooks, { api, runtime, settings, logError, timing }) {
  try {
    // Last in, first out.
    for (const hook of hooks.before.reverse()) await hook();
  } catch (error) {
    logError('Before Snapshot Error', error);
    runtime.failStart(error, BEFORE_SNAPSHOT, 'Runtime.BeforeSnapshotError');
    return;
  }
  const headers = timing();
  await park();
  // Nothing can be told while a question is open.
  runtime.failStart = undefined;
  api.restoreNext((_headers, body) => {
    if (body !== '') {
      Object.assign(process.env, JSON.parse(body).env);
      settings.logStreamName = process.env.AWS_LAMBDA_LOG_STREAM_NAME;
    }
    random.forked();
    if (hooks.after.length === 0) serve(runtime);
    else restore(hooks, { api, runtime, logError });
  }, headers);
}

async function restore(hooks, { api, runtime, logError }) {
  runtime.failStart = (error, status) =>
    api.failRestore(describe(error), 'Runtime.AfterRestoreError', () => process.exit(status));
  try {
    // First in, first out.
    for (const hook of hooks.after) await hook();
  } catch (error) {
    logError('After Restore Error', error);
    runtime.failStart(error, AFTER_RESTORE);
    return;
  }
  serve(runtime);
}

function serve(runtime) {
  runtime.next(`Pilotlight-Restore-Done: ${process.hrtime.bigint()}\r\n`);
}

/** The environment and the folder of the function that a zygote has become. */
function adopt({ env, cwd }) {
  const { NODE_PATH, HOME } = process.env;
  for (const name of Object.keys(process.env)) {
    if (!Object.hasOwn(env, name)) delete process.env[name];
  }
  for (const [name, value] of Object.entries(env)) {
    if (process.env[name] !== value) process.env[name] = value;
  }
  // Node reads them as it starts.
  if (process.env.NODE_PATH !== NODE_PATH || process.env.HOME !== HOME) Module._initPaths();
  process.chdir(cwd);
}

/** Leaves as little as possible to be written in a fork: code that has run, and a heap without garbage. */
async function park() {
  await warm();
  setRequest(undefined);
  delete process.env._X_AMZN_TRACE_ID;
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  // What the first leaves among the young, the second makes old: a fork begins with an empty nursery.
  collect();
  collect();
}

function installRandom() {
  if (!randomInstalled) random.install();
  randomInstalled = true;
}

module.exports = { becomeZygote, prepare };
