// The smallest Node.js function: greets whom the event names.
export const handler = async (event, context) => ({
  message: `hello ${event?.name ?? 'world'}`,
  requestId: context.awsRequestId,
});
