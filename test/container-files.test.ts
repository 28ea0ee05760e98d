import { describe, expect, test } from 'vitest';
import { changedPaths, readAdded, withAddedFiles } from '../src/container/look-inside.ts';
import type { Engine } from '../src/host/engine.ts';
import { LIMITS } from '../src/image/layer.ts';
import type { AddedFiles, Facts, ImageFilesystem, Json, Observed, TargetSelection } from '../src/model.ts';
import { absent, present } from '../src/model.ts';
import { exportSnapshot } from '../src/snapshot.ts';
import { loadHost } from './hosts.ts';
import type { Member } from './tar-maker.ts';
import { members, pax, tar } from './tar-maker.ts';

const KEY = `-----BEGIN PRIVATE KEY-----\n${'MC4CAQAwBQYDK2VwBCIEIA'.repeat(3)}\n-----END PRIVATE KEY-----\n`;
const su: Member = { name: 'usr/bin/su', content: 'x', mode: 0o4755 };

/** In pieces of a size that no boundary of a tar knows; says how many bytes were asked for. */
async function* stream(bytes: Buffer, size = 1000, note?: (sent: number) => void): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) {
    note?.(at + size);
    yield await Promise.resolve(bytes.subarray(at, at + size));
  }
}

const read = (paths: readonly string[], bytes: Buffer, image?: ImageFilesystem): Promise<AddedFiles> => readAdded(stream(bytes), paths, image);
const image: ImageFilesystem = { layers: 1, platform: null, setuid: [], secrets: [], leftovers: [], accounts: absent, packages: [] };

describe('which changes may be files', () => {
  const paths = (changes: Json, ...mounts: string[]): readonly string[] => changedPaths(changes, new Set(mounts));
  const change = (Path: string, Kind = 1): Json => ({ Path, Kind });

  test('no directory that holds one, nothing of the engine, no mount point, nothing deleted', () => {
    expect(paths([change('/etc', 0), change('/etc/passwd', 0), change('/etc/hosts', 0), change('/old', 2), change('/dev/x'), change('/.dockerenv'), change('/data')], '/data')).toEqual(['/etc/passwd']);
    expect(paths(null)).toEqual([]);
  });

  test('what took the place of a directory is none, although files below it were deleted', () => {
    expect(paths([change('/opt/a', 0), change('/opt/a/b', 2)])).toEqual(['/opt/a']);
  });

  test('names beside that begin alike', () => {
    expect(paths([change('/a'), change('/a b'), change('/a-b/c'), change('/etc/hosts.bak'), change('/procs')])).toEqual(['/a', '/a b', '/a-b/c', '/etc/hosts.bak', '/procs']);
  });

  test.each<[string, Json]>([['no list', { Path: '/x' }], ['no path', [{ Kind: 1 }]], ['a path from elsewhere', [change('x')]], ['text', 'x']])('%s is refused', (_, changes) => {
    expect(() => paths(changes)).toThrow(/the engine sent/u);
  });
});

describe('of the files of a container', () => {
  test('only those at the changed paths count', async () => {
    const found = await read(['/usr/bin/su', '/root/id', '/etc/passwd'], tar(
      su, { ...su, name: 'usr/bin/mount' }, { name: 'root/id', content: KEY }, { name: 'root/other', content: KEY },
      { name: 'etc/passwd', content: 'root:x:0:0::/:\ntoor::0:0::/:\n' }, { name: 'etc/shadow', content: 'root::1::::::\n' },
    ));
    expect(found).toEqual({
      changed: 3, setuid: [{ path: '/usr/bin/su', mode: 0o4755, uid: 0, gid: 0 }], secrets: [{ path: '/root/id', what: 'a private key' }],
      accounts: present({ duplicates: [{ kind: 'uid', value: '0', names: ['root', 'toor'] }], emptyPasswords: [{ name: 'toor', file: '/etc/passwd' }] }),
    });
    expect(JSON.stringify(found)).not.toContain('MC4C');
  });

  test('what the image has in the same way is left out, keys excepted', async () => {
    const duplicates = [{ kind: 'uid', value: '0', names: ['root', 'toor'] }] as const;
    const known: ImageFilesystem = {
      ...image, setuid: [{ path: '/usr/bin/su', mode: 0o4755, uid: 0, gid: 0 }], secrets: [{ path: '/root/id', what: 'a private key', layer: 1, removed: false }],
      accounts: present({ duplicates, emptyPasswords: [{ name: 'root', file: '/etc/passwd' }] }),
    };
    const passwd = (text: string): Member => ({ name: 'etc/passwd', content: `root::0:0::/:\ntoor:x:0:0::/:\n${text}` });
    const paths = ['/usr/bin/su', '/root/id', '/etc/passwd'];
    expect(await read(paths, tar(su, { name: 'root/id', content: KEY }, passwd('app:x:7:7::/:\n')), known))
      .toEqual({ changed: 3, setuid: [], secrets: [{ path: '/root/id', what: 'a private key' }], accounts: present({ duplicates: [], emptyPasswords: [] }) });
    const worse = await read(paths, tar({ ...su, mode: 0o6755 }, passwd('third:x:0:0::/:\nguest::9:9::/:\n')), known);
    expect(worse.setuid).toEqual([{ path: '/usr/bin/su', mode: 0o6755, uid: 0, gid: 0 }]);
    expect(worse.accounts).toEqual(present({ duplicates: [{ kind: 'uid', value: '0', names: ['root', 'toor', 'third'] }], emptyPasswords: [{ name: 'guest', file: '/etc/passwd' }] }));
  });

  test('names like whiteouts are names, hard links and PAX names count', async () => {
    const found = await read(['/opt/.wh.su', '/.wh..wh..opq/su', '/opt/linked', '/opt/long', '/usr/bin/su'], tar(
      { ...su, name: 'opt/.wh.su' }, { ...su, name: '.wh..wh..opq/su' }, { ...su, name: './opt/original' }, { name: 'opt/linked', type: '1', link: 'opt/original', mode: 0o4755 },
      pax({ path: 'opt/long' }), { ...su, name: 'cut' }, { name: 'usr/bin/.wh.su' }, su,
    ));
    expect(found.setuid.map(({ path }) => path)).toEqual(['/opt/.wh.su', '/.wh..wh..opq/su', '/opt/linked', '/opt/long', '/usr/bin/su']);
  });

  test('names that are no UTF-8 are found, and one of them does not stand for another', async () => {
    const name = (byte: number): Buffer => Buffer.from([0x61, byte, 0xe2, 0x82, 0x62]);
    // Go writes one replacement for each byte, and our decoder fewer.
    const found = await read(['/a\uFFFD\uFFFD\uFFFDb', '/a\uFFFD\uFFFD\uFFFDb'], tar({ name: name(0xff), content: 'harmless' }, { ...su, name: name(0xfe) }));
    expect(found.setuid).toHaveLength(1);
  });

  test('account files that cannot be read are not taken for good ones', async () => {
    for (const odd of [{ name: 'etc/passwd', type: '2', link: '/opt/passwd' }, { name: 'etc/passwd', content: 'x'.repeat(2 ** 20 + 1) }]) {
      expect((await read(['/etc/passwd'], tar(odd))).accounts.status).toBe('unreadable');
    }
    expect((await read(['/etc'], tar({ name: 'etc', type: '2', link: 'opt' }))).accounts.status).toBe('unreadable');
  });

  test('reading stops at the last changed path, before the content of what follows', async () => {
    const bytes = Buffer.concat([members([{ name: 'bin/a', content: Buffer.alloc(5000) }, su, { name: 'var/large', content: Buffer.alloc(1 << 20) }]), Buffer.from('and then no tar at all')]);
    let sent = 0;
    const source = stream(bytes, 1000, (now) => (sent = now));
    expect((await readAdded(source, ['/usr/bin/su'], undefined)).setuid).toHaveLength(1);
    expect(sent).toBeLessThan(9000);
    expect(await source.next()).toMatchObject({ done: true });
    await expect(read(['/usr/bin/su', '/var/socket'], bytes)).rejects.toThrow('no valid tar');
  });

  test.each<[string, Buffer]>([
    ['without an end', members([{ name: 'x', content: 'x' }])],
    ['empty', Buffer.alloc(0)],
    ['cut in a header', tar(su).subarray(0, 300)],
    ['cut in a content', members([{ name: 'x', content: Buffer.alloc(4096) }]).subarray(0, 1500)],
    ['that lies about a size', members([{ name: 'x', content: 'x', size: 8 ** 11 - 1 }])],
    ['with a path that leads out', tar({ name: '../x', content: 'x' })],
    ['with another checksum', Buffer.from(tar(su).toString('latin1').replace('usr', 'usb'), 'latin1')],
  ])('a tar %s is refused', async (_, bytes) => {
    await expect(read(['/never'], bytes)).rejects.toThrow(/tar|path/u);
  });

  test('limits hold', async () => {
    const many = tar(...Array.from({ length: 50 }, (_, index) => ({ ...su, name: `s${index}` })));
    const paths = Array.from({ length: 50 }, (_, index) => `/s${index}`);
    const limited = (limits: Partial<typeof LIMITS>): Promise<AddedFiles> => readAdded(stream(many), paths, undefined, { ...LIMITS, ...limits });
    expect((await limited({})).setuid).toHaveLength(50);
    await expect(limited({ entries: 10 })).rejects.toThrow('more than 10 files');
    await expect(limited({ bytes: 9000 })).rejects.toThrow('unpack to more');
    await expect(limited({ remembered: 1000 })).rejects.toThrow('too many');
  });
});

describe('containers of an engine', () => {
  const facts = ((): Facts => {
    const host = loadHost('debian-12');
    if (host.containers.status !== 'present') throw new Error('no containers');
    const [first] = host.containers.value.filter(({ spec, runtime }) => spec.status === 'present' && runtime.status === 'present');
    if (first === undefined) throw new Error('no container');
    return { ...host, containers: present(['one', 'two'].map((name, index) => ({ ...first, id: String(index + 1).repeat(64), name }))) };
  })();
  const everything: TargetSelection = { include: [], exclude: [], labels: [] };
  type Answers = Partial<Record<'changes' | 'export', (id: string) => AsyncIterable<Uint8Array> | undefined>>;
  const look = async (answers: Answers, targets: TargetSelection = everything): Promise<{ asked: string[]; added: (Observed<AddedFiles> | undefined)[]; facts: Facts }> => {
    const asked: string[] = [];
    const answer = (part: 'changes' | 'export') => (id: string): Promise<AsyncIterable<Uint8Array> | undefined> => {
      asked.push(`${part} ${id[0] ?? ''}`);
      return Promise.resolve(answers[part]?.(id));
    };
    const engine = { containerChanges: answer('changes'), containerArchive: answer('export') } as Partial<Engine> as Engine;
    const seen = await withAddedFiles(engine, facts, targets, () => undefined);
    return { asked, facts: seen, added: seen.containers.status === 'present' ? seen.containers.value.map(({ added }) => added) : [] };
  };
  const json = (value: unknown): AsyncIterable<Uint8Array> => stream(Buffer.from(JSON.stringify(value)));
  const nothing = present({ changed: 0, setuid: [], secrets: [], accounts: absent });

  test('the files of one that changed nothing are not asked for', async () => {
    expect(await look({ changes: (id) => json(id.startsWith('1') ? null : [{ Path: '/etc', Kind: 0 }, { Path: '/etc/x', Kind: 2 }]), export: () => stream(tar({ name: 'etc', type: '5' })) }))
      .toMatchObject({ asked: ['changes 1', 'changes 2', 'export 2'], added: [nothing, { status: 'present', value: { changed: 1 } }] });
    expect(await look({ changes: () => json([{ Path: '/etc/hosts', Kind: 0 }]) })).toMatchObject({ asked: ['changes 1', 'changes 2'], added: [nothing, nothing] });
  });

  test('only those that are selected are asked', async () => {
    const { asked, added } = await look({ changes: () => json([]) }, { ...everything, include: ['two'] });
    expect({ asked, added }).toEqual({ asked: ['changes 2'], added: [undefined, nothing] });
  });

  test('what cannot be read is unreadable, with the reason', async () => {
    const reasonOf = async (answers: Answers): Promise<string | undefined> => {
      const [first] = (await look(answers)).added;
      return first?.status === 'unreadable' ? first.reason : first?.status;
    };
    const changes = (): AsyncIterable<Uint8Array> => json([{ Path: '/x', Kind: 1 }]);
    expect(await reasonOf({})).toMatch(/vanished/u);
    expect(await reasonOf({ changes })).toMatch(/vanished/u);
    expect(await reasonOf({ changes: () => stream(Buffer.from('[{')) })).toMatch(/no JSON/u);
    expect(await reasonOf({ changes: () => stream(Buffer.alloc(5 << 20, ' '), 1 << 16) })).toMatch(/longer than 4 MiB/u);
    expect(await reasonOf({ changes, export: () => stream(members([su])) })).toMatch(/ends in the middle/u);
    expect(await reasonOf({ changes: () => { throw new Error('broken\npipe'); } })).toBe('what it changed cannot be read: broken pipe');
  });

  test('a snapshot masks paths that hold a secret', async () => {
    const { facts: seen } = await look({ changes: () => json([{ Path: '/opt/password=hunter2', Kind: 1 }]), export: () => stream(tar({ ...su, name: 'opt/password=hunter2' })) });
    const text = JSON.stringify(exportSnapshot(seen));
    expect(text).toContain('"mode":2541');
    expect(text).not.toContain('hunter2');
  });
});
