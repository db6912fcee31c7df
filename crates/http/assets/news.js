// News for those who do not look: a screen reader is told what came in one sentence, and then left
// alone for a while, so that a burst is a number and not a flood.

// How long what arrives together is gathered.
const GATHER_MS = 500;

// How long the listener is left alone afterwards.
const REST_MS = 3_000;

// The most of a message that is read aloud.
const SPOKEN_CHARACTERS = 200;

const number = new Intl.NumberFormat();

export class News {
  // `region` is a live one.
  constructor(region) {
    this.region = region;
    this.forget();
    document.addEventListener('visibilitychange', () => this.await());
  }

  add(message) {
    this.messages += 1;
    this.latest = message;
    this.await();
  }

  gap() {
    this.gaps += 1;
    this.await();
  }

  clear() {
    this.forget();
    this.region.textContent = '';
  }

  forget() {
    this.messages = 0;
    this.gaps = 0;
    this.latest = '';
  }

  await() {
    this.timer ??= setTimeout(() => this.tell(), GATHER_MS);
  }

  // Nobody hears a tab that is hidden: it tells once it is looked at.
  tell() {
    this.timer = undefined;
    if (document.hidden || this.messages + this.gaps === 0) return;
    this.region.textContent = this.sentence();
    this.forget();
    this.timer = setTimeout(() => this.tell(), REST_MS);
  }

  sentence() {
    const said = [];
    if (this.messages > 1) said.push(`${number.format(this.messages)} new messages`);
    if (this.messages === 1) {
      const { latest } = this;
      const long = latest.length > SPOKEN_CHARACTERS;
      said.push(`New message: ${long ? `${latest.slice(0, SPOKEN_CHARACTERS)}…` : latest}`);
    }
    if (this.gaps) said.push('Some messages may have been missed');
    return said.join('. ');
  }
}
