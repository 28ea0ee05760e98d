/**
 * A host on which everything that can be wrong is, with every choice made, and every ceiling raised that leaves containers running:
 * containers.test.ts has those that make them anew.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { answers, harden, hardenJson, outcomes, pids, plan, scan, tree, type OutcomesDocument, type PlanDocumentJson } from './support.ts';
import { recordedVerdicts, recordVerdicts } from './verdict-table.ts';

const POLICY = `
maxImpact: restart
maxRisk: irreversible
parameters:
  trustedUsers: [alice]
  logDriver: { driver: syslog, options: { syslog-address: "udp://192.0.2.9:514" } }
  defaultUlimits: { nofile: "1024:4096" }
  cgroupParent: fine.slice
  insecureRegistries: []
  iptables: true
  experimental: false
  usernsRemap: default
  registryMirrors: ["https://mirror.test"]
  audit: { dataRoot: except-layers, runContainerd: true }
`;
const WITH = ['--policy', '/root/harden.yaml'];

const DAEMON_JSON = `{
\t"insecure-registries": ["registry.test:5000", "10.0.0.0/8"],
\t"iptables": false, "experimental": true,
\t"debug": true, "log-level": "debug",
\t"icc": true,
\t"seccomp-profile": "unconfined"
}`;

async function spoil(host: SystemdHost): Promise<void> {
  await host.exec('useradd -m alice; useradd -m -G docker bob; useradd -m -g docker carol; usermod -aG docker alice');
  await host.run('-d', '--name', 'web', '-p', '8080:80', '--restart', 'unless-stopped', 'busybox:latest', 'sh', '-c', 'echo hello > /index.html && httpd -f -p 80 -h /');
  await host.run('-d', '--name', 'data', '-v', 'data:/data', 'busybox:latest', 'sh', '-c', 'echo kept > /data/file && sleep 100000');
  await host.writeFile('/etc/docker/daemon.json', DAEMON_JSON);
  await host.writeFile('/etc/default/docker', '# kept\nDOCKER_OPTS="-H tcp://127.0.0.1:2375 --cgroup-parent=odd.slice"\n');
  await host.writeFile('/etc/systemd/system/docker.socket.d/open.conf', '[Socket]\nSocketMode=0666\nSocketGroup=bob\n');
  await host.writeFile('/root/harden.yaml', POLICY);
  await host.exec(`set -e
    certs="/etc/docker/certs.d/registry.test:5000"
    mkdir -p "$certs"; touch "$certs/ca.crt" "$certs/client.cert" "$certs/client.key"; chmod 0666 "$certs"/*; chown bob "$certs/client.key"
    docker stop -t 1 web data; systemctl daemon-reload; systemctl restart docker.socket docker.service; docker start web data
    units=/usr/lib/systemd/system; chmod 0777 $units/docker.service $units/docker.socket "$certs" /etc/docker
    chmod 0666 /etc/docker/daemon.json /etc/default/docker /run/containerd/containerd.sock
    chown bob:bob $units/docker.service $units/docker.socket /etc/docker /etc/docker/daemon.json /run/containerd/containerd.sock
    chown alice /etc/default/docker`, { check: true });
}

/** Without the copies that gpasswd(1) makes of what it changes: they are its own, and it renews them on the way back too. */
const treeOf = async (host: SystemdHost): Promise<string> => (await tree(host)).split('\n').filter((line) => !/ \/etc\/(?:group|gshadow)-(?: -> )?$/u.test(line)).join('\n');

/** Every finding that warns stands in the changes or is deferred, never in both and never in neither. */
async function expectEveryWarnOnce(host: SystemdHost, document: PlanDocumentJson): Promise<void> {
  const key = (check: string, target: { id: string }): string => `${check} ${target.id}`;
  const planned = new Set(document.changes.flatMap(({ because }) => because.map(({ check, target }) => key(check, target))));
  const deferred = document.deferred.map(({ check, target }) => key(check, target));
  const warns = (await scan(host, ...WITH)).results.flatMap(({ check, findings }) => findings.filter(({ outcome }) => outcome === 'warn').map(({ target }) => key(check, target)));
  expect([...planned, ...deferred].sort()).toEqual(warns.sort());
  expect(document.deferred.every(({ explanation }) => explanation.length > 10)).toBe(true);
}

/** Applies all that is planned; nothing may fail, be unmet or regress. */
async function applyAll(host: SystemdHost): Promise<{ readonly run: OutcomesDocument; readonly states: Record<string, string> }> {
  const document = await plan(host, ...WITH);
  await expectEveryWarnOnce(host, document);
  const run = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...WITH], [0, 1]);
  expect(run.changes.filter(({ state }) => state !== 'applied')).toEqual([]);
  expect(run.results.filter(({ state }) => !['fixed', 'pending', 'unchanged'].includes(state))).toEqual([]);
  return { run, states: Object.fromEntries(run.results.filter(({ state }) => state !== 'unchanged').map(({ check, state }) => [check, state])) };
}

const up = async (host: SystemdHost): Promise<void> => {
  expect((await host.exec(['docker', 'version'])).code).toBe(0);
  expect(await answers(host, 'http://127.0.0.1:8080/')).toBe(true);
  expect((await host.exec(['docker', 'exec', 'data', 'cat', '/data/file'])).stdout).toBe('kept\n');
};

describe.skipIf(skipReason('systemd') !== null)(titled('a host on which everything is wrong', 'systemd'), () => {
  let host: SystemdHost;
  let before: { tree: string; pids: Record<string, string> };
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'wrong', suite: 'trixie' });
    await host.loadBusybox();
    await spoil(host);
    before = { tree: await treeOf(host), pids: await pids(host) };
  });
  afterAll(() => host.down());

  test('is seen as such', async () => {
    const report = await scan(host);
    recordVerdicts('wrong', { trixie: report });
    const seen = outcomes(report);
    expect(seen).toEqual(recordedVerdicts('wrong', 'trixie'));
    const wrong = [
      'host.docker-group', 'daemon.icc', 'daemon.log-level', 'daemon.iptables', 'daemon.insecure-registries', 'daemon.tls', 'daemon.cgroup-parent', 'daemon.seccomp-profile',
      'daemon.experimental', 'daemon.live-restore', 'daemon.userland-proxy', 'daemon.no-new-privileges', 'daemon.remote-logging', 'daemon.default-ulimits',
      ...['docker-service', 'docker-socket-unit', 'etc-docker', 'docker-sock', 'daemon-json', 'default-docker', 'containerd-sock', 'registry-certs'].flatMap((file) => [`file.${file}.owner`, `file.${file}.mode`]),
    ];
    expect(wrong.filter((check) => seen[check] !== 'warn')).toEqual([]);
  });

  test('first the directory that others can write to, and nothing below it; no restart meanwhile', async () => {
    const { run, states } = await applyAll(host);
    expect(states).toMatchObject({ 'file.etc-docker.owner': 'fixed', 'file.etc-docker.mode': 'fixed', 'file.docker-sock.mode': 'fixed', 'file.docker-service.owner': 'fixed', 'file.default-docker.mode': 'fixed' });
    expect(run.changes.filter(({ id }) => id.includes('/etc/docker/'))).toEqual([]);
    expect(await pids(host)).toEqual(before.pids);
    await up(host);
  });

  test('then what iptables=false does not forbid; containers live through the restart', async () => {
    const { states } = await applyAll(host);
    expect(states).toMatchObject({
      'daemon.iptables': 'fixed', 'daemon.live-restore': 'fixed', 'daemon.seccomp-profile': 'fixed', 'daemon.log-level': 'fixed', 'daemon.insecure-registries': 'fixed', 'daemon.experimental': 'fixed',
      'daemon.cgroup-parent': 'fixed', 'daemon.default-ulimits': 'fixed', 'daemon.remote-logging': 'fixed', 'daemon.no-new-privileges': 'fixed', 'file.daemon-json.mode': 'fixed',
    });
    expect(await pids(host)).toEqual(before.pids);
    await up(host);
  });

  test('then the rest; what is left is a person\'s, and says why', async () => {
    expect((await applyAll(host)).states).toMatchObject({ 'daemon.icc': 'pending', 'daemon.userland-proxy': 'fixed', 'file.registry-certs.mode': 'fixed', 'file.registry-certs.owner': 'fixed' });
    expect(await pids(host)).toEqual(before.pids);
    await up(host);
    const left = await plan(host, '-c', '1.1,2,3', ...WITH);
    expect(left.changes).toEqual([]);
    expect(left.deferred.map(({ check }) => check).sort()).toEqual([
      'daemon.authz-plugin', 'daemon.icc', 'daemon.rootless', 'daemon.tls', 'daemon.userns-remap', 'host.docker-group',
    ]);
    await host.exec('docker stop -t 1 web data && systemctl restart docker && docker start web data', { check: true });
    expect(outcomes(await scan(host, ...WITH))).toMatchObject({ 'daemon.icc': 'pass', 'daemon.iptables': 'pass', 'daemon.userland-proxy': 'pass', 'file.docker-sock.mode': 'pass', 'file.docker-sock.owner': 'pass' });
    await up(host);
  });

  test('all of it can be taken back, to the byte, without a container stopping', async () => {
    const running = await pids(host);
    for (let round = 0; round < 3; round += 1) {
      const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
      expect({ code, stdout, stderr }).toMatchObject({ code: 0 });
    }
    expect(await treeOf(host)).toBe(before.tree);
    expect(await pids(host)).toEqual(running);
    await up(host);
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.live-restore': 'warn', 'daemon.iptables': 'warn', 'daemon.seccomp-profile': 'warn', 'file.etc-docker.mode': 'warn' });
  });
});
