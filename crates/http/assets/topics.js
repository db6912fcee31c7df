// The topics and patterns listened to. The page's address holds them, `?topic=` for each, so that it
// can be shared, and so that the browser's buttons go back and forth between them. Fires `change`.

const DEFAULT = 'default';

export class Topics extends EventTarget {
  constructor({ form, list }) {
    super();
    Object.assign(this, { form, list });
    this.read();
    addEventListener('popstate', () => {
      this.read();
      this.dispatchEvent(new Event('change'));
    });
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      const { topic } = form.elements;
      this.add(topic.value);
      topic.value = '';
    });
  }

  // Whether an event's topic cannot be known from what is listened to.
  get several() {
    return this.names.length > 1 || this.names[0].includes('*');
  }

  // Whether events of this topic are listened to.
  include(topic) {
    return this.names.some((name) => matches(name, topic));
  }

  add(name) {
    if (!this.names.includes(name)) this.become([...this.names, name]);
  }

  remove(name) {
    this.become(this.names.filter((other) => other !== name));
    // The keyboard's user stays here.
    (this.list.querySelector('button') ?? this.form.elements.topic).focus();
  }

  become(names) {
    const address = new URL(location.href);
    address.search = '';
    if (names.join() !== DEFAULT) for (const name of names) address.searchParams.append('topic', name);
    history.pushState(null, '', address);
    this.read();
    this.dispatchEvent(new Event('change'));
  }

  read() {
    const named = new URLSearchParams(location.search).getAll('topic');
    this.names = [...new Set(named.length ? named : [DEFAULT])];
    this.list.replaceChildren(...this.names.map((name) => this.item(name)));
  }

  item(name) {
    const item = document.createElement('li');
    const label = document.createElement('span');
    label.textContent = name;
    item.append(label);
    // Without any, a hub sends those of `default`.
    if (this.names.join() !== DEFAULT) {
      const remove = document.createElement('button');
      remove.type = 'button';
      remove.textContent = '×';
      remove.setAttribute('aria-label', `Stop listening to ${name}`);
      remove.addEventListener('click', () => this.remove(name));
      item.append(remove);
    }
    return item;
  }
}

// Whether a pattern includes a topic: `*` is one segment, `**` any number of them. As the hub does it,
// in at most segments times segments steps: on a mismatch only the latest `**` can usefully take one
// segment more.
export function matches(pattern, topic) {
  const [wanted, given] = [pattern.split('/'), topic.split('/')];
  let [at, retry] = [0, undefined];
  for (let n = 0; n < given.length || at < wanted.length; ) {
    if (wanted[at] === '**') {
      at += 1;
      retry = { at, n };
    } else if (at < wanted.length && n < given.length && (wanted[at] === '*' || wanted[at] === given[n])) {
      at += 1;
      n += 1;
    } else if (retry && retry.n < given.length) {
      retry.n += 1;
      ({ at, n } = retry);
    } else {
      return false;
    }
  }
  return true;
}
