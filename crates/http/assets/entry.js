// An entry of the list: a message, or a gap.

// How much of a message is shown at first.
const SHOWN_CHARACTERS = 500;
const SHOWN_LINES = 8;

const GAPS = {
  trimmed: 'Some messages were no longer kept when this page came back.',
  engine_lost_writes: 'The hub lost some messages that it had accepted.',
  unknown_epoch: 'The hub began a new log, so messages may have been missed.',
  bad_id: 'The hub could not tell where this page had stopped.',
};

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });
const number = new Intl.NumberFormat();

export function element(item) {
  const entry = create('article', item.kind);
  const when = item.publishedAt;
  const time = create('time', 'time', clock.format(when));
  time.dateTime = when.toISOString();
  time.title = moment.format(when);
  const id = create('span', 'id', item.id);
  const what = create('div', 'what');
  if (item.kind === 'gap') {
    time.title = `Noticed ${time.title}`;
    id.title = 'The id from which the stream goes on';
    what.append(create('strong', '', 'Gap '), create('p', '', GAPS[item.reason] ?? 'Messages may have been missed.'));
  } else {
    id.title = 'Event id';
    what.dir = 'auto'; // as the message is written, whatever its topic
    if (item.several) what.append(topic(item.topic));
    if (item.type !== 'message') what.append(label('type', item.type));
    what.append(...text(item.text));
  }
  entry.append(time, what, id);
  return entry;
}

// What the filter looks at.
export function searchable({ topic, type, id, text }) {
  return [topic, type, id, text].join('\n').toLowerCase();
}

// Long ones are cut, with a button that brings the rest.
function text(whole) {
  const lines = whole.slice(0, SHOWN_CHARACTERS).split('\n', SHOWN_LINES).join('\n');
  if (lines.length === whole.length) return [create('p', '', whole)];
  const beginning = create('p', 'cut', `${lines}…`);
  const all = create('button', 'link', `Show all ${number.format(whole.length)} characters`);
  all.type = 'button';
  all.addEventListener('click', () => {
    beginning.textContent = whole;
    beginning.className = '';
    all.remove();
  });
  return [beginning, all];
}

// A topic has its colour, the same wherever it is seen.
function topic(name) {
  const chip = label('topic', name);
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)) % 360;
  chip.style.setProperty('--hue', hash);
  return chip;
}

// What has a direction of its own tells nothing of the message's.
function label(kind, content) {
  const node = create('span', kind, content);
  node.dir = 'ltr';
  return node;
}

function create(name, kind, content = '') {
  const node = document.createElement(name);
  node.className = kind;
  node.textContent = content;
  return node;
}
