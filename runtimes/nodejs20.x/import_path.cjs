/**
 * Has `import` look for packages in the folders of NODE_PATH, after all others: layers and the SDK of the image are
 * found there. `require` does so by itself; AWS's Node.js is changed to do it for `import` as well.
 *
 * Node.js has no hook for this that works without a second thread (`module.register`), which every function would
 * have to start and every fork to carry along. So this changes the loader itself, which is one of Node's internals:
 * it belongs to the release that the recipe names.
 *
 * Node.js loads it before anything else, and so do its worker threads: both get the command line's options.
 */
'use strict';

// Before any of Node's modules is loaded that the bootstrap would load after it has done so itself.
require('./heap.cjs').takeBackFlags();
const Module = require('module');
const { pathToFileURL } = require('url');

/** Lets `require` find Node's internals. */
const FLAG = '--expose-internals';
/** What the recipe has for this file alone. */
const OPTIONS = [FLAG, `--require=${__filename}`];
/** What is no name of a package: paths, `imports` of a package, URLs. */
const NO_PACKAGE = /^[./#]|:/;

function searchNodePath() {
  // A wrapper may have started Node.js in its own way.
  if (!process.execArgv.includes(FLAG)) return;
  const loader = require('internal/modules/esm/loader').getOrInitializeCascadedLoader();
  hideInternals();
  for (const method of ['resolve', 'resolveSync']) {
    const original = loader[method];
    loader[method] = (specifier, parent, attributes) =>
      resolve(`${specifier}`, (from) => original.call(loader, specifier, from, attributes), parent);
  }
}

/** What `attempt` finds as seen from the first of these places from where there is anything; else the first's error. */
function resolve(specifier, attempt, parent) {
  return first(attempt, parent, (error) => {
    if (NO_PACKAGE.test(specifier)) throw error;
    return search(folders(), attempt, error);
  });
}

function search([folder, ...others], attempt, missing) {
  if (folder === undefined) throw missing;
  // Without a slash at its end: what is beside `/opt/nodejs/node_modules` finds what is in it.
  return first(attempt, pathToFileURL(folder).href, () => search(others, attempt, missing));
}

/** What `attempt` finds from there, or else what `otherwise` does. Where the user has hooks, both are promises. */
function first(attempt, place, otherwise) {
  const failed = (error) => {
    if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return otherwise(error);
  };
  try {
    const found = attempt(place);
    return typeof found.then === 'function' ? found.catch(failed) : found;
  } catch (error) {
    return failed(error);
  }
}

function folders() {
  return (process.env.NODE_PATH ?? '').split(':').filter((folder) => folder !== '');
}

/** Undoes what the flag did: user code finds what it finds without. */
function hideInternals() {
  const { constructor: BuiltinModule } = require('internal/modules/helpers').loadBuiltinModule('fs');
  const names = [...BuiltinModule.map.keys()].filter((name) => !name.startsWith('internal/'));
  BuiltinModule.setRealmAllowRequireByUsers(names);
  Module.builtinModules = Object.freeze(BuiltinModule.getCanBeRequiredByUsersWithoutSchemeList());
  process.execArgv = process.execArgv.filter((argument) => !OPTIONS.includes(argument));
}

searchNodePath();
