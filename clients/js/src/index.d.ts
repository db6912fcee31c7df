/** What the application's event types carry: the payload that `json()` of such an event returns. */
export type Payloads = Record<string, unknown>;

/** An event as it was published. */
export interface FanfareEvent<Type extends string = string, Payload = unknown> {
  /** Its place in the hub's log. Opaque, unique, and where to resume: the `since` of a `connect`. */
  readonly id: string;
  /** `message` if it was published without a type. */
  readonly type: Type;
  readonly topic: string;
  readonly publishedAt: Date;
  /** The message, as it was published. */
  readonly data: string;
  /** The message, parsed as JSON. */
  json(): Payload;
}

/** Any of the application's events; its `type` tells which payload it has. */
export type AnyEvent<P extends object = Payloads> = {
  [Type in keyof P & string]: FanfareEvent<Type, P[Type]>;
}[keyof P & string];

/** Something that was asked for is gone, and comes before whatever follows it. */
export interface Gap {
  readonly id: string;
  readonly reason: 'trimmed' | 'engine_lost_writes' | 'unknown_epoch' | 'unknown_id' | 'bad_id' | (string & {});
  /** The id that was asked for. */
  readonly requested: string;
  /** The id after which the stream goes on. */
  readonly resumedFrom: string;
}

export type State =
  | { readonly name: 'connecting' }
  | { readonly name: 'live' }
  | {
      readonly name: 'reconnecting';
      /** When the next attempt is, as `Date.now()` tells time; `null` while one is under way. */
      readonly at: number | null;
      readonly reason?: FanfareError;
    }
  | {
      readonly name: 'closed';
      /** What no retry can mend; absent after `close()`. */
      readonly reason?: FanfareError;
    };

/** What the client itself tells, beside the application's events. */
export interface Notices {
  'fanfare.gap': Gap;
  'fanfare.state': State;
}

/** Something that has the interface of `EventSource`, such as that of npm's `eventsource`. */
export type EventSourceLike = new (
  url: string,
  init?: { withCredentials?: boolean },
) => {
  readonly readyState: number;
  addEventListener(type: string, listener: (event: any) => void): void;
  close(): void;
};

interface Subscription {
  /** Topics, or patterns: `*` is one segment, `**` any number of them. `default` if there is none. */
  topics?: string | readonly string[];
  /** Only these event types; `message` is the untyped. All if there is none. */
  types?: string | readonly string[];
  /** Begin after this id, or with everything retained: `earliest`. Otherwise with what comes. */
  since?: string;
  /** Receive events at most this often, in milliseconds (10 to 10,000), several at a time. */
  interval?: number;
  /** The longest first wait before a reconnect, in milliseconds; it doubles up to thirty times it. */
  retry?: number;
  /** Where there is no global one. */
  EventSource?: EventSourceLike;
}

/** How the hub knows the listener, if not by a cookie. Asked before each attempt to connect. */
type Anonymous = { token?: undefined; ticket?: undefined };
type Known =
  | {
      /** A token, for which a ticket is drawn at the hub; `undefined` while there is none yet. */
      token: string | (() => string | Promise<string>) | undefined;
      ticket?: undefined;
    }
  | {
      /** A ticket that the application has drawn. An error with a `status` of 4xx ends the connection. */
      ticket: (() => string | Promise<string>) | undefined;
      token?: undefined;
    };

/**
 * Whether tabs of this browser that connect to the same address share one connection. Where users
 * may differ from tab to tab, a name that says whose it is; only tabs with the same name share.
 */
export type Options = Subscription &
  ((Anonymous & { shared?: boolean | string }) | (Known & { shared?: false | string }));

export interface Events<P extends object = Payloads> {
  readonly state: State;
  /** Where to resume: the `since` of another `connect`. */
  readonly lastEventId: string;
  /** Listens until the returned function is called. */
  on<Type extends keyof Notices>(type: Type, listener: (notice: Notices[Type]) => void): () => void;
  on<Type extends keyof P & string>(
    type: Type,
    listener: (event: FanfareEvent<Type, P[Type]>) => void,
  ): () => void;
  /** Listens to events of every type. */
  on(listener: (event: AnyEvent<P>) => void): () => void;
  /** Tries at once, instead of waiting, or after a refusal. */
  reconnect(): void;
  /** Ends everything; listeners hear nothing any more, loops end. */
  close(): void;
  /** Ends with `close()`; throws what no retry can mend. */
  [Symbol.asyncIterator](): AsyncGenerator<AnyEvent<P>, void, void>;
}

/** Listens to the hub whose page is at `hub`, such as `/sse`. */
export function connect<P extends object = Payloads>(
  hub: string | URL,
  options?: Options,
): Events<P>;

export interface Draft<Type extends string = string, Payload = unknown> {
  topic?: string;
  event?: Type;
  /** Text goes as it is, anything else as JSON. */
  message: Payload;
}

export type AnyDraft<P extends object = Payloads> = {
  [Type in keyof P & string]: Draft<Type, P[Type]>;
}[keyof P & string];

export interface PublishOptions {
  token?: string | (() => string | Promise<string>);
  /** The idempotency key: the hub publishes only the first of those that have the same. */
  key?: string;
  signal?: AbortSignal;
}

/** Publishes an event and returns its id; a list of them as a whole, and returns their ids. */
export function publish<P extends object = Payloads>(
  hub: string | URL,
  event: AnyDraft<P>,
  options?: PublishOptions,
): Promise<string>;
export function publish<P extends object = Payloads>(
  hub: string | URL,
  events: readonly AnyDraft<P>[],
  options?: PublishOptions,
): Promise<string[]>;

export class FanfareError extends Error {
  constructor(
    message: string,
    of?: {
      status?: number;
      detail?: unknown;
      retryAfter?: number;
      blocked?: boolean;
      unknown?: boolean;
      cause?: unknown;
    },
  );
  /** The hub's answer, if there was one. */
  readonly status?: number;
  /** What it said: a text, or a list of problems as FastAPI has it. */
  readonly detail?: unknown;
  /** In how many seconds the hub asks to be asked again. */
  readonly retryAfter?: number;
  /** `true` if something answered that pages of this origin may not read: see `--allow-origin`. */
  readonly blocked?: boolean;
  /** `true` if a `publish` may have published all the same: an answer was lost on the way. */
  readonly unknown?: boolean;
  /** Whether no retry can mend it. */
  readonly final: boolean;
}
