import type { Options } from './index.js';

/** Makes the streams of htmx's `sse` extension at this hub this client's. */
export function connectHtmx(htmx: object, hub: string | URL, options?: Options): void;
