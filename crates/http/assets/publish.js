// The publish box, and the shell's command for what is in it.

import { publish } from './fanfare/index.js';

// Returns what clears it.
export function publishForm({ hub, session, topics, form, outcome, also, command, copy }) {
  const { topic, type, message } = form.elements;
  const button = form.querySelector('button[type="submit"]');

  const say = (text, kind, elsewhere) => {
    outcome.textContent = text;
    outcome.dataset.kind = kind;
    also.hidden = !elsewhere;
    also.textContent = `Listen to ${elsewhere}`;
    also.onclick = () => {
      topics.add(elsewhere);
      also.hidden = true;
      message.focus();
    };
  };
  const draft = () => ({
    topic: topic.value || undefined,
    event: type.value || undefined,
    message: message.value,
  });

  message.addEventListener('keydown', (key) => {
    if (key.key !== 'Enter' || key.shiftKey || key.isComposing) return;
    key.preventDefault();
    form.requestSubmit();
  });

  form.addEventListener('submit', async (submit) => {
    submit.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    const sent = draft();
    const { token } = session;
    try {
      const id = await publish(hub, sent, { token });
      // Who has signed out since is told nothing.
      if (token !== session.token) return;
      const to = sent.topic ?? 'default';
      say(`Sent as ${id}${topics.include(to) ? '' : `, to ${to}.`}`, 'done', topics.include(to) ? '' : to);
      message.value = '';
      write();
    } catch (failure) {
      const outcome = failure.unknown ? 'Perhaps sent' : 'Not sent';
      if (token === session.token) say(`${outcome}: ${failure.message}`, 'failed');
    } finally {
      button.disabled = false;
    }
  });

  const address = new URL('send', new URL(hub, location.href));
  const write = () => (command.textContent = curl(address, draft(), session.token));
  form.addEventListener('input', write);
  session.addEventListener('change', write);
  write();

  const clear = () => {
    form.reset();
    say('', '');
    write();
  };

  // Only a secure context (https, or localhost) has a clipboard.
  copy.hidden = !navigator.clipboard;
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(command.textContent).then(
      () => (copy.textContent = 'Copied'),
      () => getSelection().selectAllChildren(command),
    );
    setTimeout(() => (copy.textContent = 'Copy'), 2_000);
  });
  return { clear };
}

function curl(address, { topic, event, message }, token) {
  const fields = Object.entries({ topic, event, message: message || 'Hello from server!' });
  const given = fields.filter(([, value]) => value !== undefined);
  const body = `{${given.map(([name, value]) => `"${name}": ${JSON.stringify(value)}`).join(', ')}}`;
  return [
    `curl -X POST ${address}`,
    '-H "Content-Type: application/json"',
    ...(token ? ['-H "Authorization: Bearer $TOKEN"'] : []),
    `-d '${body.replaceAll("'", String.raw`'\''`)}'`,
  ].join(' \\\n  ');
}
