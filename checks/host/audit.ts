import type { AuditSubject, CoverageState } from '../../src/audit/coverage.ts';
import { coverage } from '../../src/audit/coverage.ts';
import type { Check, Facts, Observed, Severity, Target, Verdict } from '../../src/model.ts';
import { mapObserved, present, statOf, unreadable, valueOf } from '../../src/model.ts';

import { containerdSockets } from '../containerd-sockets.ts';
import { na, pass, pendingWarn, unknown, warn } from '../verdict.ts';

/** What the remediation needs of a path that is not audited. */
export interface AuditDetail {
  readonly subject: AuditSubject;
  readonly state: CoverageState;
  readonly reason: string;
}

interface Row {
  readonly id: string;
  readonly what: string;
  readonly why: string;
  /** Candidates, the usual one first; those that exist are judged, each file once. Unreadable when what names them is. */
  readonly where: (facts: Facts) => Observed<readonly string[]>;
  readonly type: AuditSubject['type'];
  readonly perms: AuditSubject['perms'];
  readonly exceptLayers?: true;
  readonly severity: Severity;
  readonly level: 1 | 2;
  readonly cis: Check['cis'];
}

const at = (...paths: string[]) => (): Observed<readonly string[]> => present(paths);

/** Paths that a fact names, or the usual ones when it says that there is none to name them. */
const named = <T>(observed: Observed<T>, paths: (value: T) => readonly string[], usual: readonly string[]): Observed<readonly string[]> =>
  observed.status === 'absent' ? present(usual) : mapObserved(observed, paths);

const DAEMON_BINARIES = ['/usr/bin/dockerd', '/usr/sbin/dockerd'];

/** The binary that runs, by its command line; otherwise where packages put it. */
function dockerdPaths(facts: Facts): Observed<readonly string[]> {
  const isThere = (path: string): boolean => valueOf(statOf(facts, path)) !== undefined;
  const [running] = valueOf(facts.daemon.process)?.argv ?? [];
  if (running !== undefined && !isThere(running) && !DAEMON_BINARIES.some(isThere)) return unreadable(`the daemon was started as "${running}", and where that is cannot be told`);
  return named(facts.daemon.process, () => running !== undefined && isThere(running) ? [running] : DAEMON_BINARIES, DAEMON_BINARIES);
}

/** With userns-remap the engine reports its UID.GID directory below the root. */
const dataRootPaths = (facts: Facts): Observed<readonly string[]> =>
  named(facts.engine.info, ({ dockerRootDir }) => [dockerRootDir.replace(/\/\d+\.\d+\/?$/, '')], ['/var/lib/docker']);

const SERVICE_UNITS = ['/usr/lib/systemd/system/docker.service', '/etc/systemd/system/docker.service', '/lib/systemd/system/docker.service'];
const servicePaths = (facts: Facts): Observed<readonly string[]> => named(facts.daemon.unit, ({ fragmentPath }) => [fragmentPath], SERVICE_UNITS);

/** Editions name the socket or its unit; both are judged. */
const dockerSocketPaths = (facts: Facts): Observed<readonly string[]> => {
  const socket = /^unix:\/\/(\/.+)$/.exec(facts.engine.endpoint)?.[1] ?? '/run/docker.sock';
  return named(facts.daemon.socketUnit, ({ fragmentPath }) => [socket, fragmentPath], [socket]);
};

const REGISTRY_UNITS = [
  '/etc/systemd/system/docker-registry.service', '/usr/lib/systemd/system/docker-registry.service', '/lib/systemd/system/docker-registry.service',
];

/** In the benchmark's order; the last four are retired since 1.11.0. */
const rows: readonly Row[] = [
  {
    id: 'audit.dockerd', what: 'the Docker daemon binary', where: dockerdPaths, type: 'file', perms: 'wax', severity: 'medium', level: 1,
    why: 'Whoever replaces or runs the daemon binary controls every container.',
    cis: { 'd1.6': '1.8', 'd1.11': '1.7', 'd1.12': '1.7', 'd1.13': '1.5', 'ce1.1.0': '1.5', '1.2.0': '1.2.3', '1.3.1': '1.1.3', '1.4.0': '1.1.3', '1.5.0': '1.1.3', '1.6.0': '1.1.3', '1.7.0': '1.1.3', '1.8.0': '1.1.3' },
  },
  {
    id: 'audit.run-containerd', what: 'the runtime state of containerd', where: at('/run/containerd'), type: 'directory', perms: 'wa', severity: 'low', level: 1,
    why: 'The directory holds the sockets and bundles by which containers are run.',
    cis: { '1.3.1': '1.1.4', '1.4.0': '1.1.4', '1.5.0': '1.1.4', '1.6.0': '1.1.4', '1.7.0': '1.1.4', '1.8.0': '1.1.4' },
  },
  {
    id: 'audit.data-root', what: 'the data root of the daemon', where: dataRootPaths, type: 'directory', perms: 'wa', exceptLayers: true, severity: 'medium', level: 1,
    why: 'Images, volumes and container configurations can be altered there behind the daemon\'s back.',
    cis: { 'd1.6': '1.9', 'd1.11': '1.8', 'd1.12': '1.8', 'd1.13': '1.6', 'ce1.1.0': '1.6', '1.2.0': '1.2.4', '1.3.1': '1.1.5', '1.4.0': '1.1.5', '1.5.0': '1.1.5', '1.6.0': '1.1.5', '1.7.0': '1.1.5', '1.8.0': '1.1.5' },
  },
  {
    id: 'audit.etc-docker', what: 'the configuration directory of Docker', where: at('/etc/docker'), type: 'directory', perms: 'wa', severity: 'medium', level: 1,
    why: 'Settings, keys and certificates of the daemon decide what containers may do.',
    cis: { 'd1.6': '1.10', 'd1.11': '1.9', 'd1.12': '1.9', 'd1.13': '1.7', 'ce1.1.0': '1.7', '1.2.0': '1.2.5', '1.3.1': '1.1.6', '1.4.0': '1.1.6', '1.5.0': '1.1.6', '1.6.0': '1.1.6', '1.7.0': '1.1.6', '1.8.0': '1.1.6' },
  },
  {
    id: 'audit.docker-service', what: 'the systemd unit of the daemon', where: servicePaths, type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The unit carries the flags that the daemon starts with.',
    cis: { 'd1.6': '1.12', 'd1.11': '1.10', 'd1.12': '1.10', 'd1.13': '1.8', 'ce1.1.0': '1.8', '1.2.0': '1.2.6', '1.3.1': '1.1.7', '1.4.0': '1.1.7', '1.5.0': '1.1.7', '1.6.0': '1.1.7', '1.7.0': '1.1.7', '1.8.0': '1.1.7' },
  },
  {
    id: 'audit.containerd-sock', what: 'the socket of containerd', where: containerdSockets, type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The socket gives control over all containers, past the daemon.',
    cis: { '1.3.1': '1.1.8', '1.4.0': '1.1.8', '1.5.0': '1.1.8', '1.6.0': '1.1.8', '1.7.0': '1.1.8', '1.8.0': '1.1.8' },
  },
  {
    id: 'audit.docker-sock', what: 'the socket of the daemon and its systemd unit', where: dockerSocketPaths, type: 'file', perms: 'wa', severity: 'medium', level: 2,
    why: 'Access to the socket is access as root; its unit decides who may open it.',
    cis: { 'd1.6': '1.13', 'd1.11': '1.11', 'd1.12': '1.11', 'd1.13': '1.9', 'ce1.1.0': '1.9', '1.2.0': '1.2.7', '1.3.1': '1.1.9', '1.4.0': '1.1.9', '1.5.0': '1.1.9', '1.6.0': '1.1.9', '1.7.0': '1.1.9', '1.8.0': '1.1.9' },
  },
  {
    id: 'audit.default-docker', what: 'the daemon\'s defaults in /etc/default', where: at('/etc/default/docker'), type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The file adds flags to the daemon\'s command line.',
    cis: { 'd1.6': '1.18', 'd1.11': '1.12', 'd1.12': '1.12', 'd1.13': '1.10', 'ce1.1.0': '1.10', '1.2.0': '1.2.8', '1.3.1': '1.1.10', '1.4.0': '1.1.10', '1.5.0': '1.1.10', '1.6.0': '1.1.10', '1.7.0': '1.1.10', '1.8.0': '1.1.10' },
  },
  {
    id: 'audit.daemon-json', what: 'the daemon\'s configuration file', where: (facts) => present([facts.daemon.configPath]), type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The file sets the daemon\'s security options for all containers.',
    cis: { 'd1.11': '1.13', 'd1.12': '1.13', 'd1.13': '1.11', 'ce1.1.0': '1.11', '1.2.0': '1.2.10', '1.3.1': '1.1.11', '1.4.0': '1.1.11', '1.5.0': '1.1.11', '1.6.0': '1.1.11', '1.7.0': '1.1.11', '1.8.0': '1.1.11' },
  },
  {
    id: 'audit.containerd-config', what: 'the configuration of containerd', where: at('/etc/containerd/config.toml'), type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The file decides which runtimes and plugins run containers.',
    cis: { '1.3.1': '1.1.12', '1.4.0': '1.1.12', '1.5.0': '1.1.12', '1.6.0': '1.1.12', '1.7.0': '1.1.12', '1.8.0': '1.1.12' },
  },
  {
    id: 'audit.sysconfig-docker', what: 'the daemon\'s defaults in /etc/sysconfig', where: at('/etc/sysconfig/docker'), type: 'file', perms: 'wa', severity: 'low', level: 2,
    why: 'The file adds flags to the daemon\'s command line.',
    cis: { 'd1.6': '1.14', '1.2.0': '1.2.9', '1.3.1': '1.1.13', '1.4.0': '1.1.13', '1.5.0': '1.1.13', '1.6.0': '1.1.13', '1.7.0': '1.1.13', '1.8.0': '1.1.13' },
  },
  {
    id: 'audit.containerd-bin', what: 'the containerd binary', where: at('/usr/bin/containerd'), type: 'file', perms: 'wax', severity: 'low', level: 2,
    why: 'containerd runs as root and starts every container.',
    cis: { 'd1.11': '1.14', 'd1.12': '1.14', 'd1.13': '1.12', 'ce1.1.0': '1.12', '1.2.0': '1.2.11', '1.3.1': '1.1.14', '1.4.0': '1.1.14', '1.5.0': '1.1.14', '1.6.0': '1.1.14', '1.7.0': '1.1.14', '1.8.0': '1.1.14' },
  },
  {
    id: 'audit.containerd-shim', what: 'the containerd-shim binary', where: at('/usr/bin/containerd-shim'), type: 'file', perms: 'wax', severity: 'low', level: 2,
    why: 'A shim runs as root beside every container.',
    cis: { '1.3.1': '1.1.15', '1.4.0': '1.1.15', '1.5.0': '1.1.15', '1.6.0': '1.1.15', '1.7.0': '1.1.15', '1.8.0': '1.1.15' },
  },
  {
    id: 'audit.shim-runc-v1', what: 'the containerd-shim-runc-v1 binary', where: at('/usr/bin/containerd-shim-runc-v1'), type: 'file', perms: 'wax', severity: 'low', level: 2,
    why: 'A shim runs as root beside every container.',
    cis: { '1.3.1': '1.1.16', '1.4.0': '1.1.16', '1.5.0': '1.1.16', '1.6.0': '1.1.16', '1.7.0': '1.1.16', '1.8.0': '1.1.16' },
  },
  {
    id: 'audit.shim-runc-v2', what: 'the containerd-shim-runc-v2 binary', where: at('/usr/bin/containerd-shim-runc-v2'), type: 'file', perms: 'wax', severity: 'low', level: 2,
    why: 'A shim runs as root beside every container.',
    cis: { '1.3.1': '1.1.17', '1.4.0': '1.1.17', '1.5.0': '1.1.17', '1.6.0': '1.1.17', '1.7.0': '1.1.17', '1.8.0': '1.1.17' },
  },
  {
    id: 'audit.runc', what: 'the runc binary', where: at('/usr/bin/runc', '/usr/sbin/runc'), type: 'file', perms: 'wax', severity: 'low', level: 2,
    why: 'runc sets up the isolation of every container, as root.',
    cis: { 'd1.11': '1.15', 'd1.12': '1.15', 'd1.13': '1.13', 'ce1.1.0': '1.13', '1.2.0': '1.2.12', '1.3.1': '1.1.18', '1.4.0': '1.1.18', '1.5.0': '1.1.18', '1.6.0': '1.1.18', '1.7.0': '1.1.18', '1.8.0': '1.1.18' },
  },
  {
    id: 'audit.registry-service', what: 'the systemd unit of docker-registry', where: at(...REGISTRY_UNITS), type: 'file', perms: 'wa', severity: 'low', level: 1,
    why: 'The unit carries the flags of a registry that this host\'s images may come from.',
    cis: { 'd1.6': '1.11' },
  },
  {
    id: 'audit.sysconfig-network', what: 'the daemon\'s network defaults in /etc/sysconfig', where: at('/etc/sysconfig/docker-network'), type: 'file', perms: 'wa', severity: 'low', level: 1,
    why: 'The file adds network flags to the daemon\'s command line.',
    cis: { 'd1.6': '1.15' },
  },
  {
    id: 'audit.sysconfig-registry', what: 'the daemon\'s registry defaults in /etc/sysconfig', where: at('/etc/sysconfig/docker-registry'), type: 'file', perms: 'wa', severity: 'low', level: 1,
    why: 'The file adds registry flags to the daemon\'s command line.',
    cis: { 'd1.6': '1.16' },
  },
  {
    id: 'audit.sysconfig-storage', what: 'the daemon\'s storage defaults in /etc/sysconfig', where: at('/etc/sysconfig/docker-storage'), type: 'file', perms: 'wa', severity: 'low', level: 1,
    why: 'The file adds storage flags to the daemon\'s command line.',
    cis: { 'd1.6': '1.17' },
  },
];

const target = (path: string): Target => ({ kind: 'audit', name: path, id: path });

function judgePath(facts: Facts, subject: AuditSubject): Verdict<AuditDetail> {
  const { state, reason, waitsFor } = coverage(facts, subject);
  const about = target(subject.path);
  switch (state) {
    case 'covered': return pass(about, reason);
    case 'unknown': return unknown(about, reason);
    case 'disabled': case 'file-only': case 'loaded-only': case 'partial': case 'suppressed': case 'none': case 'no-auditd': {
      const detail: AuditDetail = { subject, state, reason };
      return waitsFor === null ? warn(about, reason, detail) : pendingWarn(about, reason, detail, waitsFor);
    }
  }
}

function judgeRow(facts: Facts, row: Row): readonly Verdict<AuditDetail>[] {
  const where = row.where(facts);
  if (where.status !== 'present') return [unknown(target(row.id), where.status === 'unreadable' ? where.reason : `where ${row.what} is, is not known`)];
  const candidates = where.value;
  const [usual = ''] = candidates;
  const seen = new Set<string>();
  const verdicts = candidates.flatMap((path): readonly Verdict<AuditDetail>[] => {
    const stat = statOf(facts, path);
    if (stat === undefined || stat.status === 'absent') return [];
    if (stat.status === 'unreadable') return [unknown(target(path), stat.reason)];
    if (seen.has(stat.value.realPath)) return [];
    seen.add(stat.value.realPath);
    const type = row.type === 'directory' && stat.value.type === 'directory' ? 'directory' : 'file';
    return [judgePath(facts, { path, type, perms: row.perms, ...(row.exceptLayers ? { exceptLayers: true } : {}) })];
  });
  if (verdicts.length > 0) return verdicts;
  return [statOf(facts, usual)?.status === 'absent' ? na(target(usual), `${usual} does not exist on this host`) : unknown(target(usual), `${usual} was not looked at`)];
}

const DIRECTORY = 'a rule on it, or on a directory above it, that reaches all below it';

function checkOf(row: Row): Check<AuditDetail> {
  const wanted = row.perms === 'wax' ? 'writes, attribute changes and execution' : 'writes and attribute changes';
  return {
    id: row.id,
    title: `Access to ${row.what} is audited`,
    rationale: `${row.why} Audit records show who changed it and when.`,
    evidence: 'auditctl -l and -s, the files of /etc/audit/rules.d, /proc/self/mountinfo, the path itself',
    passes: `Auditing is on, and ${row.type === 'directory' ? DIRECTORY : 'a rule on it, or on a directory above it,'} records ${wanted} of everybody, in the kernel now and in the rule files for the next boot.`,
    section: 'host',
    severity: row.severity,
    level: row.level,
    cis: row.cis,
    evaluate: (facts) => judgeRow(facts, row),
  };
}

/** Section 1.1 of the benchmark: audit rules. */
export const auditChecks: readonly Check<AuditDetail>[] = rows.map(checkOf);
