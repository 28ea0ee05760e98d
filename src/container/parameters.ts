import { globMatches } from '../glob.ts';
import type { ContainerParameters, Policy } from '../model.ts';

/** What the policy says for the container of a name: that for all, and over it that for the globs which match, in their order. */
export function parametersFor(name: string, { parameters: { container, containers } }: Policy): ContainerParameters {
  const matching = Object.entries(containers ?? {}).filter(([glob]) => globMatches(glob, name)).map(([, choice]) => choice);
  return Object.assign({}, container, ...matching) as ContainerParameters;
}

const UNITS: Readonly<Record<string, number>> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** "512m" in bytes; whatever the schema of the policy lets through has a meaning. */
export function bytesOf(size: string | number): number {
  if (typeof size === 'number') return size;
  const [, number = '0', unit = 'b'] = /^(\d+(?:\.\d+)?)([bkmg]?)$/i.exec(size) ?? [];
  return Math.round(Number(number) * (UNITS[unit.toLowerCase()] ?? 1));
}

const NANOSECONDS: Readonly<Record<string, number>> = { h: 3600e9, m: 60e9, s: 1e9, ms: 1e6, us: 1e3 };

/** "1m30s" in nanoseconds. */
export const nanosecondsOf = (duration: string): number =>
  [...duration.matchAll(/(\d+(?:\.\d+)?)(h|ms|us|m|s)/g)].reduce((sum, [, number, unit]) => sum + Number(number) * (NANOSECONDS[unit ?? 's'] ?? 0), 0);
