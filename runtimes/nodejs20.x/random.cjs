/**
 * Randomness that differs in every fork.
 *
 * A fork has the memory of its template, and with it the state of V8's Math.random and all random bytes that
 * were made ahead. The platform reseeds OpenSSL; here is what stands above it. Nothing is made anew at the fork
 * itself, whose time somebody waits for: what is used after it finds that it is stale.
 */
'use strict';

const crypto = require('crypto');
const { closeSync, openSync, readSync } = require('fs');
const { syncBuiltinESMExports } = require('module');
const { performance } = require('perf_hooks');
const vm = require('vm');

/** UUIDs and numbers that Node makes ahead; after that many calls everything in its stock is new. */
const STOCK = { randomUUID: 128, randomInt: 1024 };
/** From that many bytes on, what is filled with randomness is taken for a stock, not for a key or an id. */
const POOL_BYTES = 128;
/** Stocks that are remembered. */
const MAX_POOLS = 64;

/** In milliseconds: less than it takes to freeze and fork a process. */
const MOMENT = 1;

/** Counts forks; what was made in an earlier generation is stale. */
let generation = 0;
let installed = false;
/** Whether nobody calls `forked`. */
let untold = false;
/** The clock, whatever user code puts in its place, and its reading when something was last used. */
const clock = performance.now.bind(performance);
let used = 0;

/**
 * Replaces what would repeat itself. Before any user code; once more changes what is known only.
 *
 * In an `untold` process nobody says that it has been forked: there all that has not been used for a moment is taken
 * for stale. Stocks that packages keep cannot be renewed so, since they are used without a call of ours.
 */
function install(how = {}) {
  untold = how.untold ?? false;
  if (installed) return;
  installed = true;
  installMathRandom();
  installCrypto();
  syncBuiltinESMExports();
}

/** The generation that is now. */
function current() {
  if (untold) {
    const now = clock();
    if (now - used > MOMENT) generation += 1;
    used = now;
  }
  return generation;
}

/** Tells that this process has just been forked. */
function forked() {
  generation += 1;
  refillPools();
}

// --- Math.random ------------------------------------------------------------------------------------

/** State of xoshiro128** (Blackman and Vigna), and the generation that it was seeded in. */
const state = new Int32Array(4);
let seeded = -1;

function installMathRandom() {
  replace(Math, 'random', random);
  // New contexts are seeded from a state of V8's own, which is cloned as well.
  const { createContext, runInContext, Script } = vm;
  const made = (object = {}, options) => {
    // The symbol `vm.constants.DONT_CONTEXTIFY` asks for a new one.
    if (typeof object !== 'symbol' && vm.isContext(object)) return object;
    const context = createContext(object, options);
    replace(runInContext('Math', context), 'random', random);
    return context;
  };
  replace(vm, 'createContext', made);
  replace(vm, 'runInNewContext', function runInNewContext(code, object, options) {
    return runInContext(code, made(object, contextOptions(options)), options);
  });
  replace(Script.prototype, 'runInNewContext', function runInNewContext(object, options) {
    return this.runInContext(made(object, contextOptions(options)), options);
  });
}

/** The same choices have other names where a script makes its context itself. */
function contextOptions(options) {
  if (typeof options !== 'object') return {};
  const { contextName: name, contextOrigin: origin, contextCodeGeneration: codeGeneration } = options;
  return Object.fromEntries(
    Object.entries({ name, origin, codeGeneration, microtaskMode: options.microtaskMode }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}

/** The name is that of V8's own, which it stands in for: 53 bits, from 0 to below 1. */
function random() {
  const now = current();
  if (seeded !== now) seed(now);
  return ((draw() >>> 5) * 67108864 + (draw() >>> 6)) / 9007199254740992;
}

function draw() {
  const product = Math.imul(state[1], 5);
  const result = Math.imul((product << 7) | (product >>> 25), 9);
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = (state[3] << 11) | (state[3] >>> 21);
  return result;
}

/** From the kernel itself, which nothing has cloned. */
function seed(now) {
  seeded = now;
  const file = openSync('/dev/urandom', 'r');
  try {
    readSync(file, state);
  } finally {
    closeSync(file);
  }
}

// --- Stocks of random bytes -------------------------------------------------------------------------

/** Weak references to what user code has filled with randomness before the fork, and how. */
const pools = [];
/** The same, to remember each once. */
const known = new WeakSet();

function installCrypto() {
  const { randomInt, randomUUID, randomFillSync, webcrypto } = crypto;
  const Crypto = Object.getPrototypeOf(webcrypto);
  const { getRandomValues, randomUUID: webRandomUUID } = Crypto;
  const renewUuids = renewal(randomUUID, STOCK.randomUUID);
  const renewNumbers = renewal(() => randomInt(2), STOCK.randomInt);

  replace(crypto, 'randomUUID', (...values) => {
    renewUuids();
    return randomUUID(...values);
  });
  replace(crypto, 'randomInt', (...values) => {
    renewNumbers();
    return randomInt(...values);
  });
  replace(Crypto, 'randomUUID', function (...values) {
    renewUuids();
    return webRandomUUID.apply(this, values);
  });
  replace(crypto, 'randomFillSync', (buffer, ...range) =>
    remember(randomFillSync(buffer, ...range), (pool) => randomFillSync(pool, ...range)));
  // `crypto.getRandomValues` is this one too.
  replace(Crypto, 'getRandomValues', function (array) {
    return remember(getRandomValues.call(this, array), (pool) => getRandomValues.call(webcrypto, pool));
  });
}

/** Makes a stock new before its first use after a fork. */
function renewal(take, size) {
  let taken = generation;
  return () => {
    const now = current();
    if (taken === now) return;
    taken = now;
    for (let count = 0; count < size; count += 1) take();
  };
}

/**
 * Packages such as `uuid` and `nanoid` keep random bytes in stock themselves, and would hand out the same ones in
 * every fork. They fill their buffers by `randomFillSync` or `getRandomValues`.
 */
function remember(pool, fill) {
  if (pool.byteLength >= POOL_BYTES && pools.length < MAX_POOLS && !known.has(pool)) {
    known.add(pool);
    pools.push({ pool: new WeakRef(pool), fill });
  }
  return pool;
}

function refillPools() {
  for (const { pool, fill } of pools) {
    const alive = pool.deref();
    if (alive !== undefined) fill(alive);
  }
}

/** Puts a function in another's place, under its name. */
function replace(object, name, substitute) {
  const property = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(substitute, 'name', { value: name });
  Object.defineProperty(object, name, { ...property, value: substitute });
}

module.exports = { install, forked };
