import { createHash } from 'node:crypto';
import { at, list, text, texts } from '../collect/json.ts';
import { sha256 } from '../digest.ts';
import type { ImageFilesystem, Json, JsonObject, Observed } from '../model.ts';
import { present, unreadable } from '../model.ts';
import { byteSource, chunksOf, ImageError } from './bytes.ts';
import { decompressed } from './decompress.ts';
import { combineLayers } from './filesystem.ts';
import type { LayerSummary, Limits } from './layer.ts';
import { budgetOf, LIMITS, summarizeLayer } from './layer.ts';
import { cleanPath, tarEntries } from './tar.ts';

/** One file of an archive or an OCI layout directory. */
export interface ArchiveFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly size: number;
  /** Where a link leads, from the root of the archive; null: a file. */
  readonly link: string | null;
  content(): AsyncIterable<Uint8Array>;
}

export interface ArchiveImage {
  /** sha256:… of its configuration. */
  readonly id: string;
  readonly tags: readonly string[];
  /** The image's configuration document: `config`, `history`, `created`, `rootfs`. */
  readonly document: JsonObject;
  /** Of its layers in the archive. */
  readonly sizeBytes: number;
  /** Only with `deep`. */
  readonly filesystem?: Observed<ImageFilesystem>;
}

export interface ArchiveOptions {
  /** Look into the layers; otherwise only what documents say is read. */
  readonly deep: boolean;
  /** "linux/amd64": which image of several for different platforms is taken; without it in the archive, the first. */
  readonly platform: string;
  readonly limits?: Limits;
  /** Bytes that a compressed layer may always unpack to. */
  readonly harmlessBytes?: number;
}

/** Documents are small; all that are held together are no more than this. */
const MAX_DOCUMENT = 4 << 20;
const MAX_DOCUMENTS = 16 << 20;
const MAX_FILES = 100_000;
/** Lists of lists of images: deeper than anyone writes. */
const MAX_NESTING = 4;

/** What is known of an archive once all of it was read: files come in any order. */
interface Contents {
  readonly documents: ReadonlyMap<string, Buffer>;
  readonly sizes: ReadonlyMap<string, number>;
  readonly links: ReadonlyMap<string, string>;
  /** A reason where a layer could not be read. */
  readonly layers: ReadonlyMap<string, LayerSummary | string>;
}

/** The files of a tar as `docker save` writes it, plain or compressed. */
export async function* filesOfTar(input: AsyncIterable<Uint8Array>): AsyncGenerator<ArchiveFile> {
  const source = byteSource(decompressed(input));
  try {
    if ((await source.peek(1)).length === 0) throw new ImageError('it is empty');
    for await (const entry of tarEntries(source)) {
      const { path, type, size } = entry;
      if (type === 'file') yield { path, size, link: null, content: () => entry.content() };
      else if (type === 'link' || type === 'symlink') {
        const from = type === 'link' || entry.link.startsWith('/') ? '' : path.slice(0, path.lastIndexOf('/') + 1);
        yield { path, size: 0, link: cleanPath(from + entry.link), content: () => entry.content() };
      }
    }
  } finally {
    await source.close();
  }
}

/**
 * The images of an archive (docker save, classic or OCI layout), read in one pass, whatever the order of its files: of each layer a
 * summary is kept.
 * @throws ImageError when it is no archive of images, lacks a part, or holds other bytes than its digests say; a single layer that cannot be
 *   read only makes the file system of its images unreadable
 */
export async function readArchive(files: AsyncIterable<ArchiveFile>, options: ArchiveOptions): Promise<readonly ArchiveImage[]> {
  const contents = await readContents(files, options);
  const classic = documentAt(contents, 'manifest.json');
  if (classic !== null) {
    const listed = list(classic);
    if (listed.length === 0) throw new ImageError('its manifest.json lists no image');
    return listed.map((entry) => classicImage(contents, entry, options));
  }
  const index = documentAt(contents, 'index.json');
  if (index === null) throw new ImageError('it holds no image: neither manifest.json nor index.json is in it');
  return ociImages(contents, index, options);
}

async function readContents(files: AsyncIterable<ArchiveFile>, { deep, limits = LIMITS, harmlessBytes }: ArchiveOptions): Promise<Contents> {
  const documents = new Map<string, Buffer>();
  const sizes = new Map<string, number>();
  const links = new Map<string, string>();
  const layers = new Map<string, LayerSummary | string>();
  const budget = budgetOf(limits);
  let held = 0;
  for await (const file of files) {
    const { path, size, link } = file;
    if (sizes.size + links.size > MAX_FILES) throw new ImageError(`it holds more than ${MAX_FILES} files`);
    if (link !== null) {
      links.set(path, link);
      continue;
    }
    sizes.set(path, size);
    const blob = /^blobs\/sha256\/([0-9a-f]{64})$/u.exec(path)?.[1];
    const mayBeDocument = /^[^/]+\.json$/u.test(path) || blob !== undefined;
    const mayBeLayer = blob !== undefined || /\.tar(?:\.\w+)?$/u.test(path);
    if (!mayBeDocument && !mayBeLayer) continue;
    const digest = createHash('sha256');
    const source = byteSource(hashed(file.content(), digest));
    try {
      if (mayBeDocument && /^\s*[{[]/u.test((await source.peek(16)).toString('latin1'))) {
        if (size > MAX_DOCUMENT || (held += size) > MAX_DOCUMENTS) throw new ImageError(`${path} is too large for a document of an image`);
        documents.set(path, Buffer.from(await source.take(size)));
      } else if (deep && mayBeLayer) layers.set(path, await layerAt(chunksOf(source), budget, harmlessBytes));
      if (blob !== undefined) {
        while ((await source.some(1 << 16)).length > 0);
        if (digest.digest('hex') !== blob) throw new ImageError(`the blob sha256:${blob} holds other bytes than its digest says`);
      }
    } finally {
      await source.close();
    }
  }
  return { documents, sizes, links, layers };
}

async function* hashed(input: AsyncIterable<Uint8Array>, digest: ReturnType<typeof createHash>): AsyncGenerator<Uint8Array> {
  for await (const chunk of input) {
    digest.update(chunk);
    yield chunk;
  }
}

async function layerAt(input: AsyncIterable<Uint8Array>, budget: ReturnType<typeof budgetOf>, harmlessBytes: number | undefined): Promise<LayerSummary | string> {
  try {
    return await summarizeLayer(input, budget, harmlessBytes);
  } catch (error) {
    if (error instanceof ImageError) return error.message;
    throw error;
  }
}

/** A file by its name, links followed. */
function resolvePath({ links }: Contents, path: string): string {
  let here = path;
  for (let hops = 0; links.has(here); hops += 1) {
    if (hops > 40) throw new ImageError(`${path} is a link without end`);
    here = links.get(here) ?? here;
  }
  return here;
}

/** null: it is not there. */
function documentAt(contents: Contents, path: string): Json | null {
  const real = resolvePath(contents, path);
  const bytes = contents.documents.get(real);
  if (bytes === undefined) {
    if (contents.sizes.has(real)) throw new ImageError(`${path} is no JSON document`);
    return null;
  }
  try {
    return JSON.parse(bytes.toString('utf8'), (key, member: Json) => (key === '__proto__' ? undefined : member)) as Json;
  } catch {
    throw new ImageError(`${path} is no JSON document`);
  }
}


/** One image of manifest.json (docker save). */
function classicImage(contents: Contents, entry: Json, options: ArchiveOptions): ArchiveImage {
  const path = text(at(entry, 'Config'));
  const document = documentAt(contents, path);
  if (document === null) throw new ImageError(`its manifest.json names a configuration that is not in it: ${path === '' ? '(none)' : path}`);
  const digest = sha256(contents.documents.get(resolvePath(contents, path)) ?? Buffer.alloc(0));
  const stated = /^(?:.*\/)?([0-9a-f]{64})(?:\.json)?$/u.exec(path)?.[1];
  if (stated !== undefined && stated !== digest) throw new ImageError(`${path} holds other bytes than its digest says`);
  return imageOf(contents, { digest, document, tags: texts(at(entry, 'RepoTags')), layers: texts(at(entry, 'Layers')), platform: null }, options);
}

interface Found {
  readonly digest: string;
  readonly document: Json;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
  readonly platform: string | null;
}

function imageOf(contents: Contents, { digest, document, tags, layers, platform }: Found, { deep }: ArchiveOptions): ArchiveImage {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new ImageError('the configuration of an image is no JSON object');
  const paths = layers.map((layer) => resolvePath(contents, cleanPath(layer)));
  const missing = paths.findIndex((path) => !contents.sizes.has(path));
  if (missing !== -1) throw new ImageError(`layer ${missing + 1} is not in it: ${layers[missing] ?? ''}`);
  const image = {
    id: `sha256:${digest}`, tags, document, sizeBytes: paths.reduce((sum, path) => sum + (contents.sizes.get(path) ?? 0), 0),
  };
  return deep ? { ...image, filesystem: filesystemOf(contents, paths, texts(at(document, 'rootfs', 'diff_ids')), platform) } : image;
}

function filesystemOf({ layers }: Contents, paths: readonly string[], diffIds: readonly string[], platform: string | null): Observed<ImageFilesystem> {
  if (diffIds.length !== paths.length) throw new ImageError(`its configuration names ${diffIds.length} layers, and its manifest ${paths.length}`);
  const summaries: LayerSummary[] = [];
  for (const [index, path] of paths.entries()) {
    const layer = layers.get(path);
    if (layer === undefined || typeof layer === 'string') return unreadable(`layer ${index + 1} of ${paths.length} cannot be read: ${layer ?? 'it is no layer'}`);
    if (layer.diffId !== diffIds[index]) throw new ImageError(`layer ${index + 1} of ${paths.length} holds other files than the digest in its configuration says`);
    summaries.push(layer);
  }
  return present(combineLayers(summaries, platform));
}

/** A manifest that an index names, with what the index says of it. */
interface Descriptor {
  readonly manifest: Json;
  readonly platform: string | null;
}

const REF = 'org.opencontainers.image.ref.name';
const NAME = 'io.containerd.image.name';

/** The images of an OCI layout: those of index.json that have names of their own, and of each that is there for several platforms one. */
function ociImages(contents: Contents, index: Json, options: ArchiveOptions): readonly ArchiveImage[] {
  const named = new Map<string, Json[]>();
  for (const descriptor of list(at(index, 'manifests'))) {
    const name = text(at(descriptor, 'annotations', NAME)) || text(at(descriptor, 'annotations', REF));
    named.set(name, [...(named.get(name) ?? []), descriptor]);
  }
  const images = [...named].flatMap(([name, descriptors]): readonly ArchiveImage[] => {
    const found = descriptors.flatMap((descriptor) => manifestsOf(contents, descriptor, 0));
    const chosen = found.find(({ platform }) => platform === options.platform) ?? found[0];
    if (chosen === undefined) return [];
    const digest = text(at(chosen.manifest, 'config', 'digest'));
    const document = blobAt(contents, digest);
    return [imageOf(contents, {
      digest: digest.replace(/^sha256:/u, ''), document, tags: name === '' ? [] : [name],
      layers: list(at(chosen.manifest, 'layers')).map((layer) => blobPath(text(at(layer, 'digest')))),
      platform: found.length > 1 ? (chosen.platform ?? platformOf(document)) : null,
    }, options)];
  });
  if (images.length === 0) throw new ImageError('its index.json lists no image');
  return images;
}

function manifestsOf(contents: Contents, descriptor: Json, depth: number): readonly Descriptor[] {
  const platform = platformOf(at(descriptor, 'platform'));
  // What builders add about an image: where it came from, what is in it.
  if (platform === 'unknown/unknown' || text(at(descriptor, 'annotations', 'vnd.docker.reference.type')) !== '') return [];
  const document = blobAt(contents, text(at(descriptor, 'digest')));
  const nested = at(document, 'manifests');
  if (nested === undefined) return at(document, 'config') === undefined || at(document, 'layers') === undefined ? [] : [{ manifest: document, platform }];
  if (depth >= MAX_NESTING) throw new ImageError('its lists of images are nested too deeply');
  return list(nested).flatMap((inner) => {
    // An archive for one platform keeps the list of all, without the others' manifests.
    const here = contents.sizes.has(resolvePath(contents, blobPath(text(at(inner, 'digest')))));
    return here ? manifestsOf(contents, inner, depth + 1) : [];
  });
}

function platformOf(of: Json | undefined): string | null {
  const [os, architecture] = [text(at(of, 'os')), text(at(of, 'architecture'))];
  return os === '' && architecture === '' ? null : `${os}/${architecture}`;
}

const blobPath = (digest: string): string => {
  if (!/^sha256:[0-9a-f]{64}$/u.test(digest)) throw new ImageError(`it names a blob by no sha256 digest: ${digest.slice(0, 100)}`);
  return `blobs/${digest.replace(':', '/')}`;
};

function blobAt(contents: Contents, digest: string): Json {
  const document = documentAt(contents, blobPath(digest));
  if (document === null) throw new ImageError(`it names the blob ${digest}, which is not in it`);
  return document;
}
