import { UsageError } from '../errors.ts';

/** What cannot be read as an image, and why; whoever catches it knows where it came from. */
export class ImageError extends UsageError {
  override readonly name = 'ImageError';
}

/** Bytes as they are asked for: nothing is read ahead beyond the chunk that the input hands out. */
export interface ByteSource {
  /** The next bytes without taking them; fewer than `count` only at the end. */
  peek(count: number): Promise<Buffer>;
  /** The next bytes; fewer than `count` only at the end. */
  take(count: number): Promise<Buffer>;
  /** At least one and at most `most` bytes, as they come; empty only at the end. */
  some(most: number): Promise<Buffer>;
  /** Whoever stops early lets go of the input with it. */
  close(): Promise<void>;
  /** The most bytes that were ever held at once. */
  readonly peak: number;
}

const EMPTY: Buffer = Buffer.alloc(0);

export function byteSource(input: AsyncIterable<Uint8Array>): ByteSource {
  const iterator = input[Symbol.asyncIterator]();
  let held: Buffer = EMPTY;
  let peak = 0;
  let ended = false;
  const more = async (): Promise<boolean> => {
    if (ended) return false;
    const next = await iterator.next();
    if (next.done === true) {
      ended = true;
      return false;
    }
    const chunk = Buffer.isBuffer(next.value) ? next.value : Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    peak = Math.max(peak, held.length);
    return true;
  };
  const peek = async (count: number): Promise<Buffer> => {
    while (held.length < count && await more());
    return held.subarray(0, count);
  };
  const taken = (bytes: Buffer): Buffer => {
    held = held.subarray(bytes.length);
    return bytes;
  };
  return {
    peek,
    take: async (count) => taken(await peek(count)),
    some: async (most) => {
      while (held.length === 0 && await more());
      return taken(held.subarray(0, most));
    },
    close: async () => {
      ended = true;
      held = EMPTY;
      await iterator.return?.();
    },
    get peak() {
      return peak;
    },
  };
}

/** All of a source, in chunks. */
export async function* chunksOf(source: ByteSource): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await source.some(1 << 16);
    if (chunk.length === 0) return;
    yield chunk;
  }
}
