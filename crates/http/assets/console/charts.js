// The charts over the last minutes.

import { bytes, seconds, short } from './figures.js';
import { perSecond, value } from './series.js';

const HEIGHT_PX = 150;
// What is shown at least, and at most.
const SPAN_S = [60, 300];

const CHARTS = [
  { title: 'Subscribers', format: short, lines: [['open', value((s) => s.subscribers)]] },
  { title: 'Publishes per second', format: short, lines: [['events', perSecond((s) => s.publishes)]] },
  { title: 'Deliveries per second', format: short, lines: [['events', perSecond((s) => s.deliveries)]] },
  {
    title: 'Publish latency',
    format: seconds,
    lines: ['p50', 'p90', 'p99'].map((share) => [share, value((s) => s.publish_latency?.[share])]),
  },
  { title: 'Slowest subscriber', format: short, lines: [['events behind', value((s) => s.slowest_lag)]] },
  { title: 'Resident memory', format: bytes, lines: [['bytes', value((s) => s.resident_memory)]] },
];

// Below this, a chart's scale does not shrink: a flat line is not to look like a mountain.
const LEAST = new Map([[short, 5], [seconds, 0.0005], [bytes, 16 * 1024 * 1024]]);

// Memory is read in powers of two.
const INCREMENTS = new Map([[bytes, Array.from({ length: 50 }, (_, power) => 2 ** power)]]);

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const moment = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });

export class Charts {
  constructor(container) {
    this.charts = CHARTS.map((chart) => {
      const figure = document.createElement('figure');
      const caption = document.createElement('figcaption');
      const canvas = document.createElement('div');
      caption.textContent = chart.title;
      figure.append(caption, canvas);
      container.append(figure);
      return { ...chart, figure, canvas };
    });
    const sized = new ResizeObserver(() => this.resize());
    sized.observe(container);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.redress());
  }

  draw(series) {
    this.series = series;
    for (const chart of this.charts) {
      const data = series.columns(chart.lines.map(([, reader]) => reader));
      if (chart.plot) chart.plot.setData(data);
      else chart.plot = new window.uPlot(options(chart), data, chart.canvas);
      // Where the pointer is, its figures; else the latest.
      if (chart.plot.cursor.idx == null) chart.plot.setLegend({ idx: data[0].length - 1 });
    }
  }

  resize() {
    for (const { plot, canvas } of this.charts) plot?.setSize({ width: canvas.clientWidth, height: HEIGHT_PX });
  }

  // A canvas keeps the colours that it was drawn with.
  redress() {
    const { series } = this;
    this.clear();
    if (series) this.draw(series);
  }

  clear() {
    this.series = undefined;
    for (const chart of this.charts) {
      chart.plot?.destroy();
      chart.plot = undefined;
    }
  }
}

function options({ lines, format, canvas }) {
  const strokes = (lines.length > 1 ? ['--live', '--waiting', '--bad'] : ['--accent']).map(colour);
  const axis = {
    stroke: colour('--quiet'),
    font: `11px ${getComputedStyle(canvas).fontFamily}`,
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: canvas.clientWidth,
    height: HEIGHT_PX,
    padding: [8, 8, 0, 0],
    cursor: { y: false, drag: { setScale: false }, sync: { key: 'console' } },
    legend: { live: true, markers: { width: 0, fill: (plot, n) => strokes[n - 1] } },
    scales: {
      x: { range: (plot, first, last) => [last - Math.min(Math.max(last - first, SPAN_S[0]), SPAN_S[1]), last] },
      y: { range: (plot, least, most) => [0, Math.max(most * 1.1, LEAST.get(format))] },
    },
    axes: [
      { ...axis, space: 64, size: 28, incrs: [60, 120, 300], values: (plot, ticks) => ticks.map((at) => clock.format(at * 1000)) },
      { ...axis, size: 62, space: 28, incrs: INCREMENTS.get(format), values: (plot, ticks) => ticks.map(format) },
    ],
    series: [
      { label: 'at', value: (plot, at) => (at ? moment.format(at * 1000) : '–') },
      ...lines.map(([label], n) => ({
        label,
        stroke: strokes[n],
        fill: lines.length > 1 ? undefined : `color-mix(in srgb, ${strokes[n]} 12%, transparent)`,
        width: 1.5,
        points: { show: false },
        value: (plot, figure) => (figure === null || figure === undefined ? '–' : format(figure)),
      })),
    ],
  };
}

// A variable's colour as a canvas understands it, which knows neither variables nor schemes.
function colour(name) {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}
