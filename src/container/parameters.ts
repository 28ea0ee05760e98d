import { globMatches } from '../glob.ts';
import type { ContainerParameters, Policy } from '../model.ts';
import { parseDuration, parseSize } from '../quantities.ts';

/** What the policy says for the container of a name: that for all, and over it that for the globs which match, in their order. */
export function parametersFor(name: string, { parameters: { container, containers } }: Policy): ContainerParameters {
  const matching = Object.entries(containers ?? {}).filter(([glob]) => globMatches(glob, name)).map(([, choice]) => choice);
  return Object.assign({}, container, ...matching) as ContainerParameters;
}

/** "512m" in bytes; whatever the schema of the policy lets through has a meaning. */
export const bytesOf = (size: string | number): number => (typeof size === 'number' ? size : parseSize(size) ?? 0);

/** "1m30s" in nanoseconds. */
export const nanosecondsOf = (duration: string): number => parseDuration(duration) ?? 0;
