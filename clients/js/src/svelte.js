// A subscription as a store of Svelte: connected while somebody subscribes to it.

import { EMPTY, view } from './view.js';

export function fanfare(hub, options = {}) {
  const subscribers = new Set();
  let now = EMPTY;
  let end;
  return {
    subscribe(run) {
      const subscriber = { run };
      subscribers.add(subscriber);
      run(now);
      // A server renders what there is before anything is heard.
      if (typeof window !== 'undefined') {
        end ??= view(hub, options, (next) => {
          now = next;
          for (const { run } of [...subscribers]) run(now);
        });
      }
      return () => {
        subscribers.delete(subscriber);
        if (subscribers.size > 0) return;
        end?.();
        end = undefined;
        now = EMPTY;
      };
    },
  };
}
