/**
 * Handlers that write their answer to a stream.
 *
 * Source: "Response streaming for Lambda functions" and "Building a custom runtime" of the AWS Lambda developer
 * guide: an error after the first byte comes in the trailers of the answer.
 */
'use strict';

const { Writable } = require('stream');
const { describe, Fault } = require('./errors.cjs');
const { Invocation, isPromise } = require('./invocation.cjs');

/** One invocation of a streaming handler. */
class StreamingInvocation extends Invocation {
  constructor(runtime, headers, { highWaterMark }) {
    super(runtime, headers);
    this.stream = new ResponseStream(runtime.api, this.id, highWaterMark);
  }

  async run(body) {
    const { runtime, stream } = this;
    runtime.idle = () => this.fail('Response stream is not finished.');
    try {
      const result = runtime.handler(JSON.parse(body), stream, this.context({}));
      if (!isPromise(result)) throw 'Streaming does not support non-async handlers.';
      if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
      await stream.finished;
    } catch (error) {
      return this.fail(error);
    }
    this.over();
  }

  /** The answer is whole: goes on when the handler's other work is done. */
  over() {
    if (this.settled) return;
    this.settled = true;
    const { runtime } = this;
    runtime.current = null;
    if (this.waits) runtime.idle = () => runtime.next();
    else runtime.next();
  }

  fail(error) {
    if (this.settled) return;
    this.settled = true;
    const { runtime } = this;
    runtime.logError('Invoke Error', error);
    runtime.current = null;
    if (this.stream.cut(error)) runtime.next();
    else runtime.api.fail(this.id, describe(error), runtime.serve);
  }

  abort(error, told) {
    this.settled = true;
    if (this.stream.cut(error, told)) return;
    this.runtime.api.abort(this.id, describe(error), told);
  }
}

/** The answer as a stream; its first byte begins the answer's way to the caller. */
class ResponseStream extends Writable {
  #api;
  #id;
  #contentType = 'application/octet-stream';
  #begun = false;
  #over = false;

  constructor(api, id, highWaterMark) {
    super({ highWaterMark, decodeStrings: true });
    this.#api = api;
    this.#id = id;
    /** Settles when the answer is whole, or cannot become so. */
    this.finished = new Promise((resolve, reject) => {
      this.once('finish', resolve);
      this.once('error', reject);
      this.once('close', () => reject(new Error('Response stream is not finished.')));
    });
    this.finished.catch(() => {}); // the handler may never wait for it
  }

  setContentType(contentType) {
    if (this.#begun) throw new Fault('InvalidStreamingOperation', 'Cannot set content-type, too late.');
    this.#contentType = String(contentType);
  }

  /** As `Writable`, and any value that is neither text nor bytes as JSON. */
  write(chunk, encoding, callback) {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    return super.write(plain || chunk === null ? chunk : JSON.stringify(chunk), encoding, callback);
  }

  _write(chunk, _encoding, callback) {
    this.#begin();
    // An empty chunk would be the end.
    if (chunk.length > 0 && !this.#over) this.#api.chunk(chunk, callback);
    else callback();
  }

  _final(callback) {
    this.#begin();
    if (!this.#over) this.#api.endStream();
    this.#over = true;
    callback();
  }

  #begin() {
    if (this.#begun) return;
    this.#begun = true;
    this.#api.stream(this.#id, this.#contentType);
    this._onBeforeFirstWrite?.((prelude) => this.#api.chunk(Buffer.from(prelude)));
  }

  /** Ends an answer that has begun, with an error; false if none has. An answer that is whole stays so. */
  cut(error, told) {
    if (!this.#begun) {
      this.#over = true;
      this.#begun = true;
      return false;
    }
    if (!this.#over) this.#api.endStream(describe(error));
    this.#over = true;
    if (told !== undefined) this.#api.told(told);
    return true;
  }
}

module.exports = { StreamingInvocation };
