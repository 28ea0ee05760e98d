import type { Healthcheck, Json } from '../model.ts';
import { parseDuration, parseSize } from '../quantities.ts';
import { isObject } from './document.ts';
import { isInterpolated } from './yaml-edit.ts';

/** A text that Compose interpolates, as what it makes of it where there is nothing to interpolate: `$$` is a dollar sign. */
export const plainText = (value: string): string => value.replaceAll('$$', '$');

/** The reverse, for what is written into a file. */
export const escapeDollars = (value: string): string => value.replaceAll('$', '$$$$');

/** True when a value, or something in it, is not known until Compose has put variables in. */
export function dependsOnVariable(value: Json | undefined): boolean {
  if (typeof value === 'string') return isInterpolated(value);
  if (Array.isArray(value)) return value.some(dependsOnVariable);
  return isObject(value) && Object.entries(value).some(([key, inner]) => isInterpolated(key) || dependsOnVariable(inner));
}

/** A text, or a number or truth value as one; "" for anything else. */
export const wordOf = (value: Json | undefined): string => (value === undefined || value === null || typeof value === 'object' ? '' : String(value));

/** Bytes of a size or a number, -1 for no limit; null for anything else. */
export function bytesOf(value: Json | undefined): number | null {
  if (typeof value !== 'string') return typeof value === 'number' ? value : null;
  const [, sign = '', size = ''] = /^\s*(-?)([^]*?)\s*$/u.exec(value) ?? [];
  const bytes = parseSize(size);
  return bytes === null || sign === '' ? bytes : -bytes;
}

/** Nanoseconds of a duration or a number; null for anything else. */
export const nanosecondsOf = (value: Json | undefined): number | null =>
  (typeof value === 'string' ? parseDuration(value) : typeof value === 'number' ? value : null);

/** A string as words, split at blanks outside of quotes; null when a quote stays open. */
function wordsOf(line: string): readonly string[] | null {
  const words: string[] = [];
  const pattern = /\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])+)/gsy;
  let end = 0;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    words.push((match[1] ?? '').replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/gs, (_, double: string | undefined, single: string | undefined, escaped: string | undefined) =>
      double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? escaped ?? ''));
    end = pattern.lastIndex;
  }
  return line.slice(end).trim() === '' ? words : null;
}

/** `command`, `entrypoint`, and what else may be a line or a list of words. */
export function commandOf(value: Json | undefined): readonly string[] | null {
  if (Array.isArray(value)) return textsOf(value);
  return typeof value === 'string' ? wordsOf(plainText(value)) : null;
}

/** A list, or a single text that stands for a list of one. */
export const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]);

/** Texts and numbers of such a list; other things are left out. */
export const textsOf = (value: Json | undefined): readonly string[] =>
  listOf(value).flatMap((item) => (item === null || typeof item === 'object' ? [] : [plainText(wordOf(item))]));

/** A mapping, or a list of NAME=VALUE, as one mapping. A bare NAME has the value null. A null prototype: names come from outside. */
export function recordOf(value: Json | undefined): Record<string, string | null> {
  const record = Object.create(null) as Record<string, string | null>;
  if (isObject(value)) {
    for (const [name, inner] of Object.entries(value)) record[name] = inner === null ? null : typeof inner === 'object' ? JSON.stringify(inner) : plainText(String(inner));
    return record;
  }
  for (const entry of textsOf(value)) {
    const equals = entry.indexOf('=');
    record[equals === -1 ? entry : entry.slice(0, equals)] = equals === -1 ? null : entry.slice(equals + 1);
  }
  return record;
}

export const textRecordOf = (value: Json | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(recordOf(value)).map(([name, inner]) => [name, inner ?? '']));

/** One entry of `ports`: a range of ports stands for several publications. */
export interface PortEntry {
  readonly ip: string;
  /** "" when the engine chooses. */
  readonly published: string;
  readonly target: string;
  readonly protocol: string;
}

/** null for what is no port. */
export function portOf(value: Json | undefined): PortEntry | null {
  if (isObject(value)) {
    const { target, published = '', host_ip: ip = '', protocol = 'tcp' } = value;
    return target === undefined || typeof target === 'object' ? null
      : { ip: wordOf(ip), published: wordOf(published), target: wordOf(target), protocol: wordOf(protocol) };
  }
  if (typeof value === 'number') return { ip: '', published: '', target: String(value), protocol: 'tcp' };
  const [, ip = '', published = '', target, protocol = 'tcp'] =
    /^(?:(?:(\[[0-9a-f:.]+\]|[0-9a-f:]*::[0-9a-f:]*|[\d.]+):)?(\d+(?:-\d+)?)?:)?(\d+(?:-\d+)?)(?:\/(tcp|udp|sctp))?$/i.exec(typeof value === 'string' ? value : '') ?? [];
  return target === undefined ? null : { ip: ip.replace(/^\[|\]$/g, ''), published, target, protocol: protocol.toLowerCase() };
}

/** One entry of `volumes`. */
export interface VolumeEntry {
  readonly kind: 'bind' | 'volume' | 'tmpfs' | 'npipe' | 'cluster' | 'image';
  /** As written; "" for an anonymous one. */
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
  readonly readOnly: boolean;
  readonly propagation: string;
}

const VOLUME_KINDS = ['bind', 'volume', 'tmpfs', 'npipe', 'cluster', 'image'] as const;
const PROPAGATIONS = ['shared', 'rshared', 'slave', 'rslave', 'private', 'rprivate'];
export const isPropagation = (option: string): boolean => PROPAGATIONS.includes(option);

/** null for what is no volume. */
export function volumeOf(value: Json | undefined): VolumeEntry | null {
  if (isObject(value)) {
    const kind = VOLUME_KINDS.find((known) => known === value['type']);
    const { source = '', target, read_only: readOnly = false, bind } = value;
    if (kind === undefined || typeof target !== 'string' || typeof source !== 'string') return null;
    const propagation = isObject(bind) ? bind['propagation'] : undefined;
    return { kind, source: plainText(source), target: plainText(target), options: [], readOnly: readOnly === true, propagation: typeof propagation === 'string' ? propagation : '' };
  }
  if (typeof value !== 'string' || value === '') return null;
  const parts = plainText(value).split(':');
  if (parts.length > 3) return null;
  const [source, target, options] = parts.length === 1 ? ['', parts[0] ?? '', ''] : [parts[0] ?? '', parts[1] ?? '', parts[2] ?? ''];
  const words = options === '' ? [] : options.split(',');
  return {
    kind: /^[./~]/.test(source) ? 'bind' : 'volume', source, target, options: words,
    readOnly: words.includes('ro'), propagation: words.find(isPropagation) ?? '',
  };
}

/** A device: host path, path in the container, rwm. */
export function deviceOf(value: Json | undefined): { readonly host: string; readonly container: string; readonly permissions: string } | null {
  if (isObject(value)) {
    const { source, target = source, permissions = 'rwm' } = value;
    return typeof source === 'string' && typeof target === 'string' && typeof permissions === 'string' ? { host: source, container: target, permissions } : null;
  }
  if (typeof value !== 'string' || value === '') return null;
  const [host = '', second, third] = plainText(value).split(':');
  const isMode = second !== undefined && third === undefined && /^[rwm]+$/.test(second);
  return { host, container: second === undefined || isMode ? host : second, permissions: third ?? (isMode ? second : 'rwm') };
}

/** A health check; null where the service has none of its own. */
export function healthcheckOf(value: Json | undefined): Healthcheck | null {
  if (!isObject(value)) return null;
  const { disable, test, interval, timeout, retries, start_period: startPeriod, start_interval: startInterval } = value;
  if (disable === true) return { test: ['NONE'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 };
  const words = Array.isArray(test) ? textsOf(test) : typeof test === 'string' ? ['CMD-SHELL', plainText(test)] : [];
  return {
    test: words, interval: nanosecondsOf(interval) ?? 0, timeout: nanosecondsOf(timeout) ?? 0, startPeriod: nanosecondsOf(startPeriod) ?? 0,
    startInterval: nanosecondsOf(startInterval) ?? 0, retries: typeof retries === 'number' ? retries : 0,
  };
}
