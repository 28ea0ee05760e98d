import { constants } from 'node:fs';
import { open, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import type { Engine } from '../host/engine.ts';
import type { Facts, ImageFacts, ImageFilesystem, Observed, TargetSelection } from '../model.ts';
import { present, unreadable, valueOf } from '../model.ts';
import { targetFilter } from '../targets.ts';
import type { ArchiveFile, ArchiveImage } from './archive.ts';
import { filesOfTar, readArchive } from './archive.ts';
import { ImageError } from './bytes.ts';

/** Images do not change: what was read of one holds for the life of this process, however often a host is looked at. */
const known = new Map<string, Observed<ImageFilesystem>>();

export interface Inside {
  readonly progress: (message: string) => void;
  /** Bytes that are free where the engine writes; undefined: not known (another host's engine). */
  readonly freeBytes: () => Promise<number | undefined>;
}

/** The platform that an engine on this machine would run, as OCI names it. */
const HOST_PLATFORM = `linux/${{ x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386', ppc64: 'ppc64le', s390x: 's390x', riscv64: 'riscv64' }[process.arch as string] ?? process.arch}`;

/** Left free on the engine's disk, whatever an image takes. */
const SPARE_BYTES = 1 << 30;

/** Images with their file systems, read one after the other; those that vanish meanwhile are left out. */
export async function lookInside(engine: Engine, images: readonly ImageFacts[], inside: Inside): Promise<readonly ImageFacts[]> {
  const result: ImageFacts[] = [];
  for (const [index, image] of images.entries()) {
    const name = image.tags[0] ?? image.id.replace(/^sha256:/u, '').slice(0, 12);
    const report = (bytes: number): void => inside.progress(`looking into image ${index + 1} of ${images.length}, ${name}: ${Math.floor(bytes / 2 ** 20)} MiB`);
    const filesystem = known.get(image.id) ?? await filesystemOf(engine, image, { ...inside, report });
    if (filesystem === undefined) continue;
    if (filesystem.status === 'present') known.set(image.id, filesystem);
    result.push({ ...image, filesystem });
  }
  inside.progress('');
  return result;
}

async function filesystemOf(
  engine: Engine, { id, sizeBytes }: ImageFacts, { freeBytes, report }: Inside & { readonly report: (bytes: number) => void },
): Promise<Observed<ImageFilesystem> | undefined> {
  try {
    const free = await freeBytes();
    // docker save writes the layers below the data root before it sends the first byte.
    if (free !== undefined && free < sizeBytes * 1.2 + SPARE_BYTES) {
      return unreadable(`it was not looked into: the engine would write a copy of ${Math.ceil(sizeBytes / 2 ** 20)} MiB, and ${Math.floor(free / 2 ** 20)} MiB are free on its disk`);
    }
    report(0);
    const stream = await engine.imageArchive(id);
    if (stream === undefined) return undefined;
    const images = await readArchive(filesOfTar(reported(stream, report)), { deep: true, platform: HOST_PLATFORM });
    const image = images.find((candidate) => candidate.id === id) ?? images[0];
    return image?.filesystem ?? unreadable('the engine sent an archive without it');
  } catch (error) {
    return unreadable(`what the engine sends of it cannot be read: ${messageOf(error).replaceAll('\n', ' ')}`);
  }
}

const REPORT_EVERY = 4 << 20;

export async function* reported(chunks: AsyncIterable<Uint8Array>, report: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let read = 0;
  let next = REPORT_EVERY;
  for await (const chunk of chunks) {
    read += chunk.length;
    if (read >= next) {
      report(read);
      next = read + REPORT_EVERY;
    }
    yield chunk;
  }
}

/** The facts with each image that is selected looked into; the others stay as they are. */
export async function withFilesystems(engine: Engine, facts: Facts, targets: TargetSelection | undefined, progress: (message: string) => void): Promise<Facts> {
  if (facts.images.status !== 'present') return facts;
  const all = facts.images.value;
  const isWanted = targets === undefined ? () => true : targetFilter(targets, facts);
  const wanted = new Set(all.filter(({ id }) => isWanted({ kind: 'image', name: id, id })).map(({ id }) => id));
  const root = facts.engine.local.status === 'present' ? valueOf(facts.engine.info)?.dockerRootDir : undefined;
  const seen = new Map((await lookInside(engine, all.filter(({ id }) => wanted.has(id)), { progress, freeBytes: () => freeBytesAt(root) })).map((image) => [image.id, image]));
  // Those that vanished meanwhile are left out.
  return { ...facts, images: present(all.flatMap((image) => (wanted.has(image.id) ? seen.get(image.id) ?? [] : image))) };
}

/** undefined: not known. */
export async function freeBytesAt(root: string | undefined): Promise<number | undefined> {
  if (root === undefined || root === '') return undefined;
  try {
    const { bavail, bsize } = await statfs(root);
    return bavail * bsize;
  } catch {
    return undefined;
  }
}

/**
 * The images of a file or directory: what docker save wrote, or an OCI layout.
 * @throws ImageError, or the operating system's error
 */
export async function readArchiveAt(path: string, deep: boolean, progress: (message: string) => void): Promise<readonly ArchiveImage[]> {
  const options = { deep, platform: HOST_PLATFORM };
  const found = await stat(path);
  if (found.isDirectory()) return readArchive(filesOfDirectory(path), options);
  if (!found.isFile()) throw new ImageError('it is neither a file nor a directory');
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const report = (bytes: number): void => progress(`reading ${path}: ${Math.floor(bytes / 2 ** 20)} of ${Math.ceil(found.size / 2 ** 20)} MiB`);
    return await readArchive(filesOfTar(reported(file.createReadStream({ highWaterMark: 256 << 10, autoClose: false }), report)), options);
  } finally {
    await file.close();
  }
}

/** The files of an OCI layout, index first; links are not followed. */
async function* filesOfDirectory(root: string): AsyncGenerator<ArchiveFile> {
  const blobs = await readdir(join(root, 'blobs', 'sha256')).catch(() => {
    throw new ImageError('it is no OCI layout: it has no directory blobs/sha256');
  });
  for (const path of ['index.json', ...blobs.map((name) => `blobs/sha256/${name}`)]) {
    const file = await open(join(root, path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: unknown) => {
      throw new ImageError(`its file ${path} cannot be read: ${messageOf(error)}`);
    });
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new ImageError(`its ${path} is no regular file`);
      yield { path, size: found.size, link: null, content: () => file.createReadStream({ highWaterMark: 256 << 10, autoClose: false }) };
    } finally {
      await file.close();
    }
  }
}

