// The list of subscribers, a page at a time, and cutting one.

import { age, count, row } from './figures.js';

const ANSWER_WITHIN_MS = 10_000;

export class Subscribers {
  constructor({ form, table, more, outcome }) {
    Object.assign(this, { form, table, more, outcome });
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      this.list();
    });
    more.addEventListener('click', () => this.list(more.dataset.next));
  }

  async list(after) {
    const address = new URL('subscribers', location.href);
    const topic = this.form.elements.topic.value;
    if (topic) address.searchParams.set('topic', topic);
    if (after) address.searchParams.set('after', after);
    await this.attempt(async () => {
      const { subscribers, next } = await ask(address);
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
      await ask(address, 'DELETE');
      this.say(`Subscriber ${id} was cut; an EventSource comes back by itself.`, 'done');
      const next = line.nextElementSibling ?? line.previousElementSibling;
      line.remove();
      // The keyboard's user stays in the list.
      (next?.querySelector('button') ?? this.form.elements.topic).focus();
    });
    button.disabled = false;
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

// The hub's answer; throws with a reason to show.
export async function ask(address, method = 'GET') {
  const answer = await fetch(address, { method, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) }).catch(() => {
    throw new Error('The hub cannot be reached.');
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.ok) return body;
  const { detail } = body;
  const reason = Array.isArray(detail) ? detail.map(({ msg }) => msg).join('; ') : detail;
  throw new Error(`Refused: ${reason ?? `status ${answer.status}`}`);
}
