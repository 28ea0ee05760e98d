import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, linkSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { HostError } from '../src/host/port.ts';

const writer = createLocalWriter();
const root = process.geteuid?.() === 0;
const self = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
const has = (...tools: readonly string[]): boolean => tools.every((tool) => ['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((directory) => existsSync(join(directory, tool))));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'harden-writer-'));
});
afterEach(() => {
  if (root && has('chattr')) spawnSync('chattr', ['-R', '-i', '-a', directory]);
  rmSync(directory, { recursive: true, force: true });
});

const at = (...names: readonly string[]): string => join(directory, ...names);
const stateOf = (path: string): { mode: number; uid: number; gid: number } => {
  const { mode, uid, gid } = lstatSync(path);
  return { mode: mode & 0o7777, uid, gid };
};

describe('replace', () => {
  it('leaves exactly the bytes, mode and owner that were asked for, whatever was there, and nothing beside it', async () => {
    const metadata = fc.record({
      mode: root ? fc.integer({ min: 0, max: 0o7777 }) : fc.integer({ min: 0o400, max: 0o777 }).map((mode) => mode | 0o600),
      uid: root ? fc.nat(70_000) : fc.constant(self.uid),
      gid: root ? fc.nat(70_000) : fc.constant(self.gid),
    });
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.uint8Array({ maxLength: 4096 }), metadata), { minLength: 1, maxLength: 3 }), async (versions) => {
      const path = at('daemon.json');
      rmSync(path, { force: true });
      for (const [bytes, wanted] of versions) {
        await writer.replace(path, Buffer.from(bytes), wanted);
        expect(await writer.snapshot(path)).toEqual({ realPath: path, content: Buffer.from(bytes), ...wanted });
      }
      expect(readdirSync(directory)).toEqual(['daemon.json']);
    }), { numRuns: 15 });
  }, 30_000);

  it('follows links to their end and keeps them; what it made through a dangling one, remove takes away again', async () => {
    mkdirSync(at('real'));
    writeFileSync(at('real', 'a'), 'old');
    symlinkSync('real/b', at('first'));
    symlinkSync(at('real', 'a'), at('real', 'b'));
    await writer.replace(at('first'), Buffer.from('new'), { mode: 0o640, ...self });
    expect(readFileSync(at('real', 'a'), 'utf8')).toBe('new');
    expect([readlinkSync(at('first')), readlinkSync(at('real', 'b'))]).toEqual(['real/b', at('real', 'a')]);
    expect(await writer.snapshot(at('first'))).toMatchObject({ realPath: at('real', 'a'), mode: 0o640 });

    symlinkSync('real/absent', at('dangling'));
    expect(await writer.snapshot(at('dangling'))).toBeNull();
    await writer.replace(at('dangling'), Buffer.from('made'), { mode: 0o600, ...self });
    expect(readFileSync(at('real', 'absent'), 'utf8')).toBe('made');
    await writer.remove(at('dangling'));
    expect(existsSync(at('real', 'absent'))).toBe(false);
    expect(readlinkSync(at('dangling'))).toBe('real/absent');
    await writer.remove(at('dangling'));
    await expect(writer.remove(at('real'))).rejects.toThrow('is a directory');
  });

  it('leaves the old file and no other when it fails', async () => {
    writeFileSync(at('f'), 'old');
    await expect(writer.replace(at('f'), Buffer.from('new'), { mode: 0o600, uid: -2, gid: 0 })).rejects.toThrow();
    expect([readdirSync(directory), readFileSync(at('f'), 'utf8')]).toEqual([['f'], 'old']);
    await expect(writer.replace(at('none', 'f'), Buffer.from('new'), { mode: 0o600, ...self })).rejects.toThrow(`the directory ${at('none')} does not exist`);
    await expect(writer.replace('relative', Buffer.from(''), { mode: 0o600, ...self })).rejects.toThrow('not an absolute path');
  });

  it.skipIf(!root || !has('setfacl', 'getfacl', 'setfattr', 'getfattr'))('keeps ACL and extended attributes (needs root, acl, attr)', async () => {
    const path = at('f');
    writeFileSync(path, 'old');
    chownSync(path, 1000, 1000);
    chmodSync(path, 0o664);
    execFileSync('setfacl', ['-m', 'u:33:rw', path]);
    for (const name of ['user.note', 'trusted.note', 'security.note']) execFileSync('setfattr', ['-n', name, '-v', 'kept', path]);
    const acl = execFileSync('getfacl', ['-cn', path], { encoding: 'utf8' });
    const attributes = execFileSync('getfattr', ['-d', '-m', '-', '--absolute-names', path], { encoding: 'utf8' });
    await writer.replace(path, Buffer.from('new'), { mode: 0o664, uid: 1000, gid: 1000 });
    expect(readFileSync(path, 'utf8')).toBe('new');
    expect(execFileSync('getfacl', ['-cn', path], { encoding: 'utf8' })).toBe(acl);
    expect(execFileSync('getfattr', ['-d', '-m', '-', '--absolute-names', path], { encoding: 'utf8' })).toBe(attributes);
    // The mode that is asked for bounds what the ACL grants (acl(5), mask).
    await writer.replace(path, Buffer.from('newer'), { mode: 0o644, uid: 0, gid: 0 });
    expect(stateOf(path)).toEqual({ mode: 0o644, uid: 0, gid: 0 });
    expect(execFileSync('getfacl', ['-cn', path], { encoding: 'utf8' })).toMatch(/user:33:rw-\s+#effective:r--/);
  });

  it('recognises what a killed replace left beside its own file, and nothing else', async () => {
    for (const name of ['.f.harden-0123456789ab', '.f.harden-notes', '.g.harden-0123456789ab', 'f']) writeFileSync(at(name), '');
    expect(await writer.removeLeftovers(at('f'))).toEqual([at('.f.harden-0123456789ab')]);
    expect(readdirSync(directory).sort()).toEqual(['.f.harden-notes', '.g.harden-0123456789ab', 'f']);
    expect(await writer.removeLeftovers(at('none', 'f'))).toEqual([]);
  });
});

describe('create', () => {
  async function* chunks(...parts: readonly (string | Error)[]): AsyncGenerator<Uint8Array> {
    for (const part of parts) {
      await Promise.resolve();
      if (part instanceof Error) throw part;
      yield Buffer.from(part);
    }
  }

  it('writes a new private file as its bytes come, and leaves nothing of one that could not be written wholly', async () => {
    const old = process.umask(0);
    try {
      await writer.create(at('layer.tar'), chunks('one', '', 'two'));
    } finally {
      process.umask(old);
    }
    expect([readFileSync(at('layer.tar'), 'utf8'), stateOf(at('layer.tar'))]).toEqual(['onetwo', { mode: 0o600, ...self }]);
    await expect(writer.create(at('broken.tar'), chunks('one', new Error('the engine went away')))).rejects.toThrow('the engine went away');
    expect(readdirSync(directory)).toEqual(['layer.tar']);
  });

  it('replaces nothing, follows no link, and makes no directory', async () => {
    writeFileSync(at('there'), 'kept');
    symlinkSync('target', at('dangling'));
    for (const name of ['there', 'dangling']) await expect(writer.create(at(name), chunks('new'))).rejects.toThrow(HostError);
    expect([readFileSync(at('there'), 'utf8'), existsSync(at('target'))]).toEqual(['kept', false]);
    await expect(writer.create(at('none', 'file'), chunks('new'))).rejects.toThrow(`the directory ${at('none')} does not exist`);
    mkdirSync(at('open'));
    chmodSync(at('open'), 0o777);
    await expect(writer.create(at('open', 'file'), chunks('new'))).rejects.toThrow('can be written by everybody');
  });

});

describe('refusal', () => {
  const replaceable = async (path: string): Promise<void> => {
    expect(await writer.refusal(path)).toBeNull();
    await writer.replace(path, Buffer.from('x'), { mode: 0o600, ...self });
  };
  const refused = async (path: string, reason: string): Promise<void> => {
    expect(await writer.refusal(path)).toContain(reason);
    await expect(writer.replace(path, Buffer.from('x'), { mode: 0o600, ...self })).rejects.toThrow(HostError);
  };

  it('names what cannot be replaced, and replace refuses the same', async () => {
    mkdirSync(at('d'));
    writeFileSync(at('f'), '');
    await replaceable(at('f'));
    await replaceable(at('new'));
    expect(await writer.refusal(at('missing', 'below'))).toBeNull();
    await refused(at('d'), `${at('d')} is not a regular file`);
    linkSync(at('f'), at('same'));
    await refused(at('f'), `${at('f')} has 2 hard links`);
    mkdirSync(at('open'));
    writeFileSync(at('open', 'f'), '');
    chmodSync(at('open'), 0o777);
    await refused(at('open', 'f'), `${at('open')} can be written by everybody`);
    await expect(writer.setMetadata(at('open', 'f'), { mode: 0o600, ...self })).rejects.toThrow('can be written by everybody');
    await expect(writer.remove(at('open', 'f'))).rejects.toThrow('can be written by everybody');
    // The directory itself can be corrected: the one above it is safe.
    await writer.setMetadata(at('open'), { mode: 0o755, ...self });
    await replaceable(at('open', 'f'));
    symlinkSync('loop', at('loop'));
    await refused(at('loop'), 'symbolic links');
    expect(await writer.metadataRefusal(at('absent'))).toContain('does not exist');
    expect(await writer.metadataRefusal(at('loop'))).toContain('symbolic link');
    expect(await writer.metadataRefusal(at('d'))).toBeNull();
  });

  it.skipIf(!root)('does not trust what other users could redirect (needs root)', async () => {
    mkdirSync(at('theirs'));
    writeFileSync(at('theirs', 'f'), '');
    chownSync(at('theirs'), 1000, 1000);
    await refused(at('theirs', 'f'), `${at('theirs')} belongs to uid 1000`);
    mkdirSync(at('group'));
    chownSync(at('group'), 0, 1000);
    chmodSync(at('group'), 0o775);
    await refused(at('group', 'f'), `${at('group')} can be written by group 1000`);
    mkdirSync(at('sticky'));
    chmodSync(at('sticky'), 0o1777);
    await replaceable(at('sticky', 'ours'));
    execFileSync('ln', ['-s', '/etc/passwd', at('sticky', 'link')]);
    execFileSync('chown', ['-h', '1000', at('sticky', 'link')]);
    await refused(at('sticky', 'link'), `${at('sticky', 'link')} belongs to uid 1000`);
    writeFileSync(at('sticky', 'theirs'), '');
    chownSync(at('sticky', 'theirs'), 1000, 1000);
    await expect(writer.setMetadata(at('sticky', 'theirs'), { mode: 0o600, uid: 0, gid: 0 })).rejects.toThrow('belongs to uid 1000');
    symlinkSync(at('theirs'), at('via'));
    await refused(at('via', 'f'), `${at('theirs')} belongs to uid 1000`);
  });

  it.skipIf(!root || !has('chattr', 'lsattr'))('respects immutable and append-only flags (needs root, e2fsprogs, a file system with flags)', async ({ skip }) => {
    for (const name of ['immutable', 'append']) writeFileSync(at(name), '');
    for (const name of ['immutable-d', 'append-d']) mkdirSync(at(name));
    if (spawnSync('chattr', ['+i', at('immutable'), at('immutable-d')]).status !== 0) skip('the file system of the temporary directory has no flags');
    execFileSync('chattr', ['+a', at('append'), at('append-d')]);
    await refused(at('immutable'), `${at('immutable')} is immutable`);
    await refused(at('immutable-d', 'f'), `${at('immutable-d')} is immutable`);
    await refused(at('append'), `${at('append')} is append-only`);
    await refused(at('append-d', 'f'), `${at('append-d')} is append-only`);
    expect(await writer.metadataRefusal(at('immutable'))).toContain('immutable');
    await expect(writer.setMetadata(at('immutable'), { mode: 0o600, ...self })).rejects.toThrow(/cannot set mode and owner of .*immutable/);
  });

  it.skipIf(!root || !has('unshare', 'mount'))('sees bind mounts, read-only and full file systems (needs root and mount)', () => {
    // Mounts belong to a mount namespace of the child's own and vanish with it.
    const script = `
      import { createLocalWriter } from ${JSON.stringify(new URL('../src/host/local-writer.ts', import.meta.url).href)};
      import { readdirSync, readFileSync } from 'node:fs';
      const writer = createLocalWriter();
      const metadata = { mode: 0o600, uid: 0, gid: 0 };
      const absolute = (path) => process.cwd() + '/' + path;
      const result = {
        bind: await writer.refusal(absolute('bo und')),
        readOnly: await writer.refusal(absolute('ro/f')),
        readOnlyNew: await writer.refusal(absolute('ro/new')),
        full: await writer.replace(absolute('full/f'), Buffer.alloc(1 << 20), metadata).catch((error) => error.message),
        fullNew: await writer.create(absolute('full/new'), (async function* () { yield Buffer.alloc(1 << 20); })()).catch((error) => error.message),
        left: [readdirSync('full'), readFileSync('full/f', 'utf8')],
      };
      console.log(JSON.stringify(result));`;
    writeFileSync(at('probe.mts'), script);
    for (const name of ['ro', 'full']) mkdirSync(at(name));
    for (const name of ['source', 'bo und']) writeFileSync(at(name), '');
    const prepare = 'mount --bind source "bo und" && mount -t tmpfs none ro && touch ro/f && mount -o remount,ro ro && mount -t tmpfs -o size=64k none full && printf old > full/f';
    const tsx = new URL('../node_modules/tsx/dist/cli.mjs', import.meta.url).pathname;
    const child = spawnSync('unshare', ['-m', 'sh', '-c', `${prepare} && exec "$0" "$1" probe.mts`, process.execPath, tsx], { cwd: directory, encoding: 'utf8' });
    expect(child.stderr).toBe('');
    expect(JSON.parse(child.stdout)).toEqual({
      bind: expect.stringContaining(`${at('bo und')} is a mount point`) as string,
      readOnly: expect.stringContaining('read-only file system') as string,
      readOnlyNew: expect.stringContaining(`${at('ro')} is on a read-only file system`) as string,
      full: expect.stringContaining('no space is left') as string,
      fullNew: expect.stringContaining('no space is left') as string,
      left: [['f'], 'old'],
    });
  }, 30_000);
});

describe('directories and metadata', () => {
  it('makes missing directories 0755, says which, and removes only empty ones', async () => {
    const old = process.umask(0o077);
    try {
      expect(await writer.makeDirectory(at('a', 'b', 'c'))).toEqual([at('a'), at('a', 'b'), at('a', 'b', 'c')]);
    } finally {
      process.umask(old);
    }
    expect(stateOf(at('a', 'b'))).toEqual({ mode: 0o755, ...self });
    expect(await writer.makeDirectory(at('a', 'b'))).toEqual([]);
    await writer.removeDirectory(at('a'));
    expect(existsSync(at('a', 'b', 'c'))).toBe(true);
    await writer.removeDirectory(at('a', 'b', 'c'));
    await writer.removeDirectory(at('a', 'b', 'c'));
    expect(existsSync(at('a', 'b', 'c'))).toBe(false);
    writeFileSync(at('f'), '');
    await expect(writer.makeDirectory(at('f'))).rejects.toThrow('something else is there');
    await expect(writer.makeDirectory(at('f', 'g'))).rejects.toThrow('is not a directory');
  });

  it('sets mode and owner of files, directories and sockets, never through a link', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
    writeFileSync(at('file'), '');
    mkdirSync(at('directory'));
    const wanted = root ? { mode: 0o2640, uid: 1234, gid: 4321 } : { mode: 0o640, ...self };
    for (const name of ['file', 'directory', 'socket']) {
      await writer.setMetadata(at(name), wanted);
      expect(stateOf(at(name))).toEqual(wanted);
      expect(await writer.snapshot(at(name))).toMatchObject({ ...wanted, content: name === 'file' ? Buffer.alloc(0) : null });
    }
    server.close();
    writeFileSync(at('untouched'), '', { mode: 0o644 });
    symlinkSync('untouched', at('link'));
    await expect(writer.setMetadata(at('link'), { mode: 0o600, ...self })).rejects.toThrow('is a symbolic link');
    expect(statSync(at('untouched')).mode & 0o7777).toBe(0o644);
    await expect(writer.setMetadata(at('absent'), { mode: 0o600, ...self })).rejects.toThrow('does not exist');
  });
});

describe('run', () => {
  const alive = (pid: number): boolean => {
    try {
      // A zombie waits for its parent only.
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };

  it('gives tools a fixed environment and no input, and tells how they ended', async () => {
    process.env.HARDEN_CANARY = 'leaked';
    const { code, stdout, stderr } = await writer.run('sh', ['-c', 'env; cat; pwd; echo "$1" >&2; exit 7', 'sh', '$(id); `id`']);
    expect(stdout).not.toContain('leaked');
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['LC_ALL=C', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', '/']));
    expect([code, stderr]).toEqual([7, '$(id); `id`\n']);
    expect((await writer.run('sh', ['-c', 'kill -9 $$'])).code).toBe(137);
  });

  it('ends a tool and all that it started when the time is over, even if it does not want to', async () => {
    await expect(writer.run('sh', ['-c', `trap "" TERM; sleep 600 & echo $! > ${at('child')}; echo $$ > ${at('parent')}; wait; wait`], { timeoutMs: 300 }))
      .rejects.toThrow(/sh did not finish within 0.3 s/);
    const pids = ['child', 'parent'].map((name) => Number(readFileSync(at(name), 'utf8')));
    for (let waited = 0; pids.some(alive) && waited < 10_000; waited += 100) await sleep(100);
    expect(pids.filter(alive)).toEqual([]);
  }, 20_000);

  it('neither waits for a daemon that a tool leaves behind nor takes its output away', async () => {
    const { stdout } = await writer.run('sh', ['-c', 'sh -c "sleep 3; echo still writing && touch \\"$0\\"; sleep 600" "$0" & echo $!', at('wrote')]);
    expect(existsSync(at('wrote'))).toBe(false);
    for (let waited = 0; !existsSync(at('wrote')) && waited < 10_000; waited += 100) await sleep(100);
    expect(existsSync(at('wrote'))).toBe(true);
    spawnSync('sh', ['-c', 'ps -o pid= --ppid "$0" 2>/dev/null | xargs -r kill; kill "$0"', stdout.trim()]);
  }, 20_000);

  it('waits for a tool that a killed harden left at work, and names one that does not end', async () => {
    const left = spawn('sleep', ['600'], { env: { HARDEN_TOOL: '1' }, stdio: 'ignore' });
    await new Promise((resolve) => left.once('spawn', resolve));
    await expect(writer.awaitLeftTools(300)).rejects.toThrow(`sleep 600 (process ${String(left.pid)})`);
    const waiting = writer.awaitLeftTools(20_000);
    left.kill();
    await waiting;
    await writer.run('systemctl', ['--version']).catch(() => undefined);
    await writer.awaitLeftTools(20_000);
  }, 60_000);

  it('signals one process only', async () => {
    for (const pid of [0, -1, 1, 1.5, Number.NaN]) await expect(writer.signal(pid, 'SIGHUP')).rejects.toThrow('is not the process id');
    await expect(writer.signal(2 ** 22 + 1, 'SIGHUP')).rejects.toThrow('does not run any more');
  });
});

describe('append', () => {
  it('writes whole lines to a private file and cuts off what a killed writer left', async () => {
    const path = at('journal');
    await writer.append(path, 'one');
    await writer.append(path, 'zwei ü');
    expect(stateOf(path).mode).toBe(0o600);
    writeFileSync(path, '{"torn', { flag: 'a' });
    await writer.append(path, 'three');
    expect(readFileSync(path, 'utf8')).toBe('one\nzwei ü\nthree\n');
    await expect(writer.append(path, 'two\nlines')).rejects.toThrow('one line at a time');
    symlinkSync('elsewhere', at('link'));
    await expect(writer.append(at('link'), 'x')).rejects.toThrow(HostError);
    expect(existsSync(at('elsewhere'))).toBe(false);
  });
});

describe('answers', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const listen = async (onConnection: (socket: Socket) => void): Promise<number> => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      onConnection(socket);
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  };

  it.each<[string, boolean, (socket: Socket) => void]>([
    ['a server that waits for the client', true, () => undefined],
    ['a server that speaks first and closes', true, (socket) => socket.end('220 ready\r\n')],
    ['a proxy that accepts and closes at once', false, (socket) => socket.end()],
    ['a proxy that accepts, tries, and closes', false, (socket) => void setTimeout(() => socket.end(), 100)],
    ['a proxy that resets', false, (socket) => socket.resetAndDestroy()],
  ])('%s: %s', async (_, expected, onConnection) => {
    expect(await writer.answers('127.0.0.1', await listen(onConnection))).toBe(expected);
  });

  it('says no where nobody listens', async () => {
    const port = await listen(() => undefined);
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    expect(await writer.answers('127.0.0.1', port)).toBe(false);
    expect(await writer.answers('::1', port)).toBe(false);
  });
});
