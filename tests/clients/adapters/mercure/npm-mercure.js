// npm's `mercure`: publishes what it is given, and prints the id.
import mercure from 'mercure';

const [, , url, jwt, update] = process.argv;
const { hostname, port, pathname } = new URL(url);
const { topics, data, ...options } = JSON.parse(update);
const publisher = new mercure.Publisher({
  protocol: 'http',
  host: hostname,
  port: Number(port),
  path: pathname,
  jwt,
});
console.log(await publisher.publish(topics, data, options));
