// Which of the tabs that want the same has the lead: it holds the connection, and tells the others.
//
// What must hold: one tab leads at a time, and there is a next one when it has gone, however it went.
// With Web Locks the browser sees to both. They need a secure context; on a plain `http://` page the
// tabs agree among themselves, and for a moment two may lead: whoever listens must bear with that.

// Where there are no locks: how long a tab that wants the lead waits for another to object.
const OBJECT_WITHIN_MS = 300;

// `out.won()` when this tab leads; `out.lost()` when another took the lead, thinking this one dead;
// `out.failed(error)` where nothing can be shared.
export const seekLead = (name, out) => new (navigator.locks ? LockedLead : BroadcastLead)(name, out);

class LockedLead {
  #name;
  #out;
  #left; // lets go of the lock
  #end = new AbortController();

  constructor(name, out) {
    this.#name = name;
    this.#out = out;
    this.#request({ signal: this.#end.signal });
  }

  // Takes the lead from a tab that does not answer.
  take() {
    this.#end.abort();
    this.#end = new AbortController();
    this.#request({ steal: true });
  }

  resign() {
    this.#end.abort();
    this.#left?.();
  }

  async #request(options) {
    const { signal } = this.#end;
    try {
      await navigator.locks.request(this.#name, options, () => {
        if (signal.aborted) return;
        this.#out.won();
        return new Promise((resolve) => (this.#left = resolve));
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error.name !== 'AbortError') return this.#out.failed(error);
      this.#out.lost();
      if (!signal.aborted) this.#request({ signal });
    }
  }
}

// Agreement by word of mouth: whoever seeks the lead says so; the one that has it objects, and so does
// a seeker with a smaller number. Of two that lead, the one with the smaller number goes on.
class BroadcastLead {
  #number = Math.random();
  #leads = false;
  #channel;
  #timer;
  #out;

  constructor(name, out) {
    this.#out = out;
    this.#channel = new BroadcastChannel(`${name} lead`);
    this.#channel.onmessage = ({ data }) => this.#onMessage(data);
    this.#seek();
  }

  take() {
    this.#seek();
  }

  resign() {
    clearTimeout(this.#timer);
    if (this.#leads) this.#channel.postMessage({ resigned: true });
    this.#channel.close();
  }

  #seek() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#win(), OBJECT_WITHIN_MS);
    this.#channel.postMessage({ seeks: this.#number });
  }

  #win() {
    this.#timer = undefined;
    this.#leads = true;
    this.#channel.postMessage({ leads: this.#number });
    this.#out.won();
  }

  #onMessage({ seeks, leads, resigned }) {
    if (resigned) {
      if (!this.#leads) this.#seek();
    } else if (seeks !== undefined) {
      if (this.#leads) this.#channel.postMessage({ leads: this.#number });
      else if (seeks < this.#number) this.#defer();
      else if (this.#timer) this.#channel.postMessage({ seeks: this.#number });
    } else if (!this.#leads) {
      this.#defer();
    } else if (leads < this.#number) {
      this.#leads = false;
      this.#out.lost();
    } else {
      this.#channel.postMessage({ leads: this.#number });
    }
  }

  #defer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
