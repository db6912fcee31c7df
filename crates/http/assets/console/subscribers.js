// The list of subscribers, a page at a time, and cutting one.

import { ask } from '../fanfare/hub.js';
import { age, count, row } from './figures.js';

// How often the list is renewed, while nobody is in it.
const RENEW_MS = 5_000;

// How long a question is open.
const CONFIRM_WITHIN_MS = 5_000;

export class Subscribers {
  constructor({ session, form, table, more, outcome }) {
    Object.assign(this, { session, form, table, more, outcome, turn: 0, pages: 0, listed: 0 });
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      this.list();
    });
    more.addEventListener('click', () => this.list({ after: more.dataset.next }));
  }

  clear() {
    this.turn += 1;
    this.pending = undefined;
    this.pages = 0;
    this.listed = 0;
    this.form.reset();
    this.table.replaceChildren();
    this.more.hidden = true;
    this.say('');
  }

  renew() {
    const inUse = document.hidden || this.form.closest('section').matches(':hover, :focus-within');
    if (inUse || this.pages > 1 || Date.now() - this.listed < RENEW_MS) return;
    this.list({ aloud: false });
  }

  // What nobody has asked for is not told `aloud`. The latest answer asked for counts: what an
  // earlier one still brings is void.
  async list(wanted = {}) {
    const { after, aloud = true } = wanted;
    const turn = (this.turn += 1);
    this.pending = wanted;
    this.listed = Date.now();
    this.outcome.ariaLive = aloud ? 'polite' : 'off';
    const address = new URL('subscribers', location.href);
    const topic = this.form.elements.topic.value;
    if (topic) address.searchParams.set('topic', topic);
    if (after) address.searchParams.set('after', after);
    try {
      const page = await this.ask(address);
      if (turn === this.turn) this.show(page, after);
    } catch (failure) {
      if (turn === this.turn) this.say(failure.message, 'failed');
    }
    if (turn === this.turn) this.pending = undefined;
  }

  show({ subscribers, next }, after) {
    const held = document.activeElement;
    const rows = subscribers.map((subscriber) => this.row(subscriber));
    this.pages = after ? this.pages + 1 : 1;
    if (after) this.table.append(...rows);
    else this.table.replaceChildren(...rows);
    if (!this.table.childElementCount) this.table.append(row(['Nobody is subscribed.', 'quiet', 5]));
    this.more.hidden = next === null;
    this.more.dataset.next = next;
    const shown = this.table.querySelectorAll('button').length;
    this.say(`${count(shown)} listed${next === null ? '' : ', there may be more'}`);
    // The keyboard's user stays at the same subscriber, or goes on to those that have come.
    if (held === this.more && held.hidden) (rows[0] ?? this.form).querySelector('button').focus();
    else if (!held.isConnected) (this.button(held.dataset.id) ?? this.form.elements.topic).focus();
  }

  row({ id, peer, selectors, more_selectors, connected, lag, blocked }) {
    const topics = selectors.join(', ') + (more_selectors ? ` and ${count(more_selectors)} more` : '');
    const cut = document.createElement('button');
    cut.type = 'button';
    cut.className = 'plain';
    cut.textContent = 'Cut';
    cut.dataset.id = id;
    cut.setAttribute('aria-label', `Cut subscriber ${id}`);
    const who = document.createElement('span');
    who.textContent = peer ?? 'HTTP/2 or TLS';
    who.title = `Subscriber ${id}`;
    const behind = `${count(lag)}${blocked ? ', blocked' : ''}`;
    cut.addEventListener('click', (click) => this.confirmed(cut, click) && this.cut(id, cut));
    return row([who], [topics, 'topic'], [age(connected), 'number'], [behind, 'number'], [cut, 'number']);
  }

  // The first press asks, the next one within a while is meant, but for that of a double click.
  confirmed(button, { detail }) {
    const { dataset } = button;
    const ask = (asking) => {
      button.textContent = asking ? 'Really?' : 'Cut';
      button.setAttribute('aria-label', `${asking ? 'Really cut' : 'Cut'} subscriber ${dataset.id}`);
      if (asking) dataset.asked = '';
      else delete dataset.asked;
    };
    if ('asked' in dataset) return detail < 2;
    ask(true);
    setTimeout(() => ask(false), CONFIRM_WITHIN_MS);
    return false;
  }

  async cut(id, button) {
    button.disabled = true;
    this.outcome.ariaLive = 'polite';
    const { token } = this.session;
    try {
      const address = new URL('subscribers', location.href);
      address.searchParams.set('id', id);
      await this.ask(address, 'DELETE');
      if (token !== this.session.token) return; // who has signed out since is told nothing
      this.say(`Subscriber ${id} was cut; an EventSource comes back by itself.`, 'done');
      const line = this.button(id)?.closest('tr');
      const next = line?.nextElementSibling ?? line?.previousElementSibling;
      line?.remove();
      // The keyboard's user stays in the list.
      (next?.querySelector('button') ?? this.form.elements.topic).focus();
      // What was asked for before may still hold it.
      if (this.pending) this.list(this.pending);
    } catch (failure) {
      if (token === this.session.token) this.say(failure.message, 'failed');
    }
    button.disabled = false;
  }

  async ask(address, method = 'GET') {
    return (await ask(address, { method, token: this.session.token })).json();
  }

  // The button that cuts this subscriber.
  button(id) {
    return [...this.table.querySelectorAll('button')].find((button) => button.dataset.id === String(id));
  }

  say(text, kind = '') {
    this.outcome.textContent = text;
    this.outcome.dataset.kind = kind;
  }
}
