// The session: the token that this tab was given, kept until the tab is closed. A hub that asks for
// none never shows its form. Fires `change`.

const KEY = 'fanfare.token';

export class Session extends EventTarget {
  constructor({ form, refusal, out }) {
    super();
    Object.assign(this, { form, refusal, out });
    this.token = sessionStorage.getItem(KEY) ?? undefined;
    form.addEventListener('submit', (submit) => {
      submit.preventDefault();
      this.become(form.elements.token.value.trim());
    });
    out.addEventListener('click', () => this.become(undefined));
    this.out.hidden = !this.token;
  }

  become(token) {
    this.token = token || undefined;
    if (this.token) sessionStorage.setItem(KEY, this.token);
    else sessionStorage.removeItem(KEY);
    this.form.elements.token.value = '';
    this.out.hidden = !this.token;
    this.dispatchEvent(new Event('change'));
  }

  // Says why the hub refuses, and asks for a token if another one may help; takes the client's error.
  show(error) {
    const asks = error?.status === 401 || (error?.status === 403 && this.token);
    this.form.hidden = !error;
    for (const field of this.form.querySelectorAll('input, button')) field.hidden = !asks;
    this.refusal.textContent = error ? this.say(error) : '';
  }

  say({ status, detail, message }) {
    if (status === 401 && this.token) return 'The hub does not accept this token; it may have expired.';
    if (status === 401) return 'This hub asks who you are.';
    const reason = Array.isArray(detail) ? detail.map(({ msg }) => msg).join('; ') : (detail ?? message);
    return `The hub refuses: ${reason}.`;
  }
}
