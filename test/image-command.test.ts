import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, describe, expect, test } from 'vitest';
import { jsonSchema } from '../src/schemas.ts';
import { harden, type Ran } from './terminal.ts';
import { classic, classicMembers, tar } from './tar-maker.ts';

const directory = mkdtempSync(join(tmpdir(), 'harden-image-command-'));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: string, content: Buffer | string): string => {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
};
const parts = { layers: [tar({ name: 'usr/bin/su', content: 'x', mode: 0o4755 })], config: { User: 'app', Env: ['DB_PASSWORD=hunter2'] } };
const good = file('good.tar', classic(parts));

interface Scan { host: { image: string }; results: { check: string; outcome: string; findings: { target: { name: string } }[] }[] }
const scanned = async (...args: string[]): Promise<{ code: number; document: Scan; outcomes: Record<string, string> }> => {
  const { code, out, err } = await harden(['scan', '--format', 'json', ...args]);
  if (out === '') throw new Error(err);
  const document = JSON.parse(out) as Scan;
  return { code, document, outcomes: Object.fromEntries(document.results.map(({ check, outcome }) => [check, outcome])) };
};

describe('scan --image FILE', () => {
  test('judges the configuration and history of the image, and nothing else', async () => {
    const { code, document, outcomes } = await scanned('--image', good);
    expect(code).toBe(1);
    expect(outcomes).toMatchObject({ 'image.user': 'pass', 'image.no-secrets': 'warn', 'image.healthcheck': 'warn', 'image.setuid': 'manual' });
    expect(document.results.every(({ check }) => check.startsWith('image.') && check !== 'image.content-trust')).toBe(true);
    expect(document.host.image).toBe(good);
    expect(document.results.find(({ check }) => check === 'image.user')?.findings).toMatchObject([{ target: { name: 'a:1' } }]);
    const ajv = new Ajv2020({ strict: false });
    addFormats.default(ajv);
    const validate = ajv.compile(jsonSchema('scan', true));
    expect(validate(document) ? '' : ajv.errorsText(validate.errors)).toBe('');
    expect(JSON.stringify(document)).not.toContain('hunter2');
  });

  test('looks inside with --deep, and at chosen checks with -c', async () => {
    expect((await scanned('--image', good, '--deep', '-c', '4.8,image.empty-password')).outcomes).toEqual({ 'image.setuid': 'warn', 'image.empty-password': 'na' });
    expect(await scanned('--image', good, '--deep', '-c', 'CIS-DI-0008', '--set', 'images.setuidFiles=[/usr/bin/su]')).toMatchObject({ code: 0, outcomes: { 'image.setuid': 'pass' } });
    const { out } = await harden(['scan', '--image', good]);
    expect(out).toMatch(/^Image .*good\.tar · no host was looked at/u);
    // There is no plan for an image alone.
    expect(out).not.toContain('harden plan');
    expect(out).toContain('harden explain CHECK');
  });

  test('a layer that cannot be read is unknown, and never passes', async () => {
    const broken = file('broken.tar', classic({ layers: [Buffer.from('no tar'.repeat(200))] }));
    const { code, outcomes } = await scanned('--image', broken, '--deep', '-c', 'image.setuid,image.secret-files');
    expect({ code, outcomes }).toEqual({ code: 1, outcomes: { 'image.setuid': 'unknown', 'image.secret-files': 'unknown' } });
  });

  const refused: Readonly<Record<string, readonly [args: readonly string[], says: string]>> = {
    'a check that is not about images': [['--image', good, '-c', 'daemon.icc'], 'daemon.icc is not about images'],
    'content trust, which people set': [['--image', good, '-c', '4.5'], '4.5 is not about images'],
    'a check that does not exist': [['--image', good, '-c', 'image.sutuid'], 'did you mean'],
    'an exclusion of all': [['--image', good, '-e', 'image'], 'nothing is left to check'],
    'a choice by name': [['--image', good, '-i', 'a*'], '--image names one image'],
    'a snapshot besides': [['--image', good, '--facts', 'x'], 'give one of them'],
    'a file that is not there': [['--image', '/no/such.tar'], 'there is no such file'],
    'an empty file': [['--image', file('empty.tar', '')], 'it is empty'],
    'text': [['--image', file('text.tar', 'hello\n'.repeat(500))], 'no valid tar'],
    'a truncated archive': [['--image', file('short.tar', classic(parts).subarray(0, 2000))], 'ends in the middle'],
    'a tar of something else': [['--image', file('other.tar', tar({ name: 'a', content: 'b' }))], 'it holds no image'],
    'an archive without a layer': [['--image', file('missing.tar', tar(...classicMembers(parts).slice(1)))], 'is not in it'],
    'a directory that is no layout': [['--image', directory], 'no OCI layout'],
    'a device': [['--image', '/dev/null'], 'neither a file nor a directory'],
    'no engine': [['--image', 'debian:12', '--docker-host', `unix://${directory}/none.sock`], 'the socket does not exist'],
  };
  test.each(Object.entries(refused))('%s is refused', async (_, [args, says]) => {
    const { code, out, err } = await harden(['scan', ...args]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(says);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
    expect(err).not.toMatch(/fault in harden|\n\s+at /u);
  });
});

describe('through an engine', () => {
  const id = `sha256:${'a'.repeat(64)}`;

  /** An engine that knows one image; `get` is what it sends for its archive. */
  async function withEngine(get: Buffer | 'vanished' | 'cut', run: (dockerHost: string) => Promise<Ran | Awaited<ReturnType<typeof scanned>>>): Promise<unknown> {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      const path = (request.url ?? '').replace(/^\/v[\d.]+/u, '').replace(/%3A/giu, ':');
      asked.push(path);
      const json = (value: unknown): void => void response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
      if (/^\/images\/(?:app:1|sha256:a+)\/json$/u.test(path)) json({ Id: id, RepoTags: ['app:1'], Created: '2026-11-01T00:00:00Z', Size: 10, Config: { User: 'app' } });
      else if (path.endsWith('/history')) json([]);
      else if (path.endsWith('/get') && get === 'cut') {
        response.write(classic(parts).subarray(0, 1500));
        setTimeout(() => response.destroy(), 20);
      } else if (path.endsWith('/get') && get !== 'vanished') response.end(get);
      else response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"no such image"}');
    });
    const socket = join(directory, 'engine.sock');
    await new Promise<void>((resolve) => { server.listen(socket, resolve); });
    try {
      const result = await run(`unix://${socket}`);
      return { ...result, asked };
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => { server.close(resolve); });
      rmSync(socket, { force: true });
    }
  }

  test('an image is asked for by its name, and nothing of the host', async () => {
    const result = await withEngine('vanished', (host) => scanned('--image', 'app:1', '--docker-host', host, '-c', 'image.user'));
    expect(result).toMatchObject({ code: 0, outcomes: { 'image.user': 'pass' }, asked: ['/images/app:1/json', '/images/app:1/history'] });
  });

  test('what is sent of it is looked into; a transfer that breaks off is unknown', async () => {
    const deep = (host: string): Promise<Awaited<ReturnType<typeof scanned>>> => scanned('--image', 'app:1', '--docker-host', host, '--deep', '-c', 'image.setuid');
    expect(await withEngine('cut', deep)).toMatchObject({ code: 1, outcomes: { 'image.setuid': 'unknown' } });
    expect(await withEngine(classic(parts), deep)).toMatchObject({ code: 1, outcomes: { 'image.setuid': 'warn' } });
  });

  test('one that is not there, and what is no name, are errors', async () => {
    expect(await withEngine('vanished', (host) => harden(['scan', '--image', 'nothing:1', '--docker-host', host]))).toMatchObject({ code: 2, err: expect.stringContaining('has no such image') as string });
    expect(await withEngine('vanished', (host) => harden(['scan', '--image', 'a/../b?x', '--docker-host', host]))).toMatchObject({ code: 2, asked: [] });
  });
});

test('--deep belongs where an engine is asked, not where a snapshot is read', async () => {
  const { code, err } = await harden(['scan', '--deep', '--facts', 'fixtures/hosts/stock-debian.json']);
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('harden collect') as string });
});
