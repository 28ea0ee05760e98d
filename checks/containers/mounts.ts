import { normalize } from 'node:path/posix';
import { at, text } from '../../src/collect/json.ts';
import type { MountSpec, Observed } from '../../src/model.ts';
import { present, unreadable } from '../../src/model.ts';
import type { Container } from './container.ts';

/** A directory, file or socket of the host in a container. */
export interface HostMount {
  /** Cleaned host path; /var/run is /run. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** "", "private", "rprivate", "slave", "rslave", "shared" or "rshared". */
  readonly propagation: string;
}

const PROPAGATIONS: ReadonlySet<string> = new Set(['private', 'rprivate', 'slave', 'rslave', 'shared', 'rshared']);

/** A path as it is compared: no "..", no doubled or final slash, and below /run, to which /var/run is a link. */
export function cleanPath(path: string): string {
  const clean = normalize(path).replace(/(.)\/$/u, '$1');
  return clean === '/var/run' || clean.startsWith('/var/run/') ? clean.slice('/var'.length) : clean;
}

/** True for the directory itself and everything below it. */
export const isWithin = (path: string, directory: string): boolean => directory === '/' || path === directory || path.startsWith(`${directory}/`);

const propagationOf = ({ via, options, details }: MountSpec): string => via === 'mounts' ? text(at(details, 'BindOptions', 'Propagation'))
  : options.split(',').find((option) => PROPAGATIONS.has(option)) ?? '';

/** All bind mounts, also those from other containers' volumes; unreadable when those were not recorded. */
export function hostMounts({ spec, runtime: { applied } }: Container): Observed<readonly HostMount[]> {
  const asked = spec.mounts.filter(({ kind }) => kind === 'bind').map((mount): HostMount => ({
    source: cleanPath(mount.source), target: mount.target, readOnly: mount.readOnly, propagation: propagationOf(mount),
  }));
  if (applied === undefined && spec.volumesFrom.length > 0) return unreadable('The mounts that it takes from other containers were not recorded');
  const targets = new Set(spec.mounts.map(({ target }) => cleanPath(target)));
  const inherited = (applied?.mounts ?? []).filter(({ kind, target }) => kind === 'bind' && !targets.has(cleanPath(target)))
    .map(({ source, target, readOnly, propagation }): HostMount => ({ source: cleanPath(source), target, readOnly, propagation }));
  return present([...asked, ...inherited]);
}
