// The figures of the moment: tiles, busy topics, what has happened since the start; and how
// numbers are written everywhere on the console.

import { perSecond, value } from './series.js';

const whole = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export const count = (n) => whole.format(Math.round(n));

export function short(n) {
  if (n >= 10_000) return compact.format(n);
  return whole.format(n < 100 ? Math.round(n * 10) / 10 : Math.round(n));
}

export function bytes(n) {
  const power = n < 1 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), UNITS.length - 1);
  const scaled = n / 1024 ** power;
  return `${scaled.toFixed(power && scaled < 100 ? 1 : 0)} ${UNITS[power]}`;
}

export function seconds(n) {
  if (n === 0) return '0';
  if (n < 1e-3) return `${Math.round(n * 1e6)} µs`;
  return n < 1 ? `${(n * 1e3).toPrecision(3)} ms` : `${n.toPrecision(3)} s`;
}

export function age(n) {
  const [days, hours, minutes] = [86_400, 3_600, 60].map((unit) => Math.floor(n / unit));
  if (days) return `${days} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${n % 60} s` : `${n} s`;
}

// What stands where there is no figure.
const NONE = '–';

const TILES = [
  ['Subscribers', value((s) => s.subscribers), count, (s) => `of ${short(s.max_subscribers)}`],
  ['Publishes/s', perSecond((s) => s.publishes), short, (s) => `${short(s.publishes)} in all`],
  ['Deliveries/s', perSecond((s) => s.deliveries), short, (s) => `${short(s.deliveries)} in all`],
  ['Delivered/s', perSecond((s) => s.delivered_bytes), bytes, (s) => `${bytes(s.delivered_bytes)} in all`],
  ['Publish p99', value((s) => s.publish_latency?.p99), seconds, (s) => s.publish_latency && `p50 ${seconds(s.publish_latency.p50)}`],
  ['Slowest', value((s) => s.slowest_lag), short, () => 'events behind'],
  ['Memory', value((s) => s.resident_memory), bytes, () => 'resident'],
  ['Up', value((s) => s.uptime), age, () => ''],
];

const upgrade = ({ moved, closed, pause }) =>
  `${short(moved)} streams moved, ${short(closed)} closed, in ${seconds(pause)}`;

const COUNTS = [
  ['Window', (s) => `${short(s.window.events)} events, ${bytes(s.window.bytes)}`],
  ['Log', (s) => (s.log ? `${short(s.log.events)} events, ${bytes(s.log.bytes)}` : 'not told by its engine')],
  ['Gaps', (s) => reasons(s.gaps)],
  ['Closed', (s) => reasons(s.closed)],
  ['Refused', (s) => reasons(s.refused)],
  ['Last upgrade', (s) => (s.upgrade ? upgrade(s.upgrade) : 'none')],
  ['Repeated publishes', (s) => short(s.repeated_publishes)],
];

export class Figures {
  constructor({ tiles, counts, topics }) {
    this.tiles = TILES.map(([title]) => pair(tiles, title));
    this.counts = COUNTS.map(([title]) => pair(counts, title));
    this.topics = topics;
  }

  clear() {
    for (const figure of [...this.tiles, ...this.counts]) figure.textContent = NONE;
    this.topics.replaceChildren();
  }

  draw(series) {
    const stats = series.latest;
    TILES.forEach(([, reader, format, aside], n) => {
      const figure = series.read(reader);
      const small = document.createElement('small');
      small.textContent = aside(stats) || '';
      this.tiles[n].replaceChildren(figure === null ? NONE : format(figure), small);
    });
    COUNTS.forEach(([, text], n) => {
      this.counts[n].textContent = text(stats);
    });
    const rows = stats.topics.map(({ topic, rate, subscribers, more }) =>
      row([topic, 'topic'], [short(rate), 'number'], [count(subscribers) + (more ? '+' : ''), 'number']));
    this.topics.replaceChildren(...(rows.length ? rows : [row(['Nothing was published lately.', 'quiet', 3])]));
  }
}

// A table's row of [text or element, class, columns].
export function row(...cells) {
  const line = document.createElement('tr');
  for (const [content, kind = '', span = 1] of cells) {
    const cell = document.createElement('td');
    cell.className = kind;
    cell.colSpan = span;
    cell.append(content);
    line.append(cell);
  }
  return line;
}

function pair(list, title) {
  const [box, term, figure] = ['div', 'dt', 'dd'].map((name) => document.createElement(name));
  term.textContent = title;
  figure.textContent = NONE;
  box.append(term, figure);
  list.append(box);
  return figure;
}

function reasons(counts) {
  const some = Object.entries(counts).filter(([, n]) => n > 0);
  return some.map(([reason, n]) => `${reason.replaceAll('_', ' ')} ${short(n)}`).join(', ') || 'none';
}
