import type { Json, JsonObject } from '../model.ts';

/**
 * Readers for JSON that someone else wrote: engines from 20.10 on and Podman leave keys out, write null for empty lists, or write
 * another type than the documentation says. Each answers with a neutral value instead of throwing.
 */
export const object = (value: Json | undefined): JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};

export const list = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);

export const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');

export const number = (value: Json | undefined): number => (typeof value === 'number' ? value : 0);

/** Own properties only: an engine's JSON may hold keys such as "constructor". */
export const at = (value: Json | undefined, ...keys: readonly string[]): Json | undefined => {
  let here = value;
  for (const key of keys) {
    const inside = object(here);
    here = Object.hasOwn(inside, key) ? inside[key] : undefined;
  }
  return here;
};

export const flag = (value: Json | undefined): boolean => value === true;

export const textOrNull = (value: Json | undefined): string | null => (typeof value === 'string' && value !== '' ? value : null);

export const texts = (value: Json | undefined): string[] => list(value).filter((item) => typeof item === 'string');

/** String values of an object; other values are left out. A null prototype: names come from outside. */
export function textRecord(value: Json | undefined): Record<string, string> {
  const record = Object.create(null) as Record<string, string>;
  for (const [key, item] of Object.entries(object(value))) if (typeof item === 'string') record[key] = item;
  return record;
}
