// The list of subscribers, a page at a time, and cutting one.

import { ask } from '../fanfare/hub.js';
import { age, count, row } from './figures.js';

// How often the list is renewed, while nobody is in it.
const RENEW_MS = 5_000;

export class Subscribers {
  constructor({ session, form, table, more, outcome }) {
    Object.assign(this, { session, form, table, more, outcome, pages: 0, listed: 0 });
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      this.list();
    });
    more.addEventListener('click', () => this.list(more.dataset.next));
  }

  renew() {
    const inUse = document.hidden || this.form.closest('section').matches(':hover, :focus-within');
    if (inUse || this.pages > 1 || Date.now() - this.listed < RENEW_MS) return;
    this.list();
  }

  async list(after) {
    this.listed = Date.now();
    this.pages = after ? this.pages + 1 : 1;
    const address = new URL('subscribers', location.href);
    const topic = this.form.elements.topic.value;
    if (topic) address.searchParams.set('topic', topic);
    if (after) address.searchParams.set('after', after);
    await this.attempt(async () => {
      const { subscribers, next } = await this.ask(address);
      const rows = subscribers.map((subscriber) => this.row(subscriber));
      if (after) this.table.append(...rows);
      else this.table.replaceChildren(...rows);
      if (!this.table.childElementCount) this.table.append(row(['Nobody is subscribed.', 'quiet', 5]));
      this.more.hidden = next === null;
      this.more.dataset.next = next;
      const shown = this.table.querySelectorAll('button').length;
      this.say(`${count(shown)} listed${next === null ? '' : ', there may be more'}`);
    });
  }

  row({ id, peer, selectors, more_selectors, connected, lag, blocked }) {
    const topics = selectors.join(', ') + (more_selectors ? ` and ${count(more_selectors)} more` : '');
    const cut = document.createElement('button');
    cut.type = 'button';
    cut.className = 'plain';
    cut.textContent = 'Cut';
    cut.setAttribute('aria-label', `Cut subscriber ${id}`);
    const who = document.createElement('span');
    who.textContent = peer ?? 'HTTP/2 or TLS';
    who.title = `Subscriber ${id}`;
    const behind = `${count(lag)}${blocked ? ', blocked' : ''}`;
    const line = row([who], [topics, 'topic'], [age(connected), 'number'], [behind, 'number'], [cut, 'number']);
    cut.addEventListener('click', () => this.cut(id, cut, line));
    return line;
  }

  async cut(id, button, line) {
    button.disabled = true;
    await this.attempt(async () => {
      const address = new URL('subscribers', location.href);
      address.searchParams.set('id', id);
      await this.ask(address, 'DELETE');
      this.say(`Subscriber ${id} was cut; an EventSource comes back by itself.`, 'done');
      const next = line.nextElementSibling ?? line.previousElementSibling;
      line.remove();
      // The keyboard's user stays in the list.
      (next?.querySelector('button') ?? this.form.elements.topic).focus();
    });
    button.disabled = false;
  }

  async ask(address, method = 'GET') {
    return (await ask(address, { method, token: this.session.token })).json();
  }

  async attempt(action) {
    try {
      await action();
    } catch (failure) {
      this.say(failure.message, 'failed');
    }
  }

  say(text, kind = '') {
    this.outcome.textContent = text;
    this.outcome.dataset.kind = kind;
  }
}
