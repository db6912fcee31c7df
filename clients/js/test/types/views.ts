// The hooks, the element and the adapters, as TypeScript sees them.

import { FanfareFeed, defineFeed } from 'fanfare-client/element';
import { connectHtmx } from 'fanfare-client/htmx';
import { useFanfare } from 'fanfare-client/react';
import { FanfareSource } from 'fanfare-client/source';
import { fanfare } from 'fanfare-client/svelte';
import { connectTurbo } from 'fanfare-client/turbo';
import { useFanfare as useInVue } from 'fanfare-client/vue';

const { events, state, gap } = useFanfare('/sse', { topics: 'orders/*', limit: 10 });
console.log(events.map(({ id, data }) => id + data), state.name, gap?.reason);
// @ts-expect-error: a snapshot is not written to
events.push(events[0]);

console.log(useInVue('/sse', () => ({ topics: ['a'] })).events.value.length);
fanfare('/sse', { onGap: ({ reason }) => console.log(reason) }).subscribe(({ state }) => console.log(state.name))();
new FanfareSource('/sse/events?topic=a', { shared: true }).addEventListener('paid', ({ data }) => console.log(data));
connectHtmx({}, '/sse');
const turbo = { connectStreamSource() {}, disconnectStreamSource() {}, renderStreamMessage() {} };
connectTurbo(turbo, '/sse/events', { onGap: ({ resumed_from }) => console.log(resumed_from) })();
defineFeed('/sse');
console.log(FanfareFeed.hub, new FanfareFeed().events?.state.name);
// @ts-expect-error: whose connection is it?
useFanfare('/sse', { token: 'token', shared: true });

// A token that comes later.
declare const session: { token?: string };
useFanfare('/sse', { topics: 't', token: session.token, shared: 'alice' });
useInVue('/sse', () => ({ token: session.token }));
// @ts-expect-error: whose connection?
useFanfare('/sse', { token: session.token, shared: true });
