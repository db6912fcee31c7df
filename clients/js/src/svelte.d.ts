import type { View, ViewOptions } from './view.js';

/** A store: connected while somebody subscribes to it, as `$feed` in a component does. */
export function fanfare(
  hub: string | URL,
  options?: ViewOptions,
): { subscribe(run: (view: View) => void): () => void };
