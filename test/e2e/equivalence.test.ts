/**
 * One plan, several executors: hosts that are set up alike, each hardened by another one, are alike afterwards: files (bytes, owner, mode), what the
 * daemon runs with, what containers are made of, and the scan. Then nothing is left to do, and what takes it back leaves every host as it was.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EQUIVALENCE, EXECUTOR_NAMES } from '../../src/portable/equivalence.ts';
import type { Facts } from '../../src/model.ts';
import { run } from './bed/shell.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { ansibleProject, played } from './playbook.ts';
import { harden, hardenJson, scan, type CliResult, type PlanDocumentJson } from './support.ts';

const COMPOSE = `services:
  shop:
    image: busybox:latest
    command: [ "sleep", "100000" ]  # kept
    environment:
      DB_PASSWORD: hunter2   # changed every year
    stop_signal: SIGKILL
`;
const UNIT = '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --icc=true --containerd=/run/containerd/containerd.sock\n';
const CONFIG = '{\n    "log-opts": { "tag": "{{.Name}}" },   \n    "labels": ["team=a", "api_token=hunter2"]\n}\n';
const POLICY = `maxImpact: recreate
maxRisk: behaviour
parameters:
  trustedUsers: []
  container: { publishAddress: 127.0.0.1, memory: 64m, watchSeconds: 2 }
`;
const PLAN = ['--policy', '/root/harden.yaml', '-e', 'container.cpu-shares'];

/** How a host is hardened: `make` (again: nothing to do, by `nothing`), and `undo`. */
interface Executor {
  readonly name: (typeof EXECUTOR_NAMES)[number];
  make(host: SystemdHost): Promise<CliResult>;
  /** Whether a second `make` had nothing to do. */
  nothing(result: CliResult): boolean;
  undo(host: SystemdHost): Promise<CliResult>;
  /** What `make` exits with where a promise is still pending. */
  readonly code: number;
}

const project = ansibleProject('trixie');
const before = new Map<string, State>();
const script = (host: SystemdHost, ...args: string[]): Promise<CliResult> => host.exec(['sh', '/root/harden.sh', ...args], { timeoutMs: 300_000 });

const EXECUTORS: readonly Executor[] = [
  {
    name: 'apply', code: 1,
    make: (host) => harden(host, ['apply', '--yes', '-c', '1,2,3,5', ...PLAN, '--format', 'json']),
    nothing: ({ stdout }) => (JSON.parse(stdout) as { changes: unknown[] }).changes.length === 0,
    undo: (host) => harden(host, ['rollback', '--yes']),
  },
  {
    name: 'script', code: 0,
    make: async (host) => {
      // The script is made once, before anything is changed: what it makes the second time, it made the first.
      if ((await host.exec(['test', '-e', '/root/harden.sh'])).code !== 0) {
        expect(await harden(host, ['generate', 'shell', '-c', '1,2,3,5', ...PLAN, '-o', '/root/harden.sh'])).toMatchObject({ code: 0 });
        const text = await host.readFile('/root/harden.sh');
        for (const secret of ['hunter2', 's3cret']) expect(text).not.toContain(secret);
        const dry = await script(host, '--dry-run');
        expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing was changed.') as string });
      }
      return script(host);
    },
    nothing: ({ stdout }) => /^0 made, \d+ as wanted, 0 not made, 0 failed\.$/mu.test(stdout),
    undo: (host) => script(host, '--undo'),
  },
  {
    name: 'playbook', code: 0,
    make: async (host) => {
      if (!existsSync(join(project.directory, 'project'))) {
        await project.reach(host);
        await project.generate(host, '-c', '1,2,3,5', ...PLAN);
        const texts = await run(['grep', '-rlE', 'hunter2|s3cret', join(project.directory, 'project')]);
        expect(texts).toMatchObject({ code: 1, stdout: '' });
        const looked = await project.play('--check', '--diff');
        expect(looked, looked.stdout).toMatchObject({ code: 0, failed: 0, stdout: expect.stringContaining('live-restore') as string });
        expect(await stateOf(host)).toEqual(before.get('playbook'));
      }
      return project.play();
    },
    nothing: (result) => played(result).changed === 0,
    undo: () => project.play('-e', 'harden_undo=true'),
  },
];

async function setUp(host: SystemdHost): Promise<void> {
  await host.loadBusybox();
  await host.exec('useradd bob && usermod -aG docker bob && mkdir -p /srv/shop /etc/docker', { check: true });
  await host.writeFile('/etc/docker/daemon.json', CONFIG);
  await host.writeFile('/etc/systemd/system/docker.service.d/own.conf', UNIT);
  await host.writeFile('/srv/shop/compose.yaml', COMPOSE);
  await host.writeFile('/root/harden.yaml', POLICY);
  await host.exec('chmod 666 /etc/docker/daemon.json; chmod 664 /lib/systemd/system/docker.service; systemctl daemon-reload && systemctl restart docker', { check: true });
  await host.run('-d', '--name', 'web', '-p', '8080:80', '--restart', 'unless-stopped', '--stop-timeout', '1', '--env', 'A_TOKEN=s3cret $(touch /canary) "x"', '--label', 'a.b=s3cret {{ x }}', '--hostname', 'web1', '-v', 'data:/data',
    '--log-opt', 'labels=s3cret', '--health-cmd', 'test -e /tmp # s3cret', '--health-interval', '1s', 'busybox:latest', 'sh', '-c', 'mkdir -p /tmp/www; echo hello > /tmp/www/index.html; httpd -f -p 80 -h /tmp/www # s3cret `touch /canary`');
  await host.run('-d', '--name', 'side', '--network', 'container:web', '--stop-timeout', '1', 'busybox:latest', 'sleep', '100000');
  await host.exec('cd /srv/shop && docker compose up -d 2>&1', { check: true });
}

/** What is compared, without what is another on every host: ids and times. */
interface State {
  readonly files: string;
  readonly daemon: unknown;
  readonly containers: Record<string, unknown>;
  readonly images: string;
}

async function stateOf(host: SystemdHost): Promise<State> {
  const roots = ['/etc/docker', '/etc/systemd/system', '/etc/audit', '/srv', '/etc/group', '/etc/gshadow', '/run/docker.sock', '/usr/lib/systemd/system/docker.service', '/root/harden.yaml'];
  const files = await host.exec(['sh', '-c', 'find "$@" -xdev -printf "%y %m %U:%G %p -> %l\\n" | sort; find "$@" -xdev -type f -print0 | sort -z | xargs -0 sha256sum', 'tree', ...roots]);
  const info = await host.exec(['docker', 'info', '--format', '{{json .}}'], { check: true });
  const { LiveRestoreEnabled, LoggingDriver, SecurityOptions, Labels, CgroupDriver } = JSON.parse(info.stdout) as Record<string, unknown> & { Labels: string[] };
  const icc = (await host.exec(['docker', 'network', 'inspect', '-f', '{{json .Options}}', 'bridge'])).stdout;
  expect(await harden(host, ['collect', '-o', '/root/facts.json'])).toMatchObject({ code: 0 });
  const facts = JSON.parse(await host.readFile('/root/facts.json')) as Facts;
  await host.exec(['rm', '-f', '/root/facts.json']);
  const found = facts.containers.status === 'present' ? facts.containers.value : [];
  const names = new Map(found.map(({ id, name }) => [id, name]));
  const containers = found.filter(({ name }) => !name.startsWith('harden-kept-')).map(({ name, spec, runtime }) => [name, {
    state: runtime.status === 'present' ? runtime.value.state : null,
    // Images are imported on each host, and have an id of their own there.
    spec: JSON.parse(JSON.stringify(spec).replace(/"sha256:[0-9a-f]{64}"/gu, '"image"').replace(/"com\.docker\.compose\.replace":"[0-9a-f]{64}",/gu, '').replace(/\b[0-9a-f]{64}\b/gu, (id) => names.get(id) ?? id)) as unknown,
  }] as const);
  return {
    files: files.stdout, daemon: { LiveRestoreEnabled, LoggingDriver, SecurityOptions, Labels: [...Labels].sort(), CgroupDriver, icc },
    containers: Object.fromEntries(containers.sort(([a], [b]) => a.localeCompare(b))),
    images: (await host.exec('docker images --format "{{.Repository}}:{{.Tag}}" | sort')).stdout,
  };
}

/** But for the sessions in containers: of what was before its last few hundred events, those of health checks among them, a daemon knows nothing. */
const verdicts = async (host: SystemdHost): Promise<string[]> => (await scan(host, '--policy', '/root/harden.yaml')).results
  .filter(({ check }) => !check.startsWith('operations.exec-'))
  .flatMap(({ check, findings }) => findings.map(({ target, outcome }) => `${check} ${target.name.replace(/^(harden-kept-).*/u, '$1')} ${outcome}`)).sort();

describe.skipIf(skipReason('systemd') !== null)(titled('executors do the same', 'systemd'), () => {
  const hosts = new Map<string, SystemdHost>();
  const each = <T>(act: (host: SystemdHost, executor: Executor) => Promise<T>): Promise<T[]> => Promise.all(EXECUTORS.map((executor) => {
    const host = hosts.get(executor.name);
    if (host === undefined) throw new Error(`no host for ${executor.name}`);
    return act(host, executor);
  }));
  let kinds: readonly string[] = [];

  beforeAll(async () => {
    await Promise.all(EXECUTORS.map(async ({ name }) => {
      // One name for all, so that nothing that depends on it differs.
      const host = await bed.systemdHost({ name: `equal-${name}`, suite: 'trixie' });
      hosts.set(name, host);
      await setUp(host);
    }));
    await each(async (host, { name }) => before.set(name, await stateOf(host)));
  });
  afterAll(async () => {
    project.remove();
    await Promise.all([...hosts.values()].map((host) => host.down()));
  });

  test('the hosts are alike, and every kind of change that is said to be the same is in the plan', async () => {
    const [first, ...others] = await each((host) => Promise.resolve(stateOf(host)));
    for (const other of others) expect(other).toEqual(first);
    const plans = await each((host) => hardenJson<PlanDocumentJson>(host, ['plan', '-c', '1,2,3,5', ...PLAN], [0]));
    kinds = [...new Set(plans[0]?.changes.map(({ kind }) => kind))].sort();
    expect(EXECUTORS.map(({ name }) => name)).toEqual(EXECUTOR_NAMES);
    expect(kinds).toEqual(EQUIVALENCE.filter(({ compared }) => compared === 'equivalence').map(({ kind }) => kind).sort());
  });

  test('each makes the plan', async () => {
    await each(async (host, executor) => {
      const { code, stdout, stderr } = await executor.make(host);
      expect(code, `${executor.name}\n${stdout}\n${stderr}`).toBe(executor.code);
      expect((await host.exec(['ls', '/canary'])).code).not.toBe(0);
    });
  });

  test('files, daemon, containers and images are the same, and so is the scan', async () => {
    const [first, ...others] = await each(stateOf);
    for (const other of others) expect(other).toEqual(first);
    const [scanned, ...rest] = await each(verdicts);
    for (const other of rest) expect(other).toEqual(scanned);
    expect(first).not.toEqual(before.get('apply'));
  });

  test('a second time, nothing is left to do', async () => {
    const after = await each(stateOf);
    await each(async (host, executor) => {
      const result = await executor.make(host);
      expect(executor.nothing(result), `${executor.name}\n${result.stdout}\n${result.stderr}`).toBe(true);
    });
    expect(await each(stateOf)).toEqual(after);
  });

  test('taken back, every host is as it was', async () => {
    await each(async (host, executor) => {
      const { code, stdout, stderr } = await executor.undo(host);
      expect(code, `${executor.name}\n${stdout}\n${stderr}`).toBe(0);
      expect({ executor: executor.name, state: await stateOf(host) }).toEqual({ executor: executor.name, state: before.get(executor.name) });
    });
  });
});
