/** What `harden generate ansible` writes passes what a reviewer would run, and is harmless whatever a host says; on this machine, as a host without an engine. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostileTexts, makeCanary } from '../support/hostile.ts';
import { harden } from '../terminal.ts';

const TOOLS = ['yamllint', 'ansible-lint', 'ansible-playbook', 'shellcheck'];
const missing = TOOLS.find((tool) => spawnSync(tool, ['--version']).error !== undefined) ?? (process.getuid?.() === 0 ? undefined : 'root');

describe.skipIf(missing !== undefined)(`a generated project${missing === undefined ? '' : ` [skipped: there is no ${missing}]`}`, () => {
  const directory = mkdtempSync(join(tmpdir(), 'harden-ansible-'));
  const out = join(directory, 'project');
  const canary = makeCanary();
  const run = (command: string, ...args: readonly string[]): { readonly code: number | null; readonly out: string } => {
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: out, encoding: 'utf8', env: { ...process.env, HOME: directory, ANSIBLE_HOME: join(directory, '.ansible'), ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' } });
    return { code: status, out: stdout + stderr };
  };

  beforeAll(async () => {
    const allow = ['--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.memory=256m', '--set', 'container.log={maxSize: 50m, maxFile: 5}'];
    expect(await harden(['generate', 'ansible', '--facts', 'fixtures/hosts/debian-12.json', ...allow, '-o', out], { cwd: process.cwd() })).toMatchObject({ code: 0 });
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
    canary.remove();
  });

  test('passes yamllint, the production profile of ansible-lint, shellcheck, and the check of its syntax', () => {
    expect(run('yamllint', '--strict', '.')).toEqual({ code: 0, out: '' });
    expect(run('ansible-lint', '--offline', '-p', '.')).toMatchObject({ code: 0 });
    expect(run('shellcheck', 'roles/harden/files/library.sh')).toEqual({ code: 0, out: '' });
    expect(run('ansible-playbook', '-i', 'inventory.example.yml', 'site.yml', '--syntax-check')).toMatchObject({ code: 0 });
  });

  test('--check --diff goes through on a host without an engine, with hostile texts in its variables', () => {
    const path = join(out, 'host_vars/web1.yml');
    const quoted = (text: string): string => JSON.stringify(text).replace(/[^ -~]/gu, '?').replaceAll('\\/', '/');
    const refused = hostileTexts(canary.path).filter((text) => text.length < 200 && !/[\p{Cs}\0]/u.test(text)).map((text) => `  - id: !unsafe ${quoted(text)}\n    reason: !unsafe ${quoted(text)}`);
    const variables = readFileSync(path, 'utf8').replaceAll('/var/run/docker.sock', join(directory, 'nothing.sock')).replace(/^harden_refused:.*(?:\n {2}.*)*/mu, () => ['harden_refused:', ...refused].join('\n'));
    writeFileSync(path, variables);
    const { code, out: said } = run('ansible-playbook', '-i', 'inventory.example.yml', 'site.yml', '--check', '--diff', '-c', 'local', '-e', 'ansible_become=false', '-e', 'harden_any_host=true');
    expect(said).toContain(`{{ lookup('pipe', 'touch ${canary.path}') }}`);
    expect(said).toContain('no engine answers at unix://');
    expect({ code, recap: /failed=0/u.test(said) }, said).toEqual({ code: 0, recap: true });
    expect(canary.touched()).toBe(false);
  });
});
