/** Runs the path of an invocation, and of an error, without anyone noticing: its code is compiled afterwards. */
'use strict';

const { jsonLine, textLine } = require('./console.cjs');
const { detailed } = require('./errors.cjs');
const { Runtime } = require('./invocation.cjs');
const { RuntimeApi } = require('./runtime_api.cjs');

/** Enough for V8's baseline compiler to take what runs often; where a zygote has done that, to have run once more. */
const ROUNDS = 200, AGAIN = 16;

let rounds = ROUNDS;

const EVENT = JSON.stringify({ key: 'value', list: [1, 2.5, null, true], nested: { text: 'ünïcode' } });
const ACKNOWLEDGED = 'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}';
const NEXT =
  'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n' +
  'lambda-runtime-aws-request-id: 00000000-0000-4000-8000-000000000000\r\n' +
  'lambda-runtime-deadline-ms: 4102444800000\r\n' +
  'lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:warm\r\n' +
  'lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0\r\n' +
  `content-length: ${Buffer.byteLength(EVENT)}\r\n\r\n${EVENT}`;

/** `rehearse` does what comes before the first event; it ends in the request for one. */
async function warm(rehearse) {
  const api = new RuntimeApi();
  api.connection = { send() {}, hold() {}, release() {} };
  const runtime = new Runtime(api, {}, (_title, error) => detailed(error));
  const receive = (text) => {
    const data = Buffer.from(text);
    api.received(data, data.length);
  };
  let round = 0;
  runtime.setHandler((event, context, callback) => {
    context.getRemainingTimeInMillis();
    if (round % 8 === 0) throw new Error('warm');
    if (round % 8 === 1) {
      context.callbackWaitsForEmptyEventLoop = false;
      callback(null, event);
      return undefined;
    }
    return Promise.resolve(event);
  });
  for (; round < rounds; round += 1) {
    rehearse({ runtime, receive });
    receive(NEXT);
    await undefined;
    textLine('INFO', ['%s', 'text', round, { round }]);
    jsonLine('INFO', [{ round }]);
    receive(ACKNOWLEDGED + NEXT);
    await undefined;
    // The last answer brings no further event.
    receive(ACKNOWLEDGED);
    api.waiting.length = 0;
  }
  rounds = AGAIN;
}

module.exports = { warm };
