// The publish box.

// How long the hub may take to answer.
const ANSWER_WITHIN_MS = 10_000;

// `listening` are the topics this page is subscribed to; none stands for `default`.
export function publishForm({ form, outcome, listening }) {
  const { topic, message } = form.elements;
  const button = form.querySelector('button');

  const say = (text, kind) => {
    outcome.textContent = text;
    outcome.dataset.kind = kind;
  };

  message.addEventListener('keydown', (key) => {
    if (key.key !== 'Enter' || key.shiftKey || key.isComposing) return;
    key.preventDefault();
    form.requestSubmit();
  });

  form.addEventListener('submit', async (submit) => {
    submit.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    try {
      const id = await publish(topic.value, message.value);
      const elsewhere = listening.length === 0 && !['', 'default'].includes(topic.value);
      const where = elsewhere ? ` to ${topic.value}; this page listens to default` : '';
      say(`Sent as ${id}${where}`, 'done');
      message.value = '';
    } catch (failure) {
      say(failure.message, 'failed');
    } finally {
      button.disabled = false;
    }
  });
}

// Publishes and returns the event's id; throws with a reason to show.
async function publish(topic, message) {
  const answer = await fetch('send', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(topic ? { topic, message } : { message }),
    signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
  }).catch((failure) => {
    throw new Error(
      failure.name === 'TimeoutError'
        ? 'The hub did not answer in time; the message may or may not have been sent.'
        : 'The hub cannot be reached.',
    );
  });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(`Not sent: ${reason(body.detail) ?? `status ${answer.status}`}`);
  return body.id;
}

// The `detail` of an error: a text, or a list of {"loc", "msg"}.
function reason(detail) {
  if (!Array.isArray(detail)) return detail;
  return detail.map(({ loc, msg }) => `${loc.at(-1)}: ${msg}`).join('; ');
}
