// The page at <prefix>/: listens to the hub, shows what arrives, publishes. Every URL is relative,
// so that the page works under any prefix; whatever arrives is shown as text, never as markup.

import { connect } from './fanfare/index.js';
import { Badge } from './badge.js';
import { Feed } from './feed.js';
import { hideDeadLinks } from './links.js';
import { News } from './news.js';
import { Popups } from './popups.js';
import { publishForm } from './publish.js';
import { Replay } from './replay.js';
import { Session } from './session.js';
import { Topics } from './topics.js';

// Where the hub is: at the page's own address.
const HUB = './';

const byId = (id) => document.getElementById(id);

const feed = new Feed({
  list: byId('messages'),
  empty: byId('empty'),
  nothing: byId('nothing'),
  tally: byId('tally'),
  newest: byId('newest'),
  pause: byId('pause'),
  clear: byId('clear'),
  filter: byId('filter'),
});
const popups = new Popups(window.Swal, byId('popups'));
const news = new News(byId('news'));
const replay = new Replay();
const badge = new Badge({
  box: byId('connection'),
  state: byId('state'),
  countdown: byId('countdown'),
  reason: byId('reason'),
  now: byId('now'),
  reconnect: () => events.reconnect(),
});
const session = new Session({ form: byId('sign-in'), refusal: byId('refusal'), out: byId('sign-out') });
const topics = new Topics({ form: byId('follow'), list: byId('followed') });

let events;
let unseen = 0; // messages that came while nobody looked at this tab; its title says how many

// Goes on after `since`, or with what comes.
function listen(since) {
  events?.close();
  feed.several = topics.several;
  events = connect(HUB, {
    topics: topics.names,
    since,
    token: session.token,
    // Tabs share a connection, but not with whoever signed in as someone else.
    shared: session.token ?? true,
  });
  events.on((event) => {
    feed.add(event);
    const replayed = replay.brings(event);
    if (!feed.paused && !replayed) {
      popups.add(event.data);
      news.add(event.data);
    }
    if (document.hidden) document.title = `(${(unseen += 1)}) Fanfare`;
  });
  events.on('fanfare.gap', (gap) => {
    feed.gap(gap);
    news.gap();
  });
  events.on('fanfare.state', show);
  show(events.state);
}

function show(state) {
  replay.become(state);
  badge.show(state);
  session.show(state.name === 'closed' ? state.reason : undefined);
}

// What the one who signs out has seen is not for the next.
function forget() {
  events.close();
  replay.end();
  feed.forget();
  topics.form.reset();
  popups.clear();
  news.clear();
  publishing.clear();
  seen();
}

// This tab is looked at, or has nothing to look at any more.
function seen() {
  unseen = 0;
  document.title = 'Fanfare';
}

const goOn = () => listen(events.lastEventId);
topics.addEventListener('change', goOn);
session.addEventListener('change', () => {
  if (session.token) return goOn();
  forget();
  listen('');
});
byId('replay').addEventListener('click', () => {
  replay.begin(events.lastEventId);
  listen('earliest');
});

document.addEventListener('visibilitychange', seen);

const publishing = publishForm({
  hub: HUB,
  session,
  topics,
  form: byId('publish'),
  outcome: byId('outcome'),
  also: byId('also'),
  command: byId('curl'),
  copy: byId('copy'),
});
listen('');
hideDeadLinks();
