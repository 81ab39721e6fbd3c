/** Loads into a zygote what most functions will ask for, so that all of them share it. */
'use strict';

/** Modules of Node's own that the common packages use. */
const MODULES = [
  'assert', 'async_hooks', 'buffer', 'child_process', 'crypto', 'dns', 'events', 'fs', 'fs/promises', 'http',
  'http2', 'https', 'module', 'net', 'os', 'path', 'perf_hooks', 'process', 'querystring', 'readline', 'stream',
  'stream/promises', 'stream/web', 'string_decoder', 'timers/promises', 'tls', 'tty', 'url', 'util', 'v8', 'vm',
  'worker_threads', 'zlib',
];
/** Globals whose code is loaded when they are first looked at. */
const GLOBALS = ['fetch', 'Headers', 'Request', 'Response', 'FormData', 'Blob', 'crypto', 'performance'];

async function preload() {
  for (const name of MODULES) require(`node:${name}`);
  for (const name of GLOBALS) void globalThis[name];
  // Parses the certificates of the authorities, which the first TLS connection would wait for.
  require('node:tls').createSecureContext();
  // The loader of ES modules prepares itself for the first.
  await import('data:text/javascript,');
}

module.exports = { preload };
