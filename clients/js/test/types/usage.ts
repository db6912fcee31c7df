// What the types allow, and what they refuse.

import { connect, FanfareError, publish, type Events, type FanfareEvent } from 'fanfare-client';
import { EventSource as NodeEventSource } from 'eventsource';

type Orders = { paid: { amount: number }; shipped: string };

const events: Events<Orders> = connect<Orders>('/sse', { topics: ['orders/*'], types: 'paid' });

const stop: () => void = events.on('paid', (event) => {
  const amount: number = event.json().amount;
  const topic: string = event.topic;
  const at: Date = event.publishedAt;
  console.log(amount, topic, at, event.id, event.data.length);
  // @ts-expect-error: payments have no colour
  event.json().colour;
});
stop();

// @ts-expect-error: no such type
events.on('refunded', () => {});

events.on((event) => {
  if (event.type === 'paid') event.json().amount.toFixed(2);
  else event.json().toUpperCase();
});

events.on('fanfare.gap', ({ reason, resumedFrom }) => console.log(reason === 'trimmed', resumedFrom));
events.on('fanfare.state', (state) => {
  if (state.name === 'reconnecting') console.log(state.at === null ? 'now' : new Date(state.at));
  if (state.name === 'closed') console.log(state.reason?.status, state.reason?.detail);
  // @ts-expect-error: only while reconnecting
  if (state.name === 'live') state.at;
});

export async function all(): Promise<FanfareEvent | undefined> {
  for await (const event of events) {
    if (event.type === 'shipped') event.json().trim();
    return event;
  }
  events.close();
  events.reconnect();
  return undefined;
}

// Without a list of types every type is known, and what it carries is not.
connect('https://hub.example/sse').on('anything', (event) => {
  const payload: unknown = event.json();
  console.log(payload);
});

connect(new URL('https://hub.example/sse'), { since: 'earliest', EventSource: NodeEventSource });
connect('/sse', { token: async () => 'token', shared: 'alice' });
connect('/sse', { ticket: () => 'ticket' });
connect('/sse', { shared: true });
// @ts-expect-error: whose connection is it?
connect('/sse', { token: 'token', shared: true });
// @ts-expect-error: one or the other
connect('/sse', { token: 'token', ticket: () => 'ticket' });

export async function send(): Promise<void> {
  const id: string = await publish('/sse', { message: 'text' });
  const ids: string[] = await publish('/sse', [{ message: { any: 'thing' } }]);
  await publish<Orders>('/sse', { event: 'paid', message: { amount: 3 } }, { key: id, token: ids[0]! });
  // @ts-expect-error: an amount is a number
  await publish<Orders>('/sse', { event: 'paid', message: { amount: '3' } });
  try {
    await publish('/sse', { topic: 'orders/*', message: '' });
  } catch (error) {
    if (error instanceof FanfareError && !error.final) console.log(error.retryAfter);
  }
}
