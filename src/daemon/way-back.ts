import type { JsonObject } from '../model.ts';
import { mergeJson, parseConfigFile } from './json-edit.ts';
import { explicitRollback } from './settings.ts';

/** What brings a running daemon back from a new daemon.json to the old one. Only names of keys and constants: fit for a journal. */
export interface WayBack {
  /** Values that a reload needs to be told, since it keeps those of keys that are gone. */
  readonly explicit: JsonObject;
  /** The new file turned live-restore on: a daemon that started without it would stop the containers. */
  readonly keepContainers: boolean;
}

export function wayBack(oldText: string, newText: string): WayBack {
  const before = parseConfigFile(oldText).parsed;
  const after = parseConfigFile(newText).parsed;
  if (!before.ok || !after.ok) return { explicit: {}, keepContainers: false };
  return {
    explicit: explicitRollback(before.value, after.value),
    keepContainers: after.value['live-restore'] === true && before.value['live-restore'] !== true,
  };
}

/** What daemon.json holds for a moment on the way back to `old`: with what the daemon restarts, and with what it is reloaded. */
export function textsOnTheWay(old: string, { explicit, keepContainers }: WayBack): { readonly restart: string; readonly reload: string } {
  return {
    restart: keepContainers ? mergeJson(old, { ...explicit, 'live-restore': true }) : old,
    reload: Object.keys(explicit).length > 0 ? mergeJson(old, explicit) : old,
  };
}
