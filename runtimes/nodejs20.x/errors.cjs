/** Errors as the caller and the log get them. */
'use strict';

const { isNativeError } = require('util').types;

const { stringify } = JSON;

/** An error that the runtime itself finds, with Lambda's name for it. */
class Fault extends Error {
  constructor(kind, message, stack) {
    super(message);
    // As an own member it would show among the members of the error.
    Object.defineProperty(this, 'name', { value: `Runtime.${kind}` });
    this.stack = `${this.name}: ${message}${stack === undefined ? '' : `\n${stack}`}`;
  }
}

/** What the caller gets. */
function describe(error) {
  try {
    if (isNativeError(error) || looksLikeError(error)) {
      return {
        errorType: String(error.name),
        errorMessage: String(error.message),
        trace: stackLines(error),
      };
    }
    return { errorType: typeof error, errorMessage: asText(error), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its ' +
        'message, name, and stack',
    };
  }
}

/** What the log gets: the error with all its members, as JSON. */
function detailed(error) {
  try {
    return stringify(error, (_name, value) => (value instanceof Error ? withMembers(value) : value));
  } catch {
    return stringify(describe(error));
  }
}

function withMembers(error) {
  const members = { errorType: error.name, errorMessage: error.message, code: error.code, ...error };
  if (typeof error.stack === 'string') members.stack = stackLines(error);
  return members;
}

/** The lines of the stack, without those of this runtime. */
function stackLines(error) {
  const lines = String(error.stack).split('\n');
  return lines.filter((line) => !(line.startsWith('    at ') && line.includes(OWN_FOLDER)));
}

const OWN_FOLDER = `${__dirname}/`;

function looksLikeError(value) {
  return ['name', 'message', 'stack'].every((member) => value[member] && typeof value[member] === 'string');
}

/** Any value as text: some have no conversion of their own. */
function asText(value) {
  try {
    return String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/** A class may have any name, and a header may not. */
function headerText(text) {
  return text.replace(/[^\x20-\x7e]/g, '');
}

module.exports = { Fault, asText, describe, detailed, headerText, stackLines };
