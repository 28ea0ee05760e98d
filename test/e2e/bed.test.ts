/** The test bed itself: what every end-to-end test takes for granted. */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUDIT } from './bed/layout.ts';
import { run, withLock } from './bed/shell.ts';
import { bed, skipReason, titled, type AuditHost, type SystemdHost, type TestHost } from './host.ts';

describe.skipIf(skipReason('systemd') !== null)(titled('a systemd host', 'systemd'), () => {
  let host: SystemdHost;
  beforeAll(async () => {
    host = await bed.systemdHost({
      name: 'bed-systemd',
      prepare: (early) => early.writeFile('/etc/docker/daemon.json', '{"icc": false}\n', { mode: 0o600 }),
    });
    await host.loadBusybox();
  });
  afterAll(() => host.down());

  test('boots systemd as PID 1, with the engine as a service', async () => {
    expect(await host.readFile('/proc/1/comm')).toBe('systemd\n');
    expect((await host.exec(['systemctl', 'is-active', 'docker'])).stdout).toBe('active\n');
  });

  test('was prepared before its engine started', async () => {
    const { stdout } = await host.exec(['docker', 'network', 'inspect', 'bridge'], { check: true });
    expect(JSON.parse(stdout)).toMatchObject([{ Options: { 'com.docker.network.bridge.enable_icc': 'false' } }]);
  });

  test('restarts its engine', async () => {
    const mainPid = ['systemctl', 'show', '--property=MainPID', 'docker'];
    const before = await host.exec(mainPid);
    expect(await host.exec(['systemctl', 'restart', 'docker'])).toMatchObject({ code: 0 });
    expect(await host.exec(['docker', 'version'])).toMatchObject({ code: 0 });
    expect((await host.exec(mainPid)).stdout).not.toBe(before.stdout);
  });

  test('publishes a port of a container', () => expectPublishedPort(host));

  test('is reachable at its address', async () => {
    const socket = connect(22, host.address);
    await once(socket, 'connect');
    socket.destroy();
  });

  test('takes and gives files and input', () => expectFiles(host));

  test('is not reached by the environment of the tests', async () => {
    const { stdout } = await host.exec('env', { env: { ASKED: 'yes' }, user: 'nobody' });
    expect(stdout).toContain('ASKED=yes\n');
    expect(stdout).not.toContain('VITEST');
  });

  test('leaves nothing', async () => {
    const doomed = await bed.systemdHost({ name: 'bed-doomed' });
    await doomed.loadBusybox();
    const inner = await doomed.run('--detach', '--restart=always', 'busybox', 'sleep', '1000');
    const before = await traces(inner, 'bed-doomed');
    expect(before.processes).not.toEqual([]);
    expect(before.cgroups).not.toEqual([]);
    expect(before.hosts).toHaveLength(1);
    await doomed.down();
    await doomed.down();
    expect(await traces(inner, 'bed-doomed')).toEqual({ processes: [], cgroups: [], mounts: [], hosts: [] });
  });
});

describe.skipIf(skipReason('audit') !== null)(titled('an audit host', 'audit'), () => {
  const rule = '-w /etc/docker -p wa -k bed';
  let host: AuditHost;
  let auditBefore: string;
  beforeAll(async () => {
    auditBefore = await auditSettings();
    host = await bed.auditHost({ name: 'bed-audit' });
    await host.loadBusybox();
  });
  afterAll(() => host.down());

  test('has an engine and no systemd', async () => {
    expect(await host.exec(['docker', 'version'])).toMatchObject({ code: 0 });
    expect(await host.readFile('/proc/1/comm')).not.toBe('systemd\n');
    expect(await host.exec(['service', 'docker', 'restart'])).toMatchObject({ code: 0 });
    await host.exec('until docker version; do sleep 0.1; done', { check: true });
  });

  test('loads rules into the kernel', async () => {
    expect((await host.exec(['auditctl', '-l'])).stdout).toBe('No rules\n');
    await host.writeFile('/etc/audit/rules.d/bed.rules', `${rule}\n`, { mode: 0o640 });
    expect(await host.exec(['augenrules', '--load'])).toMatchObject({ code: 0 });
    expect((await run(['auditctl', '-l'])).stdout).toBe(`${rule}\n`);
  });

  test('loads rules again at boot, before containerd is there', async () => {
    expect(await host.rebootRules()).toMatchObject({ code: 0 });
    expect((await host.exec(['auditctl', '-l'])).stdout).toBe(`${rule}\n`);
    expect((await host.exec('ls /run')).stdout).not.toMatch(/containerd|docker/);
    await host.startEngine();
  });

  test('reports a rule that cannot be loaded at boot', async () => {
    await host.writeFile('/etc/audit/rules.d/socket.rules', '-w /run/containerd/containerd.sock -p wa\n');
    expect(await host.exec(['augenrules', '--load'])).toMatchObject({ code: 0 });
    const { code, stderr } = await host.rebootRules();
    expect(code).not.toBe(0);
    expect(stderr).toContain('No such file or directory');
    await host.startEngine();
  });

  test('publishes a port of a container', () => expectPublishedPort(host));

  test('takes and gives files and input', () => expectFiles(host));

  test('leaves nothing', async () => {
    const inner = await host.run('--detach', '--restart=always', 'busybox', 'sleep', '1000');
    const before = await traces(inner, 'bed-audit');
    expect(before.processes).not.toEqual([]);
    expect(before.cgroups).not.toEqual([]);
    expect(before.hosts).toHaveLength(1);
    await host.down();
    expect(await traces(inner, 'bed-audit')).toEqual({ processes: [], cgroups: [], mounts: [], hosts: [] });
    expect(await auditSettings()).toBe(auditBefore);
  });
});

async function expectPublishedPort(host: TestHost): Promise<void> {
  const serve = 'mkdir /www && echo hello >/www/index.html && exec httpd -f -p 80 -h /www';
  const id = await host.run('--detach', '--publish', '8080:80', '--stop-signal', 'KILL', 'busybox', 'sh', '-c', serve);
  const get = `
    for (let tries = 50; tries > 0; tries--) {
      const response = await fetch('http://127.0.0.1:8080/').catch(() => undefined);
      if (response?.ok) { process.stdout.write(await response.text()); break; }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }`;
  expect(await host.exec(['node', '--input-type=module', '--eval', get])).toMatchObject({ code: 0, stdout: 'hello\n' });
  await host.exec(['docker', 'rm', '--force', id], { check: true });
}

async function expectFiles(host: TestHost): Promise<void> {
  await host.writeFile('/srv/made/on/the/way', 'text\n', { mode: 0o4750, uid: 65534, gid: 65534 });
  expect(await host.readFile('/srv/made/on/the/way')).toBe('text\n');
  expect((await host.exec(['stat', '--format=%a %U %G', '/srv/made/on/the/way'])).stdout).toBe('4750 nobody nogroup\n');
  const local = await mkdtemp(join(tmpdir(), 'bed-'));
  await writeFile(join(local, 'file'), 'copied');
  await host.copyIn(local, '/srv/copy');
  await rm(local, { recursive: true });
  expect(await host.readFile('/srv/copy/file')).toBe('copied');
  expect(await host.exec(['wc', '-c'], { input: 'seven..' })).toMatchObject({ stdout: '7\n' });
  expect(await host.exec('echo out; echo err >&2; exit 3')).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' });
  await expect(host.exec(['false'], { check: true })).rejects.toThrow('exit code 1');
  await expect(host.exec(['sleep', '30'], { timeoutMs: 300 })).rejects.toThrow('still running after 300 ms');
}

/** What this machine shows of a host: of a container in it, and of the host itself. */
async function traces(innerContainer: string, hostName: string) {
  const processes = await run(['pgrep', '--full', '--list-full', innerContainer]);
  const cgroups = await run(['find', '/sys/fs/cgroup', '-type', 'd', '-name', innerContainer]);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return {
    processes: processes.stdout.split('\n').filter((line) => line !== ''),
    cgroups: cgroups.stdout.split('\n').filter((line) => line !== ''),
    mounts: mounts.split('\n').filter((line) => line.includes(hostName)),
    hosts: (await bed.list()).filter(({ name }) => name.startsWith(hostName)),
  };
}

/** The kernel's audit rules and the settings that a host may change, while no audit host exists: other tests may want one. */
function auditSettings(): Promise<string> {
  return withLock(AUDIT.lock, async () => {
    const { stdout: status } = await run(['auditctl', '-s'], { check: true });
    const { stdout: rules } = await run(['auditctl', '-l'], { check: true });
    return status.replaceAll(/^(lost|backlog|backlog_wait_time_actual) .*\n/gm, '') + rules;
  });
}
