// The hub's client for pages without a build step, at a stable address:
//
//   <script type="module" src="/sse/fanfare.js"></script>
//   <fanfare-feed topic="orders/*"></fanfare-feed>
//
// or `import { connect } from '/sse/fanfare.js'`. What it loads has no stable address.

import { defineFeed } from './assets/fanfare/element.js';

export { connect, publish, FanfareError } from './assets/fanfare/index.js';
export { FanfareFeed } from './assets/fanfare/element.js';

// Where this hub is, for whoever does not say which.
export const hub = new URL('./', import.meta.url).href;

defineFeed(hub);
