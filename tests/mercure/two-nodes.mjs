// One origin in front of two nodes: what is published goes to the first, all else to the second.

import http from "node:http";

const [publish, subscribe] = process.argv.slice(2).map((url) => new URL(url));

const server = http.createServer((request, response) => {
  const { hostname, port } = request.method === "POST" ? publish : subscribe;
  const { method, url: path, headers } = request;
  const onward = http.request({ hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
  });
  onward.on("error", () => response.destroy());
  response.on("close", () => onward.destroy());
  request.pipe(onward);
});

server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
