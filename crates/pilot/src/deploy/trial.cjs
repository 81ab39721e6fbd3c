'use strict';
// Part of a trial init: tells, on standard error, how long each package takes to load, with what it loads itself.

const Module = require('module');

const PACKAGES = '/var/task/node_modules/';
const load = Module._load;
const seen = new Set();

Module._load = function timed(request, parent, isMain) {
  const begin = process.hrtime.bigint();
  try {
    return load.call(this, request, parent, isMain);
  } finally {
    const us = (process.hrtime.bigint() - begin) / 1000n;
    let path;
    try {
      path = Module._resolveFilename(request, parent, isMain);
    } catch {
      path = '';
    }
    if (path.startsWith(PACKAGES) && !seen.has(path)) {
      seen.add(path);
      process.stderr.write(`pilot trial: ${us} ${path.slice(PACKAGES.length)}\n`);
    }
  }
};
