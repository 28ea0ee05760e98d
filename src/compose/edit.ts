import { isDeepStrictEqual } from 'node:util';
import { capability } from '../container/from-inspect.ts';
import { fieldAt, joinedEdits } from '../container/spec-edit.ts';
import type { ContainerResources, ContainerSpec, Healthcheck, Json, JsonObject, MountSpec, SpecEdit } from '../model.ts';
import { durationText, sizeText } from '../quantities.ts';
import { isObject, servicesOf, valueAt } from './document.ts';
import type { ComposeDocument } from './document.ts';
import { engineName, serviceOf } from './project.ts';
import type { ComposeProject, Layer, Service } from './project.ts';
import { composeService } from './service.ts';
import { dependsOnVariable, deviceOf, escapeDollars, isPropagation, listOf, plainText, portOf, volumeOf, wordOf } from './values.ts';
import { AmbiguousEdit, blockPair, changeYaml } from './yaml-edit.ts';

/** One file of a project, before and after. */
interface FileEdit {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/** An edit that is left to a person. */
interface AmbiguousSpecEdit {
  readonly edit: SpecEdit;
  /** A part of a sentence: "cap_drop comes from a merge key (<<)". */
  readonly reason: string;
  /** What the file should say about it, as YAML. */
  readonly lines: string;
}

export type ServiceEdit =
  /** `files` is empty when the service is that way already. */
  | { readonly files: readonly FileEdit[]; readonly project: ComposeProject }
  | { readonly ambiguous: readonly AmbiguousSpecEdit[] };

/**
 * Makes edits of a service in the files that define it. All of them or none: whoever wants the others drops those that came back
 * as ambiguous.
 *
 * A key is changed in the last file that has it, which is the one that counts. A new key goes to the last file that says what the
 * service is made of (`image` or `build`), so that it stays when an override is left out; else to the last one that has the service.
 * What a service takes over by `extends` is overridden where that is possible, and never changed where it stands.
 */
export function editService(project: ComposeProject, name: string, edits: readonly SpecEdit[]): ServiceEdit {
  let current = project;
  const ambiguous: AmbiguousSpecEdit[] = [];
  for (const edit of joinedEdits(edits)) {
    try {
      current = edited(current, name, edit);
    } catch (error) {
      if (!(error instanceof AmbiguousEdit)) throw error;
      ambiguous.push({ edit, reason: error.message, lines: linesToWrite(current, name, edit) });
    }
  }
  return ambiguous.length > 0 ? { ambiguous } : { files: changedFiles(project, current), project: current };
}

/** Edits of several services of one project, one after the other. */
export function editServices(project: ComposeProject, services: readonly { readonly name: string; readonly edits: readonly SpecEdit[] }[]): ServiceEdit {
  let current = project;
  for (const { name, edits } of services) {
    const result = editService(current, name, edits);
    if ('ambiguous' in result) return result;
    current = result.project;
  }
  return { files: changedFiles(project, current), project: current };
}

const changedFiles = (project: ComposeProject, current: ComposeProject): readonly FileEdit[] => project.documents.flatMap(({ path, text: before }, index) => {
  const after = current.documents[index]?.text ?? before;
  return after === before ? [] : [{ path, before, after }];
});

/** A value that a service's key, or one of the file's own keys, shall have in one file. */
interface Target {
  readonly document: ComposeDocument;
  readonly path: readonly (string | number)[];
  readonly value: Json | undefined;
}

function edited(project: ComposeProject, name: string, edit: SpecEdit): ComposeProject {
  const service = serviceOf(project, name);
  if (service === null) throw new AmbiguousEdit(notHere(project, name));
  let after = project;
  for (const { document, path, value } of targetsOf(project, service, edit)) {
    const index = project.documents.indexOf(document);
    const source = after.documents[index];
    if (source === undefined) throw new AmbiguousEdit('the file that has it is not part of the project');
    const changed = changeYaml(source, [{ path, value }]);
    after = { ...after, documents: after.documents.map((one, position) => (position === index ? changed : one)) };
  }
  // Other services of the project may take over what has changed (`extends`), or win over it.
  const others = project.documents.flatMap((document) => Object.keys(servicesOf(document))).filter((other) => other !== name);
  const touched = others.find((other) => !isDeepStrictEqual(serviceOf(project, other)?.data, serviceOf(after, other)?.data));
  if (touched !== undefined) throw new AmbiguousEdit(`the service ${touched} takes over what ${name} says, and would change with it`);
  if (edit.op === 'set' && !holds(composeService(after, name)?.spec, edit)) throw new AmbiguousEdit('another key, or another file, decides about it');
  return after;
}

function notHere({ documents }: ComposeProject, name: string): string {
  const included = documents.flatMap(({ path, data }) => listOf(data['include']).map((item) => ({ path, item })))[0];
  if (included === undefined) return `no file of the project has the service ${name}`;
  const what: Json | undefined = isObject(included.item) ? included.item['path'] : included.item;
  return `the service ${name} comes from a file that ${included.path} includes${typeof what === 'string' ? ` (${what})` : ''}, which other projects may include, too`;
}

/** Whether the service says in the end what was asked for. null, "" and false are one: nothing chosen. */
function holds(spec: ContainerSpec | undefined, { path, value }: Extract<SpecEdit, { op: 'set' }>): boolean {
  if (spec === undefined) return false;
  const found = fieldAt(spec, path);
  if (path === 'namespaces.network' && isDefaultNetwork(value)) return spec.namespaces.network !== 'host';
  const nothing = (one: Json): boolean => one === null || one === '' || one === false;
  return isDeepStrictEqual(found, value) || (nothing(found) && nothing(value)) || (path === 'restart' && value === null && spec.restart.name === 'no');
}

/** The engine's words for "the default": what a service gets that has no network_mode. */
const isDefaultNetwork = (value: Json): boolean => value === null || value === '' || value === 'default';

// ── from an edit to keys ────────────────────────────────────────────────────

const SIMPLE: Readonly<Record<string, { readonly key: string; readonly write?: (value: Json) => Json }>> = {
  user: { key: 'user', write: textValue },
  init: { key: 'init' },
  'resources.memorySwap': { key: 'memswap_limit', write: sizeValue },
  'resources.cpuShares': { key: 'cpu_shares' },
  'resources.cgroupParent': { key: 'cgroup_parent', write: textValue },
  'security.privileged': { key: 'privileged' },
  'security.readonlyRootfs': { key: 'read_only' },
  'namespaces.pid': { key: 'pid', write: textValue },
  'namespaces.ipc': { key: 'ipc', write: textValue },
  'namespaces.uts': { key: 'uts', write: textValue },
  'namespaces.userns': { key: 'userns_mode', write: textValue },
  'namespaces.cgroup': { key: 'cgroup', write: textValue },
};
/** Keys that stand below `deploy.resources.limits` in files that were written for a swarm, and must not be in both places. */
const LIMITS: Readonly<Record<string, { readonly key: string; readonly limit: string; readonly write: (value: Json) => Json }>> = {
  'resources.memory': { key: 'mem_limit', limit: 'memory', write: sizeValue },
  'resources.nanoCpus': { key: 'cpus', limit: 'cpus', write: (value) => String(Number(value) / 1e9) },
  'resources.pidsLimit': { key: 'pids_limit', limit: 'pids', write: (value) => value },
};
const SECURITY_OPTIONS: Readonly<Record<string, string>> = { 'security.noNewPrivileges': 'no-new-privileges', 'security.seccomp': 'seccomp', 'security.apparmor': 'apparmor' };
const FLAGS = new Set(['security.privileged', 'security.readonlyRootfs']);

function textValue(value: Json): Json {
  return typeof value === 'string' ? escapeDollars(value) : value;
}

function sizeValue(value: Json): Json {
  return typeof value === 'number' && value > 0 ? sizeText(value) : value;
}

function targetsOf(project: ComposeProject, service: Service, edit: SpecEdit): readonly Target[] {
  if (edit.op === 'set') return setTargets(project, service, edit);
  switch (edit.path) {
    case 'security.capAdd': return listTargets(service, 'cap_add', edit, { text: textOf(edit.value), by: byOf(edit), matches: sameCapability(edit.value) });
    case 'security.capDrop': return listTargets(service, 'cap_drop', edit, { text: textOf(edit.value), by: byOf(edit), matches: sameCapability(edit.value) });
    case 'security.labels': return listTargets(service, 'security_opt', edit, {
      text: `label:${textOf(edit.value)}`, by: () => `label:${textOf(edit.op === 'replace' ? edit.by : '')}`, matches: sameOption('label', edit.value),
    });
    case 'security.other': return listTargets(service, 'security_opt', edit, { text: textOf(edit.value), by: byOf(edit), matches: (item) => itemText(item) === edit.value });
    case 'resources.ulimits': return ulimitTargets(service, edit);
    case 'resources.devices': return deviceTargets(service, edit);
    case 'network.ports': return portTargets(service, edit);
    case 'mounts': return mountTargets(project, service, edit);
  }
}

function setTargets(project: ComposeProject, service: Service, edit: Extract<SpecEdit, { op: 'set' }>): readonly Target[] {
  const { path, value } = edit;
  const simple = SIMPLE[path];
  if (simple !== undefined) {
    const { key, write = (one: Json): Json => one } = simple;
    // What is off is off when nobody mentions it.
    if (FLAGS.has(path) && value !== true) return service.data[key] === undefined ? [] : keyTarget(service, [key], false);
    return keyTarget(service, [key], value === null || value === '' ? undefined : write(value));
  }
  const limited = LIMITS[path];
  if (limited !== undefined) {
    const below = ['deploy', 'resources', 'limits', limited.limit];
    const there = valueAt(service.data, below) !== undefined;
    return keyTarget(service, there ? below : [limited.key], value === null ? undefined
      : path === 'resources.nanoCpus' && !there ? Number(value) / 1e9 : limited.write(value));
  }
  const option = SECURITY_OPTIONS[path];
  if (option !== undefined) return optionTargets(service, option, value);
  if (path === 'image.reference') return imageTargets(service, value);
  if (path === 'restart') return restartTargets(service, value);
  if (path === 'healthcheck') return healthcheckTargets(service, value);
  if (path === 'log') return logTargets(service, value);
  if (path === 'namespaces.network') return networkTargets(project, service, value);
  throw new AmbiguousEdit(`nothing in a compose file stands for ${path}`);
}

const servicePath = ({ name }: Service, key: readonly (string | number)[]): readonly (string | number)[] => ['services', name, ...key];

const ownLayers = ({ layers }: Service): readonly Layer[] => layers.filter(({ own }) => own);

/** The file that a new key goes to. */
function homeOf(service: Service): ComposeDocument {
  const own = ownLayers(service);
  const home = own.findLast(({ data }) => data['image'] !== undefined || data['build'] !== undefined) ?? own.at(-1);
  if (home === undefined) throw new AmbiguousEdit(`no file of the project has the service ${service.name}`);
  return home.document;
}

const has = ({ data }: Layer, key: readonly string[]): boolean => {
  const value = valueAt(data, key);
  return value !== undefined && value !== null;
};

function keyTarget(service: Service, key: readonly string[], value: Json | undefined): readonly Target[] {
  const withKey = ownLayers(service).filter((layer) => has(layer, key));
  if (value !== undefined) return [{ document: withKey.at(-1)?.document ?? homeOf(service), path: servicePath(service, key), value }];
  const inherited = service.layers.find((layer) => !layer.own && has(layer, key));
  if (inherited !== undefined) throw new AmbiguousEdit(`${key.join('.')} is taken over from another service (extends), in ${inherited.document.path}`);
  if (withKey.length === 0 && service.missing.length > 0) throw new AmbiguousEdit(`${key.join('.')} may be taken over from ${service.missing.join(', ')}, which is not known`);
  return withKey.map(({ document }) => ({ document, path: servicePath(service, key), value: undefined }));
}

// ── lists ───────────────────────────────────────────────────────────────────

interface Item {
  /** What is added. */
  readonly text: Json;
  /** What stands in place of an item that is replaced. */
  readonly by: (item: Json) => Json;
  readonly matches: (item: Json) => boolean;
}

type ListEdit = Exclude<SpecEdit, { op: 'set' }>;

function listTargets(service: Service, key: string, edit: ListEdit, { text, by, matches }: Item): readonly Target[] {
  const path = servicePath(service, [key]);
  const own = ownLayers(service);
  if (edit.op === 'add') {
    if (service.layers.some(({ data }) => listOf(data[key]).some(matches))) return [];
    const layer = own.findLast((one) => has(one, [key]));
    return [{ document: layer?.document ?? homeOf(service), path, value: [...listOf(layer?.data[key]), text] }];
  }
  const found = own.filter(({ data }) => listOf(data[key]).some(matches));
  const inherited = service.layers.find(({ own: isOwn, data }) => !isOwn && listOf(data[key]).some(matches));
  if (inherited !== undefined) throw new AmbiguousEdit(`it is taken over from another service (extends), in ${inherited.document.path}`);
  if (found.length === 0) {
    if (service.missing.length > 0) throw new AmbiguousEdit(`it may be taken over from ${service.missing.join(', ')}, which is not known`);
    const variable = listOf(service.data[key]).find(dependsOnVariable);
    if (variable !== undefined) throw new AmbiguousEdit(`an item of ${key} depends on a variable: ${JSON.stringify(variable).slice(0, 80)}`);
    return [];
  }
  return found.map(({ document, data }) => {
    const items = listOf(data[key]);
    const value = edit.op === 'remove' ? items.filter((item) => !matches(item)) : items.map((item) => (matches(item) ? by(item) : item));
    return { document, path, value: value.length === 0 ? undefined : !Array.isArray(data[key]) && value.length === 1 ? value[0] : value };
  });
}

const itemText = (item: Json): string => plainText(wordOf(item));
const textOf = (value: Json): string => escapeDollars(wordOf(value));
const byOf = (edit: ListEdit) => (): string => textOf(edit.op === 'replace' ? edit.by : '');
const sameCapability = (value: Json) => (item: Json): boolean => typeof item === 'string' && capability(item) === capability(wordOf(value));
const sameOption = (name: string, value: Json) => (item: Json): boolean => itemText(item).replace(/^([a-z-]+)[:=]/, '$1=') === `${name}=${wordOf(value)}`;

function optionTargets(service: Service, option: string, value: Json): readonly Target[] {
  const isIt = (item: Json): boolean => new RegExp(`^${option}(?:[:=]|$)`).test(itemText(item));
  const path = option === 'seccomp' ? 'security.seccomp' : option === 'apparmor' ? 'security.apparmor' : 'security.noNewPrivileges';
  const remove = { op: 'remove', path: 'security.other', value: '' } as const;
  const item: Item = { text: '', by: (one) => one, matches: isIt };
  if (value === null) return listTargets(service, 'security_opt', remove, item);
  if (path === 'security.seccomp' && !['unconfined', 'builtin'].includes(wordOf(value))) throw new AmbiguousEdit('a seccomp profile of its own is a file, which has to be written first');
  const text = `${option}:${textOf(value)}`;
  const present = service.layers.some(({ data }) => listOf(data['security_opt']).some(isIt));
  return present ? listTargets(service, 'security_opt', { ...remove, op: 'replace', by: text }, { ...item, by: () => text })
    : listTargets(service, 'security_opt', { ...remove, op: 'add' }, { ...item, text });
}

function ulimitTargets(service: Service, edit: ListEdit): readonly Target[] {
  const { name, soft, hard } = (edit.op === 'replace' ? edit.by : edit.value) as unknown as ContainerResources['ulimits'][number];
  const value = soft === hard ? soft : { soft, hard };
  const old = (edit.value as unknown as ContainerResources['ulimits'][number]).name;
  const gone = edit.op !== 'add' && (edit.op === 'remove' || old !== name) ? keyTarget(service, ulimitKey(service, old), undefined) : [];
  return edit.op === 'remove' ? gone : [...gone, ...keyTarget(service, ['ulimits', name], value)];
}

/** The limit, or all of them when it is the only one. */
function ulimitKey(service: Service, name: string): readonly string[] {
  const limits = service.data['ulimits'];
  return isObject(limits) && Object.keys(limits).length === 1 && Object.hasOwn(limits, name) ? ['ulimits'] : ['ulimits', name];
}

function deviceTargets(service: Service, edit: ListEdit): readonly Target[] {
  const text = (value: Json): string => {
    const { host, container, permissions } = value as unknown as ContainerResources['devices'][number];
    return escapeDollars(`${host}:${container}${['', 'rwm'].includes(permissions) ? '' : `:${permissions}`}`);
  };
  const { container } = edit.value as unknown as ContainerResources['devices'][number];
  return listTargets(service, 'devices', edit, {
    text: text(edit.value), by: () => text(edit.op === 'replace' ? edit.by : edit.value), matches: (item) => deviceOf(item)?.container === container,
  });
}

type Port = ContainerSpec['network']['ports'][number];

function portTargets(service: Service, edit: ListEdit): readonly Target[] {
  const wanted = edit.value as unknown as Port;
  const matches = (item: Json): boolean => {
    const port = portOf(item);
    return port !== null && port.target === String(wanted.containerPort) && port.protocol === wanted.protocol
      && port.published === wanted.hostPort && port.ip === wanted.ip.replace(/^\[|\]$/g, '');
  };
  const inRange = listOf(service.data['ports']).find((item) => {
    const port = portOf(item);
    return port !== null && (port.target.includes('-') || port.published.includes('-')) && coversPort(port.target, wanted.containerPort);
  });
  if (edit.op !== 'add' && inRange !== undefined) throw new AmbiguousEdit(`the port is part of the range ${typeof inRange === 'string' ? inRange : 'of an item of ports'}`);
  const added = edit.op === 'replace' ? edit.by as unknown as Port : wanted;
  return listTargets(service, 'ports', edit, { text: portText(wanted, ''), by: (item) => replacedPort(item, added), matches });
}

function coversPort(written: string, port: number): boolean {
  const [first = NaN, last = first] = written.split('-').map(Number);
  return port >= first && port <= last;
}

/** As `ports` has it; `old` is what it stands in place of, whose way of writing is kept. */
function portText({ ip, hostPort, containerPort, protocol }: Port, old: string): string {
  const bare = ip.replace(/^\[|\]$/g, '');
  const address = bare === '' ? '' : `${bare.includes(':') ? `[${bare}]` : bare}:`;
  return `${address}${hostPort === '' && address === '' ? '' : `${hostPort}:`}${containerPort}${protocol !== 'tcp' || old.includes('/') ? `/${protocol}` : ''}`;
}

function replacedPort(item: Json, port: Port): Json {
  if (!isObject(item)) return portText(port, wordOf(item));
  const { host_ip: _, published: old, ...rest } = item;
  const published = port.hostPort === '' ? undefined : typeof old === 'number' && /^\d+$/.test(port.hostPort) ? Number(port.hostPort) : port.hostPort;
  return { ...rest, target: port.containerPort, ...(published !== undefined && { published }), ...(port.ip !== '' && { host_ip: port.ip }), ...('protocol' in rest && { protocol: port.protocol }) };
}

// ── mounts ──────────────────────────────────────────────────────────────────

const cleanTarget = (path: string): string => path.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1');

function mountTargets(project: ComposeProject, service: Service, edit: ListEdit): readonly Target[] {
  const mount = edit.value as unknown as MountSpec;
  const target = cleanTarget(mount.target);
  const inTmpfs = (item: Json): boolean => typeof item === 'string' && cleanTarget(plainText(item).split(':')[0] ?? '') === target;
  const inVolumes = (item: Json): boolean => cleanTarget(volumeOf(item)?.target ?? '') === target;
  const tmpfs = listOf(service.data['tmpfs']).some(inTmpfs);
  if (edit.op === 'add') {
    const text = mount.via === 'tmpfs' ? tmpfsText(mount) : volumeText(mount);
    if (listOf(service.data[mount.via === 'tmpfs' ? 'tmpfs' : 'volumes']).some((item) => isDeepStrictEqual(item, text))) return [];
    if (tmpfs || listOf(service.data['volumes']).some(inVolumes)) throw new AmbiguousEdit(`something else is mounted at ${mount.target}`);
    if (mount.via === 'tmpfs') return listTargets(service, 'tmpfs', edit, { text, by: (item) => item, matches: inTmpfs });
    return [...declaredVolume(project, service, mount), ...listTargets(service, 'volumes', edit, { text, by: (item) => item, matches: inVolumes })];
  }
  const by = edit.op === 'replace' ? edit.by as unknown as MountSpec : mount;
  if (tmpfs) {
    if (by.kind !== 'tmpfs' || cleanTarget(by.target) !== target) throw new AmbiguousEdit('a tmpfs is replaced by something else');
    return listTargets(service, 'tmpfs', edit, { text: '', by: () => tmpfsText(by), matches: inTmpfs });
  }
  if (by.kind !== mount.kind || cleanTarget(by.target) !== target) throw new AmbiguousEdit('a mount is replaced by another kind of mount, or moves');
  return listTargets(service, 'volumes', edit, { text: '', by: (item) => replacedVolume(item, mount, by), matches: inVolumes });
}

const tmpfsText = ({ target, options }: MountSpec): string => escapeDollars(options === '' ? target : `${target}:${options}`);

function volumeText({ kind, source, target, options, readOnly }: MountSpec): Json {
  if (kind === 'tmpfs') return { type: 'tmpfs', target: escapeDollars(target) };
  const mode = options === '' && readOnly ? 'ro' : options;
  if ([source, target].some((part) => part.includes(':'))) throw new AmbiguousEdit('a path with a colon has to be written in the long form');
  return escapeDollars([...(source === '' ? [] : [source]), target, ...(mode === '' || source === '' ? [] : [mode])].join(':'));
}

/** A named volume has to be declared by the files. */
function declaredVolume(project: ComposeProject, service: Service, { kind, source }: MountSpec): readonly Target[] {
  if (kind !== 'volume' || source === '' || project.documents.some(({ data }) => valueAt(data, ['volumes', source]) !== undefined)) return [];
  if (project.documents.some(({ data }) => Object.keys(isObject(data['volumes']) ? data['volumes'] : {}).some((key) => engineName(project, 'volumes', key) === source))) {
    throw new AmbiguousEdit(`the volume ${source} has another name in the files`);
  }
  return [{ document: homeOf(service), path: ['volumes', source], value: {} }];
}

const propagationOf = ({ options, details }: MountSpec): string => {
  const chosen = valueAt(details, ['BindOptions', 'Propagation']);
  return options.split(',').find(isPropagation) ?? (typeof chosen === 'string' ? chosen : '');
};

/** Source and way of writing stay, except for what the edit is about. */
function replacedVolume(item: Json, from: MountSpec, to: MountSpec): Json {
  const propagation = propagationOf(to);
  if (isObject(item)) {
    const { read_only: _, bind, ...rest } = item;
    const { propagation: __, ...others } = isObject(bind) ? bind : {};
    const options: JsonObject = { ...others, ...(propagation !== '' && { propagation }) };
    return {
      ...rest, ...(to.source !== from.source && { source: escapeDollars(to.source) }), ...(to.readOnly && { read_only: true }),
      ...(Object.keys(options).length > 0 && { bind: options }),
    };
  }
  const [source = '', target, mode = ''] = wordOf(item).split(':');
  if (target === undefined) throw new AmbiguousEdit('an anonymous volume has no options');
  const others = mode.split(',').filter((option) => option !== '' && option !== 'ro' && !(option === 'rw' && to.readOnly) && !isPropagation(option));
  const options = [...(to.readOnly ? ['ro'] : []), ...others, ...(propagation === '' ? [] : [propagation])];
  return [to.source === from.source ? source : escapeDollars(to.source), target, ...(options.length === 0 ? [] : [options.join(',')])].join(':');
}

// ── keys that are more than a value ─────────────────────────────────────────

function imageTargets(service: Service, value: Json): readonly Target[] {
  if (service.data['build'] !== undefined) throw new AmbiguousEdit('the service builds its image: `image` only names what is built');
  if (typeof value !== 'string') throw new AmbiguousEdit('a service has an image');
  return keyTarget(service, ['image'], escapeDollars(value));
}

function restartTargets(service: Service, value: Json): readonly Target[] {
  if (valueAt(service.data, ['deploy', 'restart_policy']) !== undefined) throw new AmbiguousEdit('deploy.restart_policy decides about it, in words of its own');
  if (!isObject(value)) return keyTarget(service, ['restart'], undefined);
  const { name, maximumRetryCount } = value;
  return keyTarget(service, ['restart'], Number(maximumRetryCount) > 0 ? `${wordOf(name)}:${wordOf(maximumRetryCount)}` : wordOf(name));
}

function healthcheckTargets(service: Service, value: Json): readonly Target[] {
  if (!isObject(value)) return keyTarget(service, ['healthcheck'], undefined);
  const { test, interval, timeout, startPeriod, startInterval, retries } = value as unknown as Healthcheck;
  if (test[0] === 'NONE') return keyTarget(service, ['healthcheck'], { disable: true });
  return keyTarget(service, ['healthcheck'], {
    ...(test.length > 0 && { test: test.map(escapeDollars) }), ...(interval > 0 && { interval: durationText(interval) }), ...(timeout > 0 && { timeout: durationText(timeout) }),
    ...(retries > 0 && { retries }), ...(startPeriod > 0 && { start_period: durationText(startPeriod) }), ...(startInterval > 0 && { start_interval: durationText(startInterval) }),
  });
}

function logTargets(service: Service, value: Json): readonly Target[] {
  if (!isObject(value)) return keyTarget(service, ['logging'], undefined);
  const { driver, options } = value;
  const written = Object.entries(isObject(options) ? options : {}).map(([name, option]) => [name, textOf(option)] as const);
  return keyTarget(service, ['logging'], { ...(driver !== '' && driver !== undefined && { driver }), ...(written.length > 0 && { options: Object.fromEntries(written) }) });
}

function networkTargets(project: ComposeProject, service: Service, value: Json): readonly Target[] {
  const wanted = typeof value === 'string' ? value : '';
  const ofFiles = isDefaultNetwork(value) || wanted === engineName(project, 'networks', 'default');
  if (ofFiles) return keyTarget(service, ['network_mode'], undefined);
  const isMode = ['host', 'none', 'bridge'].includes(wanted) || wanted.startsWith('container:');
  if (!isMode) throw new AmbiguousEdit(`which of the file's networks ${wanted} is, and how it is declared, is for you to say`);
  if (service.data['networks'] !== undefined) throw new AmbiguousEdit('the service has `networks`, which must go first');
  return keyTarget(service, ['network_mode'], escapeDollars(wanted));
}

// ── for a person ────────────────────────────────────────────────────────────

const LAYOUT = { step: '  ', dash: '  ' };

/** What the file should say, as far as the edit alone tells: as if the service had nothing of it yet. */
function linesToWrite(project: ComposeProject, name: string, edit: SpecEdit): string {
  const blank: ComposeProject = { ...project, documents: [] };
  const document = { path: '', text: '', body: '', tree: undefined as never, data: {}, place: () => ({ line: 1, column: 1 }) };
  const gone = edit.op === 'remove' || (edit.op === 'set' && (edit.value === null || edit.value === ''));
  const asAdded: SpecEdit = edit.op === 'replace' ? { op: 'add', path: edit.path, value: edit.by } : edit.op === 'remove' ? { ...edit, op: 'add' } : edit;
  const service: Service = { name, missing: [], data: {}, layers: [{ document, data: {}, own: true }] };
  try {
    const wanted = gone && edit.op === 'set' ? [] : targetsOf(blank, service, asAdded);
    const lines = wanted.flatMap(({ path, value }) => nestedLines(path.map(String), value ?? null));
    if (edit.op === 'set' && gone) return `# services.${name}: without ${keyOf(edit.path)}\n`;
    return edit.op === 'remove' ? [`# services.${name}: without`, ...lines.map((line) => `# ${line}`), ''].join('\n') : [...lines, ''].join('\n');
  } catch (error) {
    if (!(error instanceof AmbiguousEdit)) throw error;
    return `# services.${name}: ${keyOf(edit.path)}\n`;
  }
}

/** The lines that say in a compose file what edits of a service ask for, as if it had nothing of them yet. */
export function linesFor({ project, service }: { readonly project: string; readonly service: string }, edits: readonly SpecEdit[]): string {
  const blank: ComposeProject = { documents: [], related: new Map(), directory: '/', name: project };
  const lines = edits.flatMap((edit) => linesToWrite(blank, service, edit).trimEnd().split('\n'));
  // What all edits have in common is said once.
  const heads = lines.slice(0, 2);
  return [...heads, ...lines.slice(2).filter((line) => !heads.includes(line))].join('\n');
}

function nestedLines([key = '', ...rest]: readonly string[], value: Json): readonly string[] {
  return blockPair(key, rest.reduceRight<Json>((inner, step) => ({ [step]: inner }), value), '', LAYOUT);
}

const KEYS: Readonly<Record<string, string>> = {
  'image.reference': 'image', log: 'logging', 'namespaces.network': 'network_mode', 'network.ports': 'ports', mounts: 'volumes', 'resources.ulimits': 'ulimits',
  'resources.devices': 'devices', 'security.capAdd': 'cap_add', 'security.capDrop': 'cap_drop', 'security.labels': 'security_opt', 'security.other': 'security_opt',
};

/** The key of a compose file that a field of a specification comes from. */
const keyOf = (path: SpecEdit['path']): string =>
  KEYS[path] ?? SIMPLE[path]?.key ?? LIMITS[path]?.key ?? (SECURITY_OPTIONS[path] === undefined ? path : `security_opt: ${SECURITY_OPTIONS[path]}`);
