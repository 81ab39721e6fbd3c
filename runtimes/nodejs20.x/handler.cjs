/** Finds the function that `path/module.member` names, in a CommonJS or an ES module. */
'use strict';

const { existsSync, readFileSync } = require('fs');
const { createRequire } = require('module');
const path = require('path');
const { Fault } = require('./errors.cjs');

/** Marks a handler that writes its answer to a stream; frameworks set and look for it. */
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
/** Bytes between the metadata of an HTTP answer and its body. */
const DELIMITER = new Uint8Array(8);

/** The handler. Source: "Define Lambda function handler in Node.js", and what AWS's runtime does. */
async function findHandler(settings) {
  const name = settings.handler;
  if (name.includes('..')) {
    const advice = 'Use absolute paths when specifying root directories in handler names.';
    throw new Fault('MalformedHandlerName', `'${name}' is not a valid handler name. ${advice}`);
  }
  const parts = path.basename(name).match(/^([^.]*)\.(.*)$/);
  if (parts === null) throw new Fault('MalformedHandlerName', 'Bad handler');
  const [, module, members] = parts;
  const folder = name.slice(0, name.indexOf(parts[0]));
  const loaded = await load(settings, folder, module);
  const handler = members.split('.').reduce((value, member) => value && value[member], loaded);
  if (!handler) throw new Fault('HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function') throw new Fault('HandlerNotFound', `${name} is not a function`);
  return handler;
}

async function load(settings, folder, module) {
  // As if AWS's runtime asked: its file stands in the messages of modules that are not found.
  const require = createRequire(path.join(settings.runtimeDir, 'index.mjs'));
  try {
    return await loadFile(require, path.resolve(settings.taskRoot, folder, module)) ??
      require(require.resolve(module, { paths: [settings.taskRoot, folder] }));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault('UserCodeSyntaxError', String(error), error.stack);
    if (error?.code === 'MODULE_NOT_FOUND') throw new Fault('ImportModuleError', String(error));
    throw error;
  }
}

/** The module in that file, whose extension is to be found. */
async function loadFile(require, file) {
  const required = (name) => (existsSync(name) ? require(name) : undefined);
  const imported = async (name) => (existsSync(name) ? import(fileUrl(name)) : undefined);
  const js = `${file}.js`;
  const plain = required(file);
  if (plain) return plain;
  if (!existsSync(js)) return await imported(`${file}.mjs`) ?? required(`${file}.cjs`);
  return isEsModule(path.dirname(js)) ? import(fileUrl(js)) : require(js);
}

function fileUrl(file) {
  return require('url').pathToFileURL(file).href;
}

/** Whether the nearest `package.json` says that `.js` files are ES modules. */
function isEsModule(folder) {
  if (folder.endsWith('/node_modules')) return false;
  const file = path.join(folder, 'package.json');
  if (existsSync(file)) {
    try {
      return JSON.parse(readFileSync(file, 'utf8'))?.type === 'module';
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder === '/' ? false : isEsModule(path.dirname(folder));
}

/** The global that user code marks streaming handlers with. Source: "Response streaming for Lambda functions". */
function provideAwslambda(hooks) {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    streamifyResponse(handler, options) {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = Math.trunc(options.highWaterMark);
      }
      return handler;
    },
    HttpResponseStream: class HttpResponseStream {
      /** A stream of an HTTP answer, whose status and headers come first. */
      static from(stream, metadata) {
        stream.setContentType('application/vnd.awslambda.http-integration-response');
        const prelude = JSON.stringify(metadata);
        stream._onBeforeFirstWrite = (write) => {
          write(prelude);
          write(DELIMITER);
        };
        return stream;
      }
    },
    // Ours. Without templates there is no snapshot, and nothing to call.
    registerBeforeSnapshot(hook, ...values) {
      hooks?.before.push(() => hook(...values));
    },
    registerAfterRestore(hook, ...values) {
      hooks?.after.push(() => hook(...values));
    },
  };
}

/** Undefined for an ordinary handler; else what is known about its stream. */
function streamingOf(handler) {
  const mark = handler[STREAMING];
  if (mark === undefined || mark === null || mark === false) return undefined;
  if (mark !== 'response') {
    throw new Fault('MalformedStreamingHandler', 'Only response streaming is supported.');
  }
  return { highWaterMark: handler[HIGH_WATER_MARK] };
}

module.exports = { findHandler, provideAwslambda, streamingOf };
