import { listNames } from '../../src/daemon/containers.ts';
import { at, list, number, text, texts } from '../../src/collect/json.ts';
import type { Check, ContainerResources, Json } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { cleanPath, hostMounts, isWithin } from './mounts.ts';

/** Devices that every container has anyway. */
const HARMLESS = new Set(['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom', '/dev/tty']);

/** "2 of nvidia (gpu)", as far as a DeviceRequest says so. */
function requestName(request: Json): string {
  const count = number(at(request, 'Count'));
  const ids = texts(at(request, 'DeviceIDs'));
  const kinds = list(at(request, 'Capabilities')).flatMap((all) => texts(all));
  const amount = ids.length > 0 ? listNames(ids) : count < 0 ? 'all' : String(count);
  return `${amount} of ${text(at(request, 'Driver')) || 'any driver'}${kinds.length === 0 ? '' : ` (${kinds.join(', ')})`}`;
}

const deviceNames = ({ devices, deviceRequests, deviceCgroupRules }: ContainerResources): readonly string[] => [
  ...devices.filter(({ host }) => !HARMLESS.has(cleanPath(host))).map(({ host, permissions }) => permissions === '' ? host : `${host} (${permissions})`),
  ...deviceRequests.map(requestName),
  ...deviceCgroupRules.map((rule) => `the rule "${rule}"`),
];

export interface DeviceDetail {
  /** Where devices are mounted in the container. */
  readonly targets: readonly string[];
}

export const check: Check<DeviceDetail> = {
  id: 'container.devices',
  title: 'No device of the host is handed to the container',
  rationale: 'A raw device goes around everything that guards what is on it: with the disk of the host a container has all files of the host.',
  evidence: 'inspect: HostConfig.Devices, DeviceRequests, DeviceCgroupRules, Privileged, mounts of /dev',
  passes: 'It has no devices but those that every container has: neither by --device, nor by request (GPUs, CDI), nor by a cgroup rule.',
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(18, 'd1.11', { 'd1.6': '5.18' }),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { spec, target } = container;
    if (spec.security.privileged) return warn(target, 'It is privileged and so has all devices of the host', { targets: [] });
    const mounts = hostMounts(container);
    const mounted = (mounts.status === 'present' ? mounts.value : [])
      .filter(({ source }) => isWithin(source, '/dev') && !HARMLESS.has(source) && !isWithin(source, '/dev/shm') && source !== '/dev/log');
    const names = [...deviceNames(spec.resources), ...mounted.map(({ source }) => `${source} (mounted)`)];
    if (names.length > 0) return warn(target, `It has devices of the host: ${listNames(names)}`, { targets: mounted.map(({ target: place }) => place) });
    return mounts.status === 'unreadable' ? unknown(target, mounts.reason) : pass(target, 'It has no devices of the host');
  }),
};
