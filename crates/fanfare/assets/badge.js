// The badge of the connection's state: what it is, when the next attempt comes, and a button for
// whoever will not wait.

const REFRESH_MS = 250;

const NAMES = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  closed: 'Not connected',
};

export class Badge {
  // `reconnect` is what the button does.
  constructor({ box, state, countdown, now, reconnect }) {
    Object.assign(this, { box, state, countdown, now });
    now.addEventListener('click', reconnect);
  }

  // Takes a client's state.
  show({ name, at, reason }) {
    clearInterval(this.timer);
    this.box.dataset.state = name;
    // Told once: the countdown is not read aloud.
    if (this.state.textContent !== NAMES[name]) this.state.textContent = NAMES[name];
    this.now.textContent = name === 'closed' ? 'Try again' : 'Now';
    this.box.title = reason?.message ?? '';
    this.count(at);
    if (at) this.timer = setInterval(() => this.count(at), REFRESH_MS);
    // Whoever has just pressed it keeps it, also while an attempt is under way.
    this.now.hidden = !(at || name === 'closed') && document.activeElement !== this.now;
    if (name === 'live') this.now.hidden = true;
  }

  count(at) {
    const left = at ? Math.max(0, Math.ceil((at - Date.now()) / 1000)) : 0;
    this.countdown.textContent = left ? `in ${left} s` : '';
  }
}
