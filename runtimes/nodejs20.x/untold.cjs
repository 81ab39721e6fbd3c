/**
 * For a program that is wrapped and may be another than the bootstrap, which nobody tells that it has been forked.
 * Loaded before it, by NODE_OPTIONS. Where it is the bootstrap after all, that installs the same in its own way.
 */
'use strict';

if (process.env.AWS_LAMBDA_INITIALIZATION_TYPE === 'snap-start') require('./random.cjs').install({ untold: true });
