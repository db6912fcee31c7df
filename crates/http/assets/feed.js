// The list of messages: newest at the end, bounded, following the newest unless the reader has
// scrolled back. However many arrive, the browser lays out only those in view (see `.entry`).

import { element, searchable } from './entry.js';

// The most entries kept, and characters in them; the oldest make room.
const MAX_ENTRIES = 10_000;
const MAX_CHARACTERS = 32 * 1024 * 1024;

// How close to the end, in pixels, still counts as reading the newest.
const AT_END_PX = 48;

// How many may arrive at once and still be shown one after the other.
const FEW = 5;

const number = new Intl.NumberFormat();

export class Feed {
  constructor({ list, empty, nothing, tally, newest, pause, clear, filter }) {
    Object.assign(this, { list, empty, nothing, tally, newest, pauseButton: pause, filterField: filter });
    this.several = false; // whether each message says its topic
    this.paused = false;
    this.following = true;
    this.wanted = '';
    this.reset();
    list.addEventListener('scroll', () => this.scrolled(), { passive: true });
    newest.addEventListener('click', () => this.toEnd());
    pause.addEventListener('click', () => this.pause(!this.paused));
    clear.addEventListener('click', () => this.clear());
    filter.addEventListener('input', () => this.filter(filter.value));
  }

  reset() {
    this.entries = []; // of those in the list, in its order
    this.characters = 0;
    this.waiting = []; // arrived since the last frame was drawn, or since the pause
    this.waitingCharacters = 0;
    this.held = 0; // since the pause
    this.received = 0;
    this.gaps = 0;
    this.shown = 0;
    this.unread = 0;
  }

  // Takes a client's event.
  add(event) {
    this.received += 1;
    this.hold({ kind: 'entry', text: event.data, several: this.several, ...event });
  }

  // Takes a client's gap.
  gap(gap) {
    this.gaps += 1;
    this.hold({ kind: 'gap', text: '', publishedAt: new Date(), ...gap });
  }

  // A frame is drawn once however many messages arrive before it, and not at all in a hidden tab.
  hold(item) {
    this.waiting.push(item);
    this.waitingCharacters += item.text.length;
    while (this.waiting.length > MAX_ENTRIES || this.waitingCharacters > MAX_CHARACTERS) {
      this.waitingCharacters -= this.waiting.shift().text.length;
    }
    if (this.paused) this.held += 1;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = undefined;
    if (!this.paused) {
      this.append(this.waiting.splice(0));
      this.waitingCharacters = 0;
    }
    this.tell();
  }

  append(items) {
    if (!items.length) return;
    const fresh = items.length <= FEW;
    const entries = items.map((item) => {
      const node = element(item);
      if (fresh) node.classList.add('fresh');
      return { item, node, text: undefined };
    });
    for (const entry of entries) {
      this.characters += entry.item.text.length;
      this.sift(entry);
      if (!entry.node.hidden) this.unread += 1;
    }
    this.list.append(...entries.map(({ node }) => node));
    this.entries.push(...entries);
    this.makeRoom();
    if (this.following) this.toEnd();
  }

  makeRoom() {
    let over = 0;
    while (this.entries.length - over > MAX_ENTRIES || this.characters > MAX_CHARACTERS) {
      this.characters -= this.entries[over].item.text.length;
      over += 1;
    }
    for (const { node } of this.entries.splice(0, over)) {
      if (!node.hidden) this.shown -= 1;
      node.remove();
    }
  }

  // Hides an entry unless it holds what is looked for. A gap is never hidden.
  sift(entry) {
    if (this.wanted) entry.text ??= searchable(entry.item);
    entry.node.hidden = Boolean(this.wanted) && entry.item.kind !== 'gap' && !entry.text.includes(this.wanted);
    if (!entry.node.hidden) this.shown += 1;
  }

  filter(text) {
    this.wanted = text.trim().toLowerCase();
    this.shown = 0;
    this.entries.forEach((entry) => this.sift(entry));
    this.toEnd();
    this.tell();
  }

  pause(paused) {
    this.paused = paused;
    this.held = 0;
    this.draw();
  }

  // For another reader.
  forget() {
    this.pause(false);
    this.filterField.value = '';
    this.filter('');
    this.clear();
  }

  clear() {
    this.list.replaceChildren();
    this.reset();
    this.toEnd();
    this.tell();
  }

  tell() {
    const parts = [`${number.format(this.received)} received`];
    if (this.gaps) parts.push(this.gaps === 1 ? '1 gap' : `${number.format(this.gaps)} gaps`);
    if (this.wanted) parts.push(`${number.format(this.shown)} of ${number.format(this.entries.length)} shown`);
    else if (this.received > this.entries.length && this.entries.length === MAX_ENTRIES) {
      parts.push(`the newest ${number.format(MAX_ENTRIES)} kept`);
    }
    if (this.held) parts.push(`${number.format(this.held)} waiting`);
    this.tally.textContent = this.received || this.gaps ? parts.join(' · ') : '';
    this.empty.hidden = this.received > 0 || this.gaps > 0;
    this.nothing.hidden = !this.wanted || this.shown > 0 || !this.empty.hidden;
    this.nothing.textContent = `Nothing here contains “${this.wanted}”.`;
    this.pauseButton.textContent = this.paused ? 'Resume' : 'Pause';
    this.pauseButton.classList.toggle('on', this.paused);
    this.offerNewest();
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    // Entries that come into view take their real height, which moves the end but not the reader.
    if (scrollHeight - scrollTop - clientHeight < AT_END_PX) this.following = true;
    else if (scrollTop < this.top) this.following = false;
    else if (this.following) this.list.scrollTop = scrollHeight;
    this.top = scrollTop;
    if (this.following) this.unread = 0;
    this.offerNewest();
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.top = this.list.scrollTop;
    this.following = true;
    this.unread = 0;
    this.offerNewest();
  }

  offerNewest() {
    this.newest.hidden = this.following;
    this.newest.textContent = this.unread ? `${number.format(this.unread)} newer` : 'To the newest';
  }
}
