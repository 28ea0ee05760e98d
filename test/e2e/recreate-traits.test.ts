/**
 * The hardened container is the same container in all but what was asked: one for each family of settings, on a real host, is replaced,
 * outlives a restart of the daemon, and comes back as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { text } from '../../src/collect/json.ts';
import { differences } from '../../src/container/differences.ts';
import type { JsonObject } from '../../src/model.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { answers, hardenJson, harden, pids, type OutcomesDocument, type PlanDocumentJson, type ScanDocument } from './support.ts';

/** Ends at once when it is told to, which a first process without a handler does not. */
const until = (start: string): string[] => ['sh', '-c', `trap 'exit 0' TERM INT USR1; ${start} & wait`];
const IDLE = ['busybox:latest', ...until('sleep 100000')];
const SERVE = ['busybox:latest', ...until('httpd -f -p 80 -h /www')];

/** Name, options of `docker run -d`, image and command. */
const RUNNING: readonly (readonly [name: string, options: readonly string[], command?: readonly string[]])[] = [
  ['ports', ['-v', 'www:/www', '-p', '127.0.0.1:8080:80', '-p', '0.0.0.0:8081:80', '-p', '127.0.0.1:8090-8092:90-92', '-p', '5353:53/udp', '--restart', 'always'], SERVE],
  ['volumes', ['-v', 'data:/data', '-v', '/anonymous', '-v', '/srv/data:/host:ro', '--restart', 'unless-stopped'],
    ['busybox:latest', ...until('test -e /data/file || { echo kept >/data/file; echo kept >/anonymous/file; }; sleep 100000')]],
  ['declared', [], ['declaring:1', ...until('test -e /declared/file || echo kept >/declared/file; sleep 100000')]],
  ['tmpfs', ['--tmpfs', '/cache:rw,size=1m,mode=700', '--tmpfs', '/run', '--shm-size', '32m']],
  ['mounts', ['--mount', 'type=bind,source=/srv/data,target=/b,readonly,bind-propagation=rprivate', '--mount', 'type=volume,source=opts,target=/v,volume-nocopy,volume-label=a.b=c d',
    '--mount', 'type=tmpfs,target=/t,tmpfs-size=1048576,tmpfs-mode=0700', '--mount', 'type=volume,target=/anonymous']],
  ['networks', ['--network', 'one', '--ip', '172.30.1.7', '--network-alias', 'first', '--network-alias', 'other']],
  ['linked', ['--link', 'db:database', '--link', 'db']],
  ['healthy', ['--health-cmd', 'test -d /proc || exit 1', '--health-interval', '1s', '--health-retries', '2', '--restart', 'on-failure:3']],
  ['entrypoint', ['--entrypoint', 'env'], ['busybox:latest', 'A=it\'s "b"', 'sh', '-c', 'trap "exit 0" TERM; sleep 100000 & wait', '--', '', ' *']],
  ['env', ['-e', 'LINES=one\ntwo\n', '-e', 'QUOTES=\'"`$(id)\\', '-e', 'PASSWORD=hunter2=', '-e', 'EMPTY=']],
  ['limits', ['--ulimit', 'nofile=100:200', '--ulimit', 'core=0', '--oom-score-adj', '200', '--cpu-shares', '100', '--memory-reservation', '16m', '--blkio-weight', '0']],
  ['devices', ['--device', '/dev/null:/dev/nothing:r', '--device-cgroup-rule', 'c 10:229 r']],
  ['logging', ['--log-driver', 'json-file', '--log-opt', 'max-size=1m', '--log-opt', 'tag={{.Name}} "x" $y']],
  ['labels', ['--label', 'a.b/c=it\'s "x"\n$(id)\u001b[31m', '--label', 'empty=', '--label', '__proto__=x']],
  ['stopping', ['--stop-signal', 'USR1', '--stop-timeout', '3', '--init']],
  ['kernel', ['--sysctl', 'net.ipv4.ip_unprivileged_port_start=80', '--group-add', '10', '--group-add', '20', '--pid', 'host', '--ipc', 'shareable']],
  ['names', ['--dns', '127.0.0.53', '--dns-search', 'example.test', '--dns-opt', 'ndots:2', '--add-host', 'peer:10.1.2.3', '--hostname', 'own', '--domainname', 'example.test']],
  ['user', ['--user', '1000:1000', '--workdir', '/var/lib/work', '--cap-add', 'CHOWN', '--cap-drop', 'MKNOD']],
  ['readonly', ['--read-only', '--tmpfs', '/tmp:rw,exec', '--security-opt', 'seccomp=unconfined']],
];
const STOPPED = ['created', 'ended'];
const ALL = [...RUNNING.map(([name]) => name), ...STOPPED];

const CHECKS = ['container.no-new-privileges', 'container.capabilities', 'container.pids-limit', 'container.memory-limit', 'container.readonly-rootfs'];
const LOOK = ['-c', CHECKS.join(','), '-x', 'db', '--set', 'container.memory=64m', '--set', 'container.tmpfs=[/tmp, /run]', '--set', 'container.watchSeconds=1'];
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', ...LOOK];
/** What the fixes of CHECKS show in. */
const INTENDED = /^HostConfig\.(?:SecurityOpt|CapDrop|PidsLimit|Memory|MemorySwap|ReadonlyRootfs|Tmpfs(?:\[\/(?:tmp|run)\])?)$/;

describe.skipIf(skipReason('systemd') !== null)(titled('containers that take the place of others', 'systemd'), () => {
  let host: SystemdHost;
  let apiVersion: string;
  let before: Map<string, JsonObject>;

  const docker = (...args: string[]): Promise<{ stdout: string }> => host.exec(['docker', ...args], { check: true });
  const inspect = async (names: readonly string[]): Promise<Map<string, JsonObject>> => {
    const found = JSON.parse((await docker('inspect', '--type', 'container', ...names)).stdout) as JsonObject[];
    return new Map(found.map((raw) => [text(raw['Name']).slice(1), raw]));
  };
  const part = (raw: JsonObject | undefined, ...path: string[]): unknown => path.reduce<unknown>((value, key) => (value as JsonObject | undefined)?.[key], raw);
  const fileIn = async (name: string, path: string): Promise<string> => (await docker('exec', name, 'cat', path)).stdout;
  const keptOf = (name: string): string => `harden-kept-${text(before.get(name)?.['Id']).slice(0, 12)}`;
  const namesLike = async (text: string): Promise<string[]> => (await docker('ps', '-a', '--filter', `name=${text}`, '--format', '{{.Names}}')).stdout.split('\n').filter((name) => name !== '').sort();
  const states = (found: Map<string, JsonObject>, names: readonly string[]): Record<string, unknown> =>
    Object.fromEntries(names.map((name) => [name, [part(found.get(name), 'State', 'Running'), (part(found.get(name), 'HostConfig', 'RestartPolicy', 'Name') as string | undefined) || 'no']]));

  /** Whatever the user of these containers would notice first. */
  async function expectServices(): Promise<void> {
    expect(await Promise.all([8080, 8081].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
    expect([await fileIn('volumes', '/data/file'), await fileIn('volumes', '/anonymous/file'), await fileIn('declared', '/declared/file')]).toEqual(['kept\n', 'kept\n', 'kept\n']);
    expect(await fileIn('volumes', '/host/file')).toBe('of the host\n');
    const { stdout: addresses } = await docker('exec', 'networks', 'sh', '-c', 'ip -4 addr');
    expect(['172.30.1.7/', '172.30.2.7/'].filter((address) => !addresses.includes(` ${address}`))).toEqual([]);
    expect(await fileIn('linked', '/etc/hosts')).toMatch(/database/);
  }

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'recreate-traits' });
    await host.loadBusybox();
    await host.exec(['docker', 'build', '-t', 'declaring:1', '-'], { input: 'FROM busybox:latest\nENV A=1\nLABEL of=image\nWORKDIR /w\nVOLUME /declared\n', check: true });
    await host.exec('mkdir -p /srv/data && echo "of the host" >/srv/data/file', { check: true });
    await docker('network', 'create', '--subnet', '172.30.1.0/24', 'one');
    await docker('network', 'create', '--subnet', '172.30.2.0/24', 'two');
    await docker('run', '-d', '--name', 'db', ...IDLE);
    await Promise.all(RUNNING.map(([name, options, command = IDLE]) => docker('run', '-d', '--name', name, ...options, ...command)));
    await docker('network', 'connect', '--ip', '172.30.2.7', '--alias', 'second', 'two', 'networks');
    await docker('create', '--name', 'created', '-v', '/anonymous', '--restart', 'unless-stopped', ...IDLE);
    await docker('run', '-d', '--name', 'ended', '-e', 'A=1', 'busybox:latest', 'true');
    await docker('wait', 'ended');
    apiVersion = (await docker('version', '--format', '{{.Server.APIVersion}}')).stdout.trim();
    before = await inspect([...ALL, 'db']);
  });
  afterAll(() => host.down());

  test('are the same in all but what was asked', async () => {
    const planned = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW], [0]);
    expect(planned.changes.map(({ target }) => before.get(target.id)?.['Id'] ?? target.id).sort()).toEqual(ALL.map((name) => before.get(name)?.['Id']).sort());
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0]);
    expect(done.changes.filter(({ state }) => state !== 'applied')).toEqual([]);
    const after = await inspect(ALL);
    const changed = ALL.map((name) => [name, differences(before.get(name) ?? {}, after.get(name) ?? {}, apiVersion).filter((path) => !INTENDED.test(path))]);
    expect(changed.filter(([, paths]) => paths?.length !== 0)).toEqual([]);
    expect(states(after, ALL)).toEqual(states(before, ALL));
    const replaced = ALL.filter((name) => after.get(name)?.['Id'] !== before.get(name)?.['Id']);
    expect(replaced.sort()).toEqual([...ALL].sort());
    expect(await namesLike('harden-')).toEqual(ALL.map(keptOf).sort());
    expect(states(await inspect(ALL.map(keptOf)), ALL.map(keptOf))).toEqual(Object.fromEntries(ALL.map((name) => [keptOf(name), [false, 'no']])));
    await expectServices();
  }, 240_000);

  test('keep every promise, and need no second run', async () => {
    const { results } = await hardenJson<ScanDocument>(host, ['scan', ...LOOK], [0]);
    expect(results.map(({ check, outcome }) => [check, outcome]).sort()).toEqual(CHECKS.map((check) => [check, 'pass']).sort());
    const again = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0]);
    expect(again.changes).toEqual([]);
  });

  test('are those that the next start of the daemon brings back', async () => {
    await host.exec(['systemctl', 'restart', 'docker'], { check: true });
    const now = await inspect([...ALL, ...ALL.map(keptOf)]);
    const up = [...now.values()].filter((raw) => part(raw, 'State', 'Running') === true).map((raw) => text(raw['Name']).slice(1));
    expect(up.sort()).toEqual(['ports', 'volumes']);
    await docker('start', ...['db'], ...RUNNING.map(([name]) => name));
  });

  test('give way to the old ones again', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, said: code === 0 ? '' : `${stdout}${stderr}` }).toEqual({ code: 0, said: '' });
    const now = await inspect(ALL);
    expect(ALL.map((name) => now.get(name)?.['Id'])).toEqual(ALL.map((name) => before.get(name)?.['Id']));
    expect(states(now, ALL)).toEqual(states(before, ALL));
    expect(ALL.flatMap((name) => differences(before.get(name) ?? {}, now.get(name) ?? {}, apiVersion))).toEqual([]);
    expect(await namesLike('harden-')).toEqual([]);
    await expectServices();
  }, 240_000);

  test('are not needed for what the engine changes of a running one', async () => {
    const live = ['--max-risk', 'behaviour', '-i', 'volumes,env', '-c', 'container.memory-limit,container.pids-limit,container.cpu-shares,container.restart-policy',
      '--set', 'container.memory=64m', '--set', 'container.cpuShares=512', '--set', 'container.restart="on-failure:5"'];
    const running = await pids(host);
    await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...live], [0]);
    const limits = async (name: string): Promise<unknown[]> => {
      const raw = (await inspect([name])).get(name);
      return ['Memory', 'PidsLimit', 'CpuShares', 'RestartPolicy'].map((field) => part(raw, 'HostConfig', field));
    };
    expect(await limits('volumes')).toEqual([64 * 1024 ** 2, 2048, 512, { Name: 'on-failure', MaximumRetryCount: 5 }]);
    expect(await limits('env')).toEqual([64 * 1024 ** 2, 2048, 512, { Name: 'no', MaximumRetryCount: 0 }]);
    expect(await pids(host)).toEqual(running);
    expect((await harden(host, ['rollback', '--yes'])).code).toBe(0);
    const memory = Number((await docker('info', '--format', '{{.MemTotal}}')).stdout);
    expect(await limits('volumes')).toEqual([memory, 0, 1024, { Name: 'unless-stopped', MaximumRetryCount: 0 }]);
    expect(await pids(host)).toEqual(running);
  });
});
