import { createHash } from 'node:crypto';

/** A member of a tar that a test makes. */
export interface Member {
  readonly name: string | Buffer;
  readonly content?: string | Buffer;
  /** "0" file (default), "1" hard link, "2" symbolic link, "5" directory, "x" extended header, "L" long name. */
  readonly type?: string;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  /** What the header states where that is a lie. */
  readonly size?: number;
}

export const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** The members, without the end of the archive. */
export function members(list: readonly Member[]): Buffer {
  return Buffer.concat(list.flatMap(({ name, content = '', type = '0', link = '', mode = 0o644, uid = 0, size }) => {
    const body = Buffer.from(content as string);
    const header = Buffer.alloc(512);
    Buffer.from(name as string).copy(header, 0, 0, 100);
    header.write(`${mode.toString(8).padStart(7, '0')}\0${uid.toString(8).padStart(7, '0')}\0${'0'.repeat(7)}\0`, 100, 'latin1');
    header.write(`${(size ?? body.length).toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0        ${type}`, 124, 'latin1');
    header.write(link, 157, 100, 'latin1');
    header.write('ustar\x0000', 257, 'latin1');
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  }));
}

export const tar = (...list: readonly Member[]): Buffer => Buffer.concat([members(list), Buffer.alloc(1024)]);

/** An extended header for the member that follows. */
export function pax(records: Readonly<Record<string, string>>): Member {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = Buffer.byteLength(rest) + 1;
    while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
    return `${length}${rest}`;
  });
  return { name: 'pax', type: 'x', content: lines.join('') };
}

interface ImageParts {
  /** As they are stored: plain or compressed. */
  readonly layers: readonly Buffer[];
  /** Plain, where they are stored compressed. */
  readonly plain?: readonly Buffer[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly tag?: string;
  readonly architecture?: string;
}

const documentOf = ({ layers, plain = layers, config = {}, architecture = 'amd64' }: ImageParts): string => JSON.stringify({
  architecture, os: 'linux', created: '2026-11-01T00:00:00Z', config, history: [{ created: '2026-11-01T00:00:00Z', created_by: '/bin/sh -c #(nop)  CMD ["sh"]' }],
  rootfs: { type: 'layers', diff_ids: plain.map((layer) => `sha256:${sha256(layer)}`) },
});

/** What engines before 25 save: a directory per layer, and the same layer a second time as a link. */
export function classicMembers(parts: ImageParts): readonly Member[] {
  const document = documentOf(parts);
  const first = new Map<string, string>();
  const stored = parts.layers.map((layer, index): Member => {
    const path = `${String(index).padStart(64, '0')}/layer.tar`;
    const before = first.get(sha256(layer));
    first.set(sha256(layer), before ?? path);
    return before === undefined ? { name: path, content: layer } : { name: path, type: '2', link: `../${before}` };
  });
  return [
    ...stored, { name: `${sha256(document)}.json`, content: document },
    { name: 'manifest.json', content: JSON.stringify([{ Config: `${sha256(document)}.json`, RepoTags: [parts.tag ?? 'a:1'], Layers: stored.map(({ name }) => name) }]) },
  ];
}

export const classic = (parts: ImageParts): Buffer => tar(...classicMembers(parts));

export const blob = (content: string | Buffer): Member => ({ name: `blobs/sha256/${sha256(content)}`, content });
export const descriptor = (content: string | Buffer, more: object = {}): object => ({ digest: `sha256:${sha256(content)}`, size: Buffer.byteLength(content), ...more });

/** The manifest of an image and the blobs that it needs. */
export function ociImage(parts: ImageParts): { readonly manifest: string; readonly blobs: readonly Member[] } {
  const document = documentOf(parts);
  const manifest = JSON.stringify({ schemaVersion: 2, config: descriptor(document), layers: parts.layers.map((layer) => descriptor(layer)) });
  return { manifest, blobs: [document, manifest, ...parts.layers].map(blob) };
}

export const indexOf = (...manifests: readonly object[]): string => JSON.stringify({ schemaVersion: 2, manifests });

export const oci = (parts: ImageParts): Buffer => {
  const { manifest, blobs } = ociImage(parts);
  return tar(...blobs, { name: 'index.json', content: indexOf(descriptor(manifest, { annotations: { 'io.containerd.image.name': parts.tag ?? 'a:1' } })) });
};

const BLOCK = 4 << 10;

/** A zstd frame of blocks that are stored as they are, or as one byte and a length: what any decoder must take. */
export function zstd(bytes: Buffer): Buffer {
  const count = Math.max(1, Math.ceil(bytes.length / BLOCK));
  const blocks = Array.from({ length: count }, (_, index) => {
    const block = bytes.subarray(index * BLOCK, (index + 1) * BLOCK);
    const repeated = block.length > 1 && block.every((byte) => byte === block[0]);
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (repeated ? 2 : 0) | (index === count - 1 ? 1 : 0), 0, 3);
    return Buffer.concat([header, repeated ? block.subarray(0, 1) : block]);
  });
  // Magic number, a descriptor without size and checksum, a window of 128 KiB.
  return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38]), ...blocks]);
}
