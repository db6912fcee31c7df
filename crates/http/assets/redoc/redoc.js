// The page at /redoc: Redoc over the hub's own description, in the colours of the hub's pages. It
// has no dark scheme: some of its colours cannot be set.

const SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
const MONO = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';

window.Redoc.init(
  new URL('openapi.json', location.href).href,
  {
    // It would run in a worker made of a `blob:`, which the policy does not allow.
    disableSearch: true,
    nativeScrollbars: true,
    theme: {
      colors: {
        primary: { main: '#8f3f0a' },
        success: { main: '#1a7224' },
        text: { primary: '#26221c', secondary: '#6a6154' },
      },
      schema: { nestedBackground: '#f7f4ef' },
      typography: {
        fontFamily: SANS,
        headings: { fontFamily: SANS },
        code: { fontFamily: MONO, color: '#8f3f0a', backgroundColor: '#f3eee6' },
      },
      sidebar: { backgroundColor: '#f7f4ef' },
      rightPanel: { backgroundColor: '#2a2620' },
    },
  },
  document.getElementById('redoc'),
);
