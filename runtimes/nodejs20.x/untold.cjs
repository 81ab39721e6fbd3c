/**
 * For a program that is wrapped and may be another than the bootstrap, which nobody tells that it has been forked.
 * Loaded before it, by NODE_OPTIONS. Where it is the bootstrap after all, that installs the same in its own way.
 */
'use strict';

if (process.env.AWS_LAMBDA_INITIALIZATION_TYPE === 'snap-start') require('./random.cjs').install({ untold: true });

// The user's options are as the user has set them.
const options = process.env.NODE_OPTIONS?.replace(`--require=${__filename}`, '').trim();
if (options) process.env.NODE_OPTIONS = options;
else delete process.env.NODE_OPTIONS;
