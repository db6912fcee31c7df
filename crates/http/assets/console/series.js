// The last minutes of statistics. The hub sends sums since its start; what is drawn per second is
// the difference of two.

const KEPT = 300;

// Two statistics further apart than this have a hole between them, which no line may cross.
const HOLE_MS = 5_000;

export class Series {
  constructor() {
    this.samples = [];
  }

  add(stats) {
    const { latest } = this;
    // Behind a proxy another node may answer next, whose sums are its own. And where time has stepped
    // back, or is told anew, what was drawn later cannot stand before it.
    if (latest && (stats.node.id !== latest.node.id || stats.at <= latest.at)) this.clear();
    this.samples.push(stats);
    if (this.samples.length > KEPT) this.samples.shift();
  }

  clear() {
    this.samples = [];
  }

  get latest() {
    return this.samples.at(-1);
  }

  // Seconds since 1970, and for each of `readers` a column of figures; null where there is none.
  columns(readers) {
    const at = (index) => ({ now: this.samples[index], before: this.samples[index - 1] });
    const indices = this.samples.map((_, index) => index);
    return [
      this.samples.map((stats) => stats.at / 1000),
      ...readers.map((read) => indices.map((index) => read(at(index)))),
    ];
  }

  // The latest figure.
  read(reader) {
    if (!this.latest) return null;
    return reader({ now: this.latest, before: this.samples.at(-2) });
  }
}

// Readers of one figure: as it is, or its growth per second.
export const value = (pick) => ({ now }) => pick(now) ?? null;

export const perSecond = (pick) => ({ now, before }) => {
  const restarted = before && now.uptime < before.uptime;
  if (!before || restarted || now.at - before.at > HOLE_MS) return null;
  return ((pick(now) - pick(before)) * 1000) / (now.at - before.at);
};
