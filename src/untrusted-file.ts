import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { messageOf, UsageError } from './errors.ts';

/** No document of ours comes near this, nor does a scanner's report about one image. */
const MAX_BYTES = 64 << 20;

/**
 * The text of a file that somebody names, without a byte order mark. Nothing is believed about it: a pipe does not block, a device has no end.
 * @throws UsageError when it is no regular file, larger than 64 MiB, or cannot be read
 */
export async function readUntrusted(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new UsageError(`${path} is not a regular file`);
      if (stat.size > MAX_BYTES) throw new UsageError(`${path} is larger than 64 MiB: nothing that is read here is`);
      return (await file.readFile('utf8')).replace(/^\uFEFF/u, '');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
