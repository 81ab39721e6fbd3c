/** A process that waits to be frozen and forked: everything that forks would do alike has been done. */
'use strict';

const { setFlagsFromString } = require('v8');
const { runInNewContext } = require('vm');
const { setRequest } = require('./console.cjs');
const random = require('./random.cjs');
const { warm } = require('./warm.cjs');

let randomInstalled = false;

/** Before any user code. */
function installRandom() {
  if (!randomInstalled) random.install();
  randomInstalled = true;
}

/** Leaves as little as possible to be written in a fork: code that has run, and a heap without garbage. */
async function park(rehearse) {
  await warm(rehearse);
  setRequest(undefined);
  delete process.env._X_AMZN_TRACE_ID;
  collectGarbage();
}

function collectGarbage() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  // What the first leaves among the young, the second makes old: a fork begins with an empty nursery.
  collect();
  collect();
}

module.exports = { installRandom, park };
