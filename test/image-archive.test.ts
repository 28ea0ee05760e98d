import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { ArchiveImage } from '../src/image/archive.ts';
import { filesOfTar, readArchive } from '../src/image/archive.ts';
import { byteSource } from '../src/image/bytes.ts';
import { decompressed } from '../src/image/decompress.ts';
import { budgetOf, LIMITS, summarizeLayer } from '../src/image/layer.ts';
import { readArchiveAt } from '../src/image/look-inside.ts';
import { tarEntries } from '../src/image/tar.ts';
import type { ImageFilesystem } from '../src/model.ts';
import type { Member } from './tar-maker.ts';
import { blob, classic, classicMembers, descriptor, indexOf, members, oci, ociImage, pax, sha256, tar, zstd } from './tar-maker.ts';
import { fuzzRuns } from './support/hostile.ts';

const KEY = `-----BEGIN PRIVATE KEY-----\n${'MC4CAQAwBQYDK2VwBCIEIA'.repeat(3)}\n-----END PRIVATE KEY-----\n`;

/** In pieces of a size that no boundary of a tar knows. */
async function* pieces(bytes: Buffer, size = 1000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

const read = (bytes: Buffer, options: Partial<Parameters<typeof readArchive>[1]> = {}): Promise<readonly ArchiveImage[]> =>
  readArchive(filesOfTar(pieces(bytes)), { deep: true, platform: 'linux/amd64', ...options });

async function inside(bytes: Buffer, options: Partial<Parameters<typeof readArchive>[1]> = {}): Promise<ImageFilesystem> {
  const [image] = await read(bytes, options);
  if (image?.filesystem?.status !== 'present') throw new Error(JSON.stringify(image?.filesystem));
  return image.filesystem.value;
}

const layersOf = (...layers: readonly (readonly Member[])[]): Promise<ImageFilesystem> => inside(classic({ layers: layers.map((layer) => tar(...layer)) }));
const su: Member = { name: 'usr/bin/su', content: 'x', mode: 0o4755 };

const directory = mkdtempSync(join(tmpdir(), 'harden-image-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('what a container sees of layers', () => {
  const setuid = async (...layers: readonly (readonly Member[])[]): Promise<readonly string[]> => (await layersOf(...layers)).setuid.map(({ path, mode }) => `${path} ${mode.toString(8)}`);

  test('setuid and setgid files, hard links to them, however the link itself is marked', async () => {
    expect(await setuid([su, { name: './usr/bin/wall', content: 'x', mode: 0o2755 }, { name: '/usr/bin/other', type: '1', link: 'usr/bin/su', mode: 0o755 }, { name: 'bin', type: '2', link: 'usr/bin', mode: 0o4777 }]))
      .toEqual(['/usr/bin/su 4755', '/usr/bin/wall 2755', '/usr/bin/other 4755']);
  });

  const hiding: Readonly<Record<string, readonly Member[]>> = {
    'a whiteout of the file': [{ name: 'usr/bin/.wh.su' }],
    'a whiteout of a directory above': [{ name: '.wh.usr' }],
    'an opaque directory': [{ name: 'usr/bin/.wh..wh..opq' }],
    'an opaque directory above': [{ name: 'usr/.wh..wh..opq' }],
    'an opaque root': [{ name: '.wh..wh..opq' }],
    'the same file with another mode': [{ name: 'usr/bin/su', content: 'x', mode: 0o755 }],
    'a link in its place': [{ name: 'usr/bin/su', type: '2', link: 'x' }],
    'a directory in its place': [{ name: 'usr/bin/su/', type: '5' }],
    'a link in place of a directory above': [{ name: 'usr/bin', type: '2', link: '/opt' }],
  };
  test.each(Object.entries(hiding))('%s removes it', async (_, layer) => {
    expect(await setuid([su], layer)).toEqual([]);
    expect(await setuid([su], layer, [su])).toEqual(['/usr/bin/su 4755']);
  });

  const keeping: Readonly<Record<string, readonly Member[]>> = {
    'a directory above, again': [{ name: 'usr/bin/', type: '5', mode: 0o700 }],
    'a whiteout of another name': [{ name: 'usr/bin/.wh.s' }, { name: 'usr/.wh.bin2' }],
    'another opaque directory': [{ name: 'usr/lib/.wh..wh..opq' }],
    'names of AUFS': [{ name: '.wh..wh.plnk', type: '5' }, { name: '.wh..wh.usr' }],
  };
  test.each(Object.entries(keeping))('%s does not', async (_, layer) => {
    expect(await setuid([su], layer)).toEqual(['/usr/bin/su 4755']);
  });

  test('a whiteout in the layer of a file is about what lies below', async () => {
    expect(await setuid([{ name: 'usr/bin/.wh.su' }, su, { name: 'usr/bin/.wh..wh..opq' }])).toEqual(['/usr/bin/su 4755']);
  });

  test('the last of two members of one name', async () => {
    expect(await setuid([su, { ...su, mode: 0o755 }])).toEqual([]);
  });

  test('long names, PAX names, names that are no UTF-8', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/su`;
    expect(await setuid([
      { name: 'x', type: 'L', content: `${long}\0` }, { ...su, name: 'cut' }, pax({ path: `p/${long}` }), { ...su, name: 'cut' },
      { ...su, name: Buffer.from([0x61, 0xff, 0x62]) }, { ...su, name: Buffer.from([0x61, 0xfe, 0x62]) },
    ])).toEqual([`/${long} 4755`, `/p/${long} 4755`, '/a\ufffdb 4755', '/a\ufffdb 4755']);
  });
});

test('keys and credentials in every layer, and whether they are still seen', async () => {
  const { secrets } = await layersOf(
    [{ name: 'root/.ssh/anything', content: KEY }, { name: 'root/.npmrc', content: '//registry.example.com/:_authToken=abc\n' }, { name: 'etc/pki/chain.pem', content: `# ${'x'.repeat(20_000)}\n${KEY}` }],
    [{ name: 'root/.wh..ssh' }, { name: 'app/.env', content: 'A=1\nexport DB_PASSWORD=hunter2\n' }, { name: 'root/.docker/config.json', content: '{"auths":{"r":{"auth":"YTpi"}}}' }],
  );
  expect(secrets).toEqual([
    { path: '/root/.ssh/anything', what: 'a private key', layer: 1, removed: true },
    { path: '/root/.npmrc', what: 'credentials of npm', layer: 1, removed: false },
    { path: '/etc/pki/chain.pem', what: 'a private key', layer: 1, removed: false },
    { path: '/app/.env', what: 'secrets of an environment file', layer: 2, removed: false },
    { path: '/root/.docker/config.json', what: 'credentials of a registry', layer: 2, removed: false },
  ]);
  expect(JSON.stringify(secrets)).not.toMatch(/hunter2|YTpi|MC4C|abc/u);
});

test('what only resembles a secret is none', async () => {
  const { secrets } = await layersOf([
    { name: 'usr/lib/source.py', content: 'MARK = "-----BEGIN PRIVATE KEY-----"\n' }, { name: 'root/.npmrc', content: '//r/:_authToken=${NPM_TOKEN}\n_auth =\n' },
    { name: 'etc/ssl/ca.pem', content: '-----BEGIN CERTIFICATE-----\nMIIB\n' }, { name: 'app/.env.example', content: 'DB_PASSWORD=change-me\n' },
    { name: 'root/.docker/config.json', content: '{"auths":{},"credsStore":"pass"}' }, { name: 'root/.aws/credentials', content: '[default]\n# aws_secret_access_key = x\n' },
  ]);
  expect(secrets).toEqual([]);
});

test('accounts of the uppermost files', async () => {
  const { accounts } = await layersOf(
    [{ name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\nold::1:1::/:\n' }, { name: 'etc/shadow', content: 'root::1::::::\nbin:*:1::::::\n' }, { name: 'etc/group', content: 'a:x:5:\nb:x:5:\n' }],
    [{ name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\ntoor:x:00:0::/:/bin/sh\nroot:x:7:7::/:\n+::::::\n# no::\nbroken\n' }],
  );
  expect(accounts).toEqual({ status: 'present', value: {
    duplicates: [{ kind: 'uid', value: '0', names: ['root', 'toor'] }, { kind: 'user', value: 'root', names: ['root', 'root'] }, { kind: 'gid', value: '5', names: ['a', 'b'] }],
    emptyPasswords: [{ name: 'root', file: '/etc/shadow' }],
  } });
  expect((await layersOf([{ name: 'etc/passwd', content: 'a::1:1::/:\n' }], [{ name: 'etc/.wh.passwd' }])).accounts).toEqual({ status: 'absent' });
  for (const odd of [{ name: 'etc/passwd', type: '2', link: '/opt/passwd' }, { name: 'etc/shadow', type: '1', link: 'opt/x' }, { name: 'etc', type: '2', link: 'opt' }, { name: 'etc/passwd', content: 'x'.repeat(2 ** 20 + 1) }]) {
    expect((await layersOf([{ name: 'etc/passwd', content: 'a:x:1:1::/:\n' }], [odd])).accounts.status, odd.name).toBe('unreadable');
  }
});

test('packages of the uppermost databases', async () => {
  const status = 'Package: a\nStatus: install ok installed\n\nPackage: b\nStatus: deinstall ok config-files\n\nPackage: c\nStatus: hold ok installed\n';
  expect((await layersOf([{ name: 'var/lib/dpkg/status', content: status }])).packages).toEqual([{ manager: 'dpkg', count: 2 }]);
  expect((await layersOf([{ name: 'lib/apk/db/installed', content: 'C:x\nP:a\n\nP:b' }])).packages).toEqual([{ manager: 'apk', count: 2 }]);
  expect((await layersOf([{ name: 'var/lib/rpm/rpmdb.sqlite', content: 'x' }])).packages).toEqual([{ manager: 'rpm', count: null }]);
  expect((await layersOf([{ name: 'var/lib/dpkg/status.d/a', content: 'Package: a' }, { name: 'var/lib/dpkg/status.d/a.md5sums', content: 'x' }, { name: 'var/lib/dpkg/status.d/b', content: 'x' }], [{ name: 'var/lib/dpkg/status.d/.wh.b' }])).packages)
    .toEqual([{ manager: 'dpkg', count: 1 }]);
  expect((await layersOf([{ name: 'var/lib/dpkg/status', content: status }], [{ name: 'var/lib/dpkg/status', type: '2', link: '/opt/x' }])).packages).toEqual([{ manager: 'dpkg', count: null }]);
});

test('what package managers and authors left behind', async () => {
  const { leftovers } = await layersOf(
    [{ name: 'var/lib/apt/lists/lock' }, { name: 'var/lib/apt/lists/partial/', type: '5' }, { name: 'var/lib/apt/lists/deb', content: 'x' }, { name: 'var/lib/apt/lists/deb2', content: 'x' }, { name: 'app/.git/objects/a', content: 'x' }, { name: 'app/.git/HEAD', content: 'x' }],
    [{ name: 'var/lib/apt/lists/.wh.deb' }, { name: 'var/lib/apt/lists/.wh.deb2' }, { name: 'app/.git/.wh.HEAD' }, { name: 'app/Dockerfile', content: 'x' }, { name: 'app/node_modules/a/.vscode/x', content: 'x' }, { name: 'tmp/x', content: 'x' }],
  );
  expect(leftovers).toEqual([
    { kind: 'cache', path: '/var/lib/apt/lists', files: 2, layer: 1, removed: true },
    { kind: 'unneeded', path: '/app/.git', files: 2, layer: 1, removed: false },
    { kind: 'unneeded', path: '/app/Dockerfile', files: 1, layer: 2, removed: false },
    { kind: 'unneeded', path: '/tmp', files: 1, layer: 2, removed: false },
  ]);
  const many = Array.from({ length: 700 }, (_, index): Member => ({ name: `tmp/${index}` }));
  expect((await layersOf(many, many.map(({ name }) => ({ name: `tmp/.wh.${String(name).slice(4)}` })))).leftovers).toMatchObject([{ path: '/tmp', files: 700, removed: false }]);
});

describe('layouts', () => {
  const layer = tar(su, { name: 'root/key', content: KEY });

  test.each([['plain', layer], ['gzip', gzipSync(layer)], ['two gzip members', Buffer.concat([gzipSync(layer.subarray(0, 700)), gzipSync(layer.subarray(700))])], ['zstd', zstd(layer)], ['two zstd frames', Buffer.concat([zstd(layer.subarray(0, 700)), zstd(layer.subarray(700))])]])('an OCI layout with %s layers', async (_, stored) => {
    const [image] = await read(oci({ layers: [stored], plain: [layer], config: { User: 'app' }, tag: 'docker.io/library/x:1' }));
    expect(image).toMatchObject({ tags: ['docker.io/library/x:1'], document: { config: { User: 'app' } }, sizeBytes: stored.length, filesystem: { value: { layers: 1, platform: null, setuid: [{ path: '/usr/bin/su' }], secrets: [{ path: '/root/key' }] } } });
    expect(image?.id).toMatch(/^sha256:[0-9a-f]{64}$/u);
  });

  test('what zstd itself compressed', async () => {
    const unpacked: Buffer[] = [];
    for await (const chunk of decompressed(pieces(readFileSync('fixtures/raw/images/layer.tar.zst'), 7))) unpacked.push(chunk);
    expect(Buffer.concat(unpacked)).toEqual(Buffer.concat([layer, tar({ name: 'text', content: Array.from({ length: 20_000 }, (_, index) => `line ${index}\n`).join('') })]));
  });

  test('the classic layout, with a layer that is a link to an equal one, compressed as a whole, documents first or last', async () => {
    const parts = { layers: [layer, tar({ name: 'usr/bin/.wh.su' }), layer] };
    const list = classicMembers(parts);
    for (const archive of [classic(parts), gzipSync(classic(parts)), tar(...list.toReversed())]) {
      const [image] = await read(archive);
      expect(image).toMatchObject({ tags: ['a:1'], filesystem: { value: { layers: 3, setuid: [{ path: '/usr/bin/su' }], secrets: [{ layer: 1, removed: true }, { layer: 3 }] } } });
    }
    expect((await read(classic(parts), { deep: false }))[0]).not.toHaveProperty('filesystem');
  });

  test('of a list for several platforms the one of this host, else the first; what is no image is left out', async () => {
    const [amd, arm] = [ociImage({ layers: [layer], architecture: 'amd64' }), ociImage({ layers: [tar({ name: 'x' })], architecture: 'arm64' })];
    const attestation = JSON.stringify({ config: {}, layers: [], attestation: true });
    const nested = indexOf(
      descriptor(arm.manifest, { platform: { os: 'linux', architecture: 'arm64' } }), descriptor(amd.manifest, { platform: { os: 'linux', architecture: 'amd64' } }),
      descriptor(attestation, { platform: { os: 'unknown', architecture: 'unknown' } }), descriptor('not here', { platform: { os: 'linux', architecture: 's390x' } }),
    );
    const archive = tar(...amd.blobs, ...arm.blobs, blob(attestation), blob(nested), { name: 'index.json', content: indexOf(descriptor(nested)) });
    expect(await inside(archive)).toMatchObject({ platform: 'linux/amd64', setuid: [{ path: '/usr/bin/su' }] });
    expect(await inside(archive, { platform: 'linux/riscv64' })).toMatchObject({ platform: 'linux/arm64', setuid: [] });
  });

  test('an OCI layout directory', async () => {
    const { manifest, blobs } = ociImage({ layers: [gzipSync(layer)], plain: [layer] });
    for (const { name, content = '' } of [...blobs, { name: 'index.json', content: indexOf(descriptor(manifest)) }]) {
      const path = join(directory, String(name));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, content);
    }
    expect((await readArchiveAt(directory, true, () => undefined))[0]).toMatchObject({ filesystem: { value: { setuid: [{ path: '/usr/bin/su' }] } } });
  });

  test('a thousand layers', async () => {
    const layers = Array.from({ length: 1000 }, (_, index) => tar({ ...su, name: `bin/${index}` }, { name: `bin/.wh.${index - 1}` }));
    expect((await inside(classic({ layers }))).setuid.map(({ path }) => path)).toEqual(['/bin/999']);
  });
});

describe('what is no archive, or lies', () => {
  const layer = tar(su);
  const good = classic({ layers: [layer] });
  const list = classicMembers({ layers: [layer] });
  const refused: Readonly<Record<string, readonly [Buffer, string]>> = {
    'an empty file': [Buffer.alloc(0), 'empty'],
    'no tar': [Buffer.from('x'.repeat(2000)), 'checksum of a header'],
    'a tar of something else': [tar({ name: 'a', content: 'b' }), 'neither manifest.json nor index.json'],
    'an empty tar': [Buffer.alloc(1024), 'neither manifest.json nor index.json'],
    'a truncated tar': [good.subarray(0, good.length - 1500), 'ends in the middle'],
    'a truncated gzip': [gzipSync(good).subarray(0, 400), 'gzip data is broken'],
    'a missing layer': [tar(...list.slice(1)), 'layer 1 is not in it'],
    'a missing configuration': [tar(...list.filter(({ name }) => !/^[0-9a-f]{64}\.json$/u.test(String(name)))), 'a configuration that is not in it'],
    'a changed configuration': [tar(...list.map((member) => (/^[0-9a-f]{64}\.json$/u.test(String(member.name)) ? { ...member, content: `${String(member.content)} ` } : member))), 'other bytes than its digest says'],
    'a layer that was exchanged': [tar(...list.map((member) => (String(member.name).endsWith('layer.tar') ? { ...member, content: tar() } : member))), 'other files than the digest'],
    'a manifest that is no JSON': [tar({ name: 'manifest.json', content: '[{' }), 'no JSON document'],
    'a manifest without images': [tar({ name: 'manifest.json', content: '[]' }), 'lists no image'],
    'a manifest of other things': [tar({ name: 'manifest.json', content: '[1,null]' }), 'names a configuration that is not in it'],
    'a link without end': [tar({ name: 'manifest.json', type: '2', link: 'manifest.json' }), 'link without end'],
    'a name that leads out': [tar({ name: '../x' }), 'leads out'],
    'a size beyond the end': [members([{ name: 'x', size: 2 ** 30 }]), 'ends in the middle'],
    'an extended header without end': [members([{ name: 'x', type: 'x', size: 2 ** 32 }]), 'too long'],
    'an index that names no digest': [tar({ name: 'index.json', content: indexOf({ digest: '../../etc/passwd' }) }), 'no sha256 digest'],
    'a blob that is missing': [tar({ name: 'index.json', content: indexOf(descriptor('{}')) }), 'which is not in it'],
    'a blob with another digest': [tar({ name: `blobs/sha256/${sha256('a')}`, content: '{}' }, { name: 'index.json', content: '{}' }), 'other bytes than its digest says'],
    'a window of zstd that nobody can hold': [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 1, 0, 0]), 'window of more than'],
    'broken zstd': [Buffer.concat([zstd(good).subarray(0, 6), Buffer.alloc(300, 0xff)]), 'zstd data is broken'],
  };
  test.each(Object.entries(refused))('%s', async (_, [bytes, why]) => {
    await expect(read(bytes)).rejects.toThrow(why);
    await expect(read(bytes)).rejects.toMatchObject({ name: 'ImageError' });
  });

  const unread: Readonly<Record<string, readonly [Buffer, string]>> = {
    'is no tar': [Buffer.from('x'.repeat(600)), 'no valid tar'],
    'lies about a size': [members([{ ...su, size: 5000 }]), 'ends in the middle'],
    'has a path that is too long': [tar(pax({ path: 'x'.repeat(5000) }), su), 'more than 4096 bytes'],
    'has too many files': [tar(...Array.from({ length: 30 }, () => ({ name: 'x' }))), 'more than 20 files'],
    'unpacks to too much': [tar({ name: 'x', content: Buffer.alloc(3 << 20) }), 'unpack to more'],
    'has too much to list': [tar(...Array.from({ length: 15 }, (_, index) => ({ ...su, name: `${index}${'y'.repeat(95)}` }))), 'too many'],
    'has members after its end': [Buffer.concat([Buffer.alloc(512), tar(su)]), 'follows its end'],
  };
  test.each(Object.entries(unread))('a layer that %s leaves its image unread', async (_, [bytes, why]) => {
    const [image] = await read(classic({ layers: [layer, bytes] }), { limits: { entries: 20, bytes: 2 << 20, remembered: 2000 } });
    expect(image?.filesystem).toEqual({ status: 'unreadable', reason: expect.stringContaining(why) as string });
    expect(JSON.stringify(image?.filesystem)).toContain('layer 2 of 2');
  });

  test.each([['gzip', gzipSync], ['zstd', zstd]] as const)('a bomb in %s leaves its image unread', async (_, compress) => {
    const plain = tar({ name: 'zeros', content: Buffer.alloc(8 << 20) });
    const [image] = await read(oci({ layers: [compress(plain)], plain: [plain] }), { harmlessBytes: 1 << 20 });
    expect(image?.filesystem).toEqual({ status: 'unreadable', reason: expect.stringContaining('bomb') as string });
  });

  test('arbitrary bytes, in archives and in layers, never crash and never pass for files', async () => {
    const settle = async (bytes: Buffer): Promise<unknown> => read(bytes).catch((error: unknown) => {
      if (!(error instanceof Error && error.name === 'ImageError')) throw error;
      return null;
    });
    const damaged = fc.tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }));
    const compressed = gzipSync(good);
    const frames = zstd(good);
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), damaged, async (bytes, [at, patch]) => {
      expect(await settle(Buffer.from(bytes))).toBeNull();
      for (const whole of [good, compressed, frames]) {
        const copy = Buffer.from(whole);
        copy.set(patch.subarray(0, Math.max(0, copy.length - (at % copy.length))), at % copy.length);
        const images = await settle(copy) as readonly ArchiveImage[] | null;
        for (const image of images ?? []) {
          // What is still taken for the image is the image: its layer is proven by its digest.
          if (image.filesystem?.status === 'present') expect(image.filesystem.value.setuid).toMatchObject([{ path: '/usr/bin/su' }]);
        }
      }
      const [image] = await read(classic({ layers: [Buffer.from(bytes)] }));
      if (image?.filesystem?.status === 'present') expect(bytes.every((byte) => byte === 0)).toBe(true);
    }), { numRuns: fuzzRuns(30), endOnFailure: true });
  });
});

test('no more than a little is held, however large a file is', async () => {
  const chunk = Buffer.alloc(64 << 10, 'x');
  async function* large(): AsyncGenerator<Buffer> {
    yield members([{ name: 'large', size: 64 << 20 }]).subarray(0, 512);
    for (let sent = 0; sent < 64 << 20; sent += chunk.length) yield await Promise.resolve(chunk);
    yield Buffer.alloc(1024);
  }
  const source = byteSource(large());
  let count = 0;
  for await (const entry of tarEntries(source)) {
    await entry.head(8 << 10);
    count += 1;
  }
  expect(count).toBe(1);
  expect(source.peak).toBeLessThanOrEqual(2 * chunk.length);

  const compressed = zstd(Buffer.alloc(32 << 20));
  let largest = 0;
  for await (const piece of decompressed(pieces(compressed))) largest = Math.max(largest, piece.length);
  expect(largest).toBeLessThanOrEqual(128 << 10);
  expect((await summarizeLayer(large(), budgetOf(LIMITS))).secrets.size).toBe(0);
});
