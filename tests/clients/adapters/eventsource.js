// npm's `eventsource`, of the version that the first argument names; and undici's, which is Node's own.

const [, , name, url] = process.argv;

// Version 2 exports the class itself, later ones and undici name it.
const module = await import(name);
const EventSource = module.EventSource ?? module.default;
const source = new EventSource(url);
for (const type of ['message', 'shipped', 'fanfare.gap', 'fanfare.expired']) {
  source.addEventListener(type, ({ lastEventId, data }) => {
    console.log(JSON.stringify({ id: lastEventId, type, data }));
  });
}

// Undici's does not keep the process alive while it waits to reconnect.
setInterval(() => {}, 60_000);
