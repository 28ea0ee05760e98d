import { isIP } from 'node:net';
import type { Json, JsonObject } from '../model.ts';
import { parseDuration as durationOf, parseSize } from '../quantities.ts';

/*
 * Values of flags of `docker run`, as the docker client reads them, to the fields of the Engine API (docker/cli opts and
 * cli/command/container/opts.go, docker/go-units, docker/go-connections/nat). What the client takes and every engine then refuses is
 * refused here. Tested against what real clients ask an engine for: fixtures/raw/docker-run.
 */

/** What is wrong with a value, to follow the name of the flag. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

const refuse = (message: string): never => {
  throw new ValueError(message);
};

/** The two parts around the first separator; `tail` is null without one. */
export function cut(text: string, separator: string): readonly [head: string, tail: string | null] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** strconv.ParseBool. */
export function parseBool(text: string): boolean {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text)) return false;
  return refuse('must be true or false');
}

/** strconv.ParseInt with base 0: 0x, 0b, 0o and a leading 0 choose the base. */
export function parseInteger(text: string, [low, high]: readonly [low: number, high: number] = [-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]): number {
  const [, sign = '', digits] = /^([+-]?)(0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|0[0-7_]*|[1-9][\d_]*)$/.exec(text) ?? [];
  if (digits === undefined || (sign !== '' && low === 0)) return refuse(low === 0 ? 'must be a whole number, not below 0' : 'must be a whole number');
  const plain = digits.replaceAll('_', '');
  const value = Number(/^0[0-7]/.test(plain) ? `0o${plain.slice(1)}` : plain) * (sign === '-' ? -1 : 1);
  if (value < low || value > high || !Number.isSafeInteger(value)) return refuse(`must be a whole number from ${low} to ${high}`);
  return value;
}

/** A size in bytes: 512m, 1.5g, 1024. */
export function parseBytes(text: string): number {
  const bytes = parseSize(text) ?? refuse('must be a size such as 512m or 2g');
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : refuse('is more than any machine has');
}

/** --cpus: a decimal number or a fraction, to billionths. */
export function parseNanoCpus(text: string): number {
  const [, numerator, denominator = '1'] = /^\+?((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,2})?|\d+(?=\/))(?:\/(\d+))?$/i.exec(text) ?? [];
  if (numerator === undefined || Number(denominator) === 0) return refuse('must be a number of CPUs such as 1.5');
  const nano = Number(numerator) * 1e9 / Number(denominator);
  const whole = Math.round(nano);
  if (Math.abs(nano - whole) > 1e-3 || !Number.isSafeInteger(whole)) return refuse('must be a number of CPUs with at most nine decimals');
  return whole;
}

/** In nanoseconds; none below 0. Engines take none between 0 and 1 ms. */
export function parseDuration(text: string): number {
  const total = durationOf(text) ?? refuse(text.startsWith('-') ? 'must not be below 0' : 'must be a duration such as 30s or 1m30s');
  if (!Number.isSafeInteger(Math.trunc(total))) return refuse('is longer than an engine can count');
  return total === 0 || total >= 1e6 ? Math.trunc(total) : refuse('must be at least 1ms');
}

const QUOTED_FIELD = /"([^"]*(?:""[^"]*)*)"(?=,|$)/y;

/** One record of encoding/csv: fields in quotes may hold commas, and "" for a quote. */
function parseCsv(text: string): readonly string[] {
  if (text === '') return refuse('must not be empty');
  if (/[\r\n]/.test(text)) return refuse('must be on one line');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text.charAt(at) === '"') {
      QUOTED_FIELD.lastIndex = at;
      const [whole, inner = ''] = QUOTED_FIELD.exec(text) ?? refuse('has a quote " that is not closed, or text after a closed one');
      fields.push(inner.replaceAll('""', '"'));
      at += whole.length;
    } else {
      const comma = text.indexOf(',', at);
      const field = text.slice(at, comma < 0 ? text.length : comma);
      if (field.includes('"')) return refuse('has a quote " in the middle of a field: put the whole field in quotes');
      fields.push(field);
      at += field.length;
    }
    if (at >= text.length) return fields;
    at += 1;
  }
}

export interface PortBinding {
  readonly ip: string;
  readonly hostPort: string;
  readonly containerPort: number;
  readonly protocol: string;
}

function portRange(text: string, what: string): readonly [first: number, last: number] {
  const [first, last = first] = text.split('-');
  const bad = /^\d{1,5}(-\d{1,5})?$/.test(text) ? Number(first) > Number(last) || Number(last) > 65_535 : true;
  return bad ? refuse(`has no ${what} from 0 to 65535 in "${text}"`) : [Number(first), Number(last)];
}

function splitProtocol(text: string): readonly [port: string, protocol: string] {
  const [port = '', protocol = ''] = text.split('/');
  return [port, protocol === '' ? 'tcp' : protocol];
}

/** -p: [[IP:]HOST_PORT:]PORT[/PROTOCOL], also with ranges and as published=…,target=…,protocol=…. */
export function parsePublish(text: string): readonly PortBinding[] {
  const [address, hostPorts, tail] = splitPublish(text.includes('=') ? longPublish(text) : text);
  const [ports, protocolName] = splitProtocol(tail);
  const protocol = protocolName.toLowerCase();
  const ip = address.replace(/^\[(.*)\]$/, '$1');
  if (ports === '') return refuse('names no port of the container; write HOST_PORT:PORT');
  if (!['tcp', 'udp', 'sctp'].includes(protocol)) return refuse(`has the protocol "${protocol}", and there are tcp, udp and sctp`);
  if (ip !== '' && (isIP(ip) === 0 || ip.includes('%'))) return refuse(`has "${address}" where an IP address is expected (IPv6 in brackets)`);
  const [first, last] = portRange(ports, 'port of the container');
  if (first === 0) return refuse('must name a port of the container above 0');
  const [hostFirst, hostLast] = hostPorts === '' ? [0, 0] : portRange(hostPorts, 'port of the host');
  if (hostPorts !== '' && last !== first && last - first !== hostLast - hostFirst) return refuse(`has two ranges of different length: ${hostPorts} and ${ports}`);
  return Array.from({ length: last - first + 1 }, (_, index) => ({
    ip,
    hostPort: hostPorts === '' ? '' : first === last && hostFirst !== hostLast ? `${hostFirst}-${hostLast}` : String(hostFirst + index),
    containerPort: first + index,
    protocol,
  }));
}

function splitPublish(text: string): readonly [address: string, hostPorts: string, ports: string] {
  const parts = text.split(':');
  const ports = parts.pop() ?? '';
  const hostPorts = parts.pop() ?? '';
  return [parts.join(':'), hostPorts, ports];
}

function longPublish(text: string): string {
  const options = new Map(text.split(',').map((part) => {
    const [key, value] = cut(part, '=');
    return value === null || key === '' ? refuse(`has "${part}" where NAME=VALUE is expected`) : [key, value] as const;
  }));
  const unknown = [...options.keys()].find((key) => !['published', 'target', 'protocol', 'mode'].includes(key));
  if (unknown !== undefined) return refuse(`has the unknown option "${unknown}"; known are published, target, protocol`);
  return `${options.get('published') ?? ''}:${options.get('target') ?? ''}/${options.get('protocol') ?? 'tcp'}`;
}

/** --expose: PORT[-PORT][/PROTOCOL], as "80/tcp". */
export function parseExpose(text: string): readonly string[] {
  const [ports, protocol] = splitProtocol(text);
  if (!['tcp', 'udp', 'sctp'].includes(protocol.toLowerCase())) return refuse(`has the protocol "${protocol}", and there are tcp, udp and sctp`);
  const [first, last] = portRange(ports, 'port');
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
}

/** -v: TARGET for an anonymous volume, else SOURCE:TARGET[:OPTIONS]. */
export function parseVolume(text: string): { readonly bind: string } | { readonly anonymous: string } {
  const parts = text.split(':');
  if (parts.length > 3 || parts.includes('')) return refuse('must be SOURCE:TARGET, SOURCE:TARGET:OPTIONS or TARGET');
  const target = parts[1] ?? parts[0] ?? '';
  if (!target.startsWith('/')) return refuse(`has the target "${target}", which must be an absolute path`);
  if (parts.length > 1 && /^[A-Za-z]$/.test(parts[0] ?? '')) return refuse('has a volume of one letter, which the client takes for a Windows drive');
  return parts.length === 1 ? { anonymous: target } : { bind: text };
}

const MOUNT_TYPES = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'];
const MOUNT_SWITCHES = ['readonly', 'ro', 'volume-nocopy', 'bind-nonrecursive'];
const OF_TYPE: Readonly<Record<string, string>> = { 'bind-': 'bind', 'volume-': 'volume', 'tmpfs-': 'tmpfs', 'image-': 'image' };

/** --mount: a CSV of KEY=VALUE, as the API's Mount with nothing in it that was not chosen. */
export function parseMountOption(text: string): JsonObject {
  const bind: JsonObject = {};
  const volume: JsonObject = {};
  const tmpfs: JsonObject = {};
  const image: JsonObject = {};
  const labels = textMap();
  const driver: JsonObject = {};
  const driverOptions = textMap();
  const mount = { type: 'volume', source: '', target: '', readOnly: false, consistency: '' };
  const prefixes = new Set<string>();
  let recursive = '';
  for (const field of parseCsv(text)) {
    const [name, given] = cut(field, '=');
    const key = name.toLowerCase();
    if (given === null && !MOUNT_SWITCHES.includes(key)) return refuse(`has "${field}" where KEY=VALUE is expected`);
    const value = given ?? 'true';
    const prefix = Object.keys(OF_TYPE).find((start) => key.startsWith(start));
    if (prefix !== undefined) prefixes.add(prefix);
    switch (key) {
      case 'type': mount.type = value.toLowerCase(); break;
      case 'source': case 'src': mount.source = value; break;
      case 'target': case 'dst': case 'destination': mount.target = value; break;
      case 'readonly': case 'ro': mount.readOnly = parseBool(value); break;
      case 'consistency': mount.consistency = value.toLowerCase(); break;
      case 'bind-propagation': bind['Propagation'] = value.toLowerCase(); break;
      case 'bind-nonrecursive': if (parseBool(value)) bind['NonRecursive'] = true; break;
      case 'bind-recursive': recursive = value; break;
      case 'volume-nocopy': if (parseBool(value)) volume['NoCopy'] = true; break;
      case 'volume-label': setText(labels, value); break;
      case 'volume-driver': driver['Name'] = value; break;
      case 'volume-opt': setText(driverOptions, value); break;
      case 'volume-subpath': volume['Subpath'] = value; break;
      case 'tmpfs-size': tmpfs['SizeBytes'] = parseBytes(value); break;
      case 'tmpfs-mode': tmpfs['Mode'] = /^[0-7]{1,10}$/.test(value) ? Number.parseInt(value, 8) : refuse(`has the mode "${value}", which must be octal such as 1777`); break;
      case 'image-subpath': image['Subpath'] = value; break;
      default: return refuse(`has the unknown key "${name}"`);
    }
  }
  if (!MOUNT_TYPES.includes(mount.type)) return refuse(`has the type "${mount.type}", and there are ${MOUNT_TYPES.join(', ')}`);
  if (mount.target === '') return refuse('has no target');
  if (!mount.target.startsWith('/')) return refuse(`has the target "${mount.target}", which must be an absolute path`);
  if (mount.type === 'bind' && mount.source === '') return refuse('has no source, which a bind mount needs');
  if (mount.type === 'tmpfs' && mount.source !== '') return refuse('has a source, which a tmpfs has not');
  const foreign = [...prefixes].find((prefix) => OF_TYPE[prefix] !== mount.type);
  if (foreign !== undefined) return refuse(`has ${foreign}* options, which the type ${mount.type} has not`);
  setRecursive(bind, recursive, mount.readOnly);
  if (labels.size > 0) volume['Labels'] = Object.fromEntries(labels);
  if (driverOptions.size > 0) driver['Options'] = Object.fromEntries(driverOptions);
  if (Object.keys(driver).length > 0) volume['DriverConfig'] = driver;
  const parts: readonly (readonly [string, Json])[] = [
    ['Type', mount.type], ['Source', mount.source], ['Target', mount.target], ['ReadOnly', mount.readOnly], ['Consistency', mount.consistency],
    ['BindOptions', bind], ['VolumeOptions', volume], ['TmpfsOptions', tmpfs], ['ImageOptions', image],
  ];
  return Object.fromEntries(parts.filter(([, value]) => value !== '' && value !== false && !(typeof value === 'object' && value !== null && Object.keys(value).length === 0)));
}

function setRecursive(bind: JsonObject, recursive: string, readOnly: boolean): void {
  switch (recursive) {
    case '': case 'enabled': return;
    case 'disabled': bind['NonRecursive'] = true; return;
    case 'writable': case 'readonly':
      if (!readOnly) return refuse(`has bind-recursive=${recursive}, which needs readonly`);
      if (recursive === 'readonly' && bind['Propagation'] !== 'rprivate') return refuse('has bind-recursive=readonly, which needs bind-propagation=rprivate');
      bind[recursive === 'readonly' ? 'ReadOnlyForceRecursive' : 'ReadOnlyNonRecursive'] = true;
      return;
    default: refuse(`has bind-recursive=${recursive}, and there are enabled, disabled, writable and readonly`);
  }
}

/** Names come from outside: "__proto__" is one like any other. */
export const textMap = (): Map<string, string> => new Map();

/** KEY=VALUE into a map; without "=" the value is empty. */
export function setText(map: Map<string, string>, text: string): void {
  const [key, value] = cut(text, '=');
  map.set(key, value ?? '');
}

/** --network: a name, or name=…,alias=…,ip=…. */
export interface NetworkOption {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
  readonly linkLocalIps: readonly string[];
  readonly macAddress: string;
  readonly driverOptions: ReadonlyMap<string, string>;
  readonly gatewayPriority: number;
}

export function parseNetworkOption(text: string): NetworkOption {
  const option = { name: text, aliases: [] as string[], ipv4: '', ipv6: '', linkLocalIps: [] as string[], macAddress: '', driverOptions: textMap(), gatewayPriority: 0 };
  if (/\w=\w/.test(text)) {
    option.name = '';
    for (const field of parseCsv(text)) {
      const [name, given] = cut(field, '=');
      if (given === null) return refuse(`has "${field}" where KEY=VALUE is expected`);
      const value = given.trim();
      switch (name.trim().toLowerCase()) {
        case 'name': option.name = value; break;
        case 'alias': option.aliases.push(value); break;
        case 'ip': option.ipv4 = parseAddress(value, 4); break;
        case 'ip6': option.ipv6 = parseAddress(value, 6); break;
        case 'link-local-ip': option.linkLocalIps.push(parseAddress(value)); break;
        case 'mac-address': option.macAddress = parseMac(value); break;
        case 'driver-opt':
          if (!value.includes('=')) return refuse('has a driver-opt that is not KEY=VALUE');
          setText(option.driverOptions, value.toLowerCase());
          break;
        case 'gw-priority': option.gatewayPriority = parseInteger(value); break;
        default: return refuse(`has the unknown key "${name}"`);
      }
    }
  }
  return option.name === '' ? refuse('names no network') : option;
}

export const isUserDefined = (network: string): boolean => !['default', 'bridge', 'host', 'none'].includes(network) && !network.startsWith('container:');

export function parseAddress(text: string, version?: 4 | 6): string {
  const found = isIP(text);
  return found !== 0 && (version === undefined || found === version) ? text : refuse(`must be an IP${version === undefined ? '' : `v${version}`} address, and "${text}" is none`);
}

export const parseMac = (text: string): string =>
  /^(?:[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}|[0-9a-fA-F]{4}(?:\.[0-9a-fA-F]{4}){2})$/.test(text.trim()) ? text : refuse(`has "${text}", which is no MAC address`);

const ULIMITS = ['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack'];

export function parseUlimit(text: string): JsonObject {
  const [name, limits] = cut(text, '=');
  if (limits === null) return refuse('must be NAME=SOFT or NAME=SOFT:HARD');
  if (!ULIMITS.includes(name)) return refuse(`has the unknown limit "${name}"; known are ${ULIMITS.join(', ')}`);
  const parts = limits.split(':');
  const [soft = NaN, hard = soft] = parts.map((part) => /^[+-]?\d{1,15}$/.test(part) ? Number(part) : NaN);
  if (parts.length > 2 || Number.isNaN(soft) || Number.isNaN(hard)) return refuse('must be NAME=SOFT or NAME=SOFT:HARD with whole numbers');
  if (hard !== -1 && (soft === -1 || soft > hard)) return refuse(`has the soft limit ${soft} above the hard one ${hard}`);
  return { Name: name, Soft: soft, Hard: hard };
}

const isDeviceMode = (text: string): boolean => /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length;
const CDI_NAME = /^[A-Za-z][\w.-]*\/[A-Za-z][\w-]*=[\w.:-]+$/;

/** --device: HOST[:CONTAINER][:PERMISSIONS], or a CDI name (VENDOR/CLASS=DEVICE). */
export function parseDevice(text: string): { readonly device: JsonObject } | { readonly cdi: string } {
  if (CDI_NAME.test(text)) return { cdi: text };
  const parts = text.split(':');
  const [host = '', second, third] = parts;
  if (parts.length > 3 || host === '') return refuse('must be HOST_DEVICE, HOST_DEVICE:DEVICE or HOST_DEVICE:DEVICE:PERMISSIONS');
  const isMode = second !== undefined && third === undefined && isDeviceMode(second);
  const container = second === undefined || isMode ? host : second;
  const permissions = isMode ? second : third ?? 'rwm';
  if (!isDeviceMode(permissions)) return refuse(`has the permissions "${permissions}", which must be of r, w and m`);
  if (!container.startsWith('/')) return refuse(`has "${container}", which must be an absolute path`);
  return { device: { PathOnHost: second === undefined || isMode ? cleanPath(host) : host, PathInContainer: cleanPath(container), CgroupPermissions: permissions } };
}

/** path.Clean for absolute paths. */
function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') kept.pop();
    else if (part !== '' && part !== '.') kept.push(part);
  }
  return `/${kept.join('/')}`;
}

export const parseDeviceRule = (text: string): string =>
  /^[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}$/.test(text) ? text : refuse('must be TYPE MAJOR:MINOR PERMISSIONS such as "c 1:3 mr"');

/** --gpus: all, a number, or a CSV of driver=, count=, device=, capabilities=, options=. */
export function parseGpus(text: string): JsonObject {
  const request: JsonObject = { Driver: '', Count: 0, DeviceIDs: null, Capabilities: [['gpu']], Options: {} };
  const seen = new Set<string>();
  let counted = false;
  for (const field of parseCsv(text)) {
    const [name, given] = cut(field, '=');
    const [key, value] = given === null ? ['count', field] : [name, given];
    if (given !== null && seen.has(key)) return refuse(`has ${key} twice`);
    seen.add(key);
    switch (key) {
      case 'driver': request['Driver'] = value; break;
      case 'count':
        request['Count'] = value === 'all' ? -1 : parseInteger(value);
        counted = true;
        break;
      case 'device': request['DeviceIDs'] = value.split(','); break;
      case 'capabilities':
        if (value.split(',').includes('')) return refuse('names no capability after capabilities=');
        request['Capabilities'] = [[...value.split(','), 'gpu']]; break;
      case 'options': {
        const options = textMap();
        for (const option of parseCsv(value)) setText(options, option);
        request['Options'] = Object.fromEntries(options);
        break;
      }
      default: return refuse(`has the unknown key "${key}"`);
    }
  }
  if (!counted && request['DeviceIDs'] === null) request['Count'] = 1;
  return request;
}

/** DEVICE:WEIGHT for --blkio-weight-device, DEVICE:RATE for the others. */
export function parseBlkio(text: string, kind: 'weight' | 'bps' | 'iops'): JsonObject {
  const [path, value, ...more] = text.split(':');
  if (path === undefined || value === undefined || more.length > 0 || !path.startsWith('/dev/')) return refuse('must be /dev/DEVICE:NUMBER');
  if (kind === 'weight') {
    const weight = parseInteger(value, [0, 1000]);
    return weight === 0 || weight >= 10 ? { Path: path, Weight: weight } : refuse('must have a weight from 10 to 1000');
  }
  return { Path: path, Rate: kind === 'bps' ? parseBytes(value) : parseInteger(value, [0, Number.MAX_SAFE_INTEGER]) };
}

/** --restart as the API has it. */
export function parseRestart(text: string): JsonObject {
  const [name, count] = cut(text, ':');
  if (!['', 'no', 'always', 'unless-stopped', 'on-failure'].includes(name) || (name === '' && count !== null)) {
    return refuse(`has the policy "${name}", and there are no, on-failure[:COUNT], always and unless-stopped`);
  }
  if (count === null || count === '') return { Name: name, MaximumRetryCount: 0 };
  if (name !== 'on-failure') return refuse(`has a count, which only on-failure takes`);
  return { Name: name, MaximumRetryCount: parseInteger(count, [0, Number.MAX_SAFE_INTEGER]) };
}

/** --security-opt, split as the client does: "=" before ":". */
export function checkSecurityOption(text: string): readonly [name: string, value: string | null] {
  const [name, value] = text.includes('=') ? cut(text, '=') : cut(text, ':');
  if (value === null && name !== 'no-new-privileges') return refuse(`has "${text}", which must be NAME=VALUE or no-new-privileges`);
  if (name === 'no-new-privileges' && value !== null) parseBool(value);
  if (['seccomp', 'apparmor', 'label'].includes(name) && value === '') return refuse(`has no value for ${name}`);
  return [name, value];
}

const SYSCTLS = ['kernel.msgmax', 'kernel.msgmnb', 'kernel.msgmni', 'kernel.sem', 'kernel.shmall', 'kernel.shmmax', 'kernel.shmmni', 'kernel.shm_rmid_forced'];

export function checkSysctl(text: string): string {
  const [name, value] = cut(text, '=');
  if (value === null) return refuse('must be NAME=VALUE');
  return SYSCTLS.includes(name) || /^(?:net|fs\.mqueue)\./.test(name) ? text : refuse(`has "${name}", which is no setting of a container's own namespaces`);
}

export function checkDomain(text: string): string {
  const domain = text.trim();
  const label = (part: string): boolean => /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/.test(part);
  return domain === '.' || (domain.length <= 255 && /[a-zA-Z]/.test(domain) && domain.replace(/\.$/, '').split('.').every(label)) ? domain : refuse(`has "${text}", which is no domain`);
}

/** --add-host: NAME:ADDRESS or NAME=ADDRESS, IPv6 also in brackets; as NAME:ADDRESS. */
export function parseExtraHost(text: string): string {
  const [name, address] = cut(text, text.includes('=') ? '=' : ':');
  if (name === '' || address === null || address === '') return refuse('must be NAME:ADDRESS');
  const plain = address.replace(/^\[(.*)\]$/, '$1');
  return `${name}:${plain === 'host-gateway' ? plain : parseAddress(plain)}`;
}

export const checkLink = (text: string): string => text !== '' && text.split(':').length <= 2 ? text : refuse('must be CONTAINER or CONTAINER:ALIAS');

const COMPONENT = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const DOMAIN = /^(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9.-]+)(?::\d+)?$/;

/** An image's reference: [HOST[:PORT]/]PATH[:TAG][@DIGEST]. */
export function checkReference(text: string): string {
  if (text.length > 4096) return refuse('is longer than any reference of an image');
  const [named, digest] = cut(text, '@');
  const slash = named.lastIndexOf('/');
  const colon = named.indexOf(':', slash + 1);
  const [path, tag] = colon < 0 ? [named, null] : [named.slice(0, colon), named.slice(colon + 1)];
  const [first, ...rest] = path.split('/');
  const hasDomain = rest.length > 0 && first !== undefined && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const components = hasDomain ? rest : path.split('/');
  if (components.some((component) => component !== component.toLowerCase())) return refuse(`is "${text}", and the name of an image is lower case`);
  const ok = components.every((component) => COMPONENT.test(component)) && (!hasDomain || DOMAIN.test(first))
    && (tag === null || /^\w[\w.-]{0,127}$/.test(tag)) && (digest === null || /^[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,}$/.test(digest));
  return ok ? text : refuse(text === '' ? 'is empty' : `is "${text}", which is no reference of an image`);
}
