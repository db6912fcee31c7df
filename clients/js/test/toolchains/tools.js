// The toolchains, each as its users run it: a command that builds the application into a directory
// which is then served, or one that serves it itself.

const bin = (path, ...args) => ({ path, args });

const vite = (version) => ({
  [`Vite ${version}, built`]: {
    build: bin(`vite-${version}/bin/vite.js`, 'build', '--base', './', '--outDir', `dist-vite-${version}`),
    serve: `dist-vite-${version}/index.html`,
  },
  [`Vite ${version}'s dev server`]: {
    server: (port) => bin(`vite-${version}/bin/vite.js`, '--host', '127.0.0.1', '--port', port, '--strictPort'),
    path: '/',
  },
});

export const TOOLS = {
  'no tool': { serve: 'plain.html', fast: true },
  ...vite(5),
  ...vite(6),
  ...vite(7),
  'webpack 5': { webpack: 'webpack.config.mjs', serve: 'dist-webpack/bundled.html' },
  esbuild: {
    build: bin('esbuild/bin/esbuild', 'main.js', '--bundle', '--format=esm', '--outfile=dist-esbuild/bundle.js'),
    serve: 'dist-esbuild/bundled.html',
    fast: true,
  },
  Rollup: { build: bin('rollup/dist/bin/rollup', '-c'), serve: 'dist-rollup/bundled.html', fast: true },
  Parcel: {
    build: bin('parcel/lib/bin.js', 'build', 'index.html', '--dist-dir', 'dist-parcel', '--public-url', './'),
    serve: 'dist-parcel/index.html',
  },
  'Next.js': {
    build: bin('next/dist/bin/next', 'build'),
    server: (port) => bin('next/dist/bin/next', 'start', '--hostname', '127.0.0.1', '--port', port),
    path: '/',
  },
  "Next.js, with the hook": {
    after: 'Next.js',
    server: (port) => bin('next/dist/bin/next', 'start', '--hostname', '127.0.0.1', '--port', port),
    path: '/hook',
  },
};
TOOLS["Vite 7's dev server"].fast = true;
// The page asks its own server, as behind the proxy of production.
TOOLS["Vite 7's dev server, which passes /sse on"] = {
  passesOn: true,
  server: (port) => {
    const { path, args } = TOOLS["Vite 7's dev server"].server(port);
    return bin(path, '--config', 'vite.pass-on.config.mjs', ...args);
  },
  path: '/',
};
