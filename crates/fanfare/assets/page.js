// The page at <prefix>/: listens to the hub, shows what arrives, publishes. Every URL is relative,
// so that the page works under any prefix; whatever arrives is shown as text, never as markup.

import { subscribe } from './stream.js';
import { Feed } from './feed.js';
import { Popups } from './popups.js';
import { publishForm } from './publish.js';

const byId = (id) => document.getElementById(id);

const CONNECTION = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
};

// `?topic=` in the page's address, repeated or not, chooses what is listened to.
const topics = new URLSearchParams(location.search).getAll('topic');
const events = new URL('events', location.href);
for (const topic of topics) events.searchParams.append('topic', topic);

const feed = new Feed({
  list: byId('messages'),
  empty: byId('empty'),
  tally: byId('tally'),
  newest: byId('newest'),
});
const popups = new Popups(window.Swal);
byId('popups').addEventListener('change', (change) => popups.enable(change.target.checked));

subscribe(events, {
  state(state) {
    const connection = byId('connection');
    connection.dataset.state = state;
    connection.textContent = CONNECTION[state];
  },
  message(event) {
    popups.add(event.data);
    feed.message(event.data, event.lastEventId);
  },
  gap(event) {
    feed.gap(event.data);
  },
});

publishForm({ form: byId('publish'), outcome: byId('outcome'), listening: topics });

const command = byId('curl');
command.textContent = [
  `curl -X POST ${new URL('send', location.href)}`,
  '-H "Content-Type: application/json"',
  `-d '{"message": "Hello from server!"}'`,
].join(' \\\n  ');
const copy = byId('copy');
// Only a secure context (https, or localhost) has a clipboard.
if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command.textContent).then(
      () => (copy.textContent = 'Copied'),
      () => getSelection().selectAllChildren(command),
    );
  });
}
