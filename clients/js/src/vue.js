// A subscription as a composable of Vue.

import { onScopeDispose, shallowReactive, toRefs, toValue, watch } from 'vue';

import { EMPTY, identity, view } from './view.js';

// `hub` and `options` may be refs or getters: what they become is subscribed to instead.
export function useFanfare(hub, options = {}) {
  const now = shallowReactive({ ...EMPTY });
  let end;
  if (typeof window !== 'undefined') {
    watch(
      () => identity(toValue(hub), toValue(options)),
      () => {
        end?.();
        Object.assign(now, EMPTY);
        end = view(toValue(hub), toValue(options), (next) => Object.assign(now, next));
      },
      { immediate: true },
    );
    onScopeDispose(() => end?.());
  }
  return toRefs(now);
}
