import { isDeepStrictEqual } from 'node:util';
import { at, list, object, text, texts } from '../collect/json.ts';
import type { Json, JsonObject } from '../model.ts';
import { isShortId, networkMode, parseNetwork, plainLink } from './from-inspect.ts';

/**
 * Where two answers of GET /containers/ID/json differ in what a container is configured with, as paths: "HostConfig.Memory",
 * "Config.Labels[a.b]", "Mounts[/data].RW", "Networks[web].ipv4". Lists are one path. Ids, times, states and what the engine makes of
 * them (short-id hostnames and aliases, generated MACs) count for nothing, and a volume is the same whether it was asked for by its name
 * or was anonymous.
 */
export const differences = (before: JsonObject, after: JsonObject, apiVersion: string): string[] =>
  compare('', normalize(before, apiVersion), normalize(after, apiVersion));

function compare(path: string, before: Json | undefined, after: Json | undefined): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  const [left, right] = [before ?? {}, after ?? {}];
  const names = isRecord(left) && isRecord(right) ? [...new Set([...Object.keys(left), ...Object.keys(right)])] : [];
  return names.length === 0 ? [path] : names.flatMap((name) => compare(below(path, name), at(left, name), at(right, name)));
}

/** The path of a member: ".name", or "[a.b]" where it is no plain word. */
export const below = (path: string, name: string): string => (path === '' ? name : /^\w+$/.test(name) ? `${path}.${name}` : `${path}[${name}]`);

const isRecord = (value: Json): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Not of the configuration: who was attached, where the client wrote the id, how large its terminal was. Volumes and links are looked at otherwise. */
const OMITTED: ReadonlySet<string> = new Set([
  'AttachStdin', 'AttachStdout', 'AttachStderr', 'ContainerIDFile', 'ConsoleSize', 'Volumes', 'Links',
]);

/** Where 0, false or [] is something else than nothing. */
const MEANINGFUL: ReadonlySet<string> = new Set(['Init', 'MemorySwappiness', 'MaskedPaths', 'ReadonlyPaths', 'StopTimeout']);

/** The configuration that inspect shows, in one spelling. */
function normalize(raw: JsonObject, apiVersion: string): JsonObject {
  const id = text(raw['Id']);
  const config = object(at(raw, 'Config'));
  const host = object(at(raw, 'HostConfig'));
  const hostname = text(config['Hostname']);
  const { attachments, macAddress } = parseNetwork(raw, id, apiVersion);
  const mode = networkMode(raw);
  // What a running container has of the one whose network it shares, or of the host.
  const borrowed = mode.startsWith('container:') || host['UTSMode'] === 'host';
  return {
    Image: raw['Image'] ?? null,
    Config: pruned({
      ...config,
      Hostname: borrowed || isShortId(hostname, id) ? null : hostname,
      Env: environment(texts(config['Env'])),
      // A published port is exposed, said or not.
      ExposedPorts: { ...Object.fromEntries(Object.keys(object(host['PortBindings'])).map((port) => [port, {}])), ...object(config['ExposedPorts']) },
    }),
    HostConfig: {
      ...pruned({
        ...host,
        Isolation: host['Isolation'] === 'default' ? null : host['Isolation'] ?? null,
        NetworkMode: mode === 'default' ? 'bridge' : mode,
        // The client does not keep their order.
        Binds: texts(host['Binds']).filter((bind) => !ANONYMOUS.test(bind)).sort(),
        // Nor do all clients keep that of these, of which each has a target of its own.
        Mounts: [...list(host['Mounts'])].sort((a, b) => (text(at(a, 'Target')) < text(at(b, 'Target')) ? -1 : 1)).map((mount) => normalMount(raw, mount)),
        CapAdd: texts(host['CapAdd']).map(capability).sort(),
        CapDrop: texts(host['CapDrop']).map(capability).sort(),
        SecurityOpt: texts(host['SecurityOpt']).map(securityOption).sort(),
        Ulimits: [...list(host['Ulimits'])].sort((a, b) => text(at(a, 'Name')) < text(at(b, 'Name')) ? -1 : 1),
        MemorySwappiness: typeof host['MemorySwappiness'] === 'number' && host['MemorySwappiness'] >= 0 ? host['MemorySwappiness'] : null,
        PidsLimit: typeof host['PidsLimit'] === 'number' && host['PidsLimit'] > 0 ? host['PidsLimit'] : null,
        RestartPolicy: { ...object(host['RestartPolicy']), Name: text(at(host, 'RestartPolicy', 'Name')) || 'no' },
        DeviceRequests: list(host['DeviceRequests']).map((request) => pruned({
          ...object(request), Capabilities: list(at(request, 'Capabilities')).map((set) => texts(set).sort()),
        })),
      }),
      ...(list(host['Links']).length === 0 ? {} : { Links: texts(host['Links']).map(plainLink).sort() }),
    },
    Mounts: Object.fromEntries(list(raw['Mounts']).map((mount) => [text(at(mount, 'Destination')), {
      Type: at(mount, 'Type') ?? null, Source: text(at(mount, 'Name')) || text(at(mount, 'Source')),
      RW: at(mount, 'RW') ?? null, Propagation: text(at(mount, 'Propagation')),
    }])),
    // Before the first start, old engines show a MAC address in Config only.
    Networks: Object.fromEntries(Object.entries(attachments).map(([name, attachment]) =>
      [name, { ...attachment, macAddress: attachment.macAddress === macAddress ? null : attachment.macAddress }])) as unknown as JsonObject,
  };
}

/** The order of variables means something only where a name comes twice. */
function environment(entries: readonly string[]): string[] {
  const names = new Set(entries.map((entry) => entry.split('=')[0]));
  return names.size === entries.length ? [...entries].sort() : [...entries];
}

/** A volume by its generated name, or none. */
const ANONYMOUS = /^[0-9a-f]{64}:|^[^:]*$/;

const capability = (name: string): string => (/^(?:all|cap_.*)$/i.test(name) ? name : `CAP_${name}`).toUpperCase();

/** Docker took "name:value" before it took "name=value". */
const securityOption = (option: string): string => (option === 'no-new-privileges' ? `${option}=true` : option.replace(/^([a-z-]+):/, '$1='));

/** An anonymous volume stands under the name that it has. */
function normalMount(raw: JsonObject, mount: Json): Json {
  const { Source: source, ...rest } = object(mount);
  const inForce = list(raw['Mounts']).find((candidate) => at(candidate, 'Destination') === at(mount, 'Target'));
  const anonymous = at(mount, 'Type') === 'volume' && (text(source) === '' || /^[0-9a-f]{64}$/.test(text(source)));
  if (!anonymous) return pruned(object(mount));
  return pruned({ ...rest, Source: at(inForce, 'Name') ?? '', VolumeOptions: pruned({ ...object(rest['VolumeOptions']), NoCopy: null }) });
}

/** What has names of the user's choice in it, where "" is a value. */
const VERBATIM: ReadonlySet<string> = new Set(['Labels', 'Annotations', 'ExposedPorts', 'PortBindings', 'Tmpfs', 'Sysctls', 'StorageOpt', 'Config']);

/** Without what says nothing: null, "", 0, false, nothing in it. */
function pruned(fields: JsonObject): JsonObject {
  const inside = Object.entries(fields).map(([name, value]): [string, Json] => [name, isRecord(value) && !VERBATIM.has(name) ? pruned(object(value)) : value]);
  return Object.fromEntries(inside.filter(([name, value]) => !OMITTED.has(name) && (MEANINGFUL.has(name) ? value !== null : saysSomething(value))));
}

const saysSomething = (value: Json): boolean =>
  !(value === null || value === '' || value === 0 || value === false || (typeof value === 'object' && Object.keys(value).length === 0));
