// npm's `@microsoft/fetch-event-source`, which expects to be in a page.

import { fetchEventSource } from '@microsoft/fetch-event-source';

globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };

await fetchEventSource(process.argv[2], {
  onmessage: ({ id, event, data }) => console.log(JSON.stringify({ id, type: event || 'message', data })),
  onclose() {
    throw new Error('a stream that ends is to be taken up again');
  },
  onerror() {},
});
