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
    return this.names.some((name) => matches(name.split('/'), topic.split('/')));
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

// Whether a pattern's segments match a topic's: `*` is one segment, `**` any number of them.
function matches([first, ...rest], topic) {
  if (first === undefined) return topic.length === 0;
  if (first === '**') return matches(rest, topic) || (topic.length > 0 && matches([first, ...rest], topic.slice(1)));
  return topic.length > 0 && (first === '*' || first === topic[0]) && matches(rest, topic.slice(1));
}
