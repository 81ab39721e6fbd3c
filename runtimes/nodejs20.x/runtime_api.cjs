/** The Runtime API (2018-06-01), with the next request sent along with each answer: one wake-up, not two. */
'use strict';

const { headerText } = require('./errors.cjs');

const { stringify } = JSON;

/** The largest header is the client context, of at most 3,583 bytes. */
const MAX_HEAD = 64 * 1024;
/** Characters of an error in a trailer: as JSON, in UTF-8 and base64 they stay below 16 KiB. */
const MAX_TRAILER_TEXT = 3000;
const LINE_END = Buffer.from('\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');
const BASE = ' /2018-06-01/runtime/';
const HOST = ' HTTP/1.1\r\nHost: runtime\r\n';
const NEXT = `GET${BASE}invocation/next${HOST}`;

class RuntimeApi {
  constructor() {
    /** `send(data, bytes, sent)`, `hold()`, `release()`. */
    this.connection = undefined;
    /** What is to be called with the answers that are awaited, in order. */
    this.waiting = [];
    /** Bytes of an answer's head that is not whole. */
    this.unread = undefined;
    /** An answer whose body is not whole. */
    this.partial = undefined;
  }

  /** Asks for an event; `serve(headers, body)` gets it. */
  next(serve, headers = '') {
    this.request(`${NEXT}${headers}\r\n`, eventTo(serve));
  }

  /** Asks a zygote's question: whose instance is this to be? */
  assignment(assigned) {
    this.request(`GET /pilotlight/assignment${HOST}\r\n`, eventTo(assigned));
  }

  /** Asks a template's question: may it go on? */
  restoreNext(restored, headers) {
    this.request(`GET${BASE}restore/next${HOST}${headers}\r\n`, eventTo(restored));
  }

  /** Answers an invocation with JSON and asks for the next. */
  respond(id, json, serve) {
    this.post(`invocation/${id}/response`, JSON_TYPE, json, NEXT_PLAIN);
    this.waiting.push(ignore, eventTo(serve));
  }

  /** Answers an invocation with an error and asks for the next. */
  fail(id, failure, serve) {
    this.post(`invocation/${id}/error`, errorHeaders(failure), stringify(failure), NEXT_PLAIN);
    this.waiting.push(ignore, eventTo(serve));
  }

  /** Answers an invocation with an error; `told` is called when the platform has it. */
  abort(id, failure, told) {
    this.post(`invocation/${id}/error`, errorHeaders(failure), stringify(failure), '');
    this.waiting.push(told);
  }

  /** Says that the function cannot start. `type` stands in for the error's own. */
  failInit(failure, type, headers, told) {
    this.post('init/error', errorHeaders(failure, type) + headers, stringify(failure), '');
    this.waiting.push(told);
  }

  /** Says that a fork cannot serve. */
  failRestore(failure, type, told) {
    this.post('restore/error', errorHeaders(failure, type), stringify(failure), '');
    this.waiting.push(told);
  }

  /** Begins an answer whose body comes in pieces; they are sent as HTTP chunks. */
  stream(id, contentType) {
    const head =
      `POST${BASE}invocation/${id}/response${HOST}Content-Type: ${headerText(contentType)}\r\n` +
      'Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n' +
      'Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n';
    this.connection.send(head, head.length);
    this.waiting.push(ignore);
  }

  /** One piece of it. */
  chunk(bytes, sent) {
    const size = bytes.length.toString(16);
    const data = Buffer.concat([Buffer.from(`${size}\r\n`), bytes, LINE_END]);
    this.connection.send(data, data.length, sent);
  }

  /** Ends it; with the error that it was cut short by, if any. */
  endStream(failure) {
    let trailers = '';
    if (failure !== undefined) {
      const body = Buffer.from(stringify(shortened(failure))).toString('base64');
      trailers =
        `Lambda-Runtime-Function-Error-Type: ${headerText(failure.errorType) || 'Error'}\r\n` +
        `Lambda-Runtime-Function-Error-Body: ${body}\r\n`;
    }
    const end = `0\r\n${trailers}\r\n`;
    this.connection.send(end, end.length);
  }

  /** Ends a stream for good: `told` is called when the platform has the whole answer. */
  told(told) {
    this.connection.hold();
    this.waiting[this.waiting.length - 1] = told;
  }

  post(path, headers, body, then) {
    const bodyBytes = Buffer.byteLength(body);
    const head = `POST${BASE}${path}${HOST}${headers}Content-Length: ${bodyBytes}\r\n\r\n`;
    this.connection.hold();
    this.connection.send(head + body + then, head.length + bodyBytes + then.length);
  }

  request(text, answered) {
    this.connection.hold();
    this.connection.send(text, text.length);
    this.waiting.push(answered);
  }

  /** Takes what has come from the platform. The buffer is the connection's own and used again. */
  received(buffer, length) {
    let data = buffer.subarray(0, length);
    if (this.partial !== undefined) data = this.more(data);
    if (this.unread !== undefined) {
      data = Buffer.concat([this.unread, data]);
      this.unread = undefined;
    }
    while (data.length > 0) {
      const end = data.indexOf(HEAD_END);
      if (end < 0) {
        if (data.length > MAX_HEAD) throw new Error("the platform's answer has no end of headers");
        this.unread = Buffer.from(data);
        return;
      }
      const head = parseHead(data.utf8Slice(0, end));
      const begin = end + HEAD_END.length;
      const whole = begin + Number(head.headers['content-length'] ?? 0);
      if (data.length < whole) {
        this.partial = { head, body: Buffer.allocUnsafe(whole - begin), filled: 0 };
        this.more(data.subarray(begin));
        return;
      }
      const body = data.utf8Slice(begin, whole);
      data = data.subarray(whole);
      // Copied before the answer is acted on: what is called may wait for the next one already.
      this.answered(head, body);
    }
  }

  /** Fills the body that is not whole, and returns what follows it. */
  more(data) {
    const { head, body, filled } = this.partial;
    const taken = data.copy(body, filled);
    if (filled + taken < body.length) {
      this.partial.filled += taken;
    } else {
      this.partial = undefined;
      this.answered(head, body.utf8Slice());
    }
    return data.subarray(taken);
  }

  answered(head, body) {
    const answered = this.waiting.shift();
    // While user code runs, only what it does itself keeps the event loop going.
    if (this.waiting.length === 0) this.connection.release();
    answered(head, body);
  }
}

const JSON_TYPE = 'Content-Type: application/json\r\n';
const NEXT_PLAIN = `${NEXT}\r\n`;

/** An answer that is refused (too large, too late) has been dealt with by the platform. */
function ignore() {}

function eventTo(serve) {
  return (head, body) => {
    if (head.status !== 200) throw new Error(`the platform gives no event: ${head.status} ${body}`);
    serve(head.headers, body);
  };
}

/** Trailers are read into a small room; what does not fit is the trace's end, then the message's. */
function shortened({ errorType, errorMessage, trace }) {
  return {
    errorType: errorType.slice(0, 256),
    errorMessage: errorMessage.slice(0, MAX_TRAILER_TEXT),
    trace: errorMessage.length + trace.join('').length > MAX_TRAILER_TEXT ? [] : trace,
  };
}

/** Status, and headers by their names in lower case. */
function parseHead(text) {
  const headers = {};
  let at = text.indexOf('\r\n');
  const status = Number(text.slice(9, 12));
  while (at >= 0) {
    const begin = at + 2;
    at = text.indexOf('\r\n', begin);
    const line = at < 0 ? text.slice(begin) : text.slice(begin, at);
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status, headers };
}

function errorHeaders(failure, type = failure.errorType) {
  return `${JSON_TYPE}Lambda-Runtime-Function-Error-Type: ${headerText(type) || 'Error'}\r\n`;
}

module.exports = { RuntimeApi };
