import type { View, ViewOptions } from './view.js';

/** Subscribes while the component is mounted; anew when what it asks for changes. */
export function useFanfare(hub: string | URL, options?: ViewOptions): View;
