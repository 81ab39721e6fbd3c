/** A process without a function, of which forks become instances and templates of all functions. */
'use strict';

const Module = require('module');
const { park } = require('./parking.cjs');
const { preload } = require('./preload.cjs');
const random = require('./random.cjs');

/** Waits to be told whose instance this is, and then goes on with `start`. */
async function becomeZygote(api, start) {
  random.install();
  await preload();
  const rehearse = require('./template.cjs').rehearsal();
  await park((rehearsed) => {
    adopt({ env: { ...process.env }, cwd: process.cwd() });
    rehearse(rehearsed);
  });
  api.assignment((_headers, body) => {
    adopt(JSON.parse(body));
    random.forked();
    start();
  });
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

module.exports = { becomeZygote };
