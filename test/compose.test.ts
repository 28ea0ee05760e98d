import { readdirSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { ComposeError, decodeCompose, parseCompose } from '../src/compose/document.ts';
import { editService } from '../src/compose/edit.ts';
import { parseProject, serviceNames } from '../src/compose/project.ts';
import { composeService } from '../src/compose/service.ts';
import type { Json, SpecEdit } from '../src/model.ts';

interface Case {
  readonly service: string;
  readonly edits: readonly SpecEdit[];
  readonly files: readonly string[];
  readonly related?: readonly string[];
  /** For each edit, why it is left to a person, and what the file should say. */
  readonly ambiguous?: readonly { readonly path: string; readonly reason: string; readonly lines: string }[];
}

const root = new URL('../fixtures/compose/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const loaded = (name: string, files: readonly string[]): { path: string; text: string }[] => files.map((path) => ({ path, text: read(`${name}/${path}`) }));

describe('edits of compose files', () => {
  test.each(readdirSync(root).filter((name) => !name.includes('.')))('%s', (name) => {
    const { service, edits, files, related = [], ambiguous } = JSON.parse(read(`${name}/case.json`)) as Case;
    const project = parseProject(loaded(name, files), { related: loaded(name, related), directory: '/p' });
    if (ambiguous !== undefined) {
      // One by one: each is held back for a reason of its own.
      expect(edits.flatMap((edit) => {
        const result = editService(project, service, [edit]);
        return 'ambiguous' in result ? result.ambiguous.map(({ reason, lines }) => ({ path: edit.path, reason, lines })) : [{ path: edit.path, reason: 'none' }];
      })).toEqual(ambiguous);
      return;
    }
    const result = editService(project, service, edits);
    if (!('files' in result)) throw new Error(JSON.stringify(result, null, 2));
    const after = new Map(result.files.map((file) => [file.path, file.after]));
    const expected = readdirSync(new URL(`${name}/`, root)).filter((file) => file.includes('.after.'));
    expect(new Map(expected.map((file) => [file.replace('.after.', '.'), read(`${name}/${file}`)]))).toEqual(after);
    // Done is done: the same edits find nothing to do.
    expect(editService(result.project, service, edits.filter(({ op }) => op !== 'replace'))).toMatchObject({ files: [] });
  });
});

describe('a service as a specification', () => {
  const project = parseProject([{ path: 'compose.yaml', text: read('service.yaml') }], { directory: '/srv/shop' });

  test('is what the service asks of the engine', () => {
    expect(serviceNames(project)).toEqual(['web', 'plain']);
    expect(composeService(project, 'nobody')).toBeNull();
    const { places, ...web } = composeService(project, 'web') ?? {};
    expect(web).toEqual(JSON.parse(read('service.json')));
    expect(places).toMatchObject({ image: [{ path: 'compose.yaml', line: 4, column: 5 }], privileged: [{ line: 15, column: 5 }] });
  });

  test('a service that chooses nothing is in the default network of its project', () => {
    expect(composeService(project, 'plain')).toMatchObject({
      spec: { name: 'plain', image: { reference: 'x' }, namespaces: { network: 'shop_default' }, network: { attachments: { shop_default: {} } }, resources: { memory: null } },
      unmodelled: [], unresolved: [],
    });
  });
});

describe('a text that is no compose file', () => {
  const deep = '['.repeat(20_000);
  test.each([
    ['', '1:1: the file is empty'],
    ['# only a comment\n', '1:1: the file is empty'],
    ['- a\n', '1:1: a compose file is a mapping'],
    ['services:\n\tweb: {}\n', '2:1: Tabs are not allowed as indentation'],
    ['services:\n  web:\n    image: x\n    user: a\n    image: y\n', '5:5: the key "image" is here twice'],
    ['services: {}\nservice: {}\n', '2:1: "service" is no top-level key'],
    ['services:\n  a: {image: x}\n---\nservices: {}\n', '3:1: a second document begins here'],
    ['services: [a]\n', '1:11: services must be a mapping'],
    ['services:\n  web: x\n', '2:8: the service "web" must be a mapping'],
    ['services:\n  web:\n    image: *x\n', '3:12: Unresolved alias'],
    ['services:\n  web: {image: x\n', '3:1: '],
    ['services:\n  ? [a, b]\n  : x\n', '2:5: a key must be plain text'],
    ['__proto__: {}\n', '1:1: the key "__proto__" is not allowed'],
    [deep, '1:101: nested deeper than 100 levels'],
    ['- '.repeat(20_000), '1:1: nested deeper than 100 levels'],
    [Array.from({ length: 200 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'), '101:1: nested deeper than 100 levels'],
    [`# ${'x'.repeat(10 * 1024 * 1024)}`, '1:1: the file is larger than 1 MiB'],
    ['x-a: &a [1, 1, 1, 1]\nx-b: &b [*a, *a, *a, *a, *a, *a, *a]\nx-c: &c [*b, *b, *b, *b, *b, *b, *b]\nx-d: &d [*c, *c, *c, *c, *c, *c, *c]\nx-e: [*d, *d, *d, *d, *d]\n', 'Excessive alias count'],
  ])('%# is refused with its place', (text, message) => {
    expect(() => parseCompose('compose.yaml', text)).toThrow(ComposeError);
    expect(() => parseCompose('compose.yaml', text)).toThrow(message.startsWith('E') ? message : `compose.yaml:${message}`);
  });

  test('bytes that are no UTF-8 are refused with their place', () => {
    const bytes = Buffer.concat([Buffer.from('a: \ufffd\nb: ä'), Buffer.from([0xff])]);
    expect(() => decodeCompose('c.yaml', bytes)).toThrow('c.yaml:2:5: this is not UTF-8 text');
    expect(decodeCompose('c.yaml', Buffer.from('\ufeffa: 1'))).toBe('\ufeffa: 1');
  });

  test('whatever it is, it is read or refused with its place', () => {
    const piece = fc.oneof(
      fc.string(), fc.string({ unit: 'binary' }),
      fc.constantFrom('services:', '\n', '\n  ', '\n    ', 'web:', ' ', '- ', '{', '}', '[', ']', '&a ', '*a', '<<: ', ': ', '"', '\'', '|', '>', '#', '!reset ', '? ', '\r\n', '\t', '%YAML 1.1', '---', '...'),
    );
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        const document = parseCompose('f', pieces.join(''));
        expect(document.text).toBe(pieces.join(''));
      } catch (error) {
        expect(error).toBeInstanceOf(ComposeError);
        expect(error).toMatchObject({ message: expect.stringMatching(/^f:[1-9]\d*:[1-9]\d*: ./su) as string });
      }
    }), { numRuns: 150 });
  });
});

describe('any edits of any service', () => {
  const capability = fc.constantFrom('NET_RAW', 'MKNOD', 'ALL', 'CHOWN', 'NET_ADMIN');
  const service = fc.record({
    image: fc.constantFrom('x', 'x:1', 'x@sha256:0'),
    cap_add: fc.uniqueArray(capability, { minLength: 1 }),
    cap_drop: fc.uniqueArray(capability, { minLength: 1 }),
    environment: fc.dictionary(fc.string({ minLength: 1 }).filter((key) => key !== '__proto__'), fc.string()),
    command: fc.array(fc.string({ unit: 'grapheme' })),
    security_opt: fc.subarray(['seccomp:unconfined', 'no-new-privileges:false', 'label=disable', 'apparmor=unconfined'], { minLength: 1 }),
    mem_limit: fc.constantFrom('512m', 1024, '${MEM}'),
    privileged: fc.boolean(),
    network_mode: fc.constantFrom('host', 'bridge'),
    tmpfs: fc.constantFrom<Json>('/run', ['/run', '/tmp:size=1m']),
    volumes: fc.subarray<Json>(['./a:/a', '/b:/b:ro', { type: 'bind', source: '/c', target: '/c' }], { minLength: 1 }),
    ulimits: fc.constantFrom<Json>({ nofile: 5 }, { nofile: { soft: 1, hard: 2 }, nproc: 3 }),
    restart: fc.constantFrom('always', 'no'),
  }, { requiredKeys: ['image'] });
  const bind = (target: string, readOnly: boolean): Json => ({ kind: 'bind', via: 'binds', source: target, target, readOnly, options: readOnly ? 'ro' : '', details: null, volume: null });
  const edit: fc.Arbitrary<SpecEdit> = fc.oneof(
    fc.record({ op: fc.constantFrom('add' as const, 'remove' as const), path: fc.constantFrom('security.capAdd' as const, 'security.capDrop' as const), value: capability }),
    fc.constantFrom<SpecEdit>(
      { op: 'set', path: 'security.readonlyRootfs', value: true }, { op: 'set', path: 'security.privileged', value: false },
      { op: 'set', path: 'security.noNewPrivileges', value: true }, { op: 'set', path: 'security.seccomp', value: null }, { op: 'set', path: 'resources.memory', value: 1 << 20 },
      { op: 'set', path: 'namespaces.network', value: '' }, { op: 'set', path: 'user', value: '1:$x' }, { op: 'set', path: 'restart', value: { name: 'on-failure', maximumRetryCount: 5 } },
      { op: 'set', path: 'log', value: { driver: 'json-file', options: { 'max-size': '5m' } } }, { op: 'remove', path: 'security.labels', value: 'disable' },
      { op: 'remove', path: 'mounts', value: bind('/b', true) }, { op: 'replace', path: 'mounts', value: bind('/a', false), by: bind('/a', true) },
      { op: 'replace', path: 'mounts', value: bind('/c', false), by: bind('/c', true) }, { op: 'add', path: 'resources.ulimits', value: { name: 'nofile', soft: 3, hard: 4 } },
      { op: 'add', path: 'mounts', value: { kind: 'tmpfs', via: 'tmpfs', source: '', target: '/tmp', readOnly: false, options: 'size=2m', details: null, volume: null } },
    ),
  );
  const style = fc.record({ indent: fc.constantFrom(1, 2, 4), indentSeq: fc.boolean(), collectionStyle: fc.constantFrom('any' as const, 'flow' as const), lineWidth: fc.constantFrom(0, 40), singleQuote: fc.boolean() });

  /** Comments and blank lines between the lines, as far as they change nothing. */
  function commented(text: string, picks: readonly number[]): string {
    const data: unknown = parse(text);
    let lines = text.split('\n');
    for (const [index, pick] of picks.entries()) {
      const at = pick % lines.length;
      for (const candidate of [[...lines.slice(0, at), `${/^ */.exec(lines[at] ?? '')?.[0] ?? ''}# ${index} stays`, ...lines.slice(at)], lines.with(at, `${lines[at] ?? ''}   # ${index} too`)]) {
        try {
          if (isDeepStrictEqual(parse(candidate.join('\n')), data)) lines = candidate;
        } catch {
          // Within a text of several lines no comment is possible.
        }
      }
    }
    return lines.join('\n');
  }

  /** What stays of a text's lines, in their order, must be the whole other text but for the lines in between. */
  const isSubsequence = (part: readonly string[], whole: readonly string[]): boolean => {
    let at = 0;
    for (const line of whole) if (line === part[at]) at++;
    return at === part.length;
  };

  test('say what was asked for, in lines of their own, or are left to a person', { timeout: 60_000 }, () => {
    const reached = { edited: 0, ambiguous: 0 };
    fc.assert(fc.property(fc.tuple(service, service, service), fc.array(edit, { minLength: 1, maxLength: 4 }), style, fc.array(fc.nat(), { maxLength: 4 }), fc.boolean(), fc.boolean(), (services, edits, options, picks, crlf, final) => {
      const [first, web, last] = services;
      const part = (name: string, value: unknown): string => stringify({ services: { [name]: value } }, options).replace(/^services:.*?\n/, '');
      const flow = options.collectionStyle === 'flow';
      const parts = flow ? [] : [part('first', first), part('web', web), part('last', last)];
      const bare = flow ? stringify({ services: { first, web, last } }, options) : `services:\n${parts.join('')}`;
      const noted = commented(bare.trimEnd(), picks) + (final ? '\n' : '');
      const text = crlf && !/[\r\t|>]/.test(noted) ? noted.replaceAll('\n', '\r\n') : noted;
      const project = parseProject([{ path: 'c', text }]);
      const before = parse(text) as { services: Record<string, Record<string, Json>> };
      const result = editService(project, 'web', edits);
      if ('ambiguous' in result) {
        reached.ambiguous++;
        for (const { reason, lines } of result.ambiguous) expect([reason, lines].every((one) => one !== '')).toBe(true);
        return;
      }
      reached.edited++;
      const [file] = result.files;
      if (file === undefined) return;
      const after = parse(file.after) as typeof before;
      // Others are as they were; of this one only the keys of the edits differ.
      expect({ ...after.services, web: null }).toEqual({ ...before.services, web: null });
      const keys = new Set(['cap_add', 'cap_drop', 'read_only', 'privileged', 'security_opt', 'mem_limit', 'network_mode', 'user', 'restart', 'logging', 'volumes', 'ulimits', 'tmpfs']);
      const rest = (value: Record<string, Json>): Record<string, Json> => Object.fromEntries(Object.entries(value).filter(([key]) => !keys.has(key)));
      expect(rest(after.services['web'] ?? {})).toEqual(rest(before.services['web'] ?? {}));
      const merged = composeService(result.project, 'web')?.spec;
      for (const { op, path, value } of edits.slice(-1)) {
        if (op === 'add' && path === 'security.capDrop') expect(merged?.security.capDrop).toContain(value);
        if (op === 'remove' && path === 'security.capAdd') expect(merged?.security.capAdd).not.toContain(value);
      }
      // Line ends are of one kind still, and all lines that stand by themselves are there.
      if (text.includes('\r\n')) expect(file.after.replaceAll('\r\n', '')).not.toContain('\n');
      const lines = text.split('\n');
      expect(isSubsequence(lines.filter((line) => /^ *# \d+ stays\r?$/.test(line)), file.after.split('\n'))).toBe(true);
      if (!flow) {
        const [head, tail] = [noted.indexOf('web:'), noted.lastIndexOf('last:')].map((offset) => noted.slice(0, offset).split('\n').length - 1);
        expect(file.after.startsWith(lines.slice(0, head).join('\n'))).toBe(true);
        expect(file.after.endsWith(lines.slice(tail).join('\n'))).toBe(true);
      }
    }), { numRuns: 40 });
    expect(reached.edited).toBeGreaterThan(10);
  });
});
