// A replay of what the hub still keeps: it was asked for, and so is news to nobody.

// How long nothing comes once a replay is over.
const OVER_MS = 500;

export class Replay {
  begin() {
    this.asked = Date.now();
    this.await();
  }

  // Whether an event is part of it.
  brings({ publishedAt }) {
    if (!this.timer || publishedAt >= this.asked) return false;
    this.await();
    return true;
  }

  await() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.timer = undefined), OVER_MS);
  }
}
