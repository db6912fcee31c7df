// A subscription as a React hook.

import { useEffect, useRef, useState } from 'react';

import { EMPTY, identity, view } from './view.js';

export function useFanfare(hub, options = {}) {
  const [now, setNow] = useState(EMPTY);
  // The functions of the latest render are called, and a new one of them connects nothing anew.
  const latest = useRef(options);
  latest.current = options;
  const call = (name) => (...given) => latest.current[name]?.(...given);
  useEffect(() => {
    const functions = { onEvent: call('onEvent'), onGap: call('onGap') };
    for (const name of ['token', 'ticket']) {
      if (typeof options[name] === 'function') functions[name] = call(name);
    }
    setNow(EMPTY);
    return view(hub, { ...options, ...functions }, setNow);
  }, [identity(hub, options)]);
  return now;
}
