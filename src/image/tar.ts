import type { ByteSource } from './bytes.ts';
import { ImageError } from './bytes.ts';

/*
 * Reads tar as Go's archive/tar does, which is what engines unpack layers with: ustar, PAX, GNU and star headers. A reader of our own, because
 * names and extended headers must be bounded before they are held, and what one reader skips and another unpacks would hide a file.
 */

/** One member of a tar. Texts are bytes as latin1: names need not be UTF-8, and two names must not become one. */
export interface TarEntry {
  /** Without a leading slash, "." and ".."; "" is the root. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  /** What a link leads to, as written. */
  readonly link: string;
  /** Permission bits with setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** The next bytes of the content, at most `count`. */
  head(count: number): Promise<Buffer>;
  /** What is left of the content; what is not read is skipped. */
  content(): AsyncGenerator<Buffer>;
}

const BLOCK = 512;
/** As in Go's reader: extended headers and long names are no longer. */
const MAX_SPECIAL = 1 << 20;
/** PATH_MAX of Linux. */
const MAX_PATH = 4096;

const broken = (why: string): ImageError => new ImageError(`it is no valid tar: ${why}`);
const truncated = (): ImageError => broken('it ends in the middle');

const TYPES: Readonly<Record<string, TarEntry['type']>> = { 0: 'file', '\0': 'file', 7: 'file', S: 'file', 1: 'link', 2: 'symlink', 5: 'directory' };
/** Members that have no content, whatever size they state. */
const HEADER_ONLY = '123456';

function textAt(block: Buffer, start: number, length: number): string {
  const text = block.toString('latin1', start, start + length);
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/** Octal digits, or a number in base 256 where the first bit is set. */
function numberAt(block: Buffer, start: number, length: number): number {
  const first = block[start] ?? 0;
  if ((first & 0x80) === 0) {
    const text = textAt(block, start, length).trim();
    if (!/^[0-7]*$/u.test(text)) throw broken('a number in a header is none');
    return text === '' ? 0 : Number.parseInt(text, 8);
  }
  let value = first & 0x7f;
  for (let i = start + 1; i < start + length; i += 1) {
    value = value * 256 + (block[i] ?? 0);
    if ((first & 0x40) !== 0 || value > Number.MAX_SAFE_INTEGER) throw broken('a number in a header is negative or too large');
  }
  return value;
}

/** The sum of all bytes with the checksum itself as blanks; old writers added signed bytes. */
function hasValidChecksum(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let i = 0; i < BLOCK; i += 1) {
    const byte = i >= 148 && i < 156 ? 32 : (block[i] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  const text = textAt(block, 148, 8).trim();
  const stated = /^[0-7]+$/u.test(text) ? Number.parseInt(text, 8) : -1;
  return stated === unsigned || stated === signed;
}

/** "LENGTH KEY=VALUE\n" records. An empty value takes a key back. */
function paxRecords(bytes: Buffer): ReadonlyMap<string, string> {
  const records = new Map<string, string>();
  const text = bytes.toString('latin1');
  let at = 0;
  while (at < text.length) {
    const blank = text.indexOf(' ', at);
    const length = blank === -1 ? '' : text.slice(at, blank);
    const end = at + Number(length);
    if (!/^\d{1,7}$/u.test(length) || end <= blank || end > text.length || text[end - 1] !== '\n') throw broken('an extended header is malformed');
    const record = text.slice(blank + 1, end - 1);
    const equals = record.indexOf('=');
    if (equals < 1) throw broken('an extended header is malformed');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

function paxNumber(records: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = records.get(key);
  if (text === undefined || text === '') return undefined;
  const value = Number(text);
  if (!/^\d+$/u.test(text) || !Number.isSafeInteger(value)) throw broken(`an extended header has no valid ${key}`);
  return value;
}

/** A path below the root of a tar, as unpacking it would clean it. */
export function cleanPath(path: string): string {
  if (path.length > MAX_PATH) throw new ImageError(`it holds a path of more than ${MAX_PATH} bytes`);
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) throw new ImageError('it holds a path that leads out of it');
  }
  return parts.join('/');
}

/**
 * The members of a tar, in order; each may be read until the next is asked for. The source is read up to the end of the tar. `mustBeMarked`: a tar
 * without the blocks that mark its end was cut.
 * @throws ImageError
 */
export async function* tarEntries(source: ByteSource, mustBeMarked = false): AsyncGenerator<TarEntry> {
  let pax: ReadonlyMap<string, string> = new Map();
  let longName: string | null = null;
  let longLink: string | null = null;
  const special = async (size: number): Promise<Buffer> => {
    if (size > MAX_SPECIAL) throw broken('an extended header is too long');
    const bytes = await source.take(size);
    if (bytes.length < size) throw truncated();
    await skip(padding(size));
    return bytes;
  };
  const skip = async (count: number): Promise<void> => {
    let left = count;
    while (left > 0) {
      const chunk = await source.some(left);
      if (chunk.length === 0) throw truncated();
      left -= chunk.length;
    }
  };
  for (;;) {
    const block = await source.take(BLOCK);
    const extended = pax.size > 0 || longName !== null || longLink !== null;
    if (block.length === 0 && !extended && !mustBeMarked) return;
    if (block.length < BLOCK) throw truncated();
    if (isZero(block)) {
      const second = await source.take(BLOCK);
      if (extended || (second.length > 0 && !isZero(second))) throw broken('a member follows its end');
      return;
    }
    if (!hasValidChecksum(block)) throw broken('the checksum of a header is wrong');
    const flag = block.toString('latin1', 156, 157);
    const stated = numberAt(block, 124, 12);
    // Global headers change nothing for engines either.
    if (flag === 'g') await special(stated);
    else if (flag === 'x') pax = paxRecords(await special(stated));
    else if (flag === 'L') longName = textAt(await special(stated), 0, stated);
    else if (flag === 'K') longLink = textAt(await special(stated), 0, stated);
    else {
      const name = longName ?? nonEmpty(pax.get('GNU.sparse.name')) ?? nonEmpty(pax.get('path')) ?? nameIn(block);
      if (flag === 'S') for (let more = block[482] === 1; more;) {
        const extension = await source.take(BLOCK);
        if (extension.length < BLOCK) throw truncated();
        more = extension[504] === 1;
      }
      const size = HEADER_ONLY.includes(flag) ? 0 : (paxNumber(pax, 'size') ?? stated);
      let left = size;
      const read = async (most: number): Promise<Buffer> => {
        const chunk = await source.some(Math.min(most, left));
        left -= chunk.length;
        return chunk;
      };
      yield {
        path: cleanPath(name),
        // As Go reads version 7: a regular file of the old kind whose name ends in a slash is a directory.
        type: flag === '\0' && name.endsWith('/') ? 'directory' : (TYPES[flag] ?? 'other'),
        link: longLink ?? nonEmpty(pax.get('linkpath')) ?? textAt(block, 157, 100),
        mode: numberAt(block, 100, 8) & 0o7777,
        uid: paxNumber(pax, 'uid') ?? numberAt(block, 108, 8),
        gid: paxNumber(pax, 'gid') ?? numberAt(block, 116, 8),
        size,
        head: async (count) => {
          const bytes = await source.take(Math.min(count, left));
          left -= bytes.length;
          return bytes;
        },
        content: async function* () {
          while (left > 0) {
            const chunk = await read(left);
            if (chunk.length === 0) throw truncated();
            yield chunk;
          }
        },
      };
      await skip(left + padding(size));
      pax = new Map();
      longName = null;
      longLink = null;
    }
  }
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);
const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);

/** The name, after the prefix that only ustar and star have: GNU keeps times there. */
function nameIn(block: Buffer): string {
  const name = textAt(block, 0, 100);
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const prefix = textAt(block, 345, block.toString('latin1', 508, 512) === 'tar\0' ? 131 : 155);
  return prefix === '' ? name : `${prefix}/${name}`;
}
