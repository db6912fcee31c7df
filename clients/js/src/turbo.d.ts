import type { Options } from './index.js';

/** Connects Turbo to a hub's stream; returns what ends it. Without `onGap` a gap refreshes the page. */
export function connectTurbo(
  Turbo: {
    connectStreamSource(source: any): void;
    disconnectStreamSource(source: any): void;
    renderStreamMessage(message: any): void;
  },
  url: string | URL,
  options?: Options & {
    onGap?: (gap: { reason: string; requested: string; resumed_from: string }) => void;
  },
): () => void;
