// The console at <prefix>/console: listens to the hub's statistics and shows them. Every URL is
// relative to the page, so that it works under any prefix.

import { Charts } from './charts.js';
import { Figures } from './figures.js';
import { Series } from './series.js';
import { Subscribers, ask } from './subscribers.js';

const REOPEN_AFTER_MS = 5_000;

const byId = (id) => document.getElementById(id);

const series = new Series();
const charts = new Charts(byId('charts'));
const figures = new Figures({ tiles: byId('tiles'), counts: byId('counts'), topics: byId('topics') });
const subscribers = new Subscribers({
  form: byId('find'),
  table: byId('subscribers'),
  more: byId('more'),
  outcome: byId('outcome'),
});

// However many statistics arrive at once, and in a hidden tab, they are drawn once.
let frame;
function draw() {
  frame = undefined;
  if (!series.latest) return;
  figures.draw(series);
  charts.draw(series);
}

function say(state, text) {
  const connection = byId('connection');
  connection.dataset.state = state;
  connection.textContent = text;
}

function listen() {
  const source = new EventSource(new URL('console/events?last_event_id=earliest', location.href));
  source.onopen = () => {
    byId('refused').hidden = true;
    say('live', 'Live');
  };
  source.onmessage = (event) => {
    series.add(JSON.parse(event.data));
    frame ??= requestAnimationFrame(draw);
  };
  source.onerror = async () => {
    say('reconnecting', 'Reconnecting');
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(listen, REOPEN_AFTER_MS);
    // An EventSource does not say why it was refused.
    await ask(new URL('subscribers?limit=1', location.href)).catch((failure) => {
      byId('refused').textContent = failure.message;
      byId('refused').hidden = false;
    });
  };
}

listen();
subscribers.list();
