// Popups: one message is announced as it is; what arrives while a popup is open is counted, so
// that a burst is a number and not a flood.
//
// To whoever is typing, a popup shows at the side and takes no key; nobody's tab is filled with
// popups while it is not looked at.

// How long a popup stays.
const SHOWN_MS = 3_000;

// How long the reader is left alone after a popup that counted several messages.
const REST_MS = 3_000;

// How often an open popup's count is brought up to date.
const REFRESH_MS = 250;

// The most of a message that a popup shows.
const SHOWN_CHARACTERS = 1_000;

const number = new Intl.NumberFormat();

export class Popups {
  // `choice` is the checkbox by which the reader wants them or not, also the next time.
  constructor(swal, choice) {
    this.swal = swal;
    choice.checked = recall() !== 'off';
    this.enabled = choice.checked;
    choice.addEventListener('change', () => {
      this.enable(choice.checked);
      remember(choice.checked ? 'on' : 'off');
    });
    this.count = 0; // messages that the open popup, or else the next one, speaks for
    this.latest = '';
    this.open = null;
    this.resting = false;
    document.addEventListener('visibilitychange', () => this.catchUp());
  }

  enable(enabled) {
    this.enabled = enabled;
    if (!enabled) this.count = 0;
  }

  add(message) {
    if (!this.enabled) return;
    this.count += 1;
    this.latest = message.length > SHOWN_CHARACTERS ? `${message.slice(0, SHOWN_CHARACTERS)}…` : message;
    if (this.open) this.refresh ??= setTimeout(() => this.update(), REFRESH_MS);
    else this.catchUp();
  }

  // Forgets what was announced, and takes it away.
  clear() {
    this.count = 0;
    this.latest = '';
    if (this.open) this.swal.close();
  }

  catchUp() {
    if (this.count > 0 && !this.open && !this.resting && !document.hidden) this.fire();
  }

  fire() {
    const several = this.count > 1;
    const typing = document.activeElement?.matches('input:not([type="checkbox"]), textarea');
    const popup = this.swal.fire({
      title: this.title(),
      text: this.latest,
      icon: 'info',
      confirmButtonText: 'OK',
      timer: SHOWN_MS,
      timerProgressBar: true,
      // Its count moves several times a second: those who listen are told by the page's news.
      willOpen: (opened) => opened.setAttribute('aria-live', 'off'),
      ...(typing && { toast: true, position: 'bottom-end' }),
    });
    this.open = { popup, several };
    // The promise of a popup that another has replaced is settled too.
    popup.then(() => this.open?.popup === popup && this.closed());
  }

  // A popup of one message gives way to one that counts; that one stays, and only its text moves,
  // so that its timer can run out however many more arrive.
  update() {
    this.refresh = undefined;
    if (!this.open || this.count < 2) return;
    if (!this.open.several) {
      this.fire();
      return;
    }
    this.swal.getTitle().textContent = this.title();
    this.swal.getHtmlContainer().textContent = this.latest;
  }

  closed() {
    clearTimeout(this.refresh);
    this.refresh = undefined;
    const { several } = this.open;
    this.open = null;
    this.count = 0;
    if (!several) return;
    this.resting = true;
    setTimeout(() => {
      this.resting = false;
      this.catchUp();
    }, REST_MS);
  }

  title() {
    return this.count === 1
      ? '📨 New Message Received'
      : `📨 ${number.format(this.count)} New Messages Received`;
  }
}

// Where the browser keeps nothing, the choice is for this time.
const CHOICE = 'fanfare.popups';

function recall() {
  try {
    return localStorage.getItem(CHOICE);
  } catch {
    return null;
  }
}

function remember(choice) {
  try {
    localStorage.setItem(CHOICE, choice);
  } catch {
    // It is forgotten.
  }
}
