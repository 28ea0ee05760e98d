/** Services of Compose 2.26 hardened in their files: planned, made, watched, taken back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, hardenJson, scan, type OutcomesDocument, type PlanDocumentJson } from './support.ts';

const BASE = `# The shop, as it has been since spring.
x-log: &log   # for all
  driver: json-file

services:
  web:
    image: busybox:latest   # pinned by hand
    command: [ "sleep", "100000" ]
    env_file: [web.env]
    environment:
      DB_PASSWORD: hunter2   # changed every year
    depends_on: [worker]
    stop_signal: SIGKILL
    # comments at the end stay

  worker:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    deploy: { replicas: 2 }
    logging: *log

  odd:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    mem_limit: \${ODD_MEMORY:-0}
`;
const OVERRIDE = `services:
  web:
    tmpfs: /run   # small
`;
const DIRECTORY = '/srv/shop';
const POLICY = 'parameters:\n  containers:\n    "shop-*": { memory: 64m, tmpfs: [/run, /tmp], log: { maxSize: 10m, maxFile: 3 }, watchSeconds: 2 }\n';
const CHECKS = ['container.memory-limit', 'container.pids-limit', 'container.readonly-rootfs', 'container.log-rotation'];
const ALLOW = ['--policy', '/root/harden.yaml', '--max-impact', 'recreate', '--max-risk', 'behaviour', '-c', CHECKS.join(',')];

describe.skipIf(skipReason('systemd') !== null)(titled('services of Docker Compose are hardened in their files', 'systemd'), () => {
  let host: SystemdHost;
  const restore = async (): Promise<void> => {
    for (const [name, text] of Object.entries({ 'compose.yaml': BASE, 'compose.override.yaml': OVERRIDE, 'web.env': 'API_TOKEN=hunter2\n' })) await host.writeFile(`${DIRECTORY}/${name}`, text);
  };
  const up = async (): Promise<void> => { await host.exec(`cd ${DIRECTORY} && docker compose up -d 2>&1`, { check: true }); };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'compose-apply', suite: 'trixie' });
    await host.loadBusybox();
    await restore();
    await host.exec(`chmod 640 ${DIRECTORY}/compose.yaml`, { check: true });
    await host.writeFile('/root/harden.yaml', POLICY);
    await up();
  });
  afterAll(() => host.down());

  const file = (name: string): Promise<string> => host.readFile(`${DIRECTORY}/${name}`);
  const texts = async (): Promise<readonly string[]> => [await file('compose.yaml'), await file('compose.override.yaml')];
  const ids = async (): Promise<Record<string, string>> => {
    const { stdout } = await host.exec('docker ps -a --no-trunc --format "{{.Names}} {{.ID}} {{.State}}"', { check: true });
    return Object.fromEntries(stdout.trim().split('\n').map((line) => [line.split(' ')[0] ?? '', line] as const));
  };
  const plan = (...more: string[]): Promise<PlanDocumentJson> => hardenJson(host, ['plan', ...ALLOW, ...more], [0]);
  const apply = (codes: readonly number[], ...more: string[]): Promise<OutcomesDocument> => hardenJson(host, ['apply', '--yes', ...ALLOW, ...more], codes);
  const states = ({ changes }: OutcomesDocument): Record<string, string> => Object.fromEntries(changes.map(({ id, state }) => [id, state]));
  const running = ['shop-odd-1', 'shop-web-1', 'shop-worker-1', 'shop-worker-2'];

  test('one change for a project, with the diff of its files; what is not safely written is left with its lines', async () => {
    const { changes, deferred } = await plan();
    expect(changes.map(({ id, impact }) => [id, impact])).toEqual([['compose:shop', 'recreate']]);
    const [change] = changes;
    expect(change?.diff).toContain('+++ /srv/shop/compose.yaml');
    expect(change?.diff).not.toContain('hunter2');
    expect(Object.fromEntries(deferred.map(({ check, target, reason, explanation, needs }) => [`${check} ${target.name} ${reason}`, `${explanation}\n${needs ?? ''}`]))).toEqual({
      'container.memory-limit shop-odd-1 guard': expect.stringMatching(/mem_limit depends on a variable: \$\{ODD_MEMORY:-0\}[^]*\n {2}odd:\n {4}mem_limit: 64m\n[^]*docker compose up -d --no-deps/) as string,
      'container.log-rotation shop-worker-1 guard': expect.stringContaining('uses the alias *log') as string,
      'container.log-rotation shop-worker-2 guard': expect.stringContaining('uses the alias *log') as string,
    });
  });

  test('is made: the intended lines, and a re-up finds nothing more to do', async () => {
    const before = await ids();
    const done = await apply([0]);
    expect(states(done)).toEqual({ 'compose:shop': 'applied' });
    const readOnly = '    read_only: true\n';
    const tmpfs = '    tmpfs:\n      - /run:rw,nosuid,nodev,noexec,size=16m,mode=755\n      - /tmp:rw,nosuid,nodev,noexec,size=64m,mode=1777\n';
    const memory = '    mem_limit: 64m\n    memswap_limit: 128m\n';
    const pids = '    pids_limit: 2048\n';
    const log = '    logging:\n      driver: json-file\n      options:\n        max-size: 10m\n        max-file: "3"\n';
    const odd = `    mem_limit: \${ODD_MEMORY:-0}\n`;
    expect(await texts()).toEqual([
      BASE.replace('    # comments at the end stay\n', `${memory}${readOnly}${pids}${log}    # comments at the end stay\n`)
        .replace('    logging: *log\n', `    logging: *log\n${memory}${readOnly}${tmpfs}${pids}`).replace(odd, () => `${odd}${readOnly}${tmpfs}${pids}${log}`),
      OVERRIDE.replace('tmpfs: /run', 'tmpfs: [/run, "/tmp:rw,nosuid,nodev,noexec,size=64m,mode=1777"]'),
    ]);
    const after = await ids();
    expect(Object.keys(after).sort()).toEqual(running);
    expect(Object.keys(after).filter((name) => after[name] === before[name])).toEqual([]);
    expect((await host.exec(['stat', '-c', '%a %U', `${DIRECTORY}/compose.yaml`])).stdout).toBe('640 root\n');
    await up();
    expect(await ids()).toEqual(after);
    const { results } = await scan(host, '--policy', '/root/harden.yaml', '-c', CHECKS.join(','));
    expect(results.flatMap(({ check, findings }) => findings.filter(({ outcome }) => outcome !== 'pass').map(({ target }) => `${check} ${target.name}`)).sort()).toEqual([
      'container.log-rotation shop-worker-1', 'container.log-rotation shop-worker-2', 'container.memory-limit shop-odd-1',
    ]);
    expect((await apply([0])).changes).toEqual([]);
    // The bytes are in the backups alone.
    expect((await host.exec('cd /var/lib/harden/runs && grep -rl hunter2 . | grep -v /backups/')).stdout).toBe('');
    expect((await host.exec('cd /var/lib/harden/runs && grep -rl hunter2 . | xargs stat -c %a')).stdout).toBe('600\n');
  });

  test('is not taken back over an edit that somebody made since', async () => {
    await host.exec(`echo EXTRA=1 >> ${DIRECTORY}/web.env`, { check: true });
    const { code, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('changed since, and is not in force yet') as string });
    await host.writeFile(`${DIRECTORY}/web.env`, 'API_TOKEN=hunter2\n');
  });

  test('is taken back: the bytes, and what they say', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, text: stdout + stderr }).toMatchObject({ code: 0, text: expect.not.stringContaining('hunter2') as string });
    expect(await texts()).toEqual([BASE, OVERRIDE]);
    const back = await ids();
    expect(Object.keys(back).sort()).toEqual(running);
    expect((await host.exec("docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.ReadonlyRootfs}} {{.State.Running}}' shop-web-1")).stdout).toBe('0 false true\n');
    await up();
    expect(await ids()).toEqual(back);
  });

  test('a pending edit of somebody else does not go live with it', async () => {
    await host.writeFile(`${DIRECTORY}/compose.yaml`, BASE.replace('command: [sleep, "100000"]\n    stop_signal: SIGKILL\n    deploy', 'command: [sleep, "200000"]\n    stop_signal: SIGKILL\n    deploy'));
    const { changes, deferred } = await plan('-i', 'shop-worker-1');
    expect(changes).toEqual([]);
    expect(deferred.map(({ reason }) => reason)).toEqual(deferred.map(() => 'guard'));
    expect(deferred[0]?.explanation).toContain('`up` would already make another container of shop-worker-1');
    await restore();
  });

  test('a service that is not well with it is as before, and the report says why', async () => {
    await host.writeFile('/root/sick.yaml', 'parameters:\n  containers:\n    "shop-web-*": { healthcheck: { test: "exit 3", interval: 1s, timeout: 1s, retries: 1, startPeriod: 1s }, watchSeconds: 1 }\n');
    const { changes } = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', '--policy', '/root/sick.yaml', '--max-impact', 'recreate', '--max-risk', 'behaviour', '-c', 'container.healthcheck'], [3]);
    expect(changes).toEqual([{ id: 'compose:shop', state: 'reverted', reason: expect.stringContaining('its health check fails') as string }]);
    expect(await texts()).toEqual([BASE, OVERRIDE]);
    expect((await host.exec("docker inspect -f '{{.Config.Healthcheck}} {{.State.Running}}' shop-web-1")).stdout).toBe('<nil> true\n');
    const back = await ids();
    await up();
    expect(await ids()).toEqual(back);
  });

  test('a run that was killed in the middle is taken back', async () => {
    const before = (await ids())['shop-web-1'];
    await host.writeFile('/root/slow.yaml', 'parameters:\n  containers:\n    "shop-web-*": { memory: 64m, watchSeconds: 100 }\n');
    await host.exec('(harden apply --yes --policy /root/slow.yaml --max-impact recreate --max-risk behaviour -c container.memory-limit >/tmp/out 2>&1 & echo $! >/tmp/pid)', { check: true });
    await host.exec(`for i in $(seq 60); do [ "$(docker inspect -f '{{.HostConfig.Memory}} {{.State.Running}}' shop-web-1)" = "67108864 true" ] && break; sleep 0.5; done; kill -9 "$(cat /tmp/pid)" || cat /tmp/out >&2`, { check: true });
    expect((await ids())['shop-web-1']).not.toBe(before);
    expect(await file('compose.yaml')).not.toBe(BASE);
    expect((await harden(host, ['rollback', '--yes'])).code).toBe(0);
    expect(await texts()).toEqual([BASE, OVERRIDE]);
    expect((await host.exec("docker inspect -f '{{.HostConfig.Memory}} {{.State.Running}}' shop-web-1")).stdout).toBe('0 true\n');
  });
});
