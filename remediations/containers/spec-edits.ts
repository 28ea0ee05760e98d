import type { ContainerSpec, Json, JsonObject, MountSpec, Policy, SpecEdit } from '../../src/model.ts';
import { parseAddress, parseBytes, parseInteger, ValueError } from '../../src/container/run-values.ts';
import { PolicyError } from '../../src/errors.ts';
import { parametersFor } from '../../src/container/parameters.ts';

/** What puts a finding right in the specification alone; or which parameter has to be chosen first; null: only a person can. */
export type SpecFix =
  | { readonly edits: readonly SpecEdit[]; readonly note: string }
  | { readonly choose: string; readonly explanation: string }
  | null;

/** What the policy says for one container, as plain data. */
export const settingsFor = (policy: Policy, name: string): JsonObject => ({ ...parametersFor(name, policy) }) as unknown as JsonObject;

/** A parameter's value through its reader; undefined when nobody chose it. */
function chosen<T>(settings: JsonObject, name: string, read: (value: string) => T): T | undefined {
  const value = Object.hasOwn(settings, name) ? settings[name] : undefined;
  if (value === undefined || value === null) return undefined;
  try {
    if (typeof value !== 'string' && typeof value !== 'number') throw new ValueError('must be text or a number');
    return read(String(value));
  } catch (error) {
    if (error instanceof ValueError) throw new PolicyError(`parameters.container.${name} ${error.message}`, { cause: error });
    throw error;
  }
}

const POSITIVE: readonly [number, number] = [1, Number.MAX_SAFE_INTEGER];
/** Of the engine's default capabilities (moby, oci/caps) these need no thought to keep. */
const DEFAULT_CAPABILITIES = [
  'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT',
];
const TMPFS_OPTIONS: ReadonlyMap<string, string> = new Map([
  ['/tmp', 'rw,nosuid,nodev,noexec,size=64m,mode=1777'], ['/run', 'rw,nosuid,nodev,noexec,size=16m,mode=755'],
]);
const TMPFS_DEFAULT = 'rw,nosuid,nodev,noexec,size=64m';

const isWildcard = (ip: string): boolean => ip === '' || /^[0:.]+$/.test(ip);
const clean = (path: string): string => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');

function tmpfsList(value: Json | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((path): path is string => typeof path === 'string' && /^\/[^,:\p{Cc}]*$/u.test(path))) {
    throw new PolicyError('parameters.container.tmpfs must be a list of absolute paths, as in [/tmp, /run]');
  }
  return value;
}

const tmpfsMount = (target: string): MountSpec => ({
  kind: 'tmpfs', via: 'tmpfs', source: '', target, readOnly: false, options: TMPFS_OPTIONS.get(target) ?? TMPFS_DEFAULT, details: null, volume: null,
});

type Rule = (spec: ContainerSpec, settings: JsonObject) => SpecFix;

const RULES: Readonly<Record<string, Rule>> = {
  'container.no-new-privileges': () => ({
    edits: [{ op: 'set', path: 'security.noNewPrivileges', value: true }],
    note: 'Setuid programs in it, such as sudo and ping, no longer give more rights.',
  }),
  'container.pids-limit': (_, settings) => ({
    edits: [{ op: 'set', path: 'resources.pidsLimit', value: chosen(settings, 'pidsLimit', (value) => parseInteger(value, POSITIVE)) ?? 2048 }],
    note: 'Beyond the limit it cannot start processes or threads.',
  }),
  'container.capabilities': ({ security: { privileged, capAdd, capDrop } }) => (privileged || !capAdd.every((name) => DEFAULT_CAPABILITIES.includes(name)) || capDrop.includes('ALL') ? null : {
    edits: [{ op: 'add', path: 'security.capDrop', value: 'NET_RAW' }],
    note: 'It cannot open raw sockets any more, which old versions of ping do.',
  }),
  'container.memory-limit': ({ resources: { memorySwap, memoryReservation } }, settings) => {
    const memory = chosen(settings, 'memory', parseBytes);
    if (memory === undefined || memory === 0) {
      return { choose: 'memory', explanation: 'How much memory it needs, docker stats shows after some days under load.' };
    }
    if (memoryReservation !== null && memoryReservation > memory) throw new PolicyError(`parameters.container.memory is below the reservation of ${memoryReservation} bytes that it has`);
    return {
      edits: [
        { op: 'set', path: 'resources.memory', value: memory },
        ...(memorySwap === null ? [{ op: 'set', path: 'resources.memorySwap', value: 2 * memory } as const] : []),
      ],
      note: 'A process that goes beyond the limit is ended by the kernel.',
    };
  },
  'container.cpu-shares': (_, settings) => {
    const shares = chosen(settings, 'cpuShares', (value) => parseInteger(value, [2, 262_144]));
    return shares === undefined ? { choose: 'cpuShares', explanation: 'Shares only count against each other: give them to all containers or to none (512 is half of the usual weight).' }
      : { edits: [{ op: 'set', path: 'resources.cpuShares', value: shares }], note: 'When the host is busy it gets less CPU time than before.' };
  },
  'container.readonly-rootfs': ({ mounts }, settings) => {
    const tmpfs = tmpfsList(settings['tmpfs']);
    if (tmpfs === undefined) {
      return { choose: 'tmpfs', explanation: 'What it writes outside its volumes, docker diff shows; those directories need a tmpfs or a volume before the rest can be read-only.' };
    }
    const taken = new Set(mounts.map(({ target }) => clean(target)));
    return {
      edits: [
        { op: 'set', path: 'security.readonlyRootfs', value: true },
        ...tmpfs.filter((target) => !taken.has(clean(target))).map((target): SpecEdit => ({ op: 'add', path: 'mounts', value: tmpfsMount(target) as unknown as Json })),
      ],
      note: 'It can write to its volumes and tmpfs mounts only; what a tmpfs holds is gone when it stops.',
    };
  },
  'container.log-rotation': ({ log }, settings) => {
    const maxSize = chosen(settings, 'logMaxSize', (value) => (parseBytes(value) > 0 ? value : value));
    if (maxSize === undefined) return { choose: 'logMaxSize', explanation: 'How much of its log is worth keeping, only its owner knows (50m is enough for most).' };
    return {
      edits: [{ op: 'set', path: 'log', value: { driver: 'json-file', options: { ...log?.options, 'max-size': maxSize, 'max-file': '5' } } }],
      note: 'Of its log the newest part is kept.',
    };
  },
  'container.bind-interface': ({ network: { ports } }, settings) => {
    const address = chosen(settings, 'publishAddress', (value) => parseAddress(value));
    if (address === undefined) return { choose: 'publishAddress', explanation: 'Where the clients of its ports are, only its owner knows (127.0.0.1 where only the host uses them).' };
    return {
      edits: ports.filter(({ ip }) => isWildcard(ip)).map((port): SpecEdit => ({ op: 'replace', path: 'network.ports', value: port, by: { ...port, ip: address } })),
      note: 'Its ports can be reached at that address only.',
    };
  },
};

/** What puts a finding of a check right in a specification, with the choices that were made for it. */
export const specFix = (check: string, spec: ContainerSpec, settings: JsonObject): SpecFix =>
  (Object.hasOwn(RULES, check) ? RULES[check]?.(spec, settings) ?? null : null);
