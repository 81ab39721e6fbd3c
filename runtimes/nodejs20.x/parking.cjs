/** A process that waits to be frozen and forked: everything that forks would do alike has been done. */
'use strict';

const { setRequest } = require('./console.cjs');
const { collectGarbage } = require('./heap.cjs');
const { warm } = require('./warm.cjs');

/** Leaves as little as possible to be written in a fork: code that has run, and a heap without garbage. */
async function park(rehearse) {
  await goThrough(rehearse);
  collectGarbage();
}

/** Goes through invocations, and leaves no trace of them but warm code. */
async function goThrough(rehearse) {
  await warm(rehearse);
  setRequest(undefined);
  delete process.env._X_AMZN_TRACE_ID;
}

module.exports = { goThrough, park };
