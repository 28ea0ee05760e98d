import { createHash, hash, randomBytes } from 'node:crypto';
import type { ByteSource } from './bytes.ts';
import { byteSource, ImageError } from './bytes.ts';
import { decompressed } from './decompress.ts';
import type { Leftover } from './file-rules.ts';
import { ACCOUNT_FILES, leftoverAt, packageDatabase, readLength, secretFile } from './file-rules.ts';
import type { TarEntry } from './tar.ts';
import { tarEntries } from './tar.ts';

/** What all layers of an archive may take together; an image that wants more is not read. Counters of what they took are in `Budget`. */
export interface Limits {
  readonly entries: number;
  /** Bytes after unpacking. */
  readonly bytes: number;
  /** What is kept of paths, accounts and packages, bytes as we reckon them. */
  readonly remembered: number;
}
export const LIMITS: Limits = { entries: 4_000_000, bytes: 128 * 2 ** 30, remembered: 8 << 20 };

export interface Budget {
  readonly limits: Limits;
  entries: number;
  bytes: number;
  remembered: number;
}
export const budgetOf = (limits: Limits): Budget => ({ limits, entries: 0, bytes: 0, remembered: 0 });

/** How a layer changes what lies below: `file` and `directory` are there, `whiteout` removes a path, `opaque` all that a directory held. */
type Trace = 'file' | 'directory' | 'whiteout' | 'opaque';

/** A row of passwd, group or shadow: name and id ("" in shadow); `empty`: its password field is. */
export interface AccountRow {
  readonly name: string;
  readonly id: string;
  readonly empty: boolean;
}

/** What is remembered of one layer. Paths are bytes as latin1, without a leading slash. Contents are not kept. */
export interface LayerSummary {
  /** sha256:… of the layer as a plain tar. */
  readonly diffId: string;
  has(trace: Trace, path: string): boolean;
  /** Setuid and setgid files, hard links to them included. */
  readonly setuid: ReadonlyMap<string, { readonly mode: number; readonly uid: number; readonly gid: number }>;
  readonly secrets: ReadonlyMap<string, string>;
  /** By child. */
  readonly leftovers: ReadonlyMap<string, Leftover & { readonly files: number }>;
  /** Account files; a reason where one could not be read. */
  readonly accounts: ReadonlyMap<string, readonly AccountRow[] | string>;
  /** Databases by path; count null: not known. */
  readonly packages: ReadonlyMap<string, { readonly manager: 'dpkg' | 'apk' | 'rpm'; readonly count: number | null }>;
}

/** Account files are lists of a few dozen lines. */
const MAX_ACCOUNT_FILE = 1 << 20;
/** Children of one place that are told apart; more of them count as the place itself. */
const MAX_CHILDREN = 500;

/**
 * Reads a layer (tar, gzip or zstd), keeping only what checks ask for. It is read to its end, so that its digest is that of the whole.
 * @throws ImageError when it is no valid layer, or takes more than the budget
 */
export async function summarizeLayer(input: AsyncIterable<Uint8Array>, budget: Budget, harmlessBytes?: number): Promise<LayerSummary> {
  const digest = createHash('sha256');
  const source = byteSource(metered(decompressed(input, harmlessBytes), budget, (chunk) => digest.update(chunk)));
  try {
    const memory = await readEntries(source, budget);
    while ((await source.some(1 << 16)).length > 0);
    return { ...memory, diffId: `sha256:${digest.digest('hex')}` };
  } finally {
    await source.close();
  }
}

/** Which members of a tar are looked at, where not all are. */
export interface Chosen {
  /** By path; whoever answers yes has seen it. */
  wants(path: string): boolean;
  /** Nothing that is still to come is wanted. */
  isDone(): boolean;
}

/**
 * Looks at some files of a tar that is no layer: what is called like a whiteout is a file like others. It is read until nothing more is wanted.
 * Packages and leftovers are not looked for.
 * @throws ImageError when it is no valid tar, was cut, or takes more than the budget
 */
export async function summarizeFiles(input: AsyncIterable<Uint8Array>, budget: Budget, chosen: Chosen): Promise<LayerSummary> {
  const source = byteSource(metered(input, budget, () => undefined));
  try {
    return { ...await readEntries(source, budget, chosen), diffId: '' };
  } finally {
    await source.close();
  }
}

async function* chosenEntries(entries: AsyncIterable<TarEntry>, chosen: Chosen, count: () => void): AsyncGenerator<TarEntry> {
  for await (const entry of entries) {
    count();
    if (chosen.wants(entry.path)) yield entry;
    if (chosen.isDone()) return;
  }
}

async function* metered<T extends Uint8Array>(chunks: AsyncIterable<T>, budget: Budget, note: (chunk: T) => void): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    budget.bytes += chunk.length;
    if (budget.bytes > budget.limits.bytes) throw new ImageError(`its files unpack to more than ${Math.floor(budget.limits.bytes / 2 ** 30)} GiB`);
    note(chunk);
    yield chunk;
  }
}

async function readEntries(source: ByteSource, budget: Budget, chosen?: Chosen): Promise<Omit<LayerSummary, 'diffId'>> {
  const traces = fingerprints();
  const setuid = new Map<string, { mode: number; uid: number; gid: number }>();
  const secrets = new Map<string, string>();
  const leftovers = new Map<string, Leftover & { files: number }>();
  const children = new Map<string, number>();
  const accounts = new Map<string, readonly AccountRow[] | string>();
  const packages = new Map<string, { manager: 'dpkg' | 'apk' | 'rpm'; count: number | null }>();
  const remember = (path: string, count = 1): void => {
    budget.remembered += path.length + count * 100;
    if (budget.remembered > budget.limits.remembered) throw new ImageError('too many of its files would have to be listed');
  };
  const noteLeftover = (found: Leftover): void => {
    const before = leftovers.get(found.child);
    if (before !== undefined) {
      before.files += 1;
      return;
    }
    const siblings = (children.get(found.place) ?? 0) + 1;
    children.set(found.place, siblings);
    const child = siblings > MAX_CHILDREN ? found.place : found.child;
    const other = leftovers.get(child);
    if (other !== undefined) other.files += 1;
    else {
      remember(child);
      leftovers.set(child, { ...found, child, files: 1 });
    }
  };

  const count = (): void => {
    budget.entries += 1;
    if (budget.entries > budget.limits.entries) throw new ImageError(`it has more than ${budget.limits.entries} files`);
  };

  const whole = chosen === undefined;
  for await (const entry of whole ? tarEntries(source) : chosenEntries(tarEntries(source, true), chosen, count)) {
    if (whole) count();
    const { path, type } = entry;
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (whole && name.startsWith('.wh.')) {
      const directory = path.slice(0, Math.max(slash, 0));
      if (name === '.wh..wh..opq') traces.add('opaque', directory);
      // Other names of this kind are AUFS's own.
      else if (!name.startsWith('.wh..wh.')) traces.add('whiteout', directory === '' ? name.slice(4) : `${directory}/${name.slice(4)}`);
      continue;
    }
    if (path === '') continue;
    traces.add(type === 'directory' ? 'directory' : 'file', path);
    // A later member of the same path replaces the earlier one; a secret in the earlier one can still be had from the layer.
    for (const map of [setuid, accounts, packages]) map.delete(path);
    if (type === 'directory') continue;
    const leftover = whole ? leftoverAt(path) : null;
    if (leftover !== null) noteLeftover(leftover);
    const original = type === 'link' ? setuid.get(cleanLink(entry)) : undefined;
    if ((type === 'file' || type === 'link') && ((entry.mode & 0o6000) !== 0 || original !== undefined)) {
      remember(path);
      setuid.set(path, { mode: entry.mode | (original?.mode ?? 0), uid: entry.uid, gid: entry.gid });
    }
    if (ACCOUNT_FILES.includes(path)) {
      const rows = await accountRows(entry);
      remember(path, typeof rows === 'string' ? 1 : rows.length);
      accounts.set(path, rows);
      continue;
    }
    const database = whole ? packageDatabase(path) : null;
    if (database !== null) {
      remember(path);
      const { manager, count } = database;
      packages.set(path, { manager, count: type !== 'file' || count === null ? null : count === 'file' ? 1 : await countLines(entry, count) });
      continue;
    }
    if (type !== 'file' || entry.size === 0) continue;
    const what = secretFile(path, (await entry.head(readLength(path))).toString('latin1'));
    if (what !== null) {
      remember(path);
      secrets.set(path, what);
    }
  }
  return { has: (trace, path) => traces.has(trace, path), setuid, secrets, leftovers, accounts, packages };
}

/** A link that leads nowhere is none that anything unpacks. */
function cleanLink({ link }: TarEntry): string {
  return link.split('/').filter((part) => part !== '' && part !== '.').join('/');
}

async function accountRows(entry: TarEntry): Promise<readonly AccountRow[] | string> {
  if (entry.type !== 'file') return `/${entry.path} is a link or no file`;
  if (entry.size > MAX_ACCOUNT_FILE) return `/${entry.path} is larger than 1 MiB`;
  const text = (await entry.head(entry.size)).toString('latin1');
  return text.split('\n').flatMap((line) => {
    const [name = '', password, id = ''] = line.split(':');
    // Lines of NIS (+, -) and comments name nobody.
    if (name === '' || password === undefined || /^[+#-]/u.test(name)) return [];
    return [{ name: name.slice(0, 100), id: entry.path === 'etc/shadow' ? '' : id.slice(0, 20), empty: password === '' }];
  });
}

/** Lines that match, however long the file is. */
async function countLines(entry: TarEntry, matching: RegExp): Promise<number> {
  let count = 0;
  let rest = '';
  for await (const chunk of entry.content()) {
    const lines = (rest + chunk.toString('latin1')).split('\n');
    // No line that counts is longer.
    rest = (lines.pop() ?? '').slice(0, 1 << 12);
    count += lines.filter((line) => matching.test(line)).length;
  }
  return matching.test(rest) ? count + 1 : count;
}

/** A layer may have a million paths: of each eight bytes are kept, under a key that no layer can be made for. */
function fingerprints(): { add(trace: Trace, path: string): void; has(trace: Trace, path: string): boolean } {
  let prints = new BigUint64Array(32);
  let used = 0;
  let sorted = true;
  const print = (trace: Trace, path: string): bigint => hash('sha256', `${KEY}${trace}/${path}`, 'buffer').readBigUInt64LE(0);
  return {
    add: (trace, path) => {
      if (used === prints.length) {
        const larger = new BigUint64Array(used * 2);
        larger.set(prints);
        prints = larger;
      }
      prints[used] = print(trace, path);
      used += 1;
      sorted = false;
    },
    has: (trace, path) => {
      if (!sorted) prints.subarray(0, used).sort();
      sorted = true;
      const wanted = print(trace, path);
      let low = 0;
      let high = used;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((prints[middle] ?? 0n) < wanted) low = middle + 1;
        else high = middle;
      }
      return low < used && prints[low] === wanted;
    },
  };
}

const KEY = randomBytes(16).toString('hex');
