import resolve from '@rollup/plugin-node-resolve';

export default { input: 'main.js', output: { dir: 'dist-rollup', entryFileNames: 'bundle.js' }, plugins: [resolve()] };
