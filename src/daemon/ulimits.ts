import type { Json } from '../model.ts';
import { isObject } from './json-edit.ts';
import { field } from './keys.ts';

/** One entry of daemon.json "default-ulimits". -1 is unlimited; NaN stands for what is missing or no number. */
export interface Ulimit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

/** RLIMIT names that runc knows, lower case (getrlimit(2)). */
const NAMES: ReadonlySet<string> = new Set([
  'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime',
  'sigpending', 'stack',
]);

/** "nofile=1024:2048", as the flag has it, or { nofile: { Name, Soft, Hard } }, as the file has it. */
export function ulimitsOf(value: Json): readonly Ulimit[] {
  if (Array.isArray(value)) {
    return value.flatMap((item) => {
      const [name = '', limits = ''] = typeof item === 'string' ? item.split('=') : [];
      const limit = parseUlimit(limits);
      return [{ name, soft: limit?.soft ?? Number.NaN, hard: limit?.hard ?? Number.NaN }];
    });
  }
  if (!isObject(value)) return [];
  return Object.entries(value).map(([key, entry]) => {
    const [name, soft, hard] = isObject(entry) ? ['name', 'soft', 'hard'].map((part) => field(entry, part)) : [];
    // The key is only a label; a missing Name stops every container start, and a missing number is a limit of 0.
    return typeof name === 'string' && typeof soft === 'number' && typeof hard === 'number'
      ? { name, soft, hard } : { name: key, soft: Number.NaN, hard: Number.NaN };
  });
}

/** "soft:hard", or one number for both; null when it is neither. */
export function parseUlimit(text: string): { readonly soft: number; readonly hard: number } | null {
  const match = /^(-1|\d+)(?::(-1|\d+))?$/.exec(text);
  if (match?.[1] === undefined) return null;
  return { soft: Number(match[1]), hard: Number(match[2] ?? match[1]) };
}

/** Names of the limits with which the daemon starts and then starts no container. */
export const unusableUlimits = (limits: readonly Ulimit[]): readonly string[] => limits
  .filter(({ name, soft, hard }) => {
    const ceiling = hard === -1 ? Infinity : hard;
    const wanted = soft === -1 ? Infinity : soft;
    return !NAMES.has(name) || Number.isNaN(soft) || Number.isNaN(hard) || wanted > ceiling;
  })
  .map(({ name }) => name);
