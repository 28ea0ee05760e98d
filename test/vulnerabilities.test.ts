import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { scansIn } from '../src/collect/vulnerabilities.ts';
import { UsageError } from '../src/errors.ts';
import type { Facts, ImageFacts, Json, Report } from '../src/model.ts';
import { loadHost } from './hosts.ts';
import { harden } from './terminal.ts';

const RAW = 'fixtures/raw/vulnerabilities';
const ID = `sha256:${'a'.repeat(64)}`;
const DIGEST = `sha256:${'1'.repeat(64)}`;
const directory = mkdtempSync(join(tmpdir(), 'harden-vulnerabilities-'));
afterAll(() => rmSync(directory, { recursive: true }));

const raw = (name: string): Json => JSON.parse(readFileSync(`${RAW}/${name}`, 'utf8')) as Json;
const OPENSSL = { id: 'CVE-2026-1001', package: 'openssl', fixedIn: '3.0.17-1', severity: 'high' };

describe('reports are recognised by what is in them', () => {
  it.each([
    ['trivy-0.58.json', {
      scanner: 'Trivy', scannedAt: '2026-11-13T08:00:00.123Z', imageId: ID, digests: [DIGEST], examined: true,
      fixable: [OPENSSL, { id: 'CVE-2026-1003', package: 'left-pad', fixedIn: '1.1.0, 2.0.0', severity: 'medium' }],
    }],
    ['trivy-0.58-secrets-only.json', { scanner: 'Trivy', scannedAt: '2026-11-13T08:00:00.000Z', imageId: ID, digests: [], examined: false, fixable: [] }],
    ['trivy-0.58.sarif', { scanner: 'Trivy', scannedAt: null, imageId: ID, digests: [DIGEST], examined: true, fixable: [OPENSSL] }],
    ['grype-0.87.json', {
      scanner: 'Grype', scannedAt: '2026-11-13T08:00:00.123Z', imageId: ID, digests: [`sha256:${'2'.repeat(64)}`, DIGEST], examined: true,
      fixable: [OPENSSL, { id: 'GHSA-aaaa-bbbb-cccc', package: 'left-pad', fixedIn: '1.1.0, 2.0.0', severity: 'unknown' }],
    }],
    ['grype-0.87.sarif', { scanner: 'Grype', scannedAt: null, imageId: null, digests: [DIGEST], examined: true, fixable: [OPENSSL] }],
    ['clair-4.7.json', {
      scanner: 'Clair', scannedAt: null, imageId: null, digests: [DIGEST], examined: true,
      fixable: [OPENSSL, { id: 'GHSA-dddd-eeee-ffff', package: 'log4j-core', fixedIn: '2.17.1', severity: 'critical' }],
    }],
  ])('%s', (name, scan) => {
    expect(scansIn(raw(name), name)).toEqual([scan]);
  });

  it('holds several scans in one SARIF', () => {
    const [trivy, grype] = ['trivy-0.58.sarif', 'grype-0.87.sarif'].map((name) => (raw(name) as { runs: Json[] }).runs);
    expect(scansIn({ version: '2.1.0', runs: [...trivy ?? [], ...grype ?? []] }, 'x').map(({ scanner }) => scanner)).toEqual(['Trivy', 'Grype']);
  });

  it.each<[string, Json]>([
    ['is not a report', null], ['is not a report', []], ['is not a report', 'x'], ['is not a report', { results: [] }], ['is not a report', raw('../../hosts/stock-debian.json')],
    ['holds no scan', { version: '2.1.0', runs: [] }],
    ['the tool "semgrep"', { version: '2.1.0', runs: [{ tool: { driver: { name: 'semgrep' } }, results: [] }] }],
    ['the tool "\\e[2J"', { version: '2.1.0', runs: [{ tool: { driver: { name: '\u001b[2J' } }, results: [] }] }],
    ['a run without results', { version: '2.1.0', runs: [{ tool: { driver: { name: 'Trivy' } } }] }],
    ['which image was scanned', { version: '2.1.0', runs: [{ tool: { driver: { name: 'grype' } }, results: [] }] }],
    ['which image was scanned', { SchemaVersion: 2, ArtifactName: 'a:1', ArtifactType: 'container_image', Metadata: { RepoTags: ['a:1'], ImageID: 'a:1' } }],
    ['about a filesystem', { SchemaVersion: 2, ArtifactName: '.', ArtifactType: 'filesystem', Results: [] }],
    ['about a directory', { descriptor: { name: 'grype' }, source: { type: 'directory', target: '.' }, matches: [] }],
    ['without its matches', { descriptor: { name: 'grype' }, source: { type: 'image', target: { imageID: ID } } }],
    ['older than 0.20', [{ Target: 'a:1 (debian 10)', Vulnerabilities: null }]],
    ['a flaw without an id', { SchemaVersion: 2, ArtifactType: 'container_image', Metadata: { ImageID: ID }, Results: [{ Vulnerabilities: [{ FixedVersion: '1' }] }] }],
    ['no scanner writes, in CVE\\e[31m', { SchemaVersion: 2, ArtifactType: 'container_image', Metadata: { ImageID: ID }, Results: [{ Vulnerabilities: [{ VulnerabilityID: 'CVE\u001b[31m', PkgName: 'a', FixedVersion: '1' }] }] }],
  ])('refuses what %s', (why, report) => {
    const failed = (): unknown => scansIn(report, 'r.json');
    expect(failed).toThrow(UsageError);
    expect(failed).toThrow(why);
    expect(failed).toThrow(/^r\.json .*\.\nWrite one with/u);
  });

  it('takes any JSON for a report or refuses it, and nothing else', () => {
    const names = ['trivy-0.58.json', 'trivy-0.58.sarif', 'grype-0.87.json', 'clair-4.7.json'];
    /** Another value at the place that `at` counts to. */
    const spoil = (node: Json, at: { left: number }, value: Json): Json => {
      if (at.left-- === 0) return value;
      if (Array.isArray(node)) return node.map((child) => spoil(child, at, value));
      if (typeof node !== 'object' || node === null) return node;
      return Object.fromEntries(Object.entries(node).map(([key, child]) => [key, spoil(child, at, value)]));
    };
    fc.assert(fc.property(fc.constantFrom(...names), fc.nat(80), fc.jsonValue(), (name, left, value) => {
      try {
        for (const scan of scansIn(spoil(raw(name), { left }, value as Json), 'x')) expect(scan.imageId ?? scan.digests[0]).toMatch(/^sha256:[0-9a-f]{64}$/u);
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    }), { numRuns: 500 });
  });

  it('is not led astray by names that objects have', () => {
    const report = JSON.parse(`{"__proto__":{"polluted":1},"manifest_hash":"${DIGEST}","packages":{"__proto__":{"name":"p"},"1":{"name":"q"}},`
      + '"vulnerabilities":{"__proto__":{"name":"CVE-1","fixed_in_version":"2","normalized_severity":"High"},"toString":{"name":"CVE-2","fixed_in_version":"2","normalized_severity":"Low"}},'
      + '"package_vulnerabilities":{"__proto__":["__proto__"],"constructor":["toString"]}}') as Json;
    expect(scansIn(report, 'x')[0]?.fixable).toEqual([
      { id: 'CVE-1', package: 'p', fixedIn: '2', severity: 'high' }, { id: 'CVE-2', package: '', fixedIn: '2', severity: 'low' },
    ]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('--vulnerabilities', () => {
  const image = (id: string): ImageFacts => ({ id, tags: ['a:1'], digests: [], createdAt: '2026-10-01T08:00:00.000Z', sizeBytes: 1 });
  const facts: Facts = { ...loadHost('stock-debian'), images: { status: 'present', value: [image(ID)] } };
  const host = join(directory, 'facts.json');
  writeFileSync(host, JSON.stringify(facts));
  const scan = (...args: string[]): ReturnType<typeof harden> => harden(['scan', '--facts', host, '-c', 'image.scanned', '--format', 'json', ...args]);
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };

  it('judges the image that the report is of, and leaves the others to a person', async () => {
    expect((JSON.parse((await scan()).out) as Report).results[0]?.outcome).toBe('manual');
    const { code, out, err } = await scan('--vulnerabilities', `${RAW}/trivy-0.58.json`, '--vulnerabilities', `${RAW}/grype-0.87.json`);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect((JSON.parse(out) as Report).results[0]).toMatchObject({ outcome: 'warn', reason: '1 high with a fix: CVE-2026-1001 in openssl' });
  });

  it('says that a report is of another image, and that the image here is unscanned', async () => {
    const other = file('other.json', readFileSync(`${RAW}/clair-4.7.json`, 'utf8'));
    const { code, out, err } = await scan('--vulnerabilities', other);
    expect(code).toBe(1);
    expect(err).toBe(`harden: ${other} is of another image (${DIGEST}), which is not on this host: it is left out\n`);
    expect((JSON.parse(out) as Report).results[0]).toMatchObject({ outcome: 'warn', reason: 'It is unscanned: no report that was given is of it' });
  });

  it('plans the versions with the fixes, and takes a parameter', async () => {
    const planned = await harden(['plan', '--facts', host, '-c', '4.4', '--vulnerabilities', `${RAW}/trivy-0.58.json`]);
    expect(planned.out).toContain('Raise the base image, or openssl to 3.0.17-1.');
    expect((await scan('--vulnerabilities', `${RAW}/trivy-0.58.json`, '--set', 'images.fixSeverity=critical')).code).toBe(0);
    expect((await scan('--set', 'images.fixSeverity=bad')).err).toContain('images.fixSeverity must be one of negligible, low, medium, high, critical');
    const explained = (await harden(['explain', 'image.scanned'])).out;
    expect(explained).toContain('images.maxScanAgeDays');
    expect(explained).toContain('images.fixSeverity');
  });

  const huge = join(directory, 'huge.json');
  writeFileSync(huge, '{');
  truncateSync(huge, 100 << 20);
  it.each([
    ['nothing', join(directory, 'nowhere.json'), 'ENOENT'], ['a directory', directory, 'is not a regular file'], ['a device', '/dev/zero', 'is not a regular file'],
    ['100 MB', huge, 'is larger than 64 MiB'],
    ['a report that was cut off', file('cut.json', readFileSync(`${RAW}/trivy-0.58.json`, 'utf8').slice(0, 500)), 'cannot be read'],
    ['nesting without end', file('deep.json', '['.repeat(200_000) + ']'.repeat(200_000)), 'deep.json'],
    ['control characters', file('control.json', readFileSync(`${RAW}/grype-0.87.json`, 'utf8').replace('CVE-2026-1001', 'CVE\\u001b[31m')), 'CVE\\e[31m'],
  ])('exits 2 for %s, saying what, where, and what to do', async (_what, path, why) => {
    for (const command of [['scan', '--facts', host], ['plan', '--facts', host], ['verify', '--facts', host, '--baseline', await baseline()]]) {
      const { code, out, err } = await harden([...command, '--vulnerabilities', path]);
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain(path);
      expect(err).toContain(why);
      expect(err).toMatch(/^harden: [^\n]*\nWrite one with `trivy image [^\n]*\n$/u);
    }
  });

  const baseline = async (): Promise<string> => file('baseline.json', (await scan()).out);

  it('verify sees what a report changes', async () => {
    const clean = file('clean.json', readFileSync(`${RAW}/trivy-0.58.json`, 'utf8').replaceAll('FixedVersion', 'NoVersion'));
    const before = file('clean-scan.json', (await scan('--vulnerabilities', clean)).out);
    expect((await harden(['verify', '--facts', host, '--baseline', before, '--vulnerabilities', clean])).code).toBe(0);
    const { code, out } = await harden(['verify', '--facts', host, '--baseline', before, '--vulnerabilities', `${RAW}/trivy-0.58.json`]);
    expect(code).toBe(1);
    expect(out).toContain('image.scanned');
  });

  it('is kept in a snapshot, which may not hold anything else in its place', async () => {
    const odd = file('odd.json', JSON.stringify({ ...facts, vulnerabilities: {} }));
    expect(await harden(['scan', '--facts', odd])).toMatchObject({ code: 2, err: expect.stringContaining('vulnerabilities: Invalid input') as unknown });
    const held = file('held.json', JSON.stringify({ ...facts, vulnerabilities: scansIn(raw('trivy-0.58.json'), 'x') }));
    expect((await harden(['scan', '--facts', held, '-c', '4.4'])).out).toContain('CVE-2026-1001 in openssl');
  });
});
