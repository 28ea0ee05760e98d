import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { Facts } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { restartMethod } from '../src/plan/restart.ts';
import type { ChangeSummary } from '../src/portable/model.ts';
import { portablePlan } from '../src/portable/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { hostVariables, inventoryName } from '../src/render/ansible.ts';
import { escapeLine } from '../src/render/escape.ts';
import { TOOL } from '../src/version.ts';
import { loadHost } from './hosts.ts';
import { hostileTexts, makeCanary } from './support/hostile.ts';
import { harden } from './terminal.ts';

const directory = mkdtempSync(join(tmpdir(), 'harden-ansible-'));
const canary = makeCanary();
afterAll(() => {
  rmSync(directory, { recursive: true });
  canary.remove();
});

const NO_YAML = spawnSync('python3', ['-c', 'import yaml']).status !== 0;
const HOST = 'fixtures/hosts/debian-12.json';
const ALLOW = ['--max-impact', 'restart', '--max-risk', 'behaviour'];
const generate = (out: string, facts = HOST): ReturnType<typeof harden> => harden(['generate', 'ansible', '--facts', facts, ...ALLOW, '-o', out], { cwd: process.cwd() });

const planned = (facts: Facts): Parameters<typeof hostVariables> => {
  const restart = restartMethod(facts, undefined);
  const { plan } = makePlan({ facts, policy: { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'behaviour' }, checks, remediations, tool: TOOL, now: new Date('2026-11-22T10:00:00Z'), restart });
  return [plan, portablePlan(plan, { facts, method: restart, fromSnapshot: true }), facts];
};

describe('the project', () => {
  const out = join(directory, 'project');
  beforeAll(async () => {
    expect(await generate(out)).toMatchObject({ code: 0, out: '' });
  });

  it('holds a role, and the plan as the variables of its host, for those who may read them', () => {
    expect(statSync(join(out, 'host_vars/web1.yml')).mode & 0o777).toBe(0o600);
    const variables = readFileSync(join(out, 'host_vars/web1.yml'), 'utf8');
    expect(variables).toContain('id: !unsafe "file:/etc/docker/daemon.json"');
    expect(variables).toMatch(/tags: \["daemon", "restart", .*"daemon\.icc"/u);
    expect(readFileSync(join(out, 'inventory.example.yml'), 'utf8')).toContain('"web1": {}');
  });

  it('names every tag that a change can have, for --list-tags', () => {
    const tags = readFileSync(join(out, 'roles/harden/tasks/tags.yml'), 'utf8').split('\n').flatMap((line) => /^ {4}- (\S+)$/u.exec(line)?.[1] ?? []);
    const used = [...readFileSync(join(out, 'host_vars/web1.yml'), 'utf8').matchAll(/^ {4}tags: (\[.*\])$/gmu)].flatMap(([, list = '[]']) => JSON.parse(list) as string[]);
    expect(used.length).toBeGreaterThan(3);
    expect(tags).toEqual(expect.arrayContaining(used));
    expect(tags).toEqual(expect.arrayContaining(['host', 'swarm', 'data', ...remediations.map(({ check }) => check.id)]));
  });

  it('takes another host, and leaves alone what is there', async () => {
    const edited = join(out, 'site.yml');
    const before = readFileSync(edited, 'utf8');
    writeFileSync(edited, `${before}# ours\n`);
    const library = join(out, 'roles/harden/files/library.sh');
    const { mtimeMs } = statSync(library);
    const second = await generate(out, 'fixtures/hosts/stock-debian.json');
    expect(second).toMatchObject({ code: 0, err: expect.stringContaining('site.yml stays as it is') as unknown });
    expect(readFileSync(edited, 'utf8')).toBe(`${before}# ours\n`);
    expect(statSync(library).mtimeMs).toBe(mtimeMs);
    expect(readFileSync(join(out, 'inventory.example.yml'), 'utf8')).toMatch(/"stock-debian": \{\}\n {4}"web1": \{\}\n/u);
  });

  it('is not mixed from two versions', async () => {
    const other = join(directory, 'other');
    await generate(other);
    writeFileSync(join(other, 'roles/harden/files/library.sh'), '# older\n');
    expect(await generate(other)).toMatchObject({ code: 2, err: expect.stringContaining('library.sh is of another version of harden') as unknown });
    expect(await harden(['generate', 'ansible', '--facts', HOST, '-o', '-'], { cwd: process.cwd() })).toMatchObject({ code: 2 });
  });
});

it('a host whose name is no name is called by a digest of it', () => {
  expect(inventoryName('web-1.example.org')).toBe('web-1.example.org');
  for (const name of ['../../etc/cron.d/x', '-x', '{{ x }}', 'a b', '', 'a\nb']) expect(inventoryName(name)).toMatch(/^host-[0-9a-f]{12}$/u);
});

describe('what hosts say', () => {
  const [plan, portable, facts] = planned(loadHost('debian-12'));
  // What YAML reads as something else than a text, where nothing says that it is one.
  const texts = [...hostileTexts(canary.path), '', '17', '0x1f', '1_000', '1:30', '2026-11-28', 'yes', 'Off', 'null', '~', '.inf', '<<', '=', '- a', '{a: b}', '[x]'];
  const change: ChangeSummary = { id: 'x', kind: 'container', title: 'x', effect: '', diff: '', target: { kind: 'container', name: 'x', id: 'x' }, impact: 'none', risk: 'safe', undo: 'none', checks: [] };
  const hostile = { ...portable, refused: texts.map((text) => ({ change: { ...change, id: text, title: text }, reason: text })) };
  const variables = hostVariables({ ...plan, host: { ...plan.host, hostname: 'web1' } }, hostile, facts);

  it.skipIf(NO_YAML)(`is read by YAML as it was written${NO_YAML ? ' [skipped: there is no python3 with yaml]' : ''}`, () => {
    const path = join(directory, 'hostile.yml');
    writeFileSync(path, variables);
    // ansible-core 2.14 reads a tagged text as it stands; 2.19 resolves it again as if it had no quotes.
    const readers = ['l.construct_scalar(n)', 'l.construct_object(yaml.ScalarNode(l.resolve(yaml.ScalarNode, n.value, (True, False)), n.value))'];
    for (const reader of readers) {
      const script = `import json, sys, yaml\nyaml.SafeLoader.add_constructor("!unsafe", lambda l, n: ${reader})\njson.dump(yaml.safe_load(open(sys.argv[1], encoding="utf-8")), sys.stdout, default=str)`;
      const read = JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8', maxBuffer: 1 << 26 })) as { harden_refused: unknown; harden_script_tail: unknown[] };
      expect(read.harden_refused).toEqual(texts.map((text) => ({ id: escapeLine(text), reason: escapeLine(text) })));
      expect(read.harden_script_tail.filter((line) => typeof line !== 'string')).toEqual([]);
    }
    // What could be a template is not one.
    for (const line of variables.split('\n').filter((text) => /\{\{|\{%|\{#/u.test(text))) expect(line).toMatch(/^ +(?:- )?(?:\w+: )?!unsafe "/u);
  });
});
