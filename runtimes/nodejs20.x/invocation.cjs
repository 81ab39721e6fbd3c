/** Events in, answers out: the loop, and one invocation of an ordinary handler. */
'use strict';

const { setRequest } = require('./console.cjs');
const { describe } = require('./errors.cjs');
const { streamingOf } = require('./handler.cjs');

const { parse, stringify } = JSON;

/** Serves one event after the other. */
class Runtime {
  constructor(api, settings, logError) {
    this.api = api;
    this.settings = settings;
    this.logError = logError;
    this.initialised = false;
    /** The process is about to exit, and says why. */
    this.ending = false;
    /** Tells the platform of an error before the first event; undefined where nobody listens. */
    this.failStart = undefined;
    /** The invocation that has not been answered. */
    this.current = null;
    /** Called when nothing is left that the event loop could do. */
    this.idle = nothing;
    this.serve = this.serve.bind(this);
  }

  setHandler(handler) {
    this.handler = handler;
    const streaming = streamingOf(handler);
    if (streaming === undefined) {
      this.begin = (headers) => new Invocation(this, headers);
    } else {
      const { StreamingInvocation } = require('./streaming.cjs');
      this.begin = (headers) => new StreamingInvocation(this, headers, streaming);
    }
  }

  /** Asks for an event. */
  next(headers) {
    this.initialised = true;
    this.failStart = undefined;
    this.current = null;
    this.idle = nothing;
    this.api.next(this.serve, headers);
  }

  /** One event. */
  serve(headers, body) {
    setRequest(headers['lambda-runtime-aws-request-id'], headers['lambda-runtime-aws-tenant-id']);
    const trace = headers['lambda-runtime-trace-id'];
    if (trace === undefined) delete process.env._X_AMZN_TRACE_ID;
    else process.env._X_AMZN_TRACE_ID = trace;
    this.current = this.begin(headers);
    this.current.run(body);
  }
}

/** What every invocation has. */
class Invocation {
  constructor(runtime, headers) {
    this.runtime = runtime;
    this.headers = headers;
    this.id = headers['lambda-runtime-aws-request-id'];
    /** Whether an answer given by callback waits until the event loop has nothing left to do. */
    this.waits = true;
    /** The first result counts. */
    this.settled = false;
  }

  run(body) {
    const { runtime } = this;
    const settle = (act) => (value) => this.settle(act, value);
    const succeed = settle(this.succeed), fail = settle(this.fail);
    const done = (error, value) => (isNothing(error) ? succeed(value) : fail(error));
    const callback = (error, value) => {
      if (isNothing(error) && this.waits) {
        this.settle(() => (runtime.idle = () => this.succeed(value)));
      } else {
        done(error, value);
      }
    };
    // A handler that gives neither a promise nor a call answers when all that it began is over.
    runtime.idle = succeed;
    try {
      const members = { succeed, fail: (error) => fail(isNothing(error) ? 'handled' : error), done };
      const result = runtime.handler(parse(body), this.context(members), callback);
      if (isPromise(result)) result.then(succeed, members.fail);
    } catch (error) {
      callback(error ?? 'handled');
    }
  }

  settle(act, value) {
    if (this.settled) return;
    this.settled = true;
    this.runtime.idle = nothing;
    act.call(this, value);
  }

  succeed(value) {
    let json;
    try {
      json = stringify(value) ?? 'null';
    } catch {
      return this.fail(new Error('Unable to stringify response body'));
    }
    this.runtime.current = null;
    this.runtime.api.respond(this.id, json, this.runtime.serve);
  }

  fail(error) {
    this.runtime.logError('Invoke Error', error);
    this.runtime.current = null;
    this.runtime.api.fail(this.id, describe(error), this.runtime.serve);
  }

  /** The process ends, and this is why. */
  abort(error, told) {
    this.settled = true;
    this.runtime.api.abort(this.id, describe(error), told);
  }

  /** The context object, with `members` first. Source: "Using the Lambda context object in Node.js". */
  context(members) {
    const invocation = this;
    const { headers, runtime: { settings } } = this;
    const deadline = Number(headers['lambda-runtime-deadline-ms']);
    return {
      get callbackWaitsForEmptyEventLoop() {
        return invocation.waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        invocation.waits = value;
      },
      ...members,
      functionVersion: settings.functionVersion,
      functionName: settings.functionName,
      memoryLimitInMB: settings.memoryLimitInMB,
      logGroupName: settings.logGroupName,
      logStreamName: settings.logStreamName,
      clientContext: fromJson(headers['lambda-runtime-client-context'], 'ClientContext'),
      identity: fromJson(headers['lambda-runtime-cognito-identity'], 'CognitoIdentity'),
      invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
      awsRequestId: this.id,
      tenantId: headers['lambda-runtime-aws-tenant-id'],
      getRemainingTimeInMillis: () => deadline - Date.now(),
    };
  }
}

function nothing() {}

function isNothing(value) {
  return value === undefined || value === null;
}

function isPromise(value) {
  return typeof value?.then === 'function';
}

function fromJson(text, name) {
  if (text === undefined) return undefined;
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error}`);
  }
}

module.exports = { Runtime, Invocation, isPromise };
