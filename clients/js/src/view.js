// What a view shows of a subscription: the newest events, the connection's state, the last gap. The
// hooks and the element are this, in each framework's own words.

import { connect } from './events.js';

// The most events kept, if nobody says otherwise.
const LIMIT = 100;

export const EMPTY = { events: [], state: { name: 'connecting' }, gap: undefined };

// Calls `changed` with a new snapshot at each change; returns what ends it.
export function view(hub, { limit = LIMIT, onEvent, onGap, ...options } = {}, changed) {
  const connection = connect(hub, options);
  let now = { ...EMPTY, state: connection.state };
  const become = (change) => changed((now = { ...now, ...change }));
  connection.on((event) => {
    become({ events: [...now.events, event].slice(-limit) });
    onEvent?.(event);
  });
  connection.on('fanfare.gap', (gap) => {
    become({ gap });
    onGap?.(gap);
  });
  connection.on('fanfare.state', (state) => become({ state }));
  return () => connection.close();
}

// What of the options a change of makes another subscription. A function is only ever called: that there
// is one counts, not which.
export const identity = (hub, options = {}) => {
  const { topics, types, since, interval, shared, retry, limit } = options;
  const credentials = [options.token, options.ticket].map((one) => (typeof one === 'function' ? true : one));
  return JSON.stringify([String(hub), topics, types, since, interval, shared, retry, limit, credentials]);
};
