import { spawn, execFileSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createLocalReader } from '../src/host/local-reader.ts';
import type { SocketOwner } from '../src/host/port.ts';
import type { Observed } from '../src/model.ts';

const reader = createLocalReader();

describe('reading files', () => {
  let root: string;
  const at = (name: string): string => join(root, name);

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'harden-reader-'));
    mkdirSync(at('tree/sub/deep'), { recursive: true });
    writeFileSync(at('tree/sub/file'), 'x');
    writeFileSync(at('tree/sub/deep/below'), 'x');
    symlinkSync('..', at('tree/sub/loop'));
    symlinkSync('nowhere', at('tree/dangling'));
    symlinkSync('sub', at('tree/linked'));
    writeFileSync(at('bom'), '\ufeff{"icc": false}\r\n', { mode: 0o640 });
    chmodSync(at('bom'), 0o6641);
    symlinkSync('bom', at('link'));
    writeFileSync(at('latin1'), Buffer.from([0x61, 0xe9, 0x62]));
    execFileSync('mkfifo', [at('fifo')]);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  const text = async (path: string, maxBytes?: number): Promise<Observed<string>> =>
    (await reader.observe([{ kind: 'text', path, ...(maxBytes !== undefined && { maxBytes }) }]))[0];

  it('keeps every character, the byte order mark too', async () => expect(await text(at('link'))).toEqual({ status: 'present', value: '\ufeff{"icc": false}\r\n' }));
  it('reads files that say they are empty', async () => expect(await text('/proc/self/status')).toMatchObject({ status: 'present', value: expect.stringContaining('Uid:') as string }));

  it.each([
    ['nothing', () => text(at('none')), 'absent'],
    ['a path through a file', () => text(at('bom/x')), 'absent'],
    ['a dangling link', () => text(at('tree/dangling')), 'absent'],
    ['a FIFO', () => text(at('fifo')), 'is not a regular file'],
    ['a device', () => text('/dev/zero'), 'is not a regular file'],
    ['a directory', () => text(at('tree')), 'is not a regular file'],
    ['other encodings', () => text(at('latin1')), 'is not UTF-8 text'],
    ['too much', () => text(at('bom'), 10), 'is larger than 10 bytes'],
    ['exactly enough', () => text(at('bom'), 19), 'present'],
  ])('text of %s', async (_, read, expected) => {
    const observed = await read();
    expect(observed.status === 'unreadable' ? observed.reason : observed.status).toContain(expected);
  });

  it('follows links in stat and says where they end', async () => {
    const [file, fifo, none] = await reader.observe([
      { kind: 'stat', path: at('link') }, { kind: 'stat', path: at('fifo') }, { kind: 'stat', path: at('tree/dangling') },
    ]);
    expect(file).toMatchObject({ value: { type: 'file', realPath: at('bom'), isLink: true, mode: 0o6641, nlink: 1 } });
    const [below] = await reader.observe([{ kind: 'stat', path: at('tree/linked/file') }]);
    expect(below).toMatchObject({ value: { realPath: at('tree/sub/file') } });
    expect(below).not.toHaveProperty('value.isLink');
    expect(fifo).toMatchObject({ value: { type: 'fifo' } });
    expect(none).toEqual({ status: 'absent' });
  });

  it('says when the links on the way last changed, whatever their number', async () => {
    mkdirSync(at('first'));
    symlinkSync('first', at('current'));
    symlinkSync(at('current'), at('way'));
    writeFileSync(at('first/file'), '');
    const changed = async (path: string): Promise<number | undefined> => {
      const [found] = await reader.observe([{ kind: 'stat', path }]);
      return found.status === 'present' ? found.value.linksChangedMs : Number.NaN;
    };
    expect(await changed(at('way/file'))).toBe(Math.max(...['current', 'way'].map((name) => lstatSync(at(name)).ctimeMs)));
    expect(await changed(at('first/file'))).toBeUndefined();
    const before = await changed(at('way/file')) ?? 0;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    rmSync(at('current'));
    symlinkSync('first', at('current'));
    expect(await changed(at('way/file'))).toBeGreaterThan(before);
  });

  it('lists through links, but not around in circles, down to a depth', async () => {
    const [all, flat, none] = await reader.observe([
      { kind: 'list', path: at('tree'), depth: 9 }, { kind: 'list', path: at('tree'), depth: 1 }, { kind: 'list', path: at('none'), depth: 1 },
    ]);
    const below = (directory: string): string[] => [`${directory}/deep`, `${directory}/deep/below`, `${directory}/file`, `${directory}/loop`];
    expect(all).toEqual({ status: 'present', value: ['dangling', 'linked', ...below('linked'), 'sub', ...below('sub')].map((name) => at(`tree/${name}`)) });
    expect(flat).toEqual({ status: 'present', value: ['dangling', 'linked', 'sub'].map((name) => at(`tree/${name}`)) });
    expect(none).toEqual({ status: 'absent' });
  });

  it.skipIf(process.geteuid?.() === 0)('says how to get at what it may not read', async () => {
    chmodSync(at('latin1'), 0);
    expect(await text(at('latin1'))).toEqual({ status: 'unreadable', reason: `permission denied: ${at('latin1')}: run as root` });
  });
});

it('runs tools from the system, whatever PATH says, with their exit code', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    const [found, failed] = await reader.observe([{ kind: 'tool', tool: 'getent', args: ['group', '--', 'root'] }, { kind: 'tool', tool: 'getent', args: ['group', '--', 'no such group'] }]);
    expect(found).toMatchObject({ value: { code: 0, stdout: expect.stringMatching(/^root:.*:0:/) as string } });
    expect(failed).toMatchObject({ value: { code: 2 } });
  } finally {
    process.env['PATH'] = path;
  }
});

/** Processes that bind a socket under the name of a program: a name is all that /proc shows of it. */
describe.skipIf(process.platform !== 'linux')('who serves a socket', () => {
  let root: string;
  const children: ChildProcess[] = [];
  const at = (name: string): string => join(root, name);

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'harden-owner-'));
    mkdirSync(at('run'));
    symlinkSync('run', at('var-run'));
    for (const name of ['dockerd', 'cri-dockerd', 'tail']) symlinkSync(process.execPath, at(name));
  });
  afterEach(async () => {
    await Promise.all(children.splice(0).map((child) => new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGKILL');
    })));
    rmSync(at('run'), { recursive: true });
    mkdirSync(at('run'));
  });
  afterAll(() => rmSync(root, { recursive: true }));

  /** Resolves once the process listens; it removes what is in its way first, as dockerd does. */
  async function serve(program: string, socket: string, ...args: string[]): Promise<ChildProcess> {
    const script = `const fs = require('fs'); const path = ${JSON.stringify(socket)};
      fs.rmSync(path, { force: true }); require('net').createServer().listen(path, () => console.log('up'));`;
    const child = spawn(at(program), ['-e', script, '--', ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { HOME: '/home/of-daemon' } });
    children.push(child);
    await new Promise((resolve) => child.stdout.once('data', resolve));
    return child;
  }

  const owner = async (path: string): Promise<Observed<SocketOwner>> => (await reader.observe([{ kind: 'socketOwner', path }]))[0];

  it('finds the daemon by any name of its socket', async () => {
    const started = Date.now();
    const daemon = await serve('dockerd', at('var-run/docker.sock'), '--config-file', '/x');
    for (const path of [at('run/docker.sock'), at('var-run/docker.sock')]) {
      const found = await owner(path);
      expect(found).toMatchObject({ value: { pid: daemon.pid, uid: process.geteuid?.(), home: '/home/of-daemon', sameRoot: true } });
      if (found.status !== 'present') continue;
      expect(found.value.argv.slice(-2)).toEqual(['--config-file', '/x']);
      expect(found.value.cgroup).not.toEqual([]);
      expect(Math.abs(Date.parse(found.value.startedAt) - started)).toBeLessThan(1000);
    }
  });

  it('takes no other program for a daemon, however its name or arguments read', async () => {
    const other = await serve('cri-dockerd', at('run/docker.sock'), 'dockerd');
    await serve('tail', at('run/other.sock'), '-f', '/var/log/dockerd.log');
    await serve('dockerd', at('run/third.sock'));
    expect(await owner(at('run/docker.sock'))).toEqual({
      status: 'unreadable',
      reason: `${at('run/docker.sock')} is served by cri-dockerd (pid ${other.pid ?? 0}), which is not a docker daemon: the engine behind it may be another machine's`,
    });
  });

  it('does not choose between two daemons that bound the same path', async () => {
    const [first, second] = [await serve('dockerd', at('run/docker.sock')), await serve('dockerd', at('run/docker.sock'))];
    const pids = [first.pid ?? 0, second.pid ?? 0].sort((a, b) => a - b).join(', ');
    expect(await owner(at('run/docker.sock'))).toMatchObject({ reason: expect.stringContaining(`several daemons (pids ${pids})`) as string });
  });

  it('is not taken in by another socket in the place of the one that a daemon bound', async () => {
    const daemon = await serve('dockerd', at('run/docker.sock'));
    await serve('cri-dockerd', at('run/docker.sock'));
    const elsewhere = { status: 'unreadable', reason: expect.stringContaining(`the daemon (pid ${daemon.pid ?? 0}) bound ${at('run/docker.sock')}, but a connection to it did not reach`) as string };
    expect(await owner(at('run/docker.sock'))).toEqual(elsewhere);
    await serve('cri-dockerd', at('run/other.sock'));
    renameSync(at('run/other.sock'), at('run/docker.sock'));
    expect(await owner(at('run/docker.sock'))).toEqual(elsewhere);
  }, 15_000);

  it('knows a socket that nobody listens on, a file, and nothing', async () => {
    (await serve('dockerd', at('run/docker.sock'))).kill('SIGKILL');
    await new Promise((resolve) => children[0]?.once('exit', resolve));
    children.splice(0);
    expect(await owner(at('run/docker.sock'))).toMatchObject({ reason: expect.stringMatching(/^(no process|permission denied)/) as string });
    expect(await owner('/etc/passwd')).toEqual({ status: 'unreadable', reason: '/etc/passwd is not a socket' });
    expect(await owner(at('run/none.sock'))).toEqual({ status: 'absent' });
  });
});
