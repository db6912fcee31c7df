// What docs/clients.md shows, with the hub of the test.
export default { server: { proxy: { '/sse': process.env.HUB } } };
