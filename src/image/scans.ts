import type { ImageFacts, VulnerabilityScan } from '../model.ts';

const DIGEST = /(?:^|@)(sha256:[0-9a-f]{64})$/u;

/** The digest of "sha256:…" or "repository@sha256:…"; null for anything else, such as a tag. */
export const digestOf = (reference: string): string | null => DIGEST.exec(reference)?.[1] ?? null;

/**
 * Whether a scan is of this image: by its id, or by a digest under which a registry knows it; never by a tag, which moves.
 * Images of several platforms share the digest of their index. Where the engine calls an image by its configuration, a scan that names
 * another configuration is of another platform.
 */
export function isScanOf({ imageId, digests }: VulnerabilityScan, image: ImageFacts): boolean {
  if (imageId === image.id || digests.includes(image.id)) return true;
  const own = image.digests.map(digestOf).filter((digest) => digest !== null);
  const idIsConfiguration = !own.includes(image.id);
  return (imageId === null || !idIsConfiguration) && own.some((digest) => digests.includes(digest));
}
