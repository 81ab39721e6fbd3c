/**
 * Lambda's log formats for `console`, written to standard output a line at a time.
 *
 * Source: "Log and monitor Node.js Lambda functions" of the AWS Lambda developer guide.
 */
'use strict';

const { writeSync } = require('fs');
const { format } = require('util');
const { asText, detailed, stackLines } = require('./errors.cjs');

const { stringify } = JSON;

/** Method of `console`, its level, and the level's rank. */
const METHODS = [
  ['trace', 'TRACE', 1],
  ['debug', 'DEBUG', 2],
  ['info', 'INFO', 3],
  ['log', 'INFO', 3],
  ['warn', 'WARN', 4],
  ['error', 'ERROR', 5],
  ['fatal', 'FATAL', 6],
];
/** Where libraries look for the id of the running invocation. */
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');

/** Tells whose lines follow. */
function setRequest(id, tenant) {
  globalThis[REQUEST_ID] = id;
  globalThis[TENANT_ID] = tenant;
}

/** Gives `console` Lambda's format; returns what writes an error: `(title, error)`. */
function patchConsole(settings) {
  const line = settings.jsonLogs ? jsonLine : textLine;
  const least = METHODS.find(([, level]) => level === settings.logLevel)?.[2] ?? 1;
  for (const [method, level, rank] of METHODS) {
    console[method] = rank >= least ? (...values) => write(line(level, values)) : () => {};
  }
  return settings.jsonLogs
    ? (_title, error) => console.error(asError(error))
    : (title, error) => console.error(title, `\t${detailed(asError(error))}`);
}

/** `time<tab>request id<tab>LEVEL<tab>message`. */
function textLine(level, values) {
  return `${new Date().toISOString()}\t${globalThis[REQUEST_ID]}\t${level}\t${format(...values)}\n`;
}

/** One JSON object. */
function jsonLine(level, values) {
  const record = { timestamp: new Date().toISOString(), level, requestId: globalThis[REQUEST_ID] };
  const tenant = globalThis[TENANT_ID];
  if (tenant !== undefined) record.tenantId = tenant;
  if (values.length === 1) {
    [record.message] = values;
    try {
      return `${stringify(record, (_name, value) => (value instanceof Error ? fields(value) : value))}\n`;
    } catch {
      record.message = format(record.message);
      return `${stringify(record)}\n`;
    }
  }
  record.message = format(...values);
  const error = values.find((value) => value instanceof Error);
  if (error !== undefined) {
    const { errorType, errorMessage, stackTrace } = fields(error);
    Object.assign(record, { errorType, errorMessage, stackTrace });
  }
  return `${stringify(record)}\n`;
}

function fields(error) {
  const errorType = error.constructor?.name ?? 'UnknownError';
  return { errorType, errorMessage: error.message, stackTrace: stackLines(error), ...error };
}

function asError(value) {
  return value instanceof Error ? value : new Error(asText(value));
}

/** At once and whole, whatever state the pipe is in; a closed one must not end the process. */
function write(text) {
  let data = text;
  let bytes;
  for (;;) {
    try {
      const written = writeSync(1, data);
      bytes ??= Buffer.byteLength(text);
      if (written === bytes) return;
      data = (typeof data === 'string' ? Buffer.from(data) : data).subarray(written);
      bytes = data.length;
    } catch (error) {
      if (error.code !== 'EAGAIN') return;
      // User code has made the pipe non-blocking, and it is full.
      Atomics.wait(NEVER, 0, 0, 1);
    }
  }
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));

module.exports = { patchConsole, setRequest, textLine, jsonLine };
