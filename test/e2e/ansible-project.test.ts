/** What `harden generate ansible` writes passes what a reviewer would run, and is harmless whatever a host says; on this machine, as a host without an engine. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { escapeLine } from '../../src/render/escape.ts';
import { unsafe } from '../../src/render/ansible.ts';
import { skipReason } from './host.ts';
import { onControl, type Control } from './playbook.ts';
import { hostileTexts, makeCanary } from '../support/hostile.ts';
import { harden } from '../terminal.ts';

const TOOLS = ['yamllint', 'ansible-lint', 'ansible-playbook', 'shellcheck'];
const missing = TOOLS.find((tool) => spawnSync(tool, ['--version']).error !== undefined) ?? (process.getuid?.() === 0 ? undefined : 'root');

/** The tools of Debian 12, with ansible-core 2.14, are this machine's; those of trixie, with 2.19, are in its root, which a test bed needs. */
const CONTROLS: readonly { readonly control: Control; readonly version: string; readonly lacks: string | undefined }[] = [
  { control: 'machine', version: 'of this machine', lacks: missing },
  { control: 'trixie', version: '2.19', lacks: missing ?? skipReason('systemd') ?? undefined },
];

describe.each(CONTROLS)('a generated project and Ansible $version', ({ control, version, lacks }) => {
  describe.skipIf(lacks !== undefined)(lacks === undefined ? 'which is here' : `[skipped: there is no ${lacks}]`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'harden-ansible-'));
    const out = join(directory, 'project');
    const canary = makeCanary();
    const run = async (...argv: readonly string[]): Promise<{ readonly code: number; readonly out: string }> => {
      const { code, stdout, stderr } = await onControl(control, directory, argv);
      return { code, out: stdout + stderr };
    };

    beforeAll(async () => {
      const allow = ['--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.memory=256m', '--set', 'container.log={maxSize: 50m, maxFile: 5}'];
      expect(await harden(['generate', 'ansible', '--facts', 'fixtures/hosts/debian-12.json', ...allow, '-o', out], { cwd: process.cwd() })).toMatchObject({ code: 0 });
    });
    afterAll(() => {
      rmSync(directory, { recursive: true });
      canary.remove();
    });

    test('passes yamllint, the production profile of ansible-lint, shellcheck, and the check of its syntax', async () => {
      const { out: said } = await run('ansible-playbook', '--version');
      if (version === '2.19') expect(said).toContain('[core 2.19.');
      expect(await run('yamllint', '--strict', '.')).toEqual({ code: 0, out: '' });
      const lint = await run('ansible-lint', '--offline', '--nocolor', '-p');
      // All of the role, not only the playbook.
      expect({ ...lint, files: Number(/ on (\d+) files/u.exec(lint.out)?.[1]) > 15 }, lint.out).toMatchObject({ code: 0, files: true });
      if (control === 'machine') expect(await run('shellcheck', 'roles/harden/files/library.sh')).toEqual({ code: 0, out: '' });
      const syntax = await run('ansible-playbook', '-i', 'inventory.example.yml', 'site.yml', '--syntax-check');
      expect(syntax, syntax.out).toMatchObject({ code: 0 });
    });

    test('--check --diff goes through on a host without an engine, with hostile texts in its variables', async () => {
      const path = join(out, 'host_vars/web1.yml');
      const refused = hostileTexts(canary.path).map((text) => unsafe(escapeLine(text))).map((text) => `  - id: ${text}\n    reason: ${text}`);
      const variables = readFileSync(path, 'utf8').replaceAll('/var/run/docker.sock', join(directory, 'nothing.sock')).replace(/^harden_refused:.*(?:\n {2}.*)*/mu, () => ['harden_refused:', ...refused].join('\n'));
      writeFileSync(path, variables);
      const { code, out: said } = await run('ansible-playbook', '-i', 'inventory.example.yml', 'site.yml', '--check', '--diff', '-c', 'local', '-e', 'ansible_become=false', '-e', 'harden_any_host=true', '-e', 'ansible_remote_tmp=/tmp/ansible');
      expect(said).toContain(`{{ lookup('pipe', 'touch ${canary.path}') }}`);
      expect(said).toContain('no engine answers at unix://');
      expect(said).not.toContain('not found');
      expect({ code, recap: /failed=0/u.test(said) }, said).toEqual({ code: 0, recap: true });
      expect(canary.touched()).toBe(false);
    });
  });
});
