// Links to the hub's other pages, where they lead somewhere: a proxy may publish only this one, and the
// console answers only those whom it knows.

export async function hideDeadLinks() {
  for (const link of document.querySelectorAll('nav a:not([aria-current])')) {
    const answer = await fetch(link.href, { method: 'HEAD' }).catch(() => undefined);
    link.hidden = answer !== undefined && !answer.ok;
  }
}
