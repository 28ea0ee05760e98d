import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { cleanPath, isWithin } from '../containers/mounts.ts';
import { pass, warn } from '../verdict.ts';
import { judgeConfigs } from './images.ts';

/** What the kernel shows, with all that is below. */
const KERNEL = ['/dev', '/proc', '/sys'];
/** The system of the image. Below it there may be data. */
const SYSTEM: ReadonlySet<string> = new Set(['/', '/bin', '/boot', '/etc', '/lib', '/lib64', '/sbin', '/usr']);

const isSensitive = (path: string): boolean => {
  const clean = cleanPath(path);
  return SYSTEM.has(clean) || KERNEL.some((directory) => isWithin(clean, directory));
};

export const check: Check<null> = {
  id: 'image.volumes',
  title: 'Images declare no volume over directories of the system',
  rationale: 'A volume over /proc, /sys or /dev covers what the kernel shows and protects there; one over /etc or /usr keeps old programs and settings alive when the image is renewed.',
  evidence: 'GET /images/ID/json Config.Volumes: /dev, /proc, /sys and what is below; /, /bin, /boot, /etc, /lib, /lib64, /sbin and /usr themselves',
  passes: 'No image declares a volume there.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: {},
  aliases: ['DKL-DI-0002'],
  evaluate: (facts) => judgeConfigs(facts, ({ volumes }, target) => {
    const sensitive = volumes.filter(isSensitive);
    return [sensitive.length === 0 ? pass(target, 'It declares no volume over directories of the system') : warn(target, `It declares a volume over ${listNames(sensitive)}`, null)];
  }),
};
