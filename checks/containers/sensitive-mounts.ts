import { listNames } from '../../src/daemon/containers.ts';
import type { Check, Facts } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { cleanPath, hostMounts, isWithin } from './mounts.ts';
import type { HostMount } from './mounts.ts';

/** Directories that are sensitive with all that is below them. */
const SENSITIVE = ['/bin', '/boot', '/dev', '/etc', '/lib', '/lib32', '/lib64', '/proc', '/root', '/sbin', '/sys', '/usr', '/var/lib/containerd', '/var/lib/docker'];
/** Directories that are sensitive as a whole: below them is much that containers may have. */
const WHOLE = new Set(['/', '/home', '/run', '/var', '/var/lib', '/var/log']);
/** What everybody on a host may know, and often needs: harmless where it cannot be changed. */
const PUBLIC = ['/dev/null', '/etc/localtime', '/etc/timezone', '/etc/ssl/certs', '/etc/pki/ca-trust/extracted', '/usr/share/ca-certificates', '/usr/share/zoneinfo'];

export interface MountDetail {
  /** Where they are in the container. */
  readonly targets: readonly string[];
}

function isSensitive({ source, readOnly }: HostMount, dataRoot: string | undefined): boolean {
  if (readOnly && PUBLIC.some((path) => isWithin(source, path))) return false;
  return WHOLE.has(source) || [...SENSITIVE, ...(dataRoot === undefined ? [] : [dataRoot])].some((directory) => isWithin(source, directory));
}

const dataRootOf = (facts: Facts): string | undefined => {
  const root = valueOf(facts.engine.info)?.dockerRootDir ?? '';
  return root.startsWith('/') && root !== '/' ? cleanPath(root) : undefined;
};

export const check: Check<MountDetail> = {
  id: 'container.sensitive-mounts',
  title: 'No sensitive directory of the host is mounted',
  rationale: 'Who can write below /etc, /usr or /boot owns the host; who can read them learns its keys, its users and how it is configured.',
  evidence: 'inspect: HostConfig.Binds, HostConfig.Mounts, and Mounts for what other containers pass on',
  passes: `No bind mount of ${[...WHOLE].join(', ')}, nor of anything at or below ${SENSITIVE.join(', ')} and the data root, read-only ones included; `
    + `only ${PUBLIC.join(', ')} may be mounted read-only.`,
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(6, 'd1.11', { 'd1.6': '5.6' }),
  evaluate(facts) {
    const dataRoot = dataRootOf(facts);
    return eachContainer(facts, (container) => {
      const { target } = container;
      const mounts = hostMounts(container);
      const wrong = (valueOf(mounts) ?? []).filter((mount) => isSensitive(mount, dataRoot));
      if (mounts.status !== 'present') return unknown(target, mounts.status === 'unreadable' ? mounts.reason : 'Its mounts are not known');
      if (wrong.length > 0) {
        return warn(target, `Mounted from the host: ${listNames(wrong.map(({ source, readOnly }) => `${source} (${readOnly ? 'read-only' : 'writable'})`))}`,
          { targets: wrong.map((mount) => mount.target) });
      }
      return dataRoot === undefined && mounts.value.length > 0 ? unknown(target, 'Where the data root of the engine is, is not known')
        : pass(target, mounts.value.length === 0 ? 'Nothing of the host is mounted' : 'What is mounted of the host is not sensitive');
    });
  },
};
