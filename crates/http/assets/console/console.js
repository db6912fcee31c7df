// The console at <prefix>/console: listens to the hub's statistics and shows them. Every URL is
// relative to the page, so that it works under any prefix.

import { Badge } from '../badge.js';
import { connect } from '../fanfare/index.js';
import { drawTicket } from '../fanfare/hub.js';
import { Session } from '../session.js';
import { Charts } from './charts.js';
import { Figures } from './figures.js';
import { Nodes } from './nodes.js';
import { Series } from './series.js';
import { Subscribers } from './subscribers.js';

const byId = (id) => document.getElementById(id);

const series = new Series();
const charts = new Charts(byId('charts'));
const figures = new Figures({ tiles: byId('tiles'), counts: byId('counts'), topics: byId('topics') });
const nodes = new Nodes({ panel: byId('nodes-panel'), table: byId('nodes'), here: byId('this-node') });
const badge = new Badge({
  box: byId('connection'),
  state: byId('state'),
  countdown: byId('countdown'),
  reason: byId('reason'),
  now: byId('now'),
  reconnect: () => events.reconnect(),
});
const session = new Session({ form: byId('sign-in'), refusal: byId('refusal'), out: byId('sign-out') });
const subscribers = new Subscribers({
  session,
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
  nodes.draw(series.latest);
  charts.draw(series);
}

let events;

// Begins with the last minutes, which are all that the hub keeps.
function listen() {
  events?.close();
  events = connect('console', {
    since: 'earliest',
    ticket: session.token && (() => drawTicket('./', session.token)),
  });
  events.on((event) => {
    series.add(event.json());
    frame ??= requestAnimationFrame(draw);
    subscribers.renew();
  });
  // A hole in the charts says as much.
  events.on('fanfare.gap', () => {});
  events.on('fanfare.state', show);
  show(events.state);
}

function show(state) {
  badge.show(state);
  session.show(state.name === 'closed' ? state.reason : undefined);
}

session.addEventListener('change', () => {
  // What the one who signs out has seen is not for the next.
  if (!session.token) for (const part of [series, charts, figures, nodes, subscribers]) part.clear();
  listen();
});
listen();
