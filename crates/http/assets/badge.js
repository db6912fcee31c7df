// The badge of the connection's state: what it is, why, when the next attempt comes, and a button
// for whoever will not wait.

const REFRESH_MS = 250;

const NAMES = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  closed: 'Not connected',
};

export class Badge {
  // `reconnect` is what the button does.
  constructor({ box, state, countdown, reason, now, reconnect }) {
    Object.assign(this, { box, state, countdown, reason, now });
    now.addEventListener('click', reconnect);
  }

  // Takes a client's state.
  show({ name, at, reason }) {
    clearInterval(this.timer);
    this.box.dataset.state = name;
    tell(this.state, NAMES[name]);
    // While another attempt is under way, the last one's reason stays. Why the hub refuses for good
    // is told where a token is asked for.
    if (at || name !== 'reconnecting') tell(this.reason, (at && reason?.message) || '');
    this.now.textContent = name === 'closed' ? 'Try again' : 'Now';
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

// Leaves alone what says so already, so that it is read aloud once.
function tell(region, text) {
  if (region.textContent !== text) region.textContent = text;
}
