import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { messageOf, UsageError } from '../errors.ts';
import { parseDockerfile } from '../image/dockerfile.ts';
import type { Dockerfile } from '../image/dockerfile.ts';
import type { Facts, ImageFacts } from '../model.ts';
import type { GivenDockerfile } from '../plan/dockerfile.ts';

/** A --dockerfile that was read; which image it means is known once the host is. */
export interface NamedDockerfile {
  readonly image: string;
  readonly path: string;
  readonly dockerfile: Dockerfile;
}

/** A Dockerfile larger than this is none. */
const MAX_BYTES = 256 << 10;

/**
 * Reads the files of --dockerfile IMAGE=PATH, before anything slow happens.
 * @throws UsageError for what is not IMAGE=PATH, an image named twice, and a file that is no Dockerfile
 */
export async function readDockerfiles(options: readonly string[], cwd: string): Promise<readonly NamedDockerfile[]> {
  const seen = new Set<string>();
  const named = options.map((option) => {
    const equals = option.indexOf('=');
    const [image, path] = [option.slice(0, Math.max(equals, 0)), option.slice(equals + 1)];
    if (image === '' || path === '') throw new UsageError(`--dockerfile ${option}: it must be IMAGE=PATH\nName the image and the Dockerfile that it is built from, as in --dockerfile web:1=./Dockerfile.`);
    if (/\p{Cc}/u.test(path)) throw new UsageError(`--dockerfile ${option}: a path with control characters cannot stand in a patch; rename the file`);
    const ref = canonical(image);
    if (seen.has(ref)) throw new UsageError(`--dockerfile names the image ${image} twice; an image is built from one Dockerfile`);
    seen.add(ref);
    return { image, path };
  });
  return Promise.all(named.map(async ({ image, path }) => ({ image, path, dockerfile: parseDockerfile(await readText(resolve(cwd, path), path), path) })));
}

async function readText(file: string, path: string): Promise<string> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw new UsageError(`${path} is not a regular file\nGive --dockerfile the path of the Dockerfile itself.`);
      if (stat.size > MAX_BYTES) throw new UsageError(`${path} is larger than 256 KiB, so it is no Dockerfile\nGive --dockerfile the path of the Dockerfile itself.`);
      const bytes = await handle.readFile();
      if (bytes.includes(0)) throw new UsageError(`${path} is binary, so it is no Dockerfile\nGive --dockerfile the path of the Dockerfile itself.`);
      return decode(bytes, path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be read: ${messageOf(error)}\nGive --dockerfile a path that this user may read.`, { cause: error });
  }
}

function decode(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`${path} is not valid UTF-8, so a patch of it could not keep its bytes\nSave it as UTF-8.`, { cause: error });
  }
}

/** A reference with what Docker leaves out: "web" is "web:latest", "docker.io/library/web:1" is "web:1". */
function canonical(reference: string): string {
  const short = reference.replace(/^(?:(?:index\.)?docker\.io\/)(?:library\/)?/u, '');
  if (/^(?:sha256:)?[0-9a-f]{64}$/u.test(short) || short.includes('@')) return short;
  return /:[^/]*$/u.test(short) ? short : `${short}:latest`;
}

const isNamed = ({ id, tags, digests }: ImageFacts, reference: string): boolean =>
  id === reference || [...tags, ...digests].some((name) => canonical(name) === canonical(reference));
const hasPrefix = ({ id }: ImageFacts, reference: string): boolean =>
  /^[0-9a-f]{4,64}$/u.test(reference.replace(/^sha256:/u, '')) && id.replace(/^sha256:/u, '').startsWith(reference.replace(/^sha256:/u, ''));

/**
 * Which image of the host each Dockerfile is of.
 * @throws UsageError where that is none, several, or one that has a Dockerfile already
 */
export function matchDockerfiles(named: readonly NamedDockerfile[], { images }: Facts): readonly GivenDockerfile[] {
  if (named.length === 0) return [];
  if (images.status !== 'present') throw new UsageError(`--dockerfile: the images of the engine cannot be read${images.status === 'unreadable' ? `: ${images.reason}` : ''}`);
  const given = new Map<string, GivenDockerfile>();
  for (const { image, path, dockerfile } of named) {
    const exact = images.value.filter((candidate) => isNamed(candidate, image));
    const matching = exact.length > 0 ? exact : images.value.filter((candidate) => hasPrefix(candidate, image));
    const [found] = matching;
    if (found === undefined) throw new UsageError(`--dockerfile ${image}=${path}: the engine has no image ${image}\n\`docker image ls\` lists them; give NAME:TAG or an id.`);
    if (matching.length > 1) throw new UsageError(`--dockerfile ${image}=${path}: ${matching.length} images match ${image}\nGive NAME:TAG, or more of the id.`);
    const other = given.get(found.id);
    if (other !== undefined) throw new UsageError(`--dockerfile ${image}=${path}: the image has ${other.path} already\nAn image is built from one Dockerfile; leave one of them out.`);
    given.set(found.id, { image: found.id, path, dockerfile });
  }
  return [...given.values()];
}
