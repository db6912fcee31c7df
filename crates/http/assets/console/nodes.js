// The nodes of a cluster, as each last said of itself. A hub that is alone has no such table.

import { age, count, row } from './figures.js';

const COLUMNS = 7;

export class Nodes {
  constructor({ panel, table, here }) {
    Object.assign(this, { panel, table, here });
  }

  clear() {
    this.panel.hidden = true;
    this.here.textContent = '';
    this.table.replaceChildren();
  }

  draw({ at, node, nodes }) {
    this.panel.hidden = !nodes;
    if (!nodes) return;
    this.here.textContent = node.name;
    const rows = nodes.map((each) => line(each, at, node.id));
    if (!rows.length) rows.push(row(['The nodes cannot be heard.', 'quiet', COLUMNS]));
    this.table.replaceChildren(...rows);
  }
}

function line(node, at, here) {
  // One of another version may say something else.
  if (!node?.name) return row(['A node of another version', 'quiet', COLUMNS]);
  const who = document.createElement('span');
  who.textContent = node.id === here ? `${node.name} (this one)` : node.name;
  who.title = `Run ${node.id}`;
  const up = age(Math.max(0, Math.round((at - node.started) / 1000)));
  return row([who], [node.ready ? 'yes' : 'no'], [up, 'number'], [count(node.subscribers), 'number'],
    [count(node.lag), 'number'], [node.heard, 'topic'], [node.version]);
}
