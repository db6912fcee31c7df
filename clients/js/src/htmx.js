// htmx's `sse` extension over this client: its streams resume, hear events of every type, and hear of
// gaps, as `sse:fanfare.gap`. Call it before htmx processes the page.

import { at } from './hub.js';
import { FanfareSource } from './source.js';

// Streams at `hub` are this client's; any other is what it was.
export function connectHtmx(htmx, hub, options = {}) {
  const before = htmx.createEventSource ?? ((url) => new EventSource(url, { withCredentials: true }));
  const stream = at(hub, 'events');
  // The extension opens a new source after a refusal: it goes on where the refused one stood.
  const stood = new Map();
  htmx.createEventSource = (url) => {
    const { href, origin, pathname } = new URL(url, document.baseURI);
    if (origin !== stream.origin || pathname !== stream.pathname) return before(url);
    const since = stood.get(href);
    // Whoever asks for the same later on begins anew.
    stood.delete(href);
    const source = new FanfareSource(href, since ? { ...options, since } : options);
    source.addEventListener('error', () => {
      if (source.readyState === FanfareSource.CLOSED) stood.set(href, source.lastEventId);
    });
    return source;
  };
}
