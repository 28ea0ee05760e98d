import { once } from 'node:events';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { messageOf } from '../errors.ts';
import type { ByteSource } from './bytes.ts';
import { byteSource, chunksOf, ImageError } from './bytes.ts';

/** Above this size, more than so many bytes from one are a bomb, not a layer. */
const MAX_RATIO = 250;
const HARMLESS_BYTES = 1 << 30;

/** What zstd writes at its highest usual level is 8 MiB; builders' "best" is 32. A decoder holds as much. */
const MAX_ZSTD_WINDOW = 32 << 20;
const MAX_ZSTD_BLOCK = 128 << 10;
const ZSTD_MAGIC = 0xfd2fb528;

/**
 * The bytes of a tar, whether it is plain, gzip or zstd (told by its first bytes, as engines do).
 * @throws ImageError
 */
export async function* decompressed(input: AsyncIterable<Uint8Array>, harmless = HARMLESS_BYTES): AsyncGenerator<Buffer> {
  let compressed = 0;
  const source = byteSource(counted(input, (count) => { compressed += count; }));
  try {
    const start = await source.peek(4);
    const kind = start[0] === 0x1f && start[1] === 0x8b ? gunzipped(source)
      : start.length === 4 && (start.readUInt32LE() === ZSTD_MAGIC || isSkippable(start.readUInt32LE())) ? unzstd(source) : null;
    if (kind === null) {
      yield* chunksOf(source);
      return;
    }
    let produced = 0;
    for await (const chunk of kind) {
      produced += chunk.length;
      if (produced > harmless && produced > compressed * MAX_RATIO) throw new ImageError(`it unpacks to more than ${MAX_RATIO} times its size: a decompression bomb, or huge empty files`);
      yield chunk;
    }
  } finally {
    await source.close();
  }
}

async function* counted(input: AsyncIterable<Uint8Array>, note: (count: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    note(chunk.length);
    yield chunk;
  }
}

async function* gunzipped(source: ByteSource): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  let ended = false;
  gunzip.on('close', () => { ended = true; });
  const feed = async (): Promise<void> => {
    for await (const chunk of chunksOf(source)) {
      if (ended) return;
      if (!gunzip.write(chunk)) await Promise.race([once(gunzip, 'drain'), once(gunzip, 'close')]);
    }
    gunzip.end();
  };
  const feeding = feed().catch((error: unknown) => { gunzip.destroy(error instanceof Error ? error : new Error(messageOf(error))); });
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    throw error instanceof ImageError ? error : new ImageError(`its gzip data is broken: ${messageOf(error)}`, { cause: error });
  } finally {
    gunzip.destroy();
    await feeding;
  }
}

const isSkippable = (magic: number): boolean => (magic & 0xfffffff0) >>> 0 === 0x184d2a50;

/**
 * zstd (RFC 8878), frame by frame and block by block: the library decodes, and is given no frame that would make it hold more than we
 * allow, and never more than one block, whose output is bounded.
 */
async function* unzstd(source: ByteSource): AsyncGenerator<Buffer> {
  const exactly = async (count: number): Promise<Buffer> => {
    const bytes = await source.take(count);
    if (bytes.length < count) throw new ImageError('its zstd data ends in the middle');
    return bytes;
  };
  for (;;) {
    const start = await source.peek(4);
    if (start.length === 0) return;
    const magic = (await exactly(4)).readUInt32LE();
    if (isSkippable(magic)) {
      let left = (await exactly(4)).readUInt32LE();
      while (left > 0) {
        const skipped = await source.some(left);
        if (skipped.length === 0) throw new ImageError('its zstd data ends in the middle');
        left -= skipped.length;
      }
      continue;
    }
    if (magic !== ZSTD_MAGIC) throw new ImageError('its zstd data is broken: no frame begins where one should');
    const [descriptor = 0] = await exactly(1);
    const single = (descriptor & 0x20) !== 0;
    const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
    const rest = await exactly((single ? 0 : 1) + dictionaryBytes + sizeBytes);
    const window = single ? sizeIn(rest.subarray(dictionaryBytes)) : windowIn(rest[0] ?? 0);
    if (window > MAX_ZSTD_WINDOW) throw new ImageError(`its zstd data needs a window of more than ${MAX_ZSTD_WINDOW >> 20} MiB`);
    const decode = decoder();
    decode(Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, descriptor]), rest]), false);
    for (let last = false; !last;) {
      const header = await exactly(3);
      const word = header.readUIntLE(0, 3);
      last = (word & 1) === 1;
      const type = (word >> 1) & 3;
      const size = word >> 3;
      if (type === 3 || size > MAX_ZSTD_BLOCK) throw new ImageError('its zstd data is broken: a block is none');
      const body = await exactly(type === 1 ? 1 : size);
      const checksum = last && (descriptor & 4) !== 0 ? await exactly(4) : Buffer.alloc(0);
      for (const chunk of decode(Buffer.concat([header, body, checksum]), last)) yield chunk;
    }
  }
}

const windowIn = (byte: number): number => {
  const base = 2 ** (10 + (byte >> 3));
  return base + (base / 8) * (byte & 7);
};
const sizeIn = (bytes: Buffer): number => (bytes.length === 8 ? Number(bytes.readBigUInt64LE()) : bytes.length === 2 ? bytes.readUInt16LE() + 256 : bytes.readUIntLE(0, bytes.length));

function decoder(): (bytes: Buffer, last: boolean) => readonly Buffer[] {
  let ready: Buffer[] = [];
  const decompress = new Decompress((data) => { if (data.length > 0) ready.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength)); });
  return (bytes, last) => {
    ready = [];
    try {
      decompress.push(bytes, last);
    } catch (error) {
      throw new ImageError(`its zstd data is broken: ${messageOf(error)}`, { cause: error });
    }
    return ready;
  };
}
