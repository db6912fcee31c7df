import type { MaybeRefOrGetter, Ref } from 'vue';
import type { View, ViewOptions } from './view.js';

/** Subscribes until the scope ends; anew when what it asks for changes. */
export function useFanfare(
  hub: MaybeRefOrGetter<string | URL>,
  options?: MaybeRefOrGetter<ViewOptions>,
): { readonly [Name in keyof View]: Readonly<Ref<View[Name]>> };
