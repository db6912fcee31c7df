// The subscription: an EventSource, and what it takes to keep it going.

// How long to wait before an EventSource that has given up is replaced; doubled each time.
const REOPEN_AFTER_MS = 2_000;
const REOPEN_AFTER_MAX_MS = 60_000;

// Calls `state` ('connecting', 'live', 'reconnecting'), `message` and `gap` of `handlers`.
//
// The browser reconnects by itself after a broken connection. It gives up for good when it is
// answered with an error, as a proxy does while the hub restarts; then a new EventSource takes
// over where the old one stopped.
export function subscribe(url, handlers) {
  let cursor = '';
  let refusals = 0;

  function open() {
    const from = new URL(url);
    if (cursor) from.searchParams.set('last_event_id', cursor);
    const source = new EventSource(from);

    source.onopen = () => {
      refusals = 0;
      handlers.state('live');
    };
    source.onmessage = (event) => {
      cursor = event.lastEventId;
      handlers.message(event);
    };
    source.addEventListener('fanfare.gap', (event) => {
      cursor = event.lastEventId;
      handlers.gap(event);
    });
    source.addEventListener('fanfare.cursor', (event) => {
      cursor = event.lastEventId;
    });
    source.onerror = () => {
      handlers.state('reconnecting');
      if (source.readyState === EventSource.CLOSED) {
        const wait = Math.min(REOPEN_AFTER_MS * 2 ** refusals, REOPEN_AFTER_MAX_MS);
        refusals += 1;
        setTimeout(open, wait * (0.5 + Math.random() / 2));
      }
    };
  }

  handlers.state('connecting');
  open();
}
