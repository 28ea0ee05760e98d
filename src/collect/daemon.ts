import { basename, dirname, join } from 'node:path/posix';
import { flagValue, parseDaemonFlags } from '../daemon/flags.ts';
import type { SocketOwner, ToolResult } from '../host/port.ts';
import type { ConfigFile, DaemonFacts, Observed, SocketUnitFacts, UnitFacts } from '../model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from '../model.ts';
import { DEFAULT_CONFIG_PATH } from './paths.ts';
import type { Answer, Round } from './round.ts';

/** Everything about a daemon that depends on how its process was started. */
export interface Serving {
  readonly owner: SocketOwner;
  readonly podman: boolean;
  /** Where the daemon's configuration is: ~/.config/docker for a rootless one. */
  readonly configPath: string;
  /** Where it looks for the certificates of registries. */
  readonly registryCerts: string;
  /** The systemd system unit whose cgroup the process is in. */
  readonly unit: string | null;
}

export function describeDaemon(owner: SocketOwner): Serving {
  const podman = basename(owner.argv[0] ?? '') === 'podman';
  const directory = owner.uid === 0 || owner.home === null ? dirname(DEFAULT_CONFIG_PATH) : join(owner.home, '.config/docker');
  return {
    owner,
    podman,
    configPath: configFlag(owner.argv) ?? join(directory, basename(DEFAULT_CONFIG_PATH)),
    registryCerts: join(directory, 'certs.d'),
    unit: systemUnit(owner.cgroup),
  };
}

export function configFlag(argv: readonly string[]): string | undefined {
  const path = flagValue(parseDaemonFlags(argv.slice(1)), 'config-file');
  return typeof path === 'string' && path !== '' ? path : undefined;
}

/**
 * The deepest service in the process's cgroup, by systemd's own hierarchy (cgroups(7)): "0::" or "name=systemd". A user's services
 * (below user@UID.service) are no system units.
 */
export function systemUnit(cgroup: readonly string[]): string | null {
  const path = cgroup.map((line) => /^\d+:(?:name=systemd)?:(.*)$/.exec(line)?.[1] ?? '').sort((a, b) => b.length - a.length)[0] ?? '';
  const parts = path.split('/');
  const service = parts.findLast((part) => part.endsWith('.service'));
  return service === undefined || parts.some((part) => /^user(@\d+\.service|\.slice)$/.test(part)) ? null : service;
}

const UNIT_PROPERTIES = [
  'Id', 'LoadState', 'ActiveState', 'FragmentPath', 'DropInPaths', 'MainPID', 'KillMode', 'CanReload', 'EnvironmentFiles', 'Listen',
  'SocketMode', 'SocketUser', 'SocketGroup', 'NeedDaemonReload', 'Triggers', 'UnitFileState',
];

type Properties = ReadonlyMap<string, readonly string[]>;

/** What systemd says of its units, and what it will say of two of them once it reads its files again. */
interface Units {
  readonly all: readonly Properties[];
  /** By unit: why neither its next start nor the next boot can be told from what systemd has read. */
  readonly unsettled: ReadonlyMap<string, string>;
}

/** One process for all of them; a pattern matches the sockets that systemd has loaded. */
export function readUnits(round: Round, unit: string | null): Answer<Units> {
  const units = [...(unit === null ? [] : [unit]), 'docker.socket'];
  const onDisk = units.map((id) => [id, readUnitFiles(round, id)] as const);
  const show = round.need({ kind: 'tool', tool: 'systemctl', args: ['show', '--no-pager', `--property=${UNIT_PROPERTIES.join(',')}`, '--', ...units, '*.socket'] });
  return () => {
    const result = show();
    if (result.status !== 'present') return result;
    return mapObserved(unitProperties(result.value), (all) => ({
      all,
      unsettled: new Map(onDisk.flatMap(([id, unsettled]) => {
        const properties = loadedUnit(all, id);
        const reason = properties === undefined ? null : unsettled(properties);
        return reason === null ? [] : [[id, reason] as const];
      })),
    }));
  };
}

const OWNERS_UNITS = '/etc/systemd/system';
const BOOT_UNITS = '/run/systemd/system';
/** systemd.unit(5); /usr/lib is left out where it is /lib. */
const UNIT_DIRECTORIES = [OWNERS_UNITS, BOOT_UNITS, '/usr/local/lib/systemd/system', '/lib/systemd/system', '/usr/lib/systemd/system'];

/**
 * Systemd starts a unit as it last read it, and the next boot as it is on disk then: where the two differ, neither can be promised. Its own
 * NeedDaemonReload= misses the first file in a directory that was not there, and a new file in front of the packaged one.
 */
function readUnitFiles(round: Round, id: string): (unit: Properties) => string | null {
  const override = round.stat(`${OWNERS_UNITS}/${id}`);
  const directories = UNIT_DIRECTORIES.map((directory) => round.need({ kind: 'list', path: `${directory}/${id}.d`, depth: 1 }));
  return (unit) => {
    const fragment = one(unit, 'FragmentPath');
    const dropIns = words(one(unit, 'DropInPaths'));
    const passing = [fragment, ...dropIns].find((path) => path.startsWith(`${BOOT_UNITS}/`));
    if (passing !== undefined) return `${passing} is gone after the next boot`;
    const names = new Set(dropIns.map((path) => basename(path)));
    const unread = directories.flatMap((list) => valueOf(list()) ?? [])
      .find((path) => path.endsWith('.conf') && (path.startsWith(`${OWNERS_UNITS}/`) ? !dropIns.includes(path) : !names.has(basename(path))));
    const changed = unread ?? (override().status === 'present' && !fragment.startsWith(`${OWNERS_UNITS}/`) ? `${OWNERS_UNITS}/${id}` : undefined)
      ?? (one(unit, 'NeedDaemonReload') === 'yes' ? `${id} or a drop-in of it` : undefined);
    return changed === undefined ? null : `${changed} changed after systemd read it: run systemctl daemon-reload`;
  };
}

function unitProperties({ code, stdout, stderr }: ToolResult): Observed<readonly Properties[]> {
  return code === 0 ? present(parseProperties(stdout)) : unreadable(`systemctl show ended with ${code}: ${stderr.split('\n')[0] ?? ''}`);
}

/** `systemctl show`: one block of NAME=value lines per unit; a name that stands several times is a list. */
export function parseProperties(stdout: string): Properties[] {
  return stdout.split(/\n\s*\n/).filter((block) => block.trim() !== '').map((block) => {
    const properties = new Map<string, string[]>();
    for (const line of block.split('\n')) {
      const separator = line.indexOf('=');
      if (separator === -1) continue;
      const values = properties.get(line.slice(0, separator)) ?? [];
      if (separator < line.length - 1) values.push(line.slice(separator + 1));
      properties.set(line.slice(0, separator), values);
    }
    return properties;
  });
}

const one = (properties: Properties, name: string): string => properties.get(name)?.[0] ?? '';

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

const loadedUnit = (units: readonly Properties[], id: string): Properties | undefined =>
  units.find((unit) => one(unit, 'Id') === id && one(unit, 'LoadState') === 'loaded');

/** docker.socket, when this systemd knows it. */
export function socketUnit(units: Observed<Units>): Observed<SocketUnitFacts> {
  if (units.status !== 'present') return units;
  const unit = loadedUnit(units.value.all, 'docker.socket');
  if (unit === undefined) return absent;
  const unsettled = units.value.unsettled.get('docker.socket');
  if (unsettled !== undefined) return unreadable(unsettled);
  return present({
    fragmentPath: one(unit, 'FragmentPath'),
    dropInPaths: words(one(unit, 'DropInPaths')),
    listen: listenAddresses(unit),
    mode: parseInt(one(unit, 'SocketMode') || '0666', 8),
    user: one(unit, 'SocketUser'),
    group: one(unit, 'SocketGroup'),
    active: one(unit, 'ActiveState') === 'active',
  });
}

const listenAddresses = (unit: Properties): string[] => (unit.get('Listen') ?? []).map((line) => line.replace(/ \(\w+\)$/, ''));

/** Other sockets that systemd hands to the daemon's unit (Service= in a socket unit of any name), now or from the next boot on. */
export function otherSockets(units: Observed<Units>, id: string | null): NonNullable<DaemonFacts['otherSockets']> {
  return mapObserved(units, ({ all }) => all
    .filter((unit) => id !== null && words(one(unit, 'Triggers')).includes(id) && one(unit, 'Id') !== 'docker.socket')
    .filter((unit) => one(unit, 'ActiveState') === 'active' || one(unit, 'UnitFileState').startsWith('enabled'))
    .map((unit) => ({ name: one(unit, 'Id'), listen: listenAddresses(unit) })));
}

/** The last of the rounds for the unit: its texts and those of its environment files. Declares nothing when the daemon is not the unit's main process. */
export function readUnit(round: Round, units: Observed<Units>, { unit: id, owner }: Serving): {
  readonly unit: () => Observed<UnitFacts>;
  /** Texts of the unit's EnvironmentFiles, by path. */
  readonly environment: () => readonly (readonly [path: string, text: Observed<string>])[];
  /** Of the fragment, the drop-ins and the environment files. */
  readonly paths: readonly string[];
} {
  const nothing = (unit: Observed<never>) => ({ unit: () => unit, environment: () => [], paths: [] });
  if (units.status === 'unreadable') return nothing(units);
  const properties = id === null ? undefined : loadedUnit(valueOf(units)?.all ?? [], id);
  const mainPid = properties === undefined ? 0 : Number(one(properties, 'MainPID'));
  // A daemon started from a shell sits in the cgroup of ssh.service, or of whatever started the shell.
  if (id === null || properties === undefined || mainPid !== owner.pid) return nothing(absent);
  const unsettled = valueOf(units)?.unsettled.get(id);
  if (unsettled !== undefined) return nothing(unreadable(unsettled));

  const fragmentPath = one(properties, 'FragmentPath');
  const dropInPaths = words(one(properties, 'DropInPaths'));
  const sources = [fragmentPath, ...dropInPaths].filter((path) => path !== '').map((path) => ({ path, text: round.text(path) }));
  const environmentFiles = (properties.get('EnvironmentFiles') ?? []).map(parseEnvironmentFile);
  const environment = environmentFiles.map(({ path }) => ({ path, text: isPattern(path) ? undefined : round.text(path) }));
  return {
    unit: () => {
      const texts: { path: string; text: string }[] = [];
      for (const { path, text } of sources) {
        const observed = text();
        if (observed.status !== 'present') return unreadable(`${id}: ${observed.status === 'absent' ? `${path} is gone since systemd read it` : observed.reason}`);
        texts.push({ path, text: observed.value });
      }
      return present({
        name: id, fragmentPath, dropInPaths, mainPid,
        killMode: one(properties, 'KillMode'),
        canReload: one(properties, 'CanReload') === 'yes',
        sources: texts,
        environmentFiles,
      });
    },
    environment: () => environment.map(({ path, text }) => [path, text?.() ?? unreadable(`${path} is a pattern`)] as const),
    paths: [...sources, ...environment.filter(({ text }) => text !== undefined)].map(({ path }) => path),
  };
}

/** systemd.exec(5): EnvironmentFile= takes shell patterns. */
const isPattern = (path: string): boolean => /[*?[]/.test(path);

/** "/etc/default/docker (ignore_errors=yes)". */
function parseEnvironmentFile(line: string): { readonly path: string; readonly optional: boolean } {
  const [, path, ignore] = /^(.*) \(ignore_errors=(yes|no)\)$/.exec(line) ?? [];
  return { path: path ?? line, optional: ignore === 'yes' };
}

/** Files that the daemon's TLS options name: as flags, in daemon.json, and in its default directory. */
export function tlsPaths({ owner, configPath }: Serving, config: Observed<ConfigFile>): string[] {
  const flags = parseDaemonFlags(owner.argv.slice(1));
  const parsed = valueOf(config)?.parsed;
  const named = ['tlscacert', 'tlscert', 'tlskey'].flatMap((key) => [flagValue(flags, key), parsed?.ok === true ? parsed.value[key] : undefined]);
  const defaults = owner.home === null ? [] : ['ca.pem', 'cert.pem', 'key.pem'].map((name) => join(owner.home ?? '/', '.docker', name));
  return [...named.filter((path) => typeof path === 'string' && path.startsWith('/')), ...defaults, dirname(configPath)] as string[];
}

/** The socket of containerd that a daemon was told with --containerd. */
export function containerdFlag(argv: readonly string[]): string | undefined {
  const path = flagValue(parseDaemonFlags(argv.slice(1)), 'containerd');
  const plain = typeof path === 'string' ? path.replace(/^unix:\/\//, '') : '';
  return plain.startsWith('/') ? plain : undefined;
}

/** daemon.json, for a daemon that reads one. */
export function readConfig(round: Round, { podman, configPath }: Serving, parse: (raw: string) => ConfigFile): () => Observed<ConfigFile> {
  if (podman) return () => unreadable('Podman has no daemon.json');
  if (!configPath.startsWith('/')) return () => unreadable(`${configPath} is relative to the directory in which the daemon was started`);
  const text = round.text(configPath);
  return () => mapObserved(text(), parse);
}
