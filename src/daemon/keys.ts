import type { Json, JsonObject } from '../model.ts';
import { isObject, own } from './json-edit.ts';

/**
 * How dockerd decodes a key. `bytes` is a string such as "64M" (a number is refused); `ulimits` maps a name to { Name, Soft, Hard };
 * `pools` is a list of { base, size }; `mapMap` maps a driver to a map of strings.
 */
export type KeyType =
  | 'bool' | 'int' | 'string' | 'bytes' | 'strings' | 'ips' | 'stringMap' | 'boolMap' | 'mapMap' | 'ulimits' | 'pools' | 'runtimes' | 'object';

interface DaemonKey {
  readonly name: string;
  readonly type: KeyType;
  /** First engine (major.minor) whose file may hold the key; null: all since 1.13. */
  readonly since: string | null;
  /** First engine that refuses the key; null: still known. */
  readonly until: string | null;
  /** The value changes on SIGHUP. */
  readonly reloadable: boolean;
  /** The engine's default; null when it has none, or when it depends on the host. */
  readonly default: Json;
  /** Flags that set it, without dashes. A list's flag is singular where its key is plural. */
  readonly flag: string | null;
  readonly short: string | null;
  /** What a new value reaches, and when. */
  readonly live: string;
}

type Row = Partial<Omit<DaemonKey, 'name' | 'type'>>;
const AT_START = 'the next start of the daemon';
const NEW_CONTAINERS = 'containers created after the next start of the daemon';
const key = (name: string, type: KeyType, row: Row = {}): DaemonKey => ({
  name, type, since: null, until: null, reloadable: false, default: null, flag: name, short: null, live: row.reloadable === true ? 'the next reload' : AT_START, ...row,
});

/**
 * Keys of daemon.json on Linux, engines 20.10 to 29. Sources: `dockerd --help` of 20.10.24 and 26.1.5, both tried key by key
 * (fixtures/raw/daemon/start.json); moby's daemon/config and daemon/command for the others; the engine's release notes for `since` and `until`.
 */
const KEYS: readonly DaemonKey[] = [
  key('allow-direct-routing', 'bool', { since: '28.2', default: false }),
  key('allow-nondistributable-artifacts', 'strings', { default: [], reloadable: true }),
  key('api-cors-header', 'string', { until: '28.0' }),
  key('apparmor-profile', 'string', { since: '29.0' }),
  key('authorization-plugins', 'strings', { default: [], flag: 'authorization-plugin', reloadable: true, live: 'every request from the next reload or start on; a reload with a plugin that does not answer ends the daemon' }),
  key('bip', 'string'),
  key('bip6', 'string', { since: '28.0' }),
  key('bridge', 'string', { short: 'b' }),
  key('bridge-accept-fwmark', 'string', { since: '29.0' }),
  key('builder', 'object', { flag: null }),
  key('cdi-spec-dirs', 'strings', { since: '25.0', flag: 'cdi-spec-dir' }),
  key('cgroup-parent', 'string', { default: '', live: 'a container when it next starts' }),
  key('cluster-advertise', 'string', { until: '23.0' }),
  key('cluster-store', 'string', { until: '23.0' }),
  key('cluster-store-opts', 'stringMap', { until: '23.0', flag: 'cluster-store-opt' }),
  key('containerd', 'string'),
  key('containerd-namespace', 'string', { default: 'moby' }),
  key('containerd-plugins-namespace', 'string', { default: 'plugins.moby' }),
  key('cpu-rt-period', 'int', { default: 0 }),
  key('cpu-rt-runtime', 'int', { default: 0 }),
  key('cri-containerd', 'bool', { default: false }),
  key('data-root', 'string', { default: '/var/lib/docker' }),
  key('debug', 'bool', { default: false, short: 'D', reloadable: true }),
  key('default-address-pools', 'pools', { default: [], flag: 'default-address-pool' }),
  key('default-cgroupns-mode', 'string', { reloadable: true }),
  key('default-gateway', 'string'),
  key('default-gateway-v6', 'string'),
  key('default-ipc-mode', 'string', { default: 'private', reloadable: true }),
  key('default-network-opts', 'mapMap', { since: '24.0', default: {}, flag: 'default-network-opt' }),
  key('default-runtime', 'string', { default: 'runc', reloadable: true }),
  key('default-shm-size', 'bytes', { default: '64M', reloadable: true }),
  key('default-stop-timeout', 'int', { since: '29.7', reloadable: true }),
  key('default-ulimits', 'ulimits', { default: {}, flag: 'default-ulimit', live: 'a container when it next starts' }),
  key('deprecated-key-path', 'string', { flag: null }),
  key('dns', 'ips', { default: [] }),
  key('dns-opts', 'strings', { default: [], flag: 'dns-opt' }),
  key('dns-search', 'strings', { default: [] }),
  key('exec-opts', 'strings', { default: [], flag: 'exec-opt' }),
  key('exec-root', 'string', { default: '/var/run/docker' }),
  key('experimental', 'bool', { default: false }),
  key('features', 'boolMap', { default: {}, flag: 'feature', reloadable: true }),
  key('firewall-backend', 'string', { since: '29.0' }),
  key('fixed-cidr', 'string'),
  key('fixed-cidr-v6', 'string'),
  key('graph', 'string', { until: '23.0', short: 'g' }),
  key('group', 'string', { default: 'docker', short: 'G', live: 'sockets that the daemon itself makes at its next start (not fd://)' }),
  key('host-gateway-ip', 'string'),
  key('host-gateway-ips', 'ips', { since: '28.0', flag: null }),
  key('hosts', 'strings', { default: [], flag: 'host', short: 'H' }),
  key('http-proxy', 'string', { since: '23.0' }),
  key('https-proxy', 'string', { since: '23.0' }),
  key('icc', 'bool', { default: true, live: 'the default bridge when the daemon next starts while no container is attached to it' }),
  key('init', 'bool', { default: false, live: 'a container when it next starts' }),
  key('init-path', 'string'),
  key('insecure-registries', 'strings', { default: [], flag: 'insecure-registry', reloadable: true }),
  key('ip', 'string', { default: '0.0.0.0', live: 'ports published on the default bridge after the next start of the daemon' }),
  key('ip-forward', 'bool', { default: true }),
  key('ip-forward-no-drop', 'bool', { since: '28.0', default: false }),
  key('ip-masq', 'bool', { default: true }),
  key('ip6tables', 'bool', { default: true }),
  key('iptables', 'bool', { default: true }),
  key('ipv6', 'bool', { default: false }),
  key('labels', 'strings', { default: [], flag: 'label', reloadable: true }),
  key('live-restore', 'bool', { default: false, reloadable: true }),
  key('log-driver', 'string', { default: 'json-file', live: NEW_CONTAINERS }),
  key('log-format', 'string', { since: '25.0', default: 'text' }),
  key('log-level', 'string', { default: 'info', short: 'l' }),
  key('log-opts', 'stringMap', { default: {}, flag: 'log-opt', live: NEW_CONTAINERS }),
  key('max-concurrent-downloads', 'int', { default: 3, reloadable: true }),
  key('max-concurrent-uploads', 'int', { default: 5, reloadable: true }),
  key('max-download-attempts', 'int', { default: 5, reloadable: true }),
  key('metrics-addr', 'string', { default: '' }),
  key('mtu', 'int', { default: 1500 }),
  key('network-control-plane-mtu', 'int', { default: 1500 }),
  key('network-diagnostic-port', 'int', { default: 0, reloadable: true }),
  key('nri-opts', 'object', { since: '29.2', flag: 'nri-opts', reloadable: true }),
  key('no-new-privileges', 'bool', { default: false, live: NEW_CONTAINERS }),
  key('no-proxy', 'string', { since: '23.0' }),
  key('node-generic-resources', 'strings', { default: [], flag: 'node-generic-resource' }),
  key('oom-score-adjust', 'int', { until: '26.0', default: 0 }),
  key('pidfile', 'string', { default: '/var/run/docker.pid', short: 'p' }),
  key('raw-logs', 'bool', { default: false }),
  key('registry-mirrors', 'strings', { default: [], flag: 'registry-mirror', reloadable: true }),
  key('rootless', 'bool', { default: false }),
  key('runtimes', 'runtimes', { default: {}, flag: 'add-runtime', reloadable: true }),
  key('seccomp-profile', 'string', { default: 'builtin', live: 'a container when it next starts' }),
  key('selinux-enabled', 'bool', { default: false, live: NEW_CONTAINERS }),
  key('shutdown-timeout', 'int', { default: 15, reloadable: true }),
  key('storage-driver', 'string', { short: 's' }),
  key('storage-opts', 'strings', { default: [], flag: 'storage-opt' }),
  key('swarm-default-advertise-addr', 'string', { default: '' }),
  key('tls', 'bool', { default: false }),
  key('tlscacert', 'string'),
  key('tlscert', 'string'),
  key('tlskey', 'string'),
  key('tlsverify', 'bool', { default: false }),
  key('userland-proxy', 'bool', { default: true }),
  key('userland-proxy-path', 'string'),
  key('userns-remap', 'string', { default: '' }),
];

/** Flags that are no setting of the file; as a key, the file accepts and ignores them. */
const FLAGS_ONLY: Readonly<Record<string, { readonly type: KeyType; readonly short: string | null }>> = {
  'config-file': { type: 'string', short: null },
  help: { type: 'bool', short: null },
  restart: { type: 'bool', short: 'r' },
  validate: { type: 'bool', short: null },
  version: { type: 'bool', short: 'v' },
};

/** Up to this engine the table holds every key; what a newer one knows beyond it is not for us to refuse. */
export const NEWEST_ENGINE = '29.0';

/** Keys whose object value dockerd does not flatten; the members of any other object count as top-level keys. */
const MAP_TYPES: ReadonlySet<KeyType> = new Set(['stringMap', 'boolMap', 'mapMap', 'ulimits', 'runtimes', 'object']);

const byName = new Map(KEYS.map((row) => [row.name, row]));
const byFlag = new Map(KEYS.flatMap((row) => (row.flag === null ? [] : [[row.flag, row] as const])));
const byShort = new Map(KEYS.flatMap((row) => (row.short === null ? [] : [[row.short, row] as const])));

export const daemonKey = (name: string): DaemonKey | undefined => byName.get(name);

/** What a long or one-letter flag sets: a key of the file, or a flag that has none. */
export function flagTarget(flag: string): { readonly key: string; readonly type: KeyType } | undefined {
  const row = flag.length === 1 ? byShort.get(flag) : byFlag.get(flag);
  if (row !== undefined) return { key: row.name, type: row.type };
  const only = Object.entries(FLAGS_ONLY).find(([name, { short }]) => (flag.length === 1 ? short === flag : name === flag));
  return only === undefined ? undefined : { key: only[0], type: only[1].type };
}

/** Negative, 0 or positive as `a` is older than, as old as or newer than `b`; null when one is no version. */
export function compareEngines(a: string, b: string): number | null {
  const [left, right] = [a, b].map((version) => /^v?(\d+)\.(\d+)/.exec(version));
  if (left == null || right == null) return null;
  return Number(left[1]) - Number(right[1]) || Number(left[2]) - Number(right[2]);
}

const olderThan = (engine: string, version: string): boolean => (compareEngines(engine, version) ?? 0) < 0;

/** Why this engine does not take the key; null when it does, or when its version says nothing to us. */
export function unsupported(name: string, engineVersion: string): string | null {
  const row = byName.get(name);
  if (row === undefined) return null;
  if (row.since !== null && olderThan(engineVersion, row.since)) return `engine ${engineVersion} does not know "${name}" (since ${row.since})`;
  if (row.until !== null && (compareEngines(engineVersion, row.until) ?? -1) >= 0) return `engine ${engineVersion} no longer takes "${name}" (until ${row.until})`;
  return null;
}

/** The engine's default for a key, null when it has none. */
export function defaultOf(name: string, engineVersion: string | undefined): Json {
  // ip6tables is on by default from 27.0 on; before, it was an experimental option.
  if (name === 'ip6tables') return engineVersion === undefined ? null : !olderThan(engineVersion, '27.0');
  return byName.get(name)?.default ?? null;
}

/** What a file's value amounts to: dockerd fills null, "" and 0 with the default, and reads a bool's null as false. */
export function settledValue(name: string, value: Json, engineVersion: string | undefined): Json {
  const type = byName.get(name)?.type;
  if (type === 'bool') return value === null ? false : value;
  return value === null || value === '' || value === 0 ? defaultOf(name, engineVersion) : value;
}

/** Keys that stand in an object under a name that is not a map option: dockerd flattens such objects when it looks for unknown keys and conflicts. */
export function nestedKeys(config: JsonObject): readonly { readonly parent: string; readonly name: string }[] {
  return Object.entries(config).flatMap(([parent, value]) => {
    const type = byName.get(parent)?.type;
    return isObject(value) && (type === undefined || !MAP_TYPES.has(type)) ? Object.keys(value).map((name) => ({ parent, name })) : [];
  });
}

/** Why dockerd's decoder refuses the value, as "must be …"; null when it takes it. null is taken for everything but a size. */
export function typeProblem(type: KeyType, value: Json): string | null {
  if (value === null && type !== 'bytes') return null;
  const every = (test: (member: Json) => boolean, text: string): string | null =>
    (Array.isArray(value) ? value.every((member) => member === null || test(member)) : false) ? null : text;
  const map = (test: (member: Json) => boolean, text: string): string | null =>
    isObject(value) && Object.values(value).every((member) => member === null || test(member)) ? null : text;
  switch (type) {
    case 'bool': return typeof value === 'boolean' ? null : 'must be true or false, without quotes';
    case 'int': return typeof value === 'number' && Number.isSafeInteger(value) ? null : 'must be a whole number, without quotes';
    case 'string': return typeof value === 'string' ? null : 'must be a string';
    case 'bytes': return typeof value === 'string' && /^\d+(\.\d+)? ?([kmgtp]i?)?b?$/i.test(value) ? null : 'must be a size in quotes, such as "64M"';
    case 'strings': return every((member) => typeof member === 'string', 'must be a list of strings');
    case 'ips': return every((member) => typeof member === 'string', 'must be a list of IP addresses');
    case 'stringMap': return map((member) => typeof member === 'string', 'must be an object whose values are strings, numbers and booleans in quotes too');
    case 'boolMap': return map((member) => typeof member === 'boolean', 'must be an object whose values are true or false');
    case 'mapMap': return map((member) => typeProblem('stringMap', member) === null, 'must be an object of objects whose values are strings');
    case 'runtimes': return map(isObject, 'must be an object of objects, such as {"name": {"path": "/usr/bin/runtime"}}');
    case 'ulimits': return map((member) => isObject(member) && numericFields(member, ['soft', 'hard']) && textField(member, 'name'),
      'must be an object such as {"nofile": {"Name": "nofile", "Soft": 65536, "Hard": 524288}}');
    case 'pools': return every((member) => isObject(member) && numericFields(member, ['size']) && textField(member, 'base'),
      'must be a list such as [{"base": "10.10.0.0/16", "size": 24}]');
    case 'object': return isObject(value) ? null : 'must be an object';
  }
}

/** Go's decoder matches field names without regard to case. */
export function field(object: JsonObject, name: string): Json | undefined {
  const exact = Object.keys(object).find((candidate) => candidate.toLowerCase() === name);
  return exact === undefined ? undefined : own(object, exact);
}

function numericFields(object: JsonObject, names: readonly string[]): boolean {
  return names.map((name) => field(object, name) ?? null).every((value) => value === null || Number.isSafeInteger(value));
}

const textField = (object: JsonObject, name: string): boolean => ['undefined', 'string'].includes(typeof (field(object, name) ?? undefined));

/** A value as a message quotes it. */
export const show = (value: Json): string => JSON.stringify(value);
