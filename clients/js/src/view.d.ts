import type { AnyEvent, Gap, Options, State } from './index.js';

/** What a view shows of a subscription. */
export interface View {
  /** The newest events, oldest first. An event's `id` is a good key. */
  readonly events: readonly AnyEvent[];
  readonly state: State;
  /** The last one: what `events` lacks, fetch from where the state is kept. */
  readonly gap: Gap | undefined;
}

export type ViewOptions = Options & {
  /** The most events kept; 100 unless told. */
  limit?: number;
  onEvent?: (event: AnyEvent) => void;
  onGap?: (gap: Gap) => void;
};
