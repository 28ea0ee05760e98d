/**
 * Containers of Docker 26.1, several families of settings in each, take the place of others: with what every one of them gets, and with what
 * only its owner can choose.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { text } from '../../src/collect/json.ts';
import { differences } from '../../src/container/differences.ts';
import type { JsonObject } from '../../src/model.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { pushed } from './registry.ts';
import { answers, harden, hardenJson, type OutcomesDocument, type PlanDocumentJson, type ScanDocument } from './support.ts';
import { ENTER, talk } from './talk.ts';

/** Ends at once when it is told to, which a first process without a handler does not. */
const until = (start: string): string[] => ['sh', '-c', `trap 'exit 0' TERM INT USR1; ${start} & wait`];
const IDLE = ['busybox:latest', ...until('sleep 100000')];
const APP = '127.0.0.1:5000/shop/app:1';

interface Case {
  /** Options of `docker run -d`, image and command. */
  readonly options: readonly string[];
  readonly command?: readonly string[];
  /** What its owner chose for it, as below `containers` of harden.yaml. */
  readonly chosen?: string;
  /** The checks whose findings that settles, and where the difference shows. */
  readonly checks?: readonly string[];
  readonly intended?: RegExp;
}

const CASES: Readonly<Record<string, Case>> = {
  published: {
    options: ['-v', 'www:/www', '-v', '/anonymous', '-v', '/srv/data:/host:ro', '-p', '80:80', '-p', '127.0.0.1:81:81', '-p', '8090-8092:90-92', '-p', '5353:53/udp', '--restart', 'always',
      '--log-opt', 'max-size=1m', '--log-opt', 'tag={{.Name}} "x" $y', '--label', 'a.b/c=it\'s "x"\n$(id)\u001b[31m', '--label', '__proto__=x'],
    command: ['busybox:latest', ...until('echo kept >/anonymous/file; httpd -f -p 80 -h /www')],
    chosen: '{ hostPorts: { 80: 8080, 81: none }, publishAddress: 127.0.0.1 }',
    checks: ['container.privileged-ports', 'container.bind-interface'],
    intended: /^HostConfig\.PortBindings/,
  },
  hosted: {
    options: ['--network', 'host', '-e', 'LINES=one\ntwo\n', '-e', 'QUOTES=\'"`$(id)\\', '-e', 'PASSWORD=hunter2='],
    command: ['busybox:latest', ...until('httpd -f -p 8085 -h /etc')],
    chosen: '{ privateNamespaces: [network], network: one, publish: ["127.0.0.1:8085:8085"] }',
    checks: ['container.host-network'],
    intended: /^(?:HostConfig\.(?:NetworkMode|PortBindings)|Config\.(?:ExposedPorts|Hostname)|Networks\.(?:host|one)\.)/,
  },
  pinned: {
    options: ['--entrypoint', 'env', '--stop-signal', 'USR1', '--stop-timeout', '3', '--init', '--workdir', '/var/lib/work'],
    command: [APP, 'A=it\'s "b"', 'sh', '-c', 'trap "exit 0" USR1; sleep 100000 & wait', '--', '', ' *'],
    chosen: '{ pinImage: true }',
    checks: ['container.image-pinning'],
    intended: /^Config\.Image$/,
  },
  devices: {
    options: ['--device', '/dev/fuse', '--device', '/dev/null:/dev/nothing:r', '-v', '/dev/net:/dev/net', '--ulimit', 'nofile=100:200', '--shm-size', '32m', '--tmpfs', '/cache:rw,size=1m',
      '--oom-score-adj', '200', '--cpu-shares', '100'],
    chosen: '{ withoutDevices: [/dev/fuse, /dev/null], withoutMounts: [/dev/net] }',
    checks: ['container.devices'],
    intended: /^HostConfig\.(?:Devices|Binds)|^Mounts/,
  },
  open: {
    options: ['--security-opt', 'seccomp=unconfined', '--pid', 'host', '--ipc', 'host', '--uts', 'host', '--user', '1000:1000', '--cap-add', 'CHOWN', '--group-add', '10',
      '-v', '/srv/shared:/shared:rshared', '--mount', 'type=bind,source=/srv/shared,target=/too,bind-propagation=shared'],
    chosen: '{ confined: true, privateNamespaces: [pid, ipc, uts] }',
    checks: ['container.seccomp', 'container.host-pid', 'container.host-ipc', 'container.host-uts', 'container.mount-propagation'],
    intended: /^(?:HostConfig\.(?:PidMode|IpcMode|UTSMode|Binds|Mounts)|Config\.Hostname|Mounts)/,
  },
  networks: {
    options: ['--network', 'one', '--ip', '172.30.1.7', '--network-alias', 'first', '--dns', '127.0.0.53', '--add-host', 'peer:10.1.2.3', '--hostname', 'own', '--sysctl', 'net.ipv4.ip_unprivileged_port_start=80',
      '--health-cmd', 'test -d /proc || exit 1', '--health-interval', '1s', '--restart', 'on-failure:3', '--ipc', 'shareable'],
  },
  // It follows who it joined.
  joined: { options: ['--network', 'container:networks', '--ipc', 'container:networks', '--restart', 'unless-stopped'], intended: /^HostConfig\.(?:NetworkMode|IpcMode)$/ },
  linked: { options: ['--link', 'networked:database', '--mount', 'type=volume,source=opts,target=/v,volume-nocopy', '--read-only', '--tmpfs', '/tmp:rw,exec'] },
};
const NAMES = Object.keys(CASES);

/** What every one of them gets, and where that shows. */
const EACH = ['container.no-new-privileges', 'container.capabilities', 'container.pids-limit', 'container.memory-limit', 'container.readonly-rootfs'];
const FOR_EACH = /^HostConfig\.(?:SecurityOpt|CapDrop|PidsLimit|Memory|MemorySwap|ReadonlyRootfs|Tmpfs(?:\[\/(?:tmp|run)\])?)$/;
const CHOSEN = Object.values(CASES).flatMap(({ checks = [] }) => checks);
const POLICY = `parameters:
  container: { memory: 64m, tmpfs: [/tmp, /run], watchSeconds: 1 }
  containers:
${Object.entries(CASES).flatMap(([name, { chosen }]) => (chosen === undefined ? [] : [`    ${name}: ${chosen}\n`])).join('')}`;
const LOOK = ['-c', [...EACH, ...CHOSEN].join(','), '-x', 'networked', '--policy', '/root/harden.yaml'];
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', ...LOOK];

describe.skipIf(skipReason('systemd') !== null)(titled('containers of Docker 26.1 that take the place of others', 'systemd'), () => {
  let host: SystemdHost;
  let digest: string;
  let apiVersion: string;
  let before: Map<string, JsonObject>;

  const docker = (...args: string[]): Promise<{ stdout: string }> => host.exec(['docker', ...args], { check: true });
  const inspect = async (names: readonly string[] = NAMES): Promise<Map<string, JsonObject>> => {
    const found = JSON.parse((await docker('inspect', '--type', 'container', ...names)).stdout) as JsonObject[];
    return new Map(found.map((raw) => [text(raw['Name']).slice(1), raw]));
  };
  const part = (raw: JsonObject | undefined, ...path: string[]): unknown => path.reduce<unknown>((value, key) => (value as JsonObject | undefined)?.[key], raw);
  const states = (found: Map<string, JsonObject>): unknown => NAMES.map((name) => [name, part(found.get(name), 'State', 'Running'), part(found.get(name), 'HostConfig', 'RestartPolicy')]);
  const changed = (found: Map<string, JsonObject>, intended: (name: string, path: string) => boolean): unknown =>
    NAMES.map((name) => [name, differences(before.get(name) ?? {}, found.get(name) ?? {}, apiVersion).filter((path) => !intended(name, path))]);
  const nothingElse = NAMES.map((name) => [name, []]);
  const ports = async (name: string): Promise<string[]> => (await host.exec(['docker', 'port', name])).stdout.trim().split('\n').sort();

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'recreate-trixie', suite: 'trixie' });
    await host.loadBusybox();
    digest = await pushed(host, 'busybox:latest', APP);
    await host.writeFile('/root/harden.yaml', POLICY);
    await host.exec(`mkdir -p /srv/data /srv/shared /dev/net && echo "of the host" >/srv/data/file && mknod /dev/fuse c 10 229 && mknod /dev/net/tun c 10 200
      mount --bind /srv/shared /srv/shared && mount --make-shared /srv/shared && docker network create --subnet 172.30.1.0/24 one && docker network create --subnet 172.30.2.0/24 two`, { check: true });
    await docker('run', '-d', '--name', 'networked', ...IDLE);
    for (const [name, { options, command = IDLE }] of Object.entries(CASES)) await docker('run', '-d', '--name', name, ...options, ...command);
    await docker('network', 'connect', '--ip', '172.30.2.7', '--alias', 'second', 'two', 'networks');
    apiVersion = (await docker('version', '--format', '{{.Server.APIVersion}}')).stdout.trim();
    before = await inspect();
  });
  afterAll(() => host.down());

  test('are the same in all but what was asked', async () => {
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0]);
    expect(done.changes.filter(({ state }) => state !== 'applied')).toEqual([]);
    const after = await inspect();
    expect(changed(after, (name, path) => FOR_EACH.test(path) || CASES[name]?.intended?.test(path) === true)).toEqual(nothingElse);
    expect(states(after)).toEqual(states(before));
    expect(NAMES.filter((name) => part(after.get(name), 'Id') === part(before.get(name), 'Id'))).toEqual([]);
    expect(part(after.get('pinned'), 'Config', 'Image')).toBe(digest);
    expect(['NetworkMode', 'IpcMode'].map((mode) => part(after.get('joined'), 'HostConfig', mode))).toEqual(['', ''].map(() => `container:${text(after.get('networks')?.['Id'])}`));
    expect([await ports('published'), await ports('hosted')]).toEqual([
      ['53/udp -> 127.0.0.1:5353', '80/tcp -> 127.0.0.1:8080', '90/tcp -> 127.0.0.1:8090', '91/tcp -> 127.0.0.1:8091', '92/tcp -> 127.0.0.1:8092'], ['8085/tcp -> 127.0.0.1:8085'],
    ]);
    expect(await Promise.all(['8080', '8085'].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
    expect((await docker('exec', 'published', 'cat', '/anonymous/file', '/host/file')).stdout).toBe('kept\nof the host\n');
  }, 240_000);

  test('keep every promise, and need no second run', async () => {
    const { results } = await hardenJson<ScanDocument>(host, ['scan', ...LOOK], [0, 1]);
    const verdicts = results.flatMap(({ check, findings }) => findings.map(({ target, outcome }) => `${target.name} ${check} ${outcome}`));
    expect(verdicts.filter((verdict) => / (?:warn|unknown)$/.test(verdict))).toEqual([]);
    expect(NAMES.flatMap((name) => [...EACH, ...CASES[name]?.checks ?? []].map((check) => `${name} ${check} pass`)).filter((verdict) => !verdicts.includes(verdict))).toEqual([]);
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0])).changes).toEqual([]);
  });

  test('give way to the old ones again', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, said: code === 0 ? '' : `${stdout}${stderr}` }).toEqual({ code: 0, said: '' });
    const now = await inspect();
    expect(NAMES.map((name) => part(now.get(name), 'Id'))).toEqual(NAMES.map((name) => part(before.get(name), 'Id')));
    expect(changed(now, () => false)).toEqual(nothingElse);
    expect(states(now)).toEqual(states(before));
    expect(await Promise.all(['80', '8085'].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
  }, 240_000);

  test('get no limits whose sum the host cannot keep, and no change that would do nothing', async () => {
    const memory = Number((await docker('info', '--format', '{{.MemTotal}}')).stdout);
    const each = Math.ceil((0.8 * memory) / (NAMES.length + 1) / 1024 ** 2) + 1;
    await host.writeFile('/root/much.yaml', `parameters:\n  container: { memory: ${each}m, confined: true }\n`);
    const much = ['--policy', '/root/much.yaml', ...ALLOW.slice(0, 4), '-c', 'container.memory-limit'];
    const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...much], [0]);
    expect([changes, new Set(deferred.map(({ reason }) => reason)), deferred.length]).toEqual([[], new Set(['guard']), NAMES.length + 1]);
    expect(deferred[0]?.explanation).toMatch(/the limits of all containers that run come to \d+ MiB, more than four fifths of the \d+ MiB of this host/u);
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...much], [0])).changes).toEqual([]);
    const accepted = await hardenJson<PlanDocumentJson>(host, ['plan', ...much, '--set', 'container.memoryOvercommit=true'], [0]);
    expect([accepted.deferred, accepted.changes.flatMap(({ because }) => because).length]).toEqual([[], NAMES.length + 1]);

    // A kernel that says it has SELinux, and a daemon that does not use it.
    await docker('run', '-d', '--name', 'unlabelled', '--security-opt', 'label=disable', ...IDLE);
    await host.exec('mount -t tmpfs tmpfs /sys/kernel/security && echo capability,selinux >/sys/kernel/security/lsm', { check: true });
    const labels = await hardenJson<PlanDocumentJson>(host, ['plan', '-i', 'unlabelled', '--policy', '/root/much.yaml', ...ALLOW.slice(0, 4), '-c', 'container.selinux'], [0]);
    await host.exec('umount /sys/kernel/security; docker rm -f unlabelled', { check: true });
    expect(labels).toMatchObject({ changes: [], deferred: [{ reason: 'guard', explanation: expect.stringContaining('The daemon does not use SELinux') as string }] });
  });

  test('get what a person at a terminal chooses, who is asked again after a mistake', async () => {
    const { code, screen } = await talk(host, 'harden apply -i linked,pinned -c container.memory-limit --max-risk behaviour', [
      { choose: /^Give values/u },
      [/Which findings[^]*container linked[^]*container pinned/u, ` ${ENTER}`],
      [/containers\.linked\.memory \[\d+m\] \(- leaves it open\):/u, `plenty${ENTER}`],
      [/plenty[^]*containers\.linked\.memory \[\d+m\]/u, `64m${ENTER}`],
      { choose: /^Apply 1 change/u },
      [/Type yes to make 1 change on recreate-trixie:/u, `yes${ENTER}`],
    ]);
    expect({ code, screen }).toEqual({ code: 0, screen: expect.stringMatching(/memory[^\n]*plenty|plenty[^]*such as 512m/u) as string });
    expect(screen).toMatch(/\+ --memory 64m[^]*WARN → PASS/u);
    expect((await docker('inspect', '-f', '{{.HostConfig.Memory}}', 'linked', 'pinned')).stdout).toBe(`${64 * 1024 ** 2}\n0\n`);
    expect((await harden(host, ['scan', '-i', 'linked', '-c', 'container.memory-limit'])).code).toBe(0);
  });
});
