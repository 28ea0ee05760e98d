/** Whether a container that was told to be root could be somebody else: by its accounts, files and ports. */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../checks/images/user.ts';
import { userRemediation } from '../remediations/images/user.ts';
import { parseAccounts, readContainerAccounts } from '../src/collect/ownership.ts';
import { obstaclesAs } from '../src/container/as-user.ts';
import { connectEngine } from '../src/host/engine.ts';
import { createLocalReader } from '../src/host/local-reader.ts';
import type { ContainerFacts, Facts, Owned } from '../src/model.ts';
import { absent, present, unreadable, valueOf } from '../src/model.ts';
import { defaultPolicy } from '../src/policy.ts';
import { hostWith } from './hosts.ts';
import { tar } from './tar-maker.ts';

const IMAGE = `sha256:${'a'.repeat(64)}`;
const CREATED = '2026-11-01T00:00:00Z';
const [BEFORE, SINCE] = [Date.parse('2026-10-01T00:00:00Z'), Date.parse('2026-11-05T00:00:00Z')];
const accounts = parseAccounts('root:x:0:0::/:/bin/sh\napp:x:500:501::/:/bin/sh\nodd:x:501\n', 'root:x:0:\nteam:x:77:other,app\nstaff:x:80:\n');
const owned = (mode: number, uid = 0, gid = 0, mtimeMs = BEFORE, type: Owned['type'] = 'directory'): Owned => ({ type, mode, uid, gid, mtimeMs });
const mount = (target: string, file: Owned, { path = '', readOnly = false, complete = true } = {}) => ({ target, readOnly, files: present({ complete, samples: [{ ...file, path }] }) });
const written = (path: string, owner: Owned) => ({ path, owner: present(owner) });

interface Told {
  readonly spec?: object;
  readonly ownership?: object | null;
  readonly more?: object;
}

function factsOf({ spec = {}, ownership = {}, more = {} }: Told): Facts {
  const image = { id: IMAGE, tags: ['a:1'], digests: [], createdAt: CREATED, sizeBytes: 1, lastTaggedAt: null, history: present([]),
    config: present({ user: 'app', env: [], healthcheck: null, labels: {}, volumes: [], exposed: [], entrypoint: [], command: ['sh'] }) };
  const evidence = { changes: present([]), memory: absent, pids: absent, ...(ownership !== null && { ownership: { accounts: present(accounts), mounts: [], written: [], ...ownership } }) };
  return hostWith('stock-debian', { images: present([image]), containers: present([
    { name: 'web', spec: { user: '0', image: { reference: 'a:1', id: IMAGE }, ...spec }, runtime: { state: 'running', applied: { createdAt: CREATED, apparmor: '', processLabel: '', openExecs: 0, mounts: [] } }, evidence, ...more },
    { name: 'other', spec: { network: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '100' } } } },
  ]) });
}

const web = (facts: Facts): ContainerFacts => {
  const found = valueOf(facts.containers)?.find(({ name }) => name === 'web');
  if (found === undefined) throw new Error('no container web');
  return found;
};

function obstacles(told: Told, user: string): ReturnType<typeof obstaclesAs> {
  const facts = factsOf(told);
  const spec = valueOf(web(facts).spec);
  if (spec === undefined) throw new Error('no specification');
  return obstaclesAs(user, web(facts), spec, facts);
}

const listening = (...ports: number[]): object => ({ listening: present(ports.map((port) => ({ port, protocol: 'tcp', loopback: false }))) });
const lowPorts = { network: { sysctls: { 'net.ipv4.ip_unprivileged_port_start': '1024' } } };
const onHost = { namespaces: { network: 'host' } };

describe('what stands against a user', () => {
  test.each<[string, Told, string, 'certain' | 'possible', string[]]>([
    ['nothing', {}, 'app', 'certain', []],
    ['a user that its files do not have', {}, 'nobody', 'certain', ['start, since there is no user nobody in it']],
    ['one with a group that they do not have', {}, 'app:none', 'certain', ['start, since there is no group none in it']],
    ['no account files at all, and a number', { ownership: { accounts: present({ users: [], groups: [] }) } }, '7', 'certain', []],
    ['a directory of root, in which it wrote', { ownership: { written: [written('/var/lib/a', owned(0o755))] } }, 'app', 'certain', ['write to /var/lib/a (0:0, mode 0755)']],
    ['its own directory', { ownership: { written: [written('/a', owned(0o700, 500))] } }, 'app', 'certain', []],
    ['the owner is kept out where others are not', { ownership: { written: [written('/a', owned(0o077, 500))] } }, 'app', 'certain', ['write to /a (500:0, mode 0077)']],
    ['one of its group', { ownership: { written: [written('/a', owned(0o770, 0, 501))] } }, 'app', 'certain', []],
    ['one of a group that it is a member of', { ownership: { written: [written('/a', owned(0o770, 0, 77))] } }, '500', 'certain', []],
    ['which does not count where a group is named', { ownership: { written: [written('/a', owned(0o770, 0, 77))] } }, 'app:staff', 'certain', ['write to /a (0:77, mode 0770)']],
    ['unless the container is given the group', { spec: { security: { groupAdd: ['team'] } }, ownership: { written: [written('/a', owned(0o770, 0, 77))] } }, 'app:staff', 'certain', []],
    ['a number without an entry is of the group 0', { ownership: { written: [written('/a', owned(0o770))] } }, '4242', 'certain', []],
    ['a file that it changed', { ownership: { written: [written('/a', owned(0o644, 0, 0, SINCE, 'file'))] } }, 'app', 'certain', ['write to /a (0:0, mode 0644)']],
    ['a directory with write but without search', { ownership: { written: [written('/a', owned(0o772))] } }, 'app', 'certain', ['write to /a (0:0, mode 0772)']],
    ['a mount in which something changed', { ownership: { mounts: [mount('/data', owned(0o644, 0, 0, SINCE, 'file'), { path: 'db' })] } }, 'app', 'certain',
      ['write to /data/db (0:0, mode 0644), which changed since the container was made']],
    ['a file that it may not even read, which changed', { ownership: { mounts: [mount('/data/', owned(0o600, 0, 0, SINCE, 'file'), { path: 'db' })] } }, 'app', 'certain',
      ['read /data/db (0:0, mode 0600), which changed since the container was made']],
    ['a mount in which nothing changed', { ownership: { mounts: [mount('/data', owned(0o755))] } }, 'app', 'certain', []],
    ['which may fail all the same', { ownership: { mounts: [mount('/data', owned(0o755))] } }, 'app', 'possible', ['write to /data (0:0, mode 0755)']],
    ['a read-only mount that it may read', { ownership: { mounts: [mount('/data', owned(0o755, 0, 0, SINCE), { readOnly: true })] } }, 'app', 'possible', []],
    ['a read-only mount that it may not read', { ownership: { mounts: [mount('/k', owned(0o600, 0, 0, SINCE, 'file'), { readOnly: true })] } }, 'app', 'possible', ['read /k (0:0, mode 0600)']],
    ['a socket', { ownership: { mounts: [mount('/s', owned(0o755, 0, 0, BEFORE, 'socket'), { readOnly: true })] } }, 'app', 'possible', ['use /s (0:0, mode 0755)']],
    ['a link, whose mode says nothing', { ownership: { mounts: [mount('/s', owned(0, 0, 0, SINCE, 'symlink'))] } }, 'app', 'certain', []],
    ['a tmpfs of root', { spec: { mounts: [{ kind: 'tmpfs', via: 'tmpfs', source: '', target: '/run', readOnly: false, options: 'size=1m,mode=755', details: null, volume: null }] } }, 'app', 'possible',
      ['write to the tmpfs /run (0:0, mode 0755)']],
    ['a tmpfs of its own', { spec: { mounts: [{ kind: 'tmpfs', via: 'tmpfs', source: '', target: '/run', readOnly: false, options: 'uid=500,mode=700', details: null, volume: null }] } }, 'app', 'possible', []],
    ['a tmpfs as it is by itself', { spec: { mounts: [{ kind: 'tmpfs', via: 'mounts', source: '', target: '/run', readOnly: false, options: '', details: {}, volume: null }] } }, 'app', 'possible', []],
    ['one of --mount with a mode', { spec: { mounts: [{ kind: 'tmpfs', via: 'mounts', source: '', target: '/run', readOnly: false, options: '', details: { TmpfsOptions: { Mode: 0o700 } }, volume: null }] } }, 'app', 'possible',
      ['write to the tmpfs /run (0:0, mode 0700)']],
    ['capabilities that it was given', { spec: { security: { capAdd: ['NET_ADMIN'] } } }, 'app', 'possible', ['use the capabilities that it was given (NET_ADMIN)']],
    ['a low port, on a network of its own', { more: listening(80) }, 'app', 'certain', []],
    ['a low port, where somebody closed them', { spec: lowPorts, more: listening(80, 8080, 443) }, 'app', 'certain',
      ['listen on port 80 (there others than root may from 1024 on)', 'listen on port 443 (there others than root may from 1024 on)']],
    ['a low port of the host', { spec: onHost, more: listening(80), ownership: { hostPortStart: present(1024) } }, 'app', 'certain', ['listen on port 80 (there others than root may from 1024 on)']],
    ['a low port of a host that lets everybody', { spec: onHost, more: listening(80), ownership: { hostPortStart: present(0) } }, 'app', 'certain', []],
    ['a low port in another container\'s network', { spec: { namespaces: { network: 'container:other' } }, more: listening(80, 100) }, 'app', 'certain', ['listen on port 80 (there others than root may from 100 on)']],
    ['a low port that it publishes, where nobody looked', { spec: { network: { ...lowPorts.network, ports: [{ ip: '', hostPort: '8080', containerPort: 80, protocol: 'tcp' }], exposed: ['443/tcp'] } } }, 'app', 'certain',
      ['listen on port 80 (there others than root may from 1024 on)', 'listen on port 443 (there others than root may from 1024 on)']],
  ])('%s', (_, told, user, kind, expected) => expect(obstacles(told, user)[kind]).toEqual(expected));

  test.each<[string, Told, string, RegExp]>([
    ['nobody looked', { ownership: null }, '1:1', /^Whose the files are/u],
    ['the accounts could not be read', { ownership: { accounts: unreadable('it is gone') } }, 'app', /^Who app is in it is not known: it is gone$/u],
    ['a mount could not be read', { ownership: { mounts: [{ target: '/d', readOnly: false, files: unreadable('it is far away') }] } }, 'app', /^Whose the files in \/d are is not known: it is far away$/u],
    ['its layer could not be read', { ownership: { written: [{ path: '/d', owner: absent }] } }, 'app', /^Whose \/d is, where it wrote, is not known$/u],
    ['low ports are closed, and nobody saw it listen', { spec: lowPorts }, 'app', /^What it listens on was not seen$/u],
    ['the network is one of nobody', { spec: { namespaces: { network: 'container:gone' } } }, 'app', /^Which ports/u],
  ])('is not known where %s', (_, told, user, says) => expect(obstacles(told, user).unknown).toEqual([expect.stringMatching(says)]));

  test('numbers alone need no account files', () => {
    expect(obstacles({ ownership: { accounts: unreadable('x'), written: [written('/a', owned(0o770, 0, 77))] } }, '500:77')).toEqual({ certain: [], possible: [], unknown: [], partly: [] });
  });
});

describe('what is made of it', () => {
  function proposed(told: Told, user?: string): unknown {
    const facts = factsOf(told);
    const finding = check.evaluate(facts, defaultPolicy).find(({ target }) => target.name === 'web');
    if (finding === undefined) throw new Error('no finding');
    return userRemediation.propose({ ...finding, check: check.id }, facts, user === undefined ? defaultPolicy : { ...defaultPolicy, parameters: { container: { user } } });
  }
  const asks = (suggested: string | null, evidence: RegExp): object => ({ defer: 'choice', asks: [{ parameter: ['containers', 'web', 'user'], suggested, evidence: expect.stringMatching(evidence) as string }] });

  test('the user of the image is suggested where files and ports allow it', () => {
    expect(proposed({})).toMatchObject(asks('"app"', /files and ports that were seen\.$/u));
    expect(proposed({ ownership: { mounts: [mount('/data', owned(0o777), { complete: false })] } })).toMatchObject(asks('"app"', /Of \/data only the first files were looked at\.$/u));
  });
  test('and not where they do not, which is said', () => {
    const told = { ownership: { written: ['/a', '/b', '/c', '/d', '/e'].map((path) => written(path, owned(0o755))) } };
    expect(proposed(told)).toMatchObject(asks(null, /could not write to \/a \(0:0, mode 0755\), nor write to \/b .*, nor do 1 more things\.$/u));
    expect(proposed(told)).toMatchObject({ explanation: expect.stringMatching(/As app, the user of its image, it could not write to \/a/u) as string });
  });
  test('nor where nobody looked', () => expect(proposed({ ownership: null })).toMatchObject(asks(null, /Its image has the user app\. Whose the files are/u)));
  test('a user of the policy is held to the same', () => {
    expect(proposed({ spec: lowPorts, more: listening(80) }, 'app')).toMatchObject({ defer: 'guard', explanation: expect.stringContaining('As app web could not listen on port 80') as string });
    expect(proposed({ ownership: { mounts: [mount('/conf', owned(0o755))] } }, 'app')).toMatchObject({ edits: [{ kind: 'changeContainer', note: 'As app web cannot write to /conf (0:0, mode 0755).' }] });
  });
});

test('account files are read whatever is in them', () => {
  expect(parseAccounts('a:x:1:2:::\n\n#x\nb:x:y:1\n:x:3:4\n', 'g:x:5:a,,b\nh:x:-1:\n')).toEqual({
    users: [{ name: 'a', uid: 1, gid: 2 }, { name: '', uid: 3, gid: 4 }], groups: [{ name: 'g', gid: 5, members: ['a', 'b'] }],
  });
  fc.assert(fc.property(fc.string(), fc.string(), (passwd, group) => {
    const found = parseAccounts(passwd, group);
    expect([...found.users.flatMap(({ uid, gid }) => [uid, gid]), ...found.groups.map(({ gid }) => gid)].every((id) => Number.isSafeInteger(id) && id >= 0)).toBe(true);
  }));
});

test('the engine is asked for them, and follows no link out of the container', async () => {
  const root = mkdtempSync(join(tmpdir(), 'harden-accounts-'));
  const files: Readonly<Record<string, Buffer>> = {
    [`/containers/${'1'.repeat(64)}/archive?path=%2Fetc%2Fpasswd`]: tar({ name: 'passwd', content: 'app:x:500:501::/:/bin/sh\n' }),
    [`/containers/${'1'.repeat(64)}/archive?path=%2Fetc%2Fgroup`]: tar({ name: 'group', content: 'team:x:77:app\n' }),
    [`/containers/${'2'.repeat(64)}/archive?path=%2Fetc%2Fpasswd`]: tar({ name: 'passwd', type: '2', link: '/etc/shadow' }),
    [`/containers/${'3'.repeat(64)}/archive?path=%2Fetc%2Fpasswd`]: Buffer.from('no tar'),
  };
  const server = createServer((request, response) => {
    const body = files[request.url ?? ''];
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/x-tar' }).end(body ?? '{"message":"no such file"}');
  });
  await new Promise<void>((resolve) => server.listen(join(root, 'engine.sock'), resolve));
  const engine = await connectEngine({ dockerHost: `unix://${root}/engine.sock`, env: {} });
  try {
    const read = await readContainerAccounts(engine, ['1', '2', '3', '4'].map((digit) => ({ ...web(factsOf({})), id: digit.repeat(64) })));
    expect([...read.values()]).toEqual([
      present({ users: [{ name: 'app', uid: 500, gid: 501 }], groups: [{ name: 'team', gid: 77, members: ['app'] }] }),
      unreadable('/etc/passwd in it is no regular file'), { status: 'unreadable', reason: expect.stringContaining('no valid tar') as string }, present({ users: [], groups: [] }),
    ]);
  } finally {
    engine.close();
    server.close();
    rmSync(root, { recursive: true });
  }
});

test('of a tree one file of each owner, mode and type is told, the one that changed last, and no link is followed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'harden-owners-'));
  try {
    mkdirSync(join(root, 'd/e'), { recursive: true });
    for (const [index, name] of ['d/old', 'd/e/new', 'd/e/old'].entries()) {
      writeFileSync(join(root, name), '');
      chmodSync(join(root, name), 0o600);
      utimesSync(join(root, name), 1000, index === 1 ? 2000 : 1000);
    }
    for (const name of ['', 'd', 'd/e']) chmodSync(join(root, name), 0o750);
    symlinkSync('/usr', join(root, 'd/link'));
    if (process.getuid?.() === 0) chownSync(join(root, 'd/e/old'), 7, 8);
    const [found] = await createLocalReader().observe([{ kind: 'owners', path: root }]);
    const samples = valueOf(found)?.samples ?? [];
    expect(found).toMatchObject({ status: 'present', value: { complete: true } });
    expect(samples.filter(({ type }) => type === 'file').map(({ path, mode }) => [path, mode])).toEqual([['d/e/new', 0o600], ...(process.getuid?.() === 0 ? [['d/e/old', 0o600]] : [])]);
    expect(samples.map(({ type }) => type).sort()).toEqual(['directory', 'file', ...(process.getuid?.() === 0 ? ['file'] : []), 'symlink']);
    expect(await createLocalReader().observe([{ kind: 'owners', path: join(root, 'none') }])).toEqual([absent]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
