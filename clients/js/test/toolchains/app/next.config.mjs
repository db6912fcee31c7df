import { fileURLToPath } from 'node:url';

// The tools are installed beside the application, not in it.
const root = fileURLToPath(new URL('../..', import.meta.url));
export default { turbopack: { root }, outputFileTracingRoot: root };
