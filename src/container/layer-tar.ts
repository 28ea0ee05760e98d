import { HostError } from '../host/port.ts';
import type { ByteSource } from '../image/bytes.ts';
import { cleanPath } from '../image/tar.ts';

const BLOCK = 512;
const MAX_SPECIAL = 1 << 20;

const textAt = (block: Buffer, start: number, length: number): string => {
  const text = block.toString('utf8', start, start + length);
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
};
const broken = (why: string): HostError => new HostError(`What the engine sent of the container is no tar that harden can read: ${why}.`);
const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

function sizeAt(block: Buffer): number {
  // Of a file from 8 GiB on, GNU writes the size in base 256.
  if (((block[124] ?? 0) & 0x80) !== 0) return Number(block.readBigUInt64BE(128));
  const size = Number.parseInt(textAt(block, 124, 12).trim() || '0', 8);
  if (!Number.isSafeInteger(size) || size < 0) throw broken('a size is none');
  return size;
}

function paxValue(bytes: Buffer, key: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < bytes.length;) {
    const blank = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString('latin1', at, blank));
    if (blank < 0 || !Number.isSafeInteger(length) || length <= 0) throw broken('an extended header is malformed');
    const record = bytes.toString('utf8', blank + 1, at + length - 1);
    if (record.startsWith(`${key}=`)) found = record.slice(key.length + 1);
    at += length;
  }
  return found;
}

/**
 * The members of a tar with these paths (absolute, as GET /containers/ID/changes has them), byte for byte with their extended headers, as a tar.
 * `seen` gets the paths that were there.
 * @throws HostError when it ends too early, or when a member is a hard link to one that is not among them
 */
export async function* onlyMembers(source: ByteSource, wanted: ReadonlySet<string>, seen: Set<string>): AsyncGenerator<Buffer> {
  const exactly = async (count: number): Promise<Buffer> => {
    const bytes = Buffer.from(await source.take(count));
    if (bytes.length < count) throw broken('it ends in the middle');
    return bytes;
  };
  let headers: Buffer[] = [];
  let [name, link, size]: [string | undefined, string | undefined, number | undefined] = [undefined, undefined, undefined];
  for (;;) {
    const block = await exactly(BLOCK);
    if (block.every((byte) => byte === 0)) break;
    const flag = block.toString('latin1', 156, 157);
    if ('xgLK'.includes(flag)) {
      const stated = sizeAt(block);
      if (stated > MAX_SPECIAL) throw broken('an extended header is too long');
      const body = await exactly(padded(stated));
      const content = body.subarray(0, stated);
      headers.push(block, body);
      if (flag === 'L') name = textAt(content, 0, stated);
      if (flag === 'K') link = textAt(content, 0, stated);
      if (flag === 'x') {
        name = paxValue(content, 'path') ?? name;
        link = paxValue(content, 'linkpath') ?? link;
        const long = paxValue(content, 'size');
        if (long !== undefined) size = Number(long);
      }
      continue;
    }
    const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textAt(block, 345, 155) : '';
    const path = `/${cleanPath(name ?? (prefix === '' ? '' : `${prefix}/`) + textAt(block, 0, 100))}`;
    let left = '123456'.includes(flag) ? 0 : padded(size ?? sizeAt(block));
    const chosen = wanted.has(path);
    if (chosen) {
      const target = `/${cleanPath(link ?? textAt(block, 157, 100))}`;
      if (flag === '1' && !seen.has(target)) throw new HostError(`${path} in the container is a hard link to ${target}, which was not written there: it cannot be saved by itself.`);
      seen.add(path);
      yield* headers;
      yield block;
    }
    while (left > 0) {
      const chunk = await source.some(left);
      if (chunk.length === 0) throw broken('it ends in the middle');
      left -= chunk.length;
      if (chosen) yield chunk;
    }
    headers = [];
    [name, link, size] = [undefined, undefined, undefined];
  }
  yield Buffer.alloc(2 * BLOCK);
}
