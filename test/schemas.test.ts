import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { countStates, verify } from '../src/verify.ts';
import type { SchemaName } from '../src/schemas.ts';
import { jsonSchema, SCHEMA_NAMES } from '../src/schemas.ts';
import { exportSnapshot } from '../src/snapshot.ts';
import { TOOL } from '../src/version.ts';
import { loadHost } from './hosts.ts';
import { harden } from './terminal.ts';

const HOST = 'fixtures/hosts/stock-debian.json';
const directory = mkdtempSync(join(tmpdir(), 'harden-schemas-'));
afterAll(() => rmSync(directory, { recursive: true }));

const validator = (name: SchemaName, closed: boolean): ((document: unknown) => string) => {
  const ajv = new Ajv2020({ allErrors: true, strict: false });
  addFormats.default(ajv);
  const validate = ajv.compile(jsonSchema(name, closed));
  return (document) => (validate(document) ? '' : ajv.errorsText(validate.errors));
};

const printed = async (...argv: string[]): Promise<unknown> => JSON.parse((await harden([argv[0] ?? '', '--format', 'json', ...argv.slice(1)])).out) as unknown;

const planned = (): Promise<unknown> => printed('plan', '--facts', HOST, '--max-impact', 'data', '--max-risk', 'irreversible', '--set', 'defaultUlimits.nofile="65536:524288"');

const DOCUMENTS: Readonly<Record<Exclude<SchemaName, 'docker-bench' | 'gc' | 'history' | 'policy'>, () => Promise<unknown>>> = {
  scan: () => printed('scan', '--facts', HOST),
  snapshot: () => Promise.resolve(exportSnapshot(loadHost('debian-12'))),
  plan: planned,
  outcomes: async () => {
    const path = join(directory, 'plan.json');
    writeFileSync(path, JSON.stringify(await planned()));
    return printed('verify', path, '--facts', HOST);
  },
  list: () => printed('list', 'checks'),
  checklist: () => printed('list', 'checks', '--checklist', 'sans'),
  rewrite: () => printed('rewrite', '--', 'docker', 'run', '--env-file', 'x', '-p', '80:80', 'nginx'),
  explain: () => printed('explain', 'daemon.default-ulimits'),
};

describe('what harden prints fits the schema that ships', () => {
  it.each(Object.entries(DOCUMENTS))('%s', async (name, make) => {
    const document = await make();
    // Closed: a field that the schema does not name would fail too.
    expect(validator(name as SchemaName, true)(document)).toBe('');
    expect(validator(name as SchemaName, false)({ ...(document as object), addedLater: 1 })).toBe('');
    expect(validator(name as SchemaName, false)({ ...(document as object), schemaVersion: 2 })).not.toBe('');
  });

  it('docker-bench', async () => {
    const document = JSON.parse((await harden(['scan', '--facts', HOST, '--format', 'docker-bench'])).out) as object;
    expect(validator('docker-bench', true)(document)).toBe('');
    expect(validator('docker-bench', false)({ ...document, dockerbenchsecurity: '2' })).not.toBe('');
  });

  it('outcomes with every state', () => {
    const target = { kind: 'file', name: '/x', id: '/x' } as const;
    const before = [{ check: 'a', target, outcome: 'warn' as const }];
    const results = verify({ before, after: [], promises: [{ check: 'a', target, expect: 'pass', waitsFor: null }] });
    const document = { schemaVersion: 1, tool: TOOL, runId: 'r', planId: 'p', changes: [{ id: 'file:/x', state: 'applied', reason: null }], results, summary: countStates(results) };
    expect(validator('outcomes', true)(document)).toBe('');
    expect(validator('outcomes', false)({ ...document, changes: [{ id: 'file:/x', state: 'done', reason: null }] })).toMatch('/changes/0/state');
  });
});

it('the schema of harden.yaml takes what harden takes, and refuses unknown keys', () => {
  const check = validator('policy', false);
  expect(check(parse('maxImpact: restart\nparameters: { logDriver: { driver: journald } }\nwaivers: [{ check: a, reason: b, owner: c, expires: 2027-03-31 }]'))).toBe('');
  expect(check({})).toBe('');
  expect(check({ maximpact: 'restart' })).toMatch('additional properties');
  expect(check({ parameters: { logDriver: {} } })).toMatch('driver');
});

it('shipped schemas are those of the code', () => {
  for (const name of SCHEMA_NAMES) {
    expect(JSON.parse(readFileSync(`schemas/${name}.schema.json`, 'utf8')), `${name}: run \`npm run docs\``).toEqual(jsonSchema(name));
  }
});
