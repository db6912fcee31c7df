// A replay of what the hub still keeps: it was asked for, and so is news to nobody.

// How long nothing comes once a replay is over, if its end is not known.
const OVER_MS = 500;

export class Replay {
  #begun = false;
  #newest; // its last event is no newer

  // `newest` is the id of what was heard last, or of where the stream was, if either is known.
  begin(newest) {
    // One that begins within another ends where that would have.
    if (!this.#begun) this.#newest = position(newest);
    this.#begun = true;
    clearTimeout(this.timer);
  }

  // What became of the connection: silence counts only while it is there.
  become({ name }) {
    clearTimeout(this.timer);
    if (name === 'live') this.await();
  }

  // Whether an event is part of it.
  brings({ id }) {
    if (!this.#begun) return false;
    const newness = this.#newest && compare(position(id), this.#newest);
    if (newness >= 0) this.end();
    else this.await();
    return !(newness > 0);
  }

  end() {
    clearTimeout(this.timer);
    this.#begun = false;
  }

  await() {
    clearTimeout(this.timer);
    if (this.#begun) this.timer = setTimeout(() => this.end(), OVER_MS);
  }
}

// Where an id stands in the hub's log: `<epoch>-<seq>`, of which later epochs have larger numbers.
function position(id) {
  const parts = /^(\d+)-(\d+)$/.exec(id);
  return parts ? [BigInt(parts[1]), BigInt(parts[2])] : undefined;
}

// Below, at, or above zero as the one is older than the other, the same, or newer.
function compare(one, other) {
  const n = one?.findIndex((part, n) => part !== other[n]) ?? -1;
  if (n < 0) return 0;
  return one[n] < other[n] ? -1 : 1;
}
