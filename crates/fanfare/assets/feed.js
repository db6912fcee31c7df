// The list of messages: newest at the end, bounded, following the newest unless the reader has
// scrolled back.

// The most entries kept in the document; the oldest make room.
const MAX_ENTRIES = 1_000;

// How close to the end, in pixels, still counts as reading the newest.
const AT_END_PX = 48;

const GAPS = {
  trimmed: 'Some messages were no longer kept when this page came back.',
  engine_lost_writes: 'The hub lost some messages that it had accepted.',
  unknown_epoch: 'The hub began a new log, so messages may have been missed.',
  bad_id: 'The hub could not tell where this page had stopped.',
};

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const number = new Intl.NumberFormat();

export class Feed {
  constructor({ list, empty, tally, newest }) {
    Object.assign(this, { list, empty, tally, newest });
    this.waiting = []; // arrived since the last frame was drawn
    this.received = 0;
    this.unread = 0;
    this.following = true;
    list.addEventListener('scroll', () => this.scrolled(), { passive: true });
    newest.addEventListener('click', () => this.toEnd());
  }

  message(text, id) {
    this.received += 1;
    this.add({ kind: 'entry', text, id, at: new Date() });
  }

  // Takes the data of a `fanfare.gap` event: {"reason", "requested", "resumed_from"}.
  gap(data) {
    let gap = {};
    try {
      gap = JSON.parse(data) ?? {};
    } catch {
      // What cannot be read is still a gap.
    }
    const reason = GAPS[gap.reason] ?? 'Messages may have been missed.';
    this.add({ kind: 'gap', text: reason, id: gap.resumed_from ?? '', at: new Date() });
  }

  // A frame is drawn once however many messages arrive before it, and not at all in a hidden tab.
  add(item) {
    this.waiting.push(item);
    if (this.waiting.length > 2 * MAX_ENTRIES) this.waiting.splice(0, MAX_ENTRIES);
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = undefined;
    const items = this.waiting.slice(-MAX_ENTRIES);
    this.waiting = [];
    this.empty.hidden = true;
    this.list.append(...items.map(element));
    while (this.list.childElementCount > MAX_ENTRIES) this.list.firstElementChild.remove();

    const shown = this.received > MAX_ENTRIES ? `, the newest ${number.format(MAX_ENTRIES)} shown` : '';
    this.tally.textContent = `${number.format(this.received)} received${shown}`;
    this.unread += items.length;
    if (this.following) this.toEnd();
    else this.offerNewest();
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    this.following = scrollHeight - scrollTop - clientHeight < AT_END_PX;
    if (this.following) this.unread = 0;
    this.offerNewest();
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.following = true;
    this.unread = 0;
    this.offerNewest();
  }

  offerNewest() {
    this.newest.hidden = this.following;
    this.newest.textContent = this.unread ? `${number.format(this.unread)} newer` : 'To the newest';
  }
}

function element({ kind, text, id, at }) {
  const entry = document.createElement('article');
  entry.className = kind;

  const body = document.createElement('p');
  body.textContent = text;

  const time = document.createElement('time');
  time.dateTime = at.toISOString();
  time.textContent = clock.format(at);
  time.title = 'When this page received it';

  const position = document.createElement('span');
  position.className = 'id';
  position.textContent = kind === 'gap' && id ? `resumes from ${id}` : id;
  position.title = 'Event id';

  const facts = document.createElement('footer');
  facts.append(time, position);
  entry.append(body, facts);
  return entry;
}
