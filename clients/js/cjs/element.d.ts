import type { Events, Options } from './index.js';

/**
 * `<fanfare-feed topic="orders/*">`. Its attributes: `hub`, `topic` and `type` (several separated by
 * spaces), `since`, `shared`, `limit`; `state` is the connection's. Its events: `fanfare-event`,
 * `fanfare-gap`, `fanfare-state`; to prevent a `fanfare-event` is to show it oneself.
 */
export class FanfareFeed extends HTMLElement {
  static hub: string | URL;
  options: Options;
  readonly events: Events | undefined;
}

/** Makes the element known, with a hub for those that name none. */
export function defineFeed(hub?: string | URL): void;
