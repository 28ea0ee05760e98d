import { text as textOf } from '../collect/json.ts';
import { editDistance } from '../edit-distance.ts';
import { UsageError } from '../errors.ts';
import type { ContainerSpec, Json, JsonObject } from '../model.ts';
import { valueOf } from '../model.ts';
import { shellLine, shellWord } from '../quote.ts';
import { parseInspect } from './from-inspect.ts';
import type { RunFlag } from './run-flags.ts';
import { DOCKER_FLAGS, FLAG_BY_NAME, FLAG_BY_SHORT, RUN_FLAGS, SUDO_FLAGS } from './run-flags.ts';
import {
  checkDomain, checkLink, checkReference, checkSecurityOption, checkSysctl, cut, isUserDefined, parseAddress, parseBlkio, parseBool, parseBytes,
  parseDevice, parseDeviceRule, parseDuration, parseExpose, parseExtraHost, parseGpus, parseInteger, parseMac, parseMountOption, parseNanoCpus,
  parseNetworkOption, parsePublish, parseRestart, parseUlimit, parseVolume, setText, textMap, ValueError,
} from './run-values.ts';
import type { NetworkOption } from './run-values.ts';
import { placeOf, splitCommands, TextError } from './shell-words.ts';
import type { Word } from './shell-words.ts';

/** One flag as it was given. */
export interface GivenFlag {
  readonly flag: RunFlag;
  /** "true" for a switch without a value. */
  readonly value: string;
  /** As it was spelled, with its dashes. */
  readonly spelling: string;
}

/** Words that belong together: one flag with its value, or several short ones in one word (`-dit`). */
export interface FlagGroup {
  readonly start: number;
  readonly end: number;
  readonly given: readonly GivenFlag[];
  /** How the value of the last flag is joined to it. */
  readonly joint: 'none' | 'equals' | 'space' | 'glued';
  /** Where that value stands in the text; null without one. */
  readonly valueStart: number | null;
}

/** One `docker run` or `docker create` in a text. */
export interface RunCommand {
  readonly text: string;
  /** "docker run line" or the file's name, for messages. */
  readonly source: string;
  readonly verb: 'run' | 'create';
  /** From the first word to the last. */
  readonly start: number;
  readonly end: number;
  /** After the word "run" or "create". */
  readonly verbEnd: number;
  readonly groups: readonly FlagGroup[];
  readonly image: Word;
  readonly spec: ContainerSpec;
  /** What the line leaves to files or to the client, and what the model has no place for: "--env-file a.env". */
  readonly unseen: readonly string[];
}

/**
 * The `docker run` and `docker create` commands of a text. Comments and blank lines may stand around them, nothing else.
 * @throws UsageError with source, line and column
 */
export function parseRunText(text: string, source: string): readonly RunCommand[] {
  try {
    const commands = splitCommands(text).map((words) => parseCommand(words, text, source));
    if (commands.length === 0) throw new TextError('there is no docker run command in it', 0);
    return commands;
  } catch (error) {
    if (error instanceof TextError) throw new UsageError(`${source}:${placeOf(text, error.offset)}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Shorter lines stay on one line. */
const ONE_LINE = 100;

/**
 * The command that a list of words is, written out as a line for a shell: on several lines when it is long.
 * @throws UsageError naming the word
 */
export function parseRunWords(argv: readonly string[]): RunCommand {
  const source = 'docker run line';
  try {
    if (argv.some((word) => word.includes('\0'))) throw new TextError('a NUL character cannot be in a command line', 0);
    const line = shellLine(argv);
    const [words = []] = splitCommands(line);
    const command = parseCommand(words, line, source);
    if (line.length <= ONE_LINE || command.groups.length < 2) return command;
    const cuts = [...command.groups.map(({ start }) => start), imageStart(command)];
    const layout = [line.slice(0, cuts[0]), ...cuts.map((from, index) => line.slice(from, cuts[index + 1]))].map((part) => part.trimEnd()).join(' \\\n  ');
    return parseCommand(splitCommands(layout)[0] ?? [], layout, source);
  } catch (error) {
    if (error instanceof TextError) throw new UsageError(`the docker run line: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The image, or the "--" before it. */
const imageStart = ({ text, image, groups, verbEnd }: RunCommand): number => {
  const from = groups.at(-1)?.end ?? verbEnd;
  return from + text.slice(from, image.start).search(/[^\s\\]|$/);
};

function parseCommand(words: readonly Word[], text: string, source: string): RunCommand {
  const [first] = words;
  if (first === undefined) throw new TextError('there is no docker run command', 0);
  const last = words.at(-1) ?? first;
  const { verb, next, verbEnd } = parsePrefix(words, text);
  const { groups, image, command } = parseFlags(words, next, verb, last.end);
  const given = groups.flatMap((group) => group.given.map((one) => ({ ...one, offset: group.start })));
  const { raw, unseen } = readGiven(given, image, command, verb);
  const facts = parseInspect(raw, { apiVersion: '1.41' });
  const spec = valueOf(facts.spec);
  if (spec === undefined) throw new TextError('the line cannot be read', first.start);
  return {
    text, source, verb, start: first.start, end: last.end, verbEnd, groups, image,
    spec: { ...spec, ...beyondInspect(given, spec) },
    unseen,
  };
}

/** What flags by themselves say; null when they say nothing without others. */
export function specOfFlags(flags: readonly GivenFlag[]): ContainerSpec | null {
  const given = flags.map((flag) => ({ ...flag, offset: 0 }));
  try {
    const { raw } = readGiven(given, { value: 'image', start: 0, end: 0 }, [], 'run');
    const spec = valueOf(parseInspect(raw, { apiVersion: '1.41' }).spec);
    return spec === undefined ? null : { ...spec, ...beyondInspect(given, spec) };
  } catch (error) {
    if (error instanceof TextError) return null;
    throw error;
  }
}

const isAssignment = (word: string): boolean => /^[A-Za-z_]\w*=/.test(word);
const baseName = (word: string): string => word.slice(word.lastIndexOf('/') + 1);

/** Reads `[NAME=VALUE…] [exec] [sudo [FLAGS]] docker [FLAGS] [container] run|create`. */
function parsePrefix(words: readonly Word[], text: string): { readonly verb: 'run' | 'create'; readonly next: number; readonly verbEnd: number } {
  let at = 0;
  const value = (): string => words[at]?.value ?? '';
  const skipFlags = (known: ReadonlyMap<string, boolean>, whose: string): void => {
    while (value().startsWith('-')) {
      const word = words[at];
      const [name, inline] = cut(value(), '=');
      const takesValue = known.get(name);
      if (takesValue === undefined) throw new TextError(`${whose} has no flag ${name} that can be kept here; leave it out`, word?.start ?? 0);
      at += takesValue && inline === null ? 2 : 1;
    }
  };
  while (isAssignment(value())) at += 1;
  if (value() === 'exec') at += 1;
  if (baseName(value()) === 'sudo') {
    at += 1;
    skipFlags(SUDO_FLAGS, 'sudo');
    while (isAssignment(value())) at += 1;
  }
  const program = words[at];
  if (program === undefined || baseName(program.value) !== 'docker') {
    throw new TextError(`"${(program?.value ?? '').slice(0, 60)}" is no docker command; only docker run and docker create can be rewritten`, program?.start ?? 0);
  }
  at += 1;
  skipFlags(DOCKER_FLAGS, 'docker');
  if (value() === 'container') at += 1;
  const verb = words[at];
  if (verb === undefined || (verb.value !== 'run' && verb.value !== 'create')) {
    throw new TextError(`docker ${(verb?.value ?? '').slice(0, 60)} makes no container; only docker run and docker create can be rewritten`, verb?.start ?? text.length);
  }
  return { verb: verb.value, next: at + 1, verbEnd: verb.end };
}

interface Flags {
  readonly groups: readonly FlagGroup[];
  readonly image: Word;
  readonly command: readonly string[];
}

/** The flags as pflag reads them: up to the first word that is none; "--" ends them. */
function parseFlags(words: readonly Word[], from: number, verb: 'run' | 'create', end: number): Flags {
  const groups: FlagGroup[] = [];
  let at = from;
  for (;;) {
    const word = words[at];
    if (word === undefined) throw new TextError('the image is missing: it follows the flags', end);
    if (word.value === '--' || word.value === '-' || !word.value.startsWith('-')) break;
    const group = word.value.startsWith('--') ? longFlag(word, words[at + 1], verb) : shortFlags(word, words[at + 1], verb);
    groups.push(group);
    at += group.joint === 'space' ? 2 : 1;
  }
  const image = words[words[at]?.value === '--' ? at + 1 : at];
  if (image === undefined) throw new TextError('the image is missing: it follows the flags', end);
  return { groups, image, command: words.slice(words.indexOf(image) + 1).map(({ value }) => value) };
}

function known(flag: RunFlag | undefined, spelling: string, verb: 'run' | 'create', offset: number): RunFlag {
  if (flag === undefined) {
    const near = spelling.length > 2 && spelling.length < 60 ? RUN_FLAGS.map(({ name }) => ({ name, distance: editDistance(name, spelling.slice(2)) }))
      .toSorted((a, b) => a.distance - b.distance)[0] : undefined;
    throw new TextError(`docker ${verb} has no flag ${spelling.slice(0, 80)}${near !== undefined && near.distance <= 2 ? `; did you mean --${near.name}?` : ''}`, offset);
  }
  if (flag.runOnly && verb === 'create') throw new TextError(`docker create has no flag ${spelling}, docker run has`, offset);
  if (flag.windows) throw new TextError(`${spelling} is for Windows containers; leave it out`, offset);
  if (flag.name === 'help') throw new TextError(`${spelling} prints help and makes no container; leave it out`, offset);
  return flag;
}

const missing = (spelling: string, offset: number): TextError => new TextError(`${spelling} needs a value`, offset);

function longFlag(word: Word, next: Word | undefined, verb: 'run' | 'create'): FlagGroup {
  const [spelling, inline] = cut(word.value, '=');
  const flag = known(FLAG_BY_NAME.get(spelling.slice(2)), spelling, verb, word.start);
  if (inline !== null) return group(word.start, word.end, [{ flag, value: inline, spelling }], 'equals', null);
  if (flag.type === 'bool') return group(word.start, word.end, [{ flag, value: 'true', spelling }], 'none', null);
  if (next === undefined) throw missing(spelling, word.start);
  return group(word.start, next.end, [{ flag, value: next.value, spelling }], 'space', next.start);
}

const group = (start: number, end: number, given: readonly GivenFlag[], joint: FlagGroup['joint'], valueStart: number | null): FlagGroup =>
  ({ start, end, given, joint, valueStart });

function shortFlags(word: Word, next: Word | undefined, verb: 'run' | 'create'): FlagGroup {
  const given: GivenFlag[] = [];
  let rest = word.value.slice(1);
  while (rest !== '') {
    const letter = String.fromCodePoint(rest.codePointAt(0) ?? 0);
    const spelling = `-${letter}`;
    const flag = known(FLAG_BY_SHORT.get(letter), spelling, verb, word.start);
    rest = rest.slice(letter.length);
    if (rest.startsWith('=') && rest.length > 1) return group(word.start, word.end, [...given, { flag, value: rest.slice(1), spelling }], 'equals', null);
    if (flag.type === 'bool') given.push({ flag, value: 'true', spelling });
    else if (rest !== '') return group(word.start, word.end, [...given, { flag, value: rest, spelling }], 'glued', null);
    else if (next === undefined) throw missing(spelling, word.start);
    else return group(word.start, next.end, [...given, { flag, value: next.value, spelling }], 'space', next.start);
  }
  return group(word.start, word.end, given, 'none', null);
}

type Given = GivenFlag & { readonly offset: number };

/** More than all ports there are: nobody means that, and it would take for ever. */
const MAX_PORTS = 100_000;

/** All that the flags say, as inspect shows it for the container that they make. */
function readGiven(given: readonly Given[], image: Word, command: readonly string[], verb: 'run' | 'create'): { readonly raw: JsonObject; readonly unseen: readonly string[] } {
  const byName = new Map<string, Given[]>();
  for (const one of given) {
    const others = byName.get(one.flag.name);
    if (others === undefined) byName.set(one.flag.name, [one]);
    else others.push(one);
  }
  const of = (name: string): readonly Given[] => byName.get(name) ?? [];
  const has = (name: string): boolean => byName.has(name);
  /** Runs a reader over a value; what is wrong with it is said with the flag and its place. */
  const read = <T>({ spelling, value, offset }: Given, reader: (value: string) => T): T => {
    try {
      return reader(value);
    } catch (error) {
      if (error instanceof ValueError) throw new TextError(`${spelling} ${error.message}`, offset);
      throw error;
    }
  };
  const all = <T>(name: string, reader: (value: string) => T): readonly T[] => of(name).map((one) => read(one, reader));
  /** Of a flag that is no list the last one counts; each is read. */
  const last = <T>(name: string, reader: (value: string) => T): T | null => all(name, reader).at(-1) ?? null;
  const text = (name: string): string => last(name, (value) => value) ?? '';
  const texts = (name: string): Json[] => [...all(name, (value) => value)];
  const bool = (name: string): boolean => last(name, parseBool) ?? false;
  const integer = (name: string, range?: readonly [number, number]): number | null => last(name, (value) => parseInteger(value, range));
  const bytes = (name: string): number | null => last(name, parseBytes);
  const conflict = (name: string, message: string): never => {
    throw new TextError(message, of(name)[0]?.offset ?? image.start);
  };
  const map = (name: string, check: (value: string) => string = (value) => value): JsonObject => {
    const entries = textMap();
    for (const value of all(name, check)) setText(entries, value);
    return fromMap(entries);
  };
  const named = (kind: string) => (value: string): string => (cut(value, '=')[0] === '' ? raise(`has a ${kind} without a name`) : value);

  // Read for their mistakes only.
  for (const { name, type } of RUN_FLAGS) if (type === 'bool') all(name, parseBool);
  bytes('kernel-memory');
  last('pull', (value) => ['always', 'missing', 'never'].includes(value) ? value : raise(`must be always, missing or never, and is "${value}"`));

  const reference = read({ flag: FLAG_BY_NAME.get('name') as RunFlag, spelling: 'the image', value: image.value, offset: image.start }, checkReference);
  const attach = all('attach', (value) => ['stdin', 'stdout', 'stderr'].includes(value.toLowerCase()) ? value.toLowerCase() : raise('must be STDIN, STDOUT or STDERR'));
  const detached = verb === 'run' && bool('detach');
  if (detached && attach.length > 0) conflict('attach', '--attach and --detach exclude each other; leave one of them out');
  const openStdin = bool('interactive');
  let portCount = 0;
  const counted = <T>(list: readonly T[]): readonly T[] => {
    portCount += list.length;
    return portCount <= MAX_PORTS ? list : raise(`is one too many: all ports together are more than ${MAX_PORTS}`);
  };
  const ports = all('publish', (value) => counted(parsePublish(value))).flat();
  const exposed = all('expose', (value) => (value.includes(':') ? raise('takes a port of the container alone') : counted(parseExpose(value)))).flat();
  const volumes = all('volume', parseVolume);
  const restart = last('restart', parseRestart) ?? { Name: 'no', MaximumRetryCount: 0 };
  if (bool('rm') && !['', 'no'].includes(textOf(restart['Name']))) conflict('restart', '--restart and --rm exclude each other; leave one of them out');
  const security = all('security-opt', (value) => ({ value, option: checkSecurityOption(value) }));
  const systemPaths = security.some(({ option: [name, value] }) => name === 'systempaths' && value === 'unconfined');
  const devices = all('device', parseDevice);
  const cdi = devices.flatMap((device) => ('cdi' in device ? [device.cdi] : []));
  const logOptions = map('log-opt');
  const logDriver = text('log-driver');
  if (logDriver === 'none' && Object.keys(logOptions).length > 0) conflict('log-opt', '--log-opt means nothing to --log-driver none; leave one of them out');
  const { mode, endpoints, macAddress } = readNetworks({ all, of, last, conflict });
  const tmpfs = textMap();
  for (const [target, options] of all('tmpfs', splitTmpfs)) tmpfs.set(target, options);
  const ulimits = new Map(all('ulimit', parseUlimit).map((limit) => [textOf(limit['Name']), limit]));
  const swappiness = integer('memory-swappiness', [-1, 100]);
  const stopTimeout = integer('stop-timeout');
  const blkio = (name: string, kind: 'weight' | 'bps' | 'iops'): Json[] => [...all(name, (value) => parseBlkio(value, kind))];

  const config: JsonObject = {
    Image: reference,
    Hostname: text('hostname'),
    Domainname: text('domainname'),
    User: text('user'),
    Tty: bool('tty'),
    OpenStdin: openStdin,
    StdinOnce: openStdin && !detached,
    Env: environment(all('env', named('variable'))),
    Cmd: command.length === 0 ? null : [...command],
    Entrypoint: has('entrypoint') ? [text('entrypoint')] : null,
    WorkingDir: text('workdir'),
    Labels: map('label', named('label')),
    StopSignal: text('stop-signal'),
    ...(stopTimeout !== null && { StopTimeout: stopTimeout }),
    ExposedPorts: keys([...ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`), ...exposed]),
    Volumes: keys(volumes.flatMap((volume) => ('anonymous' in volume ? [volume.anonymous] : []))),
    Healthcheck: readHealthcheck({ has, bool, text, last, integer, conflict }),
    MacAddress: macAddress,
  };
  const host: JsonObject = {
    Binds: volumes.flatMap((volume) => ('bind' in volume ? [volume.bind] : [])),
    Mounts: [...all('mount', parseMountOption), ...(bool('use-api-socket') ? [API_SOCKET] : [])],
    Tmpfs: fromMap(tmpfs),
    VolumesFrom: texts('volumes-from'),
    VolumeDriver: text('volume-driver'),
    LogConfig: { Type: logDriver, Config: logOptions },
    NetworkMode: mode,
    PortBindings: bindings(ports),
    PublishAllPorts: bool('publish-all'),
    RestartPolicy: restart,
    AutoRemove: bool('rm'),
    Annotations: map('annotation'),
    CapAdd: texts('cap-add'),
    CapDrop: texts('cap-drop'),
    GroupAdd: texts('group-add'),
    Privileged: bool('privileged'),
    ReadonlyRootfs: bool('read-only'),
    SecurityOpt: security.filter(({ option: [name, value] }) => !(name === 'systempaths' && value === 'unconfined')).map(({ value }) => value),
    ...(systemPaths && { MaskedPaths: [], ReadonlyPaths: [] }),
    StorageOpt: map('storage-opt', (value) => (value.includes('=') ? value : raise('must be NAME=VALUE'))),
    PidMode: namespaceMode('pid', last, (value) => value === 'host' || /^container:./s.test(value)),
    IpcMode: text('ipc'),
    UTSMode: namespaceMode('uts', last, (value) => value === 'host'),
    UsernsMode: namespaceMode('userns', last, (value) => value === 'host'),
    CgroupnsMode: namespaceMode('cgroupns', last, (value) => value === 'host' || value === 'private'),
    Dns: [...all('dns', (value) => parseAddress(value.trim()))],
    DnsOptions: texts('dns-option'),
    DnsSearch: [...all('dns-search', checkDomain)],
    ExtraHosts: [...all('add-host', parseExtraHost)],
    // On a network of the user's own, links are the endpoint's.
    Links: isUserDefined(mode) ? [] : [...all('link', checkLink)],
    Sysctls: map('sysctl', checkSysctl),
    Runtime: text('runtime'),
    Isolation: text('isolation'),
    ShmSize: bytes('shm-size'),
    ...(has('init') && { Init: bool('init') }),
    Memory: bytes('memory'),
    MemorySwap: last('memory-swap', (value) => (value === '-1' ? -1 : parseBytes(value))),
    MemoryReservation: bytes('memory-reservation'),
    MemorySwappiness: swappiness ?? -1,
    CpuShares: integer('cpu-shares'),
    NanoCpus: last('cpus', parseNanoCpus),
    CpuPeriod: integer('cpu-period'),
    CpuQuota: integer('cpu-quota'),
    CpuRealtimePeriod: integer('cpu-rt-period'),
    CpuRealtimeRuntime: integer('cpu-rt-runtime'),
    CpusetCpus: text('cpuset-cpus'),
    CpusetMems: text('cpuset-mems'),
    PidsLimit: integer('pids-limit'),
    BlkioWeight: integer('blkio-weight', [0, 65_535]),
    BlkioWeightDevice: blkio('blkio-weight-device', 'weight'),
    BlkioDeviceReadBps: blkio('device-read-bps', 'bps'),
    BlkioDeviceWriteBps: blkio('device-write-bps', 'bps'),
    BlkioDeviceReadIOps: blkio('device-read-iops', 'iops'),
    BlkioDeviceWriteIOps: blkio('device-write-iops', 'iops'),
    OomKillDisable: bool('oom-kill-disable'),
    OomScoreAdj: integer('oom-score-adj', [-1000, 1000]),
    Ulimits: [...ulimits.values()].toSorted((a, b) => (textOf(a['Name']) < textOf(b['Name']) ? -1 : 1)),
    CgroupParent: text('cgroup-parent'),
    Devices: devices.flatMap((device) => ('device' in device ? [device.device] : [])),
    DeviceCgroupRules: [...all('device-cgroup-rule', parseDeviceRule)],
    DeviceRequests: [
      ...all('gpus', parseGpus), ...(cdi.length === 0 ? [] : [{ Driver: 'cdi', Count: 0, DeviceIDs: cdi, Capabilities: null, Options: null }]),
    ],
  };
  return {
    raw: { Id: '', Name: text('name'), Mounts: null, Config: config, HostConfig: host, NetworkSettings: { Networks: endpoints }, State: { Status: 'created' } },
    unseen: given.filter(({ flag: { name, fields }, value }) => ['env-file', 'label-file'].includes(name) || (fields.length === 0 && isHostFlag(name) && value !== 'false'))
      .map(({ spelling, value }) => `${spelling} ${shellWord(value)}`),
  };
}

const raise = (message: string): never => {
  throw new ValueError(message);
};

/** Flags of the container to which the model has no field. */
const isHostFlag = (name: string): boolean => ['kernel-memory', 'volume-driver', 'platform'].includes(name);

const API_SOCKET: JsonObject = { Type: 'bind', Source: '/var/run/docker.sock', Target: '/var/run/docker.sock' };

/** Names come from outside: "__proto__" is one like any other. */
const fromMap = (entries: ReadonlyMap<string, Json>): JsonObject => {
  const result = Object.create(null) as JsonObject;
  for (const [key, value] of entries) result[key] = value;
  return result;
};

const keys = (names: readonly string[]): JsonObject => fromMap(new Map(names.map((name) => [name, {}])));

const splitTmpfs = (value: string): readonly [target: string, options: string] => {
  const [target, options] = cut(value, ':');
  return [target, options ?? ''];
};

/** A name that comes again stands where it first stood, with its last value. */
function environment(variables: readonly string[]): Json[] {
  const byName = new Map<string, string>();
  for (const variable of variables) byName.set(cut(variable, '=')[0], variable);
  return [...byName.values()];
}

function bindings(ports: ReturnType<typeof parsePublish>): JsonObject {
  const byPort = new Map<string, Json[]>();
  for (const { ip, hostPort, containerPort, protocol } of ports) {
    const port = `${containerPort}/${protocol}`;
    const list = byPort.get(port) ?? [];
    byPort.set(port, list);
    list.push({ HostIp: ip, HostPort: hostPort });
  }
  return fromMap(byPort);
}

type Last = <T>(name: string, reader: (value: string) => T) => T | null;

const namespaceMode = (name: string, last: Last, isValid: (value: string) => boolean): string =>
  last(name, (value) => (value === '' || isValid(value) ? value : raise(`does not know the mode "${value}"`))) ?? '';

interface Readers {
  readonly has: (name: string) => boolean;
  readonly bool: (name: string) => boolean;
  readonly text: (name: string) => string;
  readonly last: Last;
  readonly integer: (name: string, range?: readonly [number, number]) => number | null;
  readonly all: <T>(name: string, reader: (value: string) => T) => readonly T[];
  readonly of: (name: string) => readonly Given[];
  readonly conflict: (name: string, message: string) => never;
}

function readHealthcheck({ has, bool, text, last, integer, conflict }: Pick<Readers, 'has' | 'bool' | 'text' | 'last' | 'integer' | 'conflict'>): JsonObject | null {
  const command = text('health-cmd');
  const [interval, timeout, startPeriod, startInterval] = ['interval', 'timeout', 'start-period', 'start-interval'].map((name) => last(`health-${name}`, parseDuration) ?? 0);
  const retries = integer('health-retries', [0, Number.MAX_SAFE_INTEGER]) ?? 0;
  const any = command !== '' || [interval, timeout, startPeriod, startInterval, retries].some((value) => value !== 0);
  if (has('no-healthcheck') && bool('no-healthcheck')) {
    return any ? conflict('no-healthcheck', '--no-healthcheck and --health-… exclude each other; leave one of them out') : { Test: ['NONE'] };
  }
  if (!any) return null;
  return {
    Test: command === '' ? [] : ['CMD-SHELL', command], Interval: interval ?? 0, Timeout: timeout ?? 0, StartPeriod: startPeriod ?? 0, StartInterval: startInterval ?? 0, Retries: retries,
  };
}

/** The networks: what the flags without a network say goes to the first one. */
function readNetworks({ all, of, last, conflict }: Pick<Readers, 'all' | 'of' | 'last' | 'conflict'>): { readonly mode: string; readonly endpoints: JsonObject; readonly macAddress: string } {
  const networks = all('network', parseNetworkOption);
  const mode = networks[0]?.name ?? 'default';
  const kinds = new Set((networks.length === 0 ? ['default'] : networks.map(({ name }) => name)).map(isUserDefined));
  if (kinds.size > 1) conflict('network', 'user-defined networks and bridge, host, none or container:… exclude each other; leave one of them out');
  const names = networks.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) conflict('network', `the network ${twice} is given twice`);

  const aliases = all('network-alias', (value) => value);
  const links = all('link', checkLink);
  const ipv4 = last('ip', (value) => parseAddress(value, 4)) ?? '';
  const ipv6 = last('ip6', (value) => parseAddress(value, 6)) ?? '';
  const linkLocalIps = all('link-local-ip', (value) => parseAddress(value));
  const macAddress = last('mac-address', parseMac) ?? '';
  const own = isUserDefined(mode);
  if (!own && (aliases.length > 0 || networks.some((network) => network.aliases.length > 0))) {
    conflict(of('network-alias').length > 0 ? 'network-alias' : 'network', 'aliases are for user-defined networks; give one with --network NAME');
  }
  if (!own && (ipv4 !== '' || ipv6 !== '' || linkLocalIps.length > 0)) {
    conflict(['ip', 'ip6', 'link-local-ip'].find((name) => of(name).length > 0) ?? 'ip', 'chosen addresses are for user-defined networks; give one with --network NAME');
  }
  const endpoints = new Map<string, Json>();
  networks.forEach((network, index) => {
    const first = index === 0;
    const both = (flag: string, one: boolean, other: boolean): void => {
      if (first && one && other) conflict(flag, `--${flag} and the same in --network exclude each other; leave one of them out`);
    };
    both('network-alias', aliases.length > 0, network.aliases.length > 0);
    both('ip', ipv4 !== '', network.ipv4 !== '');
    both('ip6', ipv6 !== '', network.ipv6 !== '');
    both('link-local-ip', linkLocalIps.length > 0, network.linkLocalIps.length > 0);
    both('mac-address', macAddress !== '', network.macAddress !== '');
    const merged: NetworkOption = !first ? network : {
      ...network, aliases: [...network.aliases, ...aliases], ipv4: network.ipv4 || ipv4, ipv6: network.ipv6 || ipv6,
      linkLocalIps: [...network.linkLocalIps, ...linkLocalIps], macAddress: network.macAddress || (own ? macAddress : ''),
    };
    const endpoint = endpointOf(merged, first && own ? links : []);
    if (!first || Object.keys(endpoint).length > 0) endpoints.set(network.name, endpoint);
  });
  return { mode, endpoints: fromMap(endpoints), macAddress: own ? '' : macAddress };
}

function endpointOf({ aliases, ipv4, ipv6, linkLocalIps, macAddress, driverOptions, gatewayPriority }: NetworkOption, links: readonly string[]): JsonObject {
  const addresses = { ...(ipv4 !== '' && { IPv4Address: ipv4 }), ...(ipv6 !== '' && { IPv6Address: ipv6 }), ...(linkLocalIps.length > 0 && { LinkLocalIPs: [...linkLocalIps] }) };
  return {
    ...(Object.keys(addresses).length > 0 && { IPAMConfig: addresses }),
    ...(aliases.length > 0 && { Aliases: [...aliases] }),
    ...(links.length > 0 && { Links: [...links] }),
    ...(macAddress !== '' && { MacAddress: macAddress }),
    ...(driverOptions.size > 0 && { DriverOpts: fromMap(driverOptions) }),
    ...(gatewayPriority !== 0 && { GwPriority: gatewayPriority }),
  };
}

/** What inspect cannot show before an engine filled it in: options for a log driver that the daemon chooses. */
function beyondInspect(given: readonly Given[], { log }: ContainerSpec): Partial<ContainerSpec> {
  if (log !== null) return {};
  const options = textMap();
  for (const { flag, value } of given) if (flag.name === 'log-opt') setText(options, value);
  return options.size === 0 ? {} : { log: { driver: '', options: fromMap(options) as Record<string, string> } };
}
