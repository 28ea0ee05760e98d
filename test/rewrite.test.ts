import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { containerChecks } from '../checks/containers/index.ts';
import { containerRemediations } from '../remediations/containers/index.ts';
import { specFix } from '../remediations/containers/spec-edits.ts';
import { parseRunWords } from '../src/container/from-run.ts';
import { applySpecEdits } from '../src/container/spec-edit.ts';
import { defaultPolicy } from '../src/policy.ts';
import type { RewriteDocument } from '../src/render/rewrite.ts';
import { advise, definitionChecks } from '../src/rewrite.ts';
import { harden } from './terminal.ts';

const directory = mkdtempSync(join(tmpdir(), 'harden-rewrite-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (name: string, text: string | Uint8Array): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};

const SETTINGS = ['memory=512m', 'cpuShares=512', 'tmpfs=[/tmp, /run]', 'logMaxSize=50m', 'publishAddress=127.0.0.1'].flatMap((setting) => ['--set', `container.${setting}`]);

describe('harden rewrite', () => {
  it('prints a line with what needs no choice, and says what is left and why', async () => {
    const { code, out, err } = await harden(['rewrite', '--format', 'text', '--', 'docker', 'run', '-d', '-p', '8080:80', 'nginx']);
    expect(code).toBe(1);
    expect(out).toBe('docker run -d -p 8080:80 --pids-limit 2048 --cap-drop NET_RAW --security-opt no-new-privileges=true nginx\n');
    expect(err).toContain('nginx (docker run line): 3 findings put right, 6 left');
    expect(err).toContain('container.memory-limit (choice)');
    expect(err).toContain('[--set container.memory=VALUE, or parameters.container.memory in harden.yaml]');
    expect(err).toMatch(/only an engine or the image can tell: .*container\.seccomp/);
  });

  it('exits 0 when nothing is to be changed', async () => {
    const hardened = (await harden(['rewrite', ...SETTINGS, '--format', 'text', '--', 'docker', 'run', '-p', '80:80', 'nginx'])).out;
    const path = file('hardened.sh', hardened);
    expect(await harden(['rewrite', ...SETTINGS, path])).toMatchObject({ code: 0, out: '' });
  });

  it('edits files in place, each line in its own layout, and keeps their mode', async () => {
    const run = file('run.sh', '#!/bin/sh\n# web\ndocker run \\\n    -d \\\n    -p "8080:80" \\\n    nginx  # the server\n');
    const compose = file('compose.yaml', '# project\nservices:\n  web:\n    image: nginx  # pin me\n    ports:\n      - "8080:80"\n');
    chmodSync(run, 0o750);
    if (process.getuid?.() === 0) chownSync(run, 12_345, 12_346);
    const { uid, gid } = statSync(run);
    expect(await harden(['rewrite', '--write', '-c', 'container.bind-interface,container.pids-limit', ...SETTINGS, run, compose])).toMatchObject({ code: 0 });
    expect(readFileSync(run, 'utf8')).toBe('#!/bin/sh\n# web\ndocker run \\\n    -d \\\n    -p "127.0.0.1:8080:80" \\\n    --pids-limit 2048 \\\n    nginx  # the server\n');
    expect(statSync(run)).toMatchObject({ uid, gid });
    expect(statSync(run).mode & 0o777).toBe(0o750);
    const after = readFileSync(compose, 'utf8');
    expect(after).toContain('# project\nservices:\n  web:\n    image: nginx  # pin me\n');
    expect(after).toMatch(/- "?127\.0\.0\.1:8080:80"?\n/);
    expect(after).toContain('pids_limit: 2048');
    expect(await harden(['rewrite', '-c', 'container.bind-interface,container.pids-limit', ...SETTINGS, run, compose])).toMatchObject({ code: 0, out: '' });
  });

  it('obeys choices for one container by its name, and waivers', async () => {
    const policy = file('harden.yaml', 'parameters:\n  containers: { "web-*": { pidsLimit: 100 } }\nwaivers:\n  - { check: container.capabilities, reason: pings, owner: me }\n');
    const { out } = await harden(['rewrite', '--policy', policy, '--format', 'text', '-c', 'container.pids-limit,container.capabilities', '--', 'docker', 'run', '--name', 'web-1', 'nginx']);
    expect(out).toBe('docker run --name web-1 --pids-limit 100 nginx\n');
  });

  it('masks secrets in diffs and names what it does not see', async () => {
    const { out } = await harden(['rewrite', '--format', 'json', '--', 'docker', 'run', '-e', 'DB_PASSWORD=hunter2secret', '--env-file', 'x.env', 'nginx']);
    expect(out).not.toContain('hunter2secret');
    const document = JSON.parse(out) as RewriteDocument;
    expect(document.files[0]?.containers[0]?.unseen).toEqual(['--env-file x.env']);
    expect(document.summary).toMatchObject({ files: 1, changed: 1, fixed: 3 });
  });

  it.each([
    [['rewrite'], /^harden: Name a file/],
    [['rewrite', directory], /is a directory; name the file in it\n$/],
    [['rewrite', join(directory, 'none')], /cannot be read: ENOENT/],
    [['rewrite', '--', 'docker', 'run', '--frob', 'x'], 'harden: the docker run line: docker run has no flag --frob\n'],
    [['rewrite', '--', 'docker', 'run', '-m', '5x', 'y'], 'harden: the docker run line: -m must be a size such as 512m or 2g\n'],
    [['rewrite', '--', 'docker', 'run', '-v', '\u001b[2J', 'y'], /-v has the target "\\e\[2J"/],
    [['rewrite', '--write', '--', 'docker', 'run', 'x'], /^harden: --write edits files/],
    [['rewrite', '--set', 'container.memory=lots', '--', 'docker', 'run', 'x'], 'harden: parameters.container.memory must be a size such as 512m or 2g\n'],
    [['rewrite', '-c', 'daemon.icc', '--', 'docker', 'run', 'x'], /^harden: None of the selected checks/],
    [['rewrite', file('shell.sh', 'docker run \\\n -v $(pwd):/x y\n')], /shell\.sh:2:5: \$\( is for a shell/],
    [['rewrite', file('quote.sh', 'docker run "x\n')], /quote\.sh:1:12: the quote " is never closed/],
    [['rewrite', file('latin.sh', new Uint8Array([0xff, 0xfe]))], /is not valid UTF-8/],
    [['rewrite', file('twice.yaml', 'services:\n  a: {image: x}\n  a: {image: y}\n')], /twice\.yaml:3:3: /],
  ])('%j exits 2 and says what is wrong', async (argv, expected) => {
    const { code, out, err } = await harden(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
  });
});

test('what an engine without settings would make pass is not called a pass, and what it would make warn is put right', () => {
  const command = parseRunWords(['docker', 'run', 'nginx']);
  const [advice] = advise({ definitions: [{ id: 'x', name: 'x', spec: command.spec, owner: { kind: 'none' } }], checks: definitionChecks(containerChecks), remediations: containerRemediations, policy: defaultPolicy, now: new Date(0) });
  expect(advice?.unknown.map(({ check }) => check)).toEqual(expect.arrayContaining(['container.seccomp', 'container.apparmor', 'container.healthcheck']));
  expect(advice?.fixes.find(({ check }) => check === 'container.no-new-privileges')?.message).toContain('unless the daemon\'s settings say otherwise');
});

test('no fix takes a capability away that was asked for, nor a swap limit, nor a mount', () => {
  const { spec } = parseRunWords(['docker', 'run', '--cap-add', 'NET_RAW', '--memory-swap', '4g', '--tmpfs', '/tmp:size=1m', '-p', '80:80', '-p', '10.0.0.1:81:81', 'nginx']);
  expect(specFix('container.capabilities', spec, {})).toBeNull();
  expect(specFix('container.memory-limit', spec, { memory: '1g' })).toMatchObject({ edits: [{ path: 'resources.memory', value: 1 << 30 }] });
  const readOnly = specFix('container.readonly-rootfs', spec, { tmpfs: ['/tmp', '/run'] });
  if (readOnly === null || !('edits' in readOnly)) throw new Error('no edits');
  expect(applySpecEdits(spec, readOnly.edits).mounts.map(({ target, options }) => [target, options])).toEqual([['/tmp', 'size=1m'], ['/run', 'rw,nosuid,nodev,noexec,size=16m,mode=755']]);
  const bound = specFix('container.bind-interface', spec, { publishAddress: '::1' });
  if (bound === null || !('edits' in bound)) throw new Error('no edits');
  expect(applySpecEdits(spec, bound.edits).network.ports.map(({ ip }) => ip)).toEqual(['::1', '10.0.0.1']);
});
