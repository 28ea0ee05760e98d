/** A host in memory, with files, audit rules, a daemon and its containers, on which runs are carried out, killed at any operation and recovered. */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { Session } from '../src/apply/session.ts';
import { at, flag, object, text } from '../src/collect/json.ts';
import { parseInspect } from '../src/container/from-inspect.ts';
import type { EngineControl } from '../src/host/engine-control.ts';
import { HostError, type FileSnapshot, type HostReader, type HostWriter, type ReadRequest, type ToolResult } from '../src/host/port.ts';
import type { Facts, Json, JsonObject } from '../src/model.ts';
import { absent, present } from '../src/model.ts';
import { loadHost, readFixture } from './hosts.ts';

interface Entry {
  /** null: a directory. */
  content: Buffer | null;
  mode: number;
  uid: number;
  gid: number;
}

/** What is there, whoever looks: it outlives a process that is killed. */
export interface World {
  files: Map<string, Entry>;
  rules: string[];
  daemon: { pid: number; liveRestore: boolean; startedWith: string | null };
  containers: Map<string, JsonObject>;
  members: string[];
  /** Containers that were made, for their ids. */
  made: number;
}

export const CONFIG = '/etc/docker/daemon.json';
export const RULES = '/etc/audit/rules.d/50-docker-harden.rules';
const API = '1.41';

/** Where an operation is met by its fault. */
export type When = 'before' | 'torn' | 'after';
export interface MemoryFault {
  /** Number of the operation, from 1; `from`: that one and all that follow. */
  readonly at: number;
  readonly from?: boolean;
  readonly when: When;
  /** An errno; missing: the process dies. */
  readonly fail?: string;
}

/** One process at work on a world: it counts its operations, and meets its fault. */
export class Life {
  count = 0;
  /** Set once it is dead; then nothing of it goes on. */
  died: Promise<void>;
  readonly operations: string[] = [];
  private die: () => void = () => undefined;
  private isDead = false;
  private readonly fault: MemoryFault | null;

  constructor(fault: MemoryFault | null) {
    this.fault = fault;
    this.died = new Promise((resolve) => {
      this.die = resolve;
    });
  }

  /** Looks, which changes nothing; of a dead process, for ever. */
  async look<T>(read: () => T): Promise<T> {
    if (this.isDead) return new Promise(() => undefined);
    return Promise.resolve(read());
  }

  /** Does something. `torn`: what is there of it when it is cut off in the middle. */
  async act<T>(what: string, deed: () => T, torn: () => void = () => undefined): Promise<T> {
    if (this.isDead) return new Promise(() => undefined);
    this.count += 1;
    this.operations.push(what);
    const { fault } = this;
    const due = fault !== null && (this.count === fault.at || (fault.from === true && this.count > fault.at));
    if (!due) return Promise.resolve(deed());
    if (fault.when === 'torn') torn();
    else if (fault.when === 'after') deed();
    if (fault.fail !== undefined) return Promise.reject(new HostError(`cannot ${what}: ${fault.fail}`));
    this.isDead = true;
    this.die();
    return new Promise(() => undefined);
  }
}

const dir = (mode = 0o755): Entry => ({ content: null, mode, uid: 0, gid: 0 });
const file = (content: string, mode = 0o644): Entry => ({ content: Buffer.from(content), mode, uid: 0, gid: 0 });

const HOST = loadHost('debian-12');
const RECORDED = (readFixture('raw/inspect/20.10.24.json') as Record<string, JsonObject>)['plain'] ?? {};

/** A container as inspect shows it, of the recorded one. */
function containerOf(id: string, name: string, restart: string): JsonObject {
  const raw = structuredClone(RECORDED);
  return {
    ...raw, Id: id, Name: `/${name}`, State: { ...object(raw['State']), Status: 'running', Running: true, Pid: 4000, StartedAt: '2026-11-16T10:00:00Z' },
    Config: { ...object(raw['Config']), Hostname: id.slice(0, 12), StopTimeout: 1 },
    HostConfig: { ...object(raw['HostConfig']), RestartPolicy: { Name: restart, MaximumRetryCount: 0 } },
  };
}

export const WEB = 'a'.repeat(64);
export const PLAIN = 'b'.repeat(64);

export function newWorld(): World {
  return {
    files: new Map([
      ...['/', '/etc', '/etc/docker', '/etc/audit', '/etc/audit/rules.d', '/etc/systemd', '/etc/systemd/system'].map((path) => [path, dir(path === '/etc/docker' ? 0o775 : 0o755)] as const),
      [CONFIG, file('{"log-level": "info"}\n', 0o640)],
      ['/etc/audit/audit.rules', file('-D\n', 0o640)],
    ]),
    rules: ['-w /etc/passwd -p wa -k identity'],
    daemon: { pid: 912, liveRestore: false, startedWith: '{"log-level": "info"}\n' },
    containers: new Map([[WEB, containerOf(WEB, 'web', 'always')], [PLAIN, containerOf(PLAIN, 'plain', 'no')]]),
    members: ['deploy', 'mallory'],
    made: 0,
  };
}

/** What nobody may lose, as lines. Without the state directory, process ids and times. */
export function worldState(world: World, stateDir: string): string[] {
  return [
    ...[...world.files].filter(([path]) => !path.startsWith(stateDir) && !stateDir.startsWith(path)).map(([path, { content, mode, uid, gid }]) => `${path} ${mode.toString(8)} ${uid}:${gid} ${content === null ? 'directory' : createHash('sha256').update(content).digest('hex')}`),
    `rules ${[...world.rules].sort().join('; ')}`,
    // A daemon that was started with live-restore and then told to leave it is as one that was started without.
    `daemon ${JSON.stringify({ ...JSON.parse(world.daemon.startedWith ?? '{}') as object, 'live-restore': world.daemon.liveRestore })}`,
    ...[...world.containers.values()].map((raw) => {
      const host = object(raw['HostConfig']);
      return `container ${text(raw['Name'])} ${text(at(raw, 'State', 'Status'))} ${JSON.stringify([host['RestartPolicy'], host['SecurityOpt'], Math.max(0, Number(host['PidsLimit'] ?? 0))])}`;
    }),
    `members ${[...world.members].sort().join(',')}`,
  ].sort();
}

function stop(world: World, id: string): void {
  const raw = world.containers.get(id);
  if (raw !== undefined) world.containers.set(id, { ...raw, State: { ...object(raw['State']), Status: 'exited', Running: false, Pid: 0, FinishedAt: '2026-11-17T11:00:00Z' } });
}

function start(world: World, id: string): void {
  const raw = world.containers.get(id);
  if (raw !== undefined && !flag(at(raw, 'State', 'Running'))) world.containers.set(id, { ...raw, State: { ...object(raw['State']), Status: 'running', Running: true, Pid: 5000, StartedAt: '2026-11-17T11:00:00Z' } });
}

const liveRestoreIn = (config: string | undefined): boolean | undefined => (JSON.parse(config ?? '{}') as { 'live-restore'?: boolean })['live-restore'];

/** As systemd and dockerd: without live-restore, containers stop, and those come back that are to restart always. */
function restartDaemon(world: World): void {
  const config = world.files.get(CONFIG)?.content?.toString();
  if (!world.daemon.liveRestore) {
    for (const [id, raw] of world.containers) {
      const ran = flag(at(raw, 'State', 'Running'));
      stop(world, id);
      if (ran && text(at(raw, 'HostConfig', 'RestartPolicy', 'Name')) === 'always') start(world, id);
    }
  }
  world.daemon = { pid: world.daemon.pid + 1, liveRestore: liveRestoreIn(config) ?? false, startedWith: config ?? null };
}

function writerOf(world: World, life: Life): HostWriter {
  const { files } = world;
  const snapshotOf = (path: string): FileSnapshot | null => {
    const entry = files.get(path);
    return entry === undefined ? null : { realPath: path, content: entry.content, mode: entry.mode, uid: entry.uid, gid: entry.gid };
  };
  const leftover = (path: string): string => `${dirname(path)}/.${path.slice(path.lastIndexOf('/') + 1)}.harden-0123456789ab`;
  const needParent = (path: string): void => {
    if (files.get(dirname(path))?.content !== null) throw new HostError(`${dirname(path)} is not there`);
  };
  const ok = (stdout = ''): ToolResult => ({ code: 0, stdout, stderr: '' });
  return {
    snapshot: (path) => life.look(() => snapshotOf(path)),
    refusal: () => life.look(() => null),
    metadataRefusal: () => life.look(() => null),
    replace: (path, content, { mode, uid, gid }) => life.act(`replace ${path}`, () => {
      needParent(path);
      files.set(path, { content: Buffer.from(content), mode, uid, gid });
    }, () => files.set(leftover(path), file('half', 0o600))),
    create: (path) => life.act(`create ${path}`, () => void files.set(path, file('', 0o600))),
    remove: (path) => life.act(`remove ${path}`, () => void files.delete(path)),
    removeLeftovers: async (path) => {
      const found = await life.look(() => files.has(leftover(path)));
      return found ? life.act(`removeLeftovers ${path}`, () => (files.delete(leftover(path)), [leftover(path)])) : [];
    },
    makeDirectory: async (path) => {
      const missing: string[] = [];
      for (let parent = path; !files.has(parent); parent = dirname(parent)) missing.unshift(parent);
      return missing.length === 0 ? life.look(() => []) : life.act(`makeDirectory ${path}`, () => {
        for (const name of missing) files.set(name, dir());
        return missing;
      }, () => files.set(missing[0] ?? path, dir(0o700)));
    },
    removeDirectory: (path) => life.act(`removeDirectory ${path}`, () => {
      if (![...files.keys()].some((other) => other.startsWith(`${path}/`))) files.delete(path);
    }),
    setMetadata: (path, { mode, uid, gid }) => life.act(`setMetadata ${path}`, () => {
      const entry = files.get(path);
      if (entry === undefined) throw new HostError(`${path} is not there`);
      files.set(path, { ...entry, mode, uid, gid });
    }),
    append: (path, line) => life.act(`append ${path.slice(path.lastIndexOf('/') + 1)} ${line.slice(0, 60)}`, () => {
      const before = (files.get(path)?.content ?? Buffer.alloc(0)).toString();
      files.set(path, file(`${before.slice(0, before.lastIndexOf('\n') + 1)}${line}\n`, 0o600));
    }, () => {
      const before = (files.get(path)?.content ?? Buffer.alloc(0)).toString();
      files.set(path, file(before + line.slice(0, line.length / 2), 0o600));
    }),
    run: async (tool, args) => {
      const line = [tool, ...args].join(' ');
      if (line === 'auditctl -l') return life.look(() => ok(world.rules.join('\n')));
      return life.act(line, () => {
        if (tool === 'augenrules') {
          const all = [...files].filter(([path]) => path.startsWith('/etc/audit/rules.d/')).flatMap(([, { content }]) => (content ?? '').toString().split('\n')).filter((rule) => rule.startsWith('-w'));
          files.set('/etc/audit/audit.rules', file(`-D\n${all.join('\n')}\n`, 0o640));
          world.rules = [...new Set([...world.rules, ...all])];
        } else if (tool === 'auditctl') {
          const rule = args.join(' ');
          if (rule.startsWith('-W')) world.rules = world.rules.filter((other) => other !== rule.replace('-W', '-w'));
          else if (!world.rules.includes(rule)) world.rules.push(rule);
        } else if (line.startsWith('systemctl restart')) restartDaemon(world);
        else if (tool === 'gpasswd') {
          const [flags = ''] = args;
          const [name, value = ''] = flags.split('=');
          if (name === '--members') world.members = value.split(',');
          else world.members = [...world.members.filter((member) => member !== value), ...(name === '--add' ? [value] : [])];
        }
        return ok();
      });
    },
    signal: () => life.act('SIGHUP', () => {
      // A key that is gone keeps its value over a reload.
      world.daemon.liveRestore = liveRestoreIn(files.get(CONFIG)?.content?.toString()) ?? world.daemon.liveRestore;
    }),
    startSelf: () => life.look(() => undefined),
    awaitLeftTools: () => life.look(() => undefined),
    answers: () => life.look(() => true),
  };
}

function readerOf(world: World, life: Life): HostReader {
  const { files } = world;
  const read = (request: ReadRequest): unknown => {
    if (request.kind === 'text') {
      const content = files.get(request.path)?.content;
      return content == null ? absent : present(content.toString());
    }
    if (request.kind === 'list') {
      const below = [...files.keys()].filter((path) => path.startsWith(`${request.path}/`) && path.slice(request.path.length + 1).split('/').length <= request.depth).sort();
      return files.has(request.path) ? present(below) : absent;
    }
    return request.kind === 'tool' ? present({ code: 0, stdout: `docker:x:105:${world.members.join(',')}\n`, stderr: '' }) : absent;
  };
  return { observe: (requests) => life.look(() => requests.map(read)) } as HostReader;
}

function engineOf(world: World, life: Life): EngineControl {
  const { containers } = world;
  const find = (reference: string): JsonObject | null => containers.get(reference) ?? [...containers.values()].find((raw) => raw['Name'] === `/${reference}`) ?? null;
  const change = (id: string, how: (raw: JsonObject) => JsonObject): void => {
    const raw = containers.get(id);
    if (raw === undefined) throw new HostError(`no such container ${id}`);
    containers.set(id, how(raw));
  };
  const unused = (): Promise<never> => Promise.reject(new Error('not in this world'));
  return {
    apiVersion: () => life.look(() => API),
    memoryBytes: () => life.look(() => 4e9),
    inspectContainer: (reference) => life.look(() => structuredClone(find(reference))),
    imageId: () => life.look(() => text(containerOf(WEB, 'web', 'no')['Image'])),
    createContainer: ({ name, body }) => life.act(`create container ${name}`, () => {
      if (find(name) !== null) throw new HostError(`the name ${name} is taken`);
      world.made += 1;
      const id = String(world.made).padStart(2, '0').repeat(32);
      const raw = containerOf(id, name, 'no');
      const { HostConfig: host, NetworkingConfig: _, ...config } = body;
      containers.set(id, { ...raw, Config: { ...object(raw['Config']), ...config, Hostname: id.slice(0, 12) }, HostConfig: { ...object(raw['HostConfig']), ...object(host) } });
      stop(world, id);
      return id;
    }),
    startContainer: (id) => life.act(`start ${id.slice(0, 4)}`, () => start(world, id)),
    stopContainer: (id) => life.act(`stop ${id.slice(0, 4)}`, () => stop(world, id)),
    renameContainer: (id, name) => life.act(`rename ${id.slice(0, 4)} ${name}`, () => {
      if (find(name) !== null) throw new HostError(`the name ${name} is taken`);
      change(id, (raw) => ({ ...raw, Name: `/${name}` }));
    }),
    updateContainer: (id, settings) => life.act(`update ${id.slice(0, 4)}`, () => change(id, (raw) => ({ ...raw, HostConfig: { ...object(raw['HostConfig']), ...settings } }))),
    containerChanges: () => life.look(() => []),
    removeContainer: (id) => life.act(`remove ${id.slice(0, 4)}`, () => void containers.delete(id)),
    inspectImage: unused, usersOfImage: unused, removeImage: unused, exportContainer: unused, isSocketIn: unused,
    service: unused, tasks: unused, updateService: unused, swarmSpec: unused, unlockKey: unused, updateSwarm: unused,
  };
}

/** The facts of a world: those of a recorded host, with what the world has. */
function factsOf(world: World): Facts {
  const base = HOST;
  const info = base.engine.info.status === 'present' ? present({ ...base.engine.info.value, liveRestore: world.daemon.liveRestore }) : base.engine.info;
  const config = world.files.get(CONFIG)?.content?.toString();
  const process = base.daemon.process.status === 'present' ? present({ ...base.daemon.process.value, pid: world.daemon.pid, argv: ['/usr/sbin/dockerd', '-H', 'fd://'] }) : base.daemon.process;
  return {
    ...base,
    engine: { ...base.engine, info, version: present({ version: '20.10.24', apiVersion: API, minApiVersion: '1.12', experimental: false, platform: '' }) },
    daemon: { ...base.daemon, configPath: CONFIG, process, config: config === undefined ? absent : present({ text: config, bom: false, parsed: { ok: true, value: JSON.parse(config) as Record<string, Json> } }) },
    audit: { ...base.audit, enabled: present(1), augenrules: true },
    containers: present([...world.containers.values()].map((raw) => parseInspect(raw, { apiVersion: API }))),
    networks: present([]),
  };
}

/** A process of harden on a world. */
export function sessionOn(world: World, life: Life, stateDir: string): Session {
  return {
    reader: readerOf(world, life), writer: writerOf(world, life), engine: engineOf(world, life), stateDir,
    checks: [], remediations: [], tool: { name: 'harden', version: '0' }, restartCommand: undefined, endpoint: 'unix:///var/run/docker.sock',
    ticket: null, user: { uid: 0, loginuid: null, sudoUser: null }, record: () => life.look(() => undefined),
    collect: () => life.look(() => factsOf(world)), ping: () => life.look(() => true), now: () => new Date('2026-11-17T10:00:00Z'), interrupted: () => null, progress: () => undefined,
  };
}
