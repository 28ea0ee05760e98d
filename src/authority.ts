import { auditRequests, auditStatPaths } from './collect/audit.ts';
import { DEFAULT_CONFIG_PATH, ENVIRONMENT_FILES, HOST_STATS, HOST_TEXTS, LOGIN_FILES, STAT_PATHS } from './collect/paths.ts';
import { MANAGED_PATHS } from './managed.ts';

export { CHANGING_COMMANDS, CHANGING_ROUTES, READING_COMMANDS, READING_ROUTES } from './host/authority.ts';

/** Paths that the collectors look at on every host: `text` is read, `stat` is mode, owner and kind, `list` are names. */
export interface FixedPaths {
  readonly how: 'text' | 'stat' | 'list';
  readonly paths: readonly string[];
  readonly why: string;
}

const audited = (how: FixedPaths['how']): string[] => auditRequests.flatMap((request) => (request.kind === how ? [request.path] : []));

/** Everything that is looked at whatever is found on a host, from the lists that the collectors themselves use. */
export const FIXED_PATHS: readonly FixedPaths[] = [
  { how: 'text', paths: Object.values(HOST_TEXTS), why: 'the machine: system, kernel, mounts, how the daemon is started, accounts' },
  { how: 'text', paths: [DEFAULT_CONFIG_PATH, ...ENVIRONMENT_FILES], why: 'how the daemon is configured' },
  { how: 'text', paths: LOGIN_FILES, why: 'whether logins turn content trust on' },
  { how: 'text', paths: MANAGED_PATHS, why: 'files of harden\'s own' },
  { how: 'text', paths: audited('text'), why: 'audit rules' },
  { how: 'list', paths: audited('list'), why: 'audit rules' },
  { how: 'stat', paths: [...new Set([...STAT_PATHS, ...auditStatPaths, ...Object.values(HOST_STATS), ...audited('stat')])].sort(), why: 'modes and owners, and what is there' },
];

/** What is looked at because the engine, the daemon\'s own process, or a unit names it. Only these name paths; a label names files of a Compose project, which only a plan reads. */
export const NAMED_PATHS: readonly { readonly how: string; readonly named: string; readonly why: string }[] = [
  { how: 'text', named: '`--config-file` of the daemon', why: 'its configuration' },
  { how: 'text', named: 'unit files, drop-ins and environment files that systemd names for the daemon and its socket; lists of the directories of drop-ins', why: 'its flags' },
  { how: 'text', named: '`*.rules` in the directory of audit rules', why: 'audit rules after a boot' },
  { how: 'text', named: '`swarm/docker-state.json` in the data root', why: 'the address that a node of a swarm listens on' },
  { how: 'text', named: '`started-with.json` in the state directory', why: 'what the daemon was started with, if harden changed its file since' },
  { how: 'text', named: 'files of Compose projects, as the labels of containers name them, where only root can write them (plan, apply)', why: 'to edit them' },
  { how: 'stat', named: 'every one of these, the directories above them, the data root and its directories of layers, the certificates of registries, the TLS files that the daemon names, parents of audited paths', why: 'modes and owners; who could exchange them' },
  { how: 'text', named: '`/proc/sys/net/ipv4/ip_unprivileged_port_start`, where a container that was told to be root although its image is not is on the network of the host (plan, apply)', why: 'which ports another user could listen on' },
  { how: 'stat', named: 'of a container that was told to be root although its image is not: files below its mounts, and where it wrote in its layer (plan, apply)', why: 'whether another user could use them' },
  { how: '/proc', named: 'the process that listens on the engine\'s socket; processes in cgroups of containers: name, cgroups, limits; whether the first process of a container that looks as if it ran does (apply)', why: 'whether the engine is this host\'s; what runs in containers' },
];
