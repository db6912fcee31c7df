export default {
  mode: 'production',
  entry: './main.js',
  context: import.meta.dirname,
  output: { path: `${import.meta.dirname}/dist-webpack`, filename: 'bundle.js' },
};
