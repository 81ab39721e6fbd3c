/**
 * A function that has been initialised, of which forks become instances. What a fork does first is on the path
 * of a cold start: everything in `restored` has been rehearsed, and is short.
 */
'use strict';

const { describe } = require('./errors.cjs');
const { goThrough, park } = require('./parking.cjs');
const random = require('./random.cjs');

/** Exit statuses of AWS's SnapStart. */
const BEFORE_SNAPSHOT = 64, AFTER_RESTORE = 65;
const LOG_STREAM = 'AWS_LAMBDA_LOG_STREAM_NAME';

class Template {
  constructor() {
    random.install();
    this.hooks = { before: [], after: [] };
    /** Nobody waits for it yet. */
    this.spare = false;
    this.restored = this.restored.bind(this);
  }

  /** Runs the first hooks and waits to be forked; a fork runs the other hooks, and serves. */
  async await({ runtime, timing }) {
    this.runtime = runtime;
    try {
      // Last in, first out.
      for (const hook of this.hooks.before.reverse()) await hook();
    } catch (error) {
      runtime.logError('Before Snapshot Error', error);
      runtime.failStart(error, BEFORE_SNAPSHOT, 'Runtime.BeforeSnapshotError');
      return;
    }
    if (process.env.PILOTLIGHT_WARM_UP_EVENT !== undefined) {
      await require('./warm_up_event.cjs').warmUp(runtime, timing);
      // What nobody caught is being told.
      if (runtime.ending) return;
    }
    const headers = timing();
    await park(rehearsal());
    // Nothing can be told while a question is open.
    runtime.failStart = undefined;
    runtime.api.restoreNext(this.restored, headers);
  }

  restored(_headers, body) {
    const { runtime, hooks } = this;
    if (body !== '') {
      const { env, spare } = JSON.parse(body);
      this.spare = spare === true;
      for (const name in env) process.env[name] = env[name];
      if (LOG_STREAM in env) runtime.settings.logStreamName = env[LOG_STREAM];
    }
    random.forked();
    if (hooks.after.length === 0) this.serve();
    else this.restore();
  }

  async restore() {
    const { runtime, hooks } = this;
    runtime.failStart = (error, status) =>
      runtime.api.failRestore(describe(error), 'Runtime.AfterRestoreError', () => process.exit(status));
    try {
      // First in, first out.
      for (const hook of hooks.after) await hook();
    } catch (error) {
      runtime.logError('After Restore Error', error);
      runtime.failStart(error, AFTER_RESTORE);
      return;
    }
    this.serve();
  }

  serve() {
    const headers = `Pilotlight-Restore-Done: ${process.hrtime.bigint()}\r\n`;
    if (this.spare) this.prepare(headers);
    else this.runtime.next(headers);
  }

  /** What a request would write to first is copied now. */
  async prepare(headers) {
    await goThrough(({ runtime }) => runtime.next(''));
    this.runtime.next(headers);
  }
}

/** Does with a runtime that is none what a fork does first. */
function rehearsal() {
  const template = new Template();
  const body = JSON.stringify({ env: { _X_AMZN_TRACE_ID: 'rehearsed' } });
  const answer = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  return ({ runtime, receive }) => {
    template.runtime = runtime;
    runtime.api.restoreNext(template.restored, '');
    receive(answer);
  };
}

module.exports = { Template, rehearsal };
