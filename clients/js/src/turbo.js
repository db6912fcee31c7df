// Turbo Streams from a hub. After a gap the page is refreshed, which morphs it to what it would be.

import { FanfareSource } from './source.js';

const REFRESH = '<turbo-stream action="refresh"></turbo-stream>';

// Connects Turbo to a hub's stream, such as `/sse/events?topic=orders/*`; returns what ends it.
export function connectTurbo(Turbo, url, { onGap, ...options } = {}) {
  const source = new FanfareSource(url, options);
  Turbo.connectStreamSource(source);
  source.addEventListener('fanfare.gap', ({ data }) => {
    if (onGap) onGap(JSON.parse(data));
    else Turbo.renderStreamMessage(REFRESH);
  });
  return () => {
    Turbo.disconnectStreamSource(source);
    source.close();
  };
}
