// A proxy in front of a hub, which has its own idea of what becomes of publishes.

import { createServer, request } from 'node:http';

export class Proxy {
  // `fates` says of each publish in turn what becomes of it, of those behind the last that they pass:
  // 'lost' has its answer lost, a status is answered in the hub's place after it has published ('502 sent')
  // or without the hub ('503').
  static async start(test, hub, fates) {
    const proxy = new Proxy();
    const server = createServer((asked, answer) => {
      const fate = asked.method === 'POST' ? fates.shift() : undefined;
      const [status, sent] = fate?.split(' ') ?? [];
      const refuse = () => (fate === 'lost' ? asked.socket.destroy() : answer.writeHead(Number(status)).end());
      if (fate && fate !== 'lost' && !sent) return asked.resume().on('end', refuse);
      const { method, url, headers } = asked;
      const passed = request({ host: '127.0.0.1', port: hub.address.split(':')[1], method, path: url, headers: { ...headers, host: hub.address } });
      passed.on('error', () => asked.socket.destroy());
      passed.on('response', (response) => {
        if (fate) return response.resume().on('end', refuse);
        answer.writeHead(response.statusCode, response.headers);
        response.pipe(answer);
      });
      asked.pipe(passed);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    proxy.address = `127.0.0.1:${server.address().port}`;
    proxy.url = `http://${proxy.address}/sse/`;
    return proxy;
  }
}
