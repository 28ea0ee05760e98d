import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { containerChecks } from '../checks/containers/index.ts';
import { containerRemediations } from '../remediations/containers/index.ts';
import { parseRunWords } from '../src/container/from-run.ts';
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

const SETTINGS = ['memory=512m', 'cpuShares=512', 'tmpfs=[/tmp, /run]', 'log={ maxSize: 50m, maxFile: 5 }', 'publishAddress=127.0.0.1'].flatMap((setting) => ['--set', `container.${setting}`]);

describe('harden rewrite', () => {
  it('prints a line with what needs no choice, and says what is left and why', async () => {
    const { code, out, err } = await harden(['rewrite', '--format', 'text', '--', 'docker', 'run', '-d', '-p', '8080:80', 'nginx']);
    expect(code).toBe(1);
    expect(out).toBe('docker run -d -p 8080:80 --pids-limit 2048 --cap-drop NET_RAW --security-opt no-new-privileges=true nginx\n');
    expect(err).toContain('nginx (docker run line): 3 findings put right, 6 left');
    expect(err).toContain('container.memory-limit (choice)');
    expect(err).toContain('[containers: { "nginx": { memory: 512m } } below parameters in harden.yaml]');
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
    [['rewrite', '--set', 'container.memory=lots', '--', 'docker', 'run', 'x'], 'harden: --set container.memory=lots: container.memory must be a size as in 512m\n'],
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

test.each<[options: readonly string[], settings: readonly string[], check: string, line: string | RegExp]>([
  [['--cap-add', 'NET_RAW'], [], 'container.capabilities', /\(choice\).*Somebody added capabilities/],
  [['--cap-add', 'NET_RAW', '--cap-add', 'SYS_TIME'], ['capabilities=[CHOWN]'], 'container.capabilities', 'docker run --cap-add CHOWN --cap-drop ALL x'],
  [['--privileged'], ['capabilities=[]'], 'container.capabilities', /\(manual\)/],
  [['-m', '0', '--memory-swap', '4g'], ['memory=1g'], 'container.memory-limit', 'docker run -m 1g --memory-swap 4g x'],
  [['--memory-reservation', '2g'], ['memory=1g'], 'container.memory-limit', /\(guard\).*reservation/],
  [['--tmpfs', '/tmp:size=1m'], ['tmpfs=[/tmp/, /run]'], 'container.readonly-rootfs', /^docker run --tmpfs \/tmp:size=1m --read-only --tmpfs \/run:rw,nosuid,nodev,noexec,size=16m,mode=755 x$/],
  [['-p', '80:80', '-p', '10.0.0.1:81:81'], ['publishAddress=::1'], 'container.bind-interface', "docker run -p '[::1]:80:80' -p 10.0.0.1:81:81 x"],
  [['-p', '0.0.0.0:80:80', '-p', '[::]:80:80'], ['publishAddress=127.0.0.1'], 'container.bind-interface', 'docker run -p 127.0.0.1:80:80 x'],
  [['-P'], ['publishAddress=127.0.0.1'], 'container.needed-ports', /\(manual\)/],
  [[], ['network=backend'], 'container.default-bridge', 'docker run --network backend x'],
  [['--network', 'host'], ['privateNamespaces=[network]'], 'container.host-network', /\(choice\).*\{ network: NAME, publish: /],
  [['--network', 'host'], ['privateNamespaces=[network]', 'network=front', 'publish=["127.0.0.1:8080:80", "53:53/udp"]'], 'container.host-network', 'docker run --network front --publish 127.0.0.1:8080:80 --publish 53:53/udp x'],
  [['-p', '80:80', '-p', '127.0.0.1:443:443/tcp'], ['hostPorts={ 80: 8080, 443: none }'], 'container.privileged-ports', 'docker run -p 8080:80 x'],
  [['-p', '80:80'], ['hostPorts={ 80: 8080 }'], 'container.privileged-ports', 'docker run -p 8080:80 x'],
  [['-p', '80:80'], ['pinImage=true'], 'container.image-pinning', /\(guard\).*not known here/],
  [['--pid', 'host'], ['privateNamespaces=[pid]'], 'container.host-pid', 'docker run x'],
  [['-v', '/var/run/docker.sock:/var/run/docker.sock:ro'], ['withoutMounts=[/var/run/docker.sock]'], 'container.docker-socket', 'docker run x'],
  [['-v', '/mnt:/mnt:rshared'], [], 'container.mount-propagation', 'docker run -v /mnt:/mnt:rslave x'],
  [['--device', '/dev/fuse'], ['withoutDevices=[/dev/fuse]'], 'container.devices', 'docker run x'],
  [['--ulimit', 'core=-1'], ['ulimits={}'], 'container.ulimits', 'docker run x'],
  [['--security-opt', 'seccomp=unconfined'], ['confined=true'], 'container.seccomp', 'docker run x'],
  [['--security-opt', 'no-new-privileges=false'], [], 'container.no-new-privileges', /\(choice\).*switched the option off/],
  [['--restart', 'always'], ['restart=on-failure:3'], 'container.restart-policy', 'docker run --restart on-failure:3 x'],
  [['--cgroup-parent', '/x'], ['defaultCgroup=true'], 'container.cgroup-parent', 'docker run x'],
  [['--no-healthcheck'], ['healthcheck={ test: "true" }'], 'container.healthcheck', /^docker run --health-cmd true .*--health-interval 30s/],
])('%j with %j: %s', async (options, settings, check, expected) => {
  const { code, out, err } = await harden(['rewrite', '--format', 'text', '-c', check, ...settings.flatMap((setting) => ['--set', `container.${setting}`]), '--', 'docker', 'run', ...options, 'x']);
  if (typeof expected === 'string') expect({ code, line: out.trimEnd(), err }).toEqual({ code: 1, line: expected, err: expect.stringContaining('1 finding put right, 0 left') as string });
  else if (out.trimEnd().match(expected) === null) expect({ code, err }).toEqual({ code: 0, err: expect.stringMatching(expected) as string });
});

test('edits of one port that several findings ask for are made together', async () => {
  const { code, out } = await harden(['rewrite', '--format', 'text', '-c', 'container.privileged-ports,container.bind-interface', '--set', 'container.hostPorts={ 80: 8080 }',
    '--set', 'container.publishAddress=127.0.0.1', '--', 'docker', 'run', '-p', '0.0.0.0:80:80', '-p', '[::]:80:80', 'x']);
  expect({ code, line: out.trimEnd() }).toEqual({ code: 1, line: 'docker run -p 127.0.0.1:8080:80 x' });
});
