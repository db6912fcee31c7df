// What went wrong, with the status and the detail that the hub answered, where it did.

// Statuses below 500 that a retry can mend: too slow, too early, too many.
const TRANSIENT = [408, 425, 429];

export class FanfareError extends Error {
  name = 'FanfareError';

  constructor(message, { status, detail, retryAfter, blocked, unknown, cause } = {}) {
    super(message, { cause });
    Object.assign(this, { status, detail, retryAfter, blocked, unknown });
  }

  // Whether the same request will fail again however often it is made.
  get final() {
    return this.status >= 400 && this.status < 500 && !TRANSIENT.includes(this.status);
  }

  // Of whatever was thrown. An application's own error may carry a `status` too.
  static of(error) {
    if (error instanceof FanfareError) return error;
    const { message = String(error), status, detail } = error ?? {};
    return new FanfareError(message, { status, detail, cause: error });
  }

  // Of an answer that is not what was asked for.
  static async from(answer) {
    const { detail } = await answer.json().catch(() => ({})) ?? {};
    const retryAfter = Number(answer.headers.get('retry-after')) || undefined;
    const said = describe(detail);
    const message = `the hub answered ${answer.status}${said ? `: ${said}` : ''}`;
    return new FanfareError(message, { status: answer.status, detail, retryAfter });
  }

  // What of it can be sent to another tab.
  plain() {
    const { message, status, detail, blocked } = this;
    return { message, status, detail, blocked };
  }
}

// The `detail` of an error: a text, or FastAPI's list of {"loc", "msg"}.
function describe(detail) {
  if (!Array.isArray(detail)) return typeof detail === 'string' ? detail : '';
  return detail.map(({ loc, msg }) => `${loc?.at(-1)}: ${msg}`).join('; ');
}
