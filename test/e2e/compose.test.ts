/** Projects of Docker Compose 2.26: their files are edited in the lines that are meant, and a re-up changes that service alone. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SpecEdit } from '../../src/model.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';

const BASE = `# The shop, as it has been since spring.
x-logging: &logging   # for all
  driver: json-file
  options: { max-size: 10m }

services:
  web:
    image: busybox:latest   # pinned by hand
    command: [ "sleep", "100000" ]
    environment: { GREETING: "\${GREETING:-hello}" }
    logging: *logging
    cap_add:
      # for the ping page
      - NET_ADMIN
    volumes:
      - data:/data
    stop_signal: SIGKILL
    # comments at the end stay

  worker:
    extends: { file: base.yaml, service: app }
    logging: *logging
    env_file: [worker.env]

  cron:
    extends: { file: base.yaml, service: app }
    profiles: [night]
volumes:
  data:
`;
const OVERRIDE = `services:
  web:
    privileged: false
    tmpfs: /run
`;
const APP = `services:
  app:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
`;
const DIRECTORY = '/srv/shop';
const UP = `cd ${DIRECTORY} && docker compose --profile night up -d 2>&1`;

/** What the test asks of harden inside the host: the facts of its projects, and edits of one container. */
const PROBE = `
import { collect } from '/opt/harden/dist/src/collect.js';
import { composeEdit } from '/opt/harden/dist/src/compose/container.js';
const [name, edits] = JSON.parse(process.argv[2]);
const facts = await collect({ evidence: true });
const container = facts.containers.value.find((one) => one.name === name);
const { files, tool, up, ambiguous, refused } = composeEdit(facts, container, edits);
console.log(JSON.stringify({ files, tool, up, ambiguous, refused }));
`;

interface Answer {
  readonly files?: readonly { readonly path: string; readonly before: string; readonly after: string }[];
  readonly tool?: string;
  readonly up?: readonly (readonly string[])[];
  readonly ambiguous?: readonly { readonly reason: string; readonly lines: string }[];
  readonly refused?: string;
}

const HARDENED: readonly SpecEdit[] = [
  { op: 'add', path: 'security.capDrop', value: 'NET_RAW' },
  { op: 'remove', path: 'security.capAdd', value: 'NET_ADMIN' },
  { op: 'set', path: 'security.readonlyRootfs', value: true },
  { op: 'set', path: 'security.noNewPrivileges', value: true },
  { op: 'set', path: 'resources.memory', value: 64 * 1024 * 1024 },
  { op: 'add', path: 'mounts', value: { kind: 'tmpfs', via: 'tmpfs', source: '', target: '/tmp', readOnly: false, options: 'rw,size=8m', details: null, volume: null } },
];

describe.skipIf(skipReason('systemd') !== null)(titled('projects of Docker Compose', 'systemd'), () => {
  let host: SystemdHost;
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'compose', suite: 'trixie' });
    await host.loadBusybox();
    for (const [name, text] of Object.entries({ 'compose.yaml': BASE, 'compose.override.yaml': OVERRIDE, 'base.yaml': APP, 'worker.env': 'A=1\n', '.env': 'GREETING=hi\n' })) {
      await host.writeFile(`${DIRECTORY}/${name}`, text);
    }
    await host.writeFile('/root/probe.mjs', PROBE);
    await host.exec(UP, { check: true });
    await host.exec('docker exec shop-web-1 sh -c "echo kept > /data/file"', { check: true });
  });
  afterAll(() => host.down());

  const edit = async (container: string, edits: readonly SpecEdit[]): Promise<Answer> =>
    JSON.parse((await host.exec(['node', '/root/probe.mjs', JSON.stringify([container, edits])], { check: true })).stdout) as Answer;
  const ids = async (): Promise<Record<string, string>> => {
    const { stdout } = await host.exec('docker ps -a --format "{{.Names}} {{.ID}} {{.State}}"', { check: true });
    return Object.fromEntries(stdout.trim().split('\n').map((line) => [line.split(' ')[0] ?? '', line] as const));
  };
  const carryOut = async ({ files = [], tool = '', up = [] }: Answer): Promise<string> => {
    for (const { path, after } of files) await host.writeFile(path, after);
    let said = '';
    for (const words of up) {
      const { stdout, stderr } = await host.exec([tool, ...words], { check: true, env: { PATH: '/usr/bin:/bin' } });
      said += stdout + stderr;
    }
    return said;
  };

  test('an edit changes the lines that are meant, a re-up that service alone, and nothing is left for the next one', async () => {
    const before = await ids();
    const answer = await edit('shop-web-1', HARDENED);
    expect(answer.files?.map(({ path }) => path)).toEqual([`${DIRECTORY}/compose.yaml`, `${DIRECTORY}/compose.override.yaml`]);
    await carryOut(answer);
    expect(await host.readFile(`${DIRECTORY}/compose.yaml`)).toBe(BASE
      .replace('    cap_add:\n      # for the ping page\n      - NET_ADMIN\n', '')
      .replace('    stop_signal: SIGKILL\n', '    stop_signal: SIGKILL\n    cap_drop:\n      - NET_RAW\n    read_only: true\n    security_opt:\n      - no-new-privileges:true\n    mem_limit: 64m\n'));
    expect(await host.readFile(`${DIRECTORY}/compose.override.yaml`)).toBe(OVERRIDE.replace('tmpfs: /run', 'tmpfs: [/run, "/tmp:rw,size=8m"]'));

    const after = await ids();
    expect(Object.keys(after).sort()).toEqual(Object.keys(before).sort());
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(['shop-web-1']);
    const format = '{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.SecurityOpt}} {{.HostConfig.Memory}} {{index .HostConfig.Tmpfs "/tmp"}}';
    expect((await host.exec(['docker', 'inspect', '-f', format, 'shop-web-1'])).stdout).toBe('[NET_RAW] [] true [no-new-privileges:true] 67108864 rw,size=8m\n');
    expect((await host.exec('docker exec shop-web-1 sh -c "cat /data/file; echo \\$GREETING"')).stdout).toBe('kept\nhi\n');
    await host.exec(UP, { check: true });
    expect(await ids()).toEqual(after);
    expect(await edit('shop-web-1', HARDENED.filter(({ op }) => op !== 'replace'))).toMatchObject({ files: [] });
  });

  test('an undo is the old bytes and the same re-up', async () => {
    const answer = await edit('shop-worker-1', [{ op: 'set', path: 'resources.pidsLimit', value: 100 }]);
    await carryOut(answer);
    const [file] = answer.files ?? [];
    if (file === undefined) throw new Error(JSON.stringify(answer));
    expect((await host.exec(['docker', 'inspect', '-f', '{{.HostConfig.PidsLimit}}', 'shop-worker-1'])).stdout).toBe('100\n');
    await carryOut({ ...answer, files: [{ ...file, after: file.before }] });
    expect((await host.exec(['docker', 'inspect', '-f', '{{.HostConfig.PidsLimit}}', 'shop-worker-1'])).stdout).not.toBe('100\n');
    expect(await host.readFile(file.path)).toBe(file.before);
  });

  test('a service of a profile and a container that is stopped stay what they are', async () => {
    await host.exec('docker stop -t 0 shop-cron-1', { check: true });
    await carryOut(await edit('shop-cron-1', [{ op: 'set', path: 'init', value: true }]));
    expect((await host.exec(['docker', 'inspect', '-f', '{{.HostConfig.Init}} {{.State.Running}}', 'shop-cron-1'])).stdout).toBe('true false\n');
    await host.exec('docker start shop-cron-1', { check: true });
  });

  test('more containers than the file says stay as many', async () => {
    await host.exec(`cd ${DIRECTORY} && docker compose up -d --scale worker=2 worker`, { check: true });
    await carryOut(await edit('shop-worker-2', [{ op: 'set', path: 'init', value: true }]));
    expect((await host.exec("docker inspect -f '{{.HostConfig.Init}}' shop-worker-1 shop-worker-2")).stdout).toBe('true\ntrue\n');
  });

  test('what is left to a person says why, and what to write', async () => {
    expect(await edit('shop-web-1', [{ op: 'set', path: 'log', value: { driver: 'json-file', options: { 'max-size': '50m' } } }])).toMatchObject({
      ambiguous: [{ reason: 'web.logging uses the alias *logging', lines: 'services:\n  web:\n    logging:\n      driver: json-file\n      options:\n        max-size: 50m\n' }],
    });
    expect(await edit('shop-worker-1', [{ op: 'set', path: 'image.reference', value: 'busybox@sha256:0' }])).toHaveProperty('files.0.after');
  });

  const pending = 'would already make another container';
  test.each<[string, string, string, string]>([
    ['an edit of the file that is not in force', `sed -i 's/sleep, "100000"/sleep, "200000"/' base.yaml`, `sed -i 's/sleep, "200000"/sleep, "100000"/' base.yaml`, pending],
    ['an env file that changed', 'echo A=2 > worker.env', 'echo A=1 > worker.env', pending],
    ['an image that the tag stands for now', 'docker tag busybox:latest keep:1; docker commit -c "LABEL a=b" shop-web-1 busybox:latest', 'docker tag keep:1 busybox:latest', pending],
    ['a file of somebody else', 'chown 1000 base.yaml', 'chown 0 base.yaml', 'base.yaml belongs to uid 1000'],
    ['a project directory that others write', 'chmod 0777 .', 'chmod 0755 .', '/srv/shop can be written by everybody'],
    ['a file that is no YAML', 'printf "\\tx" >> compose.override.yaml', 'truncate -s -2 compose.override.yaml', 'compose.override.yaml:5:1: '],
  ])('%s holds the edit back', async (_, change, back, why) => {
    await host.exec(`cd ${DIRECTORY}; ${change}`, { check: true });
    try {
      expect(await edit('shop-worker-1', [{ op: 'set', path: 'user', value: '1' }])).toEqual({ refused: expect.stringContaining(why) as string });
    } finally {
      await host.exec(`cd ${DIRECTORY}; ${back}`, { check: true });
    }
    expect(await edit('shop-worker-1', [{ op: 'set', path: 'user', value: '1' }])).toHaveProperty('files.0.path');
  });
});
