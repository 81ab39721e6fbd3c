/** V8's heap: how fast it may grow, and how it is left to be forked. */
'use strict';

const { setFlagsFromString } = require('v8');

/**
 * How far the heap grows between collections, in percent of what is alive, up to that many megabytes of memory.
 * AWS's runtime limits the heap as V8 starts, which a zygote has done before it knows its function; and V8 on its
 * own lets a heap grow to several times what is alive, so that a function is killed that had only to collect.
 */
const GROWTH = [[192, 15], [512, 30], [1024, 50], [Infinity, 100]];

/**
 * Fits the heap to the memory of the function, unless that has a limit of its own. After the init: with any flag set,
 * V8 refuses the compiled code of Node's modules, and most are loaded there.
 */
function fitHeap(memoryMb, options = '') {
  if (options.includes('old-space-size') || options.includes('old_space_size')) return;
  const [, percent] = GROWTH.find(([most]) => memoryMb <= most) ?? GROWTH[0];
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}

/** Has V8 take the compiled code of Node's modules again. The reducer is not made when V8 starts, and stays away. */
function takeBackFlags() {
  setFlagsFromString('--memory-reducer');
}

/** Collects, so that a fork begins with an empty nursery: what the first leaves young, the second makes old. */
function collectGarbage() {
  setFlagsFromString('--expose-gc');
  const collect = require('vm').runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  // Compiled code that has not run of late is no garbage: a fork may run it.
  setFlagsFromString('--no-flush-bytecode');
  collect();
  collect();
  setFlagsFromString('--flush-bytecode');
}

module.exports = { collectGarbage, fitHeap, takeBackFlags };
