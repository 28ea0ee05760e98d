/** Services of Compose 2.26 hardened in their files: planned, made, watched, taken back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { pushed } from './registry.ts';
import { answers, harden, hardenJson, scan, type OutcomesDocument, type PlanDocumentJson } from './support.ts';

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

const IMAGE = '127.0.0.1:5000/site/app:1';
const SITE_FILE = '/srv/site/compose.yaml';
const SITE = `# The site, and who is asked about it.
services:
  front:
    image: ${IMAGE}   # from the build
    command: [sh, -c, "httpd -f -p 80 -h /etc"]
    stop_signal: SIGKILL
    ports:   # to the world
      - "80:80"   # clients know it
      - "127.0.0.1:8443:443"
    devices:
      # nobody remembers why
      - /dev/fuse
      - /dev/null:/dev/nothing
    volumes:
      - data:/data
      - /dev/net:/dev/net   # tunnels, once
    security_opt: [ "seccomp:unconfined", "label:user:x" ]   # since the upgrade
    depends_on: [back, cold]   # stopped in winter

  hosted:
    image: busybox:latest
    command: [httpd, -f, -p, "8085", -h, /etc]
    stop_signal: SIGKILL
    network_mode: host   # for speed
    volumes:
      - { type: bind, source: /srv/shared, target: /shared, bind: { propagation: rshared } }   # disks

  back:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL

  cold:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL

  late:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    depends_on:
      store: { condition: service_started, restart: true }

  store:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
volumes:
  data:
`;
/** What its owner chose for it, and the checks whose findings that settles. */
const SITE_POLICY = `parameters:
  container: { watchSeconds: 1 }
  containers:
    site-front-*: { hostPorts: { 80: 8080 }, publishAddress: 127.0.0.1, withoutDevices: [/dev/fuse, /dev/null], withoutMounts: [/dev/net], confined: true, pinImage: true }
    site-hosted-*: { privateNamespaces: [network], network: site_default, publish: ["127.0.0.1:8085:8085"] }
`;
const SITE_CHECKS: Readonly<Record<string, readonly string[]>> = {
  front: ['privileged-ports', 'bind-interface', 'devices', 'seccomp', 'image-pinning', 'no-new-privileges'],
  hosted: ['host-network', 'mount-propagation', 'no-new-privileges'],
  back: ['no-new-privileges'],
  late: ['no-new-privileges'],
};
const SITE_LOOK = ['--policy', '/root/site.yaml', '-i', 'site-*', '-x', 'site-cold-*', '-c', [...new Set(Object.values(SITE_CHECKS).flat())].map((check) => `container.${check}`).join(',')];
const SITE_ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', ...SITE_LOOK];
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

  test('what only its owner can choose is edited in its lines, comments stay, what it depends on stays stopped, and what others restart with is left alone', async () => {
    const digest = await pushed(host, 'busybox:latest', IMAGE);
    await host.exec(`cd ${DIRECTORY} && docker compose down -t 0 2>&1; mkdir -p /srv/shared /dev/net && mknod /dev/fuse c 10 229 && mknod /dev/net/tun c 10 200
      mount --bind /srv/shared /srv/shared && mount --make-shared /srv/shared`, { check: true });
    await host.writeFile(SITE_FILE, SITE);
    await host.writeFile('/root/site.yaml', SITE_POLICY);
    const upSite = (): Promise<unknown> => host.exec('cd /srv/site && docker compose up -d front hosted late 2>&1', { check: true });
    await upSite();
    await host.exec('docker exec site-front-1 sh -c "echo kept >/data/file" && docker stop site-back-1 site-cold-1', { check: true });
    const before = await ids();
    const asBefore = (now: Record<string, string>): string[] => Object.keys(now).filter((name) => now[name] === before[name]).sort();

    const { deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...SITE_ALLOW], [0]);
    expect(deferred.map(({ check, target, reason, explanation }) => `${check} ${target.name} ${reason}: ${explanation}`).filter((text) => !text.startsWith('container.image-pinning '))).toEqual([
      'container.no-new-privileges site-store-1 guard: The files of its compose project are left alone: the container site-late-1 is made anew with it (depends_on with restart: true).',
    ]);
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...SITE_ALLOW], [0]);
    expect(states(done)).toEqual({ 'compose:site': 'applied' });
    const noNew = '    security_opt:\n      - no-new-privileges:true\n';
    const late = '      store: { condition: service_started, restart: true }\n';
    expect(await host.readFile(SITE_FILE)).toBe(SITE
      .replace(`image: ${IMAGE}`, `image: "${digest}"`)
      .replace('"80:80"', '"127.0.0.1:8080:80"')
      .replace('    devices:\n      # nobody remembers why\n      - /dev/fuse\n      - /dev/null:/dev/nothing\n', '')
      .replace('      - /dev/net:/dev/net   # tunnels, once\n', '')
      .replace('"seccomp:unconfined", "label:user:x"', '"label:user:x", "no-new-privileges:true"')
      .replace('    network_mode: host   # for speed\n', '')
      .replace('propagation: rshared } }   # disks\n', `propagation: rslave } }   # disks\n    ports:\n      - "127.0.0.1:8085:8085"\n${noNew}`)
      .replace('\n\n  cold:', `\n${noNew}\n  cold:`)
      .replace(late, `${late}${noNew}`));
    const { results } = await scan(host, ...SITE_LOOK);
    const verdicts = results.flatMap(({ check, findings }) => findings.map(({ target, outcome }) => `${target.name} ${check} ${outcome}`));
    expect(verdicts.filter((verdict) => / (?:warn|unknown)$/.test(verdict))).toEqual(['site-store-1 container.no-new-privileges warn']);
    expect(Object.entries(SITE_CHECKS).flatMap(([service, checks]) => checks.map((check) => `site-${service}-1 container.${check} pass`)).filter((verdict) => !verdicts.includes(verdict))).toEqual([]);
    const after = await ids();
    expect(asBefore(after)).toEqual(['site-cold-1', 'site-store-1']);
    // It was stopped, and is made anew as such.
    expect(after['site-back-1']).toMatch(/ created$/);
    expect(await Promise.all(['8080', '8085'].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
    expect((await host.exec(['docker', 'exec', 'site-front-1', 'cat', '/data/file'])).stdout).toBe('kept\n');
    await host.exec('cd /srv/site && docker compose create 2>&1', { check: true });
    expect(await ids()).toEqual(after);

    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, said: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, said: '' });
    expect(await host.readFile(SITE_FILE)).toBe(SITE);
    const back = await ids();
    expect(asBefore(back)).toEqual(['site-cold-1', 'site-store-1']);
    expect(await Promise.all(['80', '8085'].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
    await host.exec('cd /srv/site && docker compose create 2>&1', { check: true });
    expect(await ids()).toEqual(back);
  }, 240_000);
});
