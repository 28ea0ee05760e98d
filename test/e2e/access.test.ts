/** Who asks, and whose engine answers: what was not seen is never a PASS, and another machine's engine never changes this one. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, harden, hardenJson, outcomes, plan, scan, tree, type OutcomesDocument, type PlanDocumentJson, type ScanDocument } from './support.ts';

const CONFIG = '/etc/docker/daemon.json';
const SOCKET = '/run/docker.sock';
/** What is judged by looking at the host itself; images and containers are the engine's to tell. */
const HOST_CHECKS = ['-c', '1.1,2,3'];
const APPLY = ['apply', '--yes', ...CEILINGS];

/** Listens on a unix socket and passes every connection on to HOST:PORT. */
const PROXY = `
import { connect, createServer } from 'node:net';
const [path, host, port] = process.argv.slice(2);
createServer((client) => {
  const server = connect(Number(port), host);
  client.on('error', () => server.destroy()).pipe(server).on('error', () => client.destroy()).pipe(client);
}).listen(path);
`;
const WEB_SERVER = `
import { createServer } from 'node:http';
createServer((_, response) => response.end('hello')).listen(process.argv[2]);
`;

/** A second daemon of the same machine that nothing but its own script restarts. Its flags and paths are its own. */
const SECOND = { socket: '/run/second.sock', url: 'unix:///run/second.sock', directory: '/srv/second', config: '/srv/second/daemon.json', data: '/srv/second/data', restart: '/srv/second/restart' };
const SECOND_RESTART = `#!/bin/sh -e
cd ${SECOND.directory}
if [ -e pid ]; then kill "$(cat pid)"; while [ -e pid ]; do sleep 0.1; done; fi
setsid dockerd --config-file ${SECOND.config} --data-root ${SECOND.data} --exec-root ${SECOND.directory}/exec --pidfile ${SECOND.directory}/pid \\
  -H ${SECOND.url} --bridge second0 --iptables=false --containerd-namespace second --containerd-plugins-namespace second-plugins \\
  --insecure-registry registry.test:5000 >log 2>&1 </dev/null &
for i in $(seq 150); do docker -H ${SECOND.url} version >/dev/null 2>&1 && exit; sleep 0.2; done
exit 1
`;

describe.skipIf(skipReason('systemd') !== null)(titled('access', 'systemd'), () => {
  let host: SystemdHost;
  let remote: SystemdHost;
  let before: { host: string; remote: string };
  beforeAll(async () => {
    [host, remote] = await Promise.all([
      bed.systemdHost({ name: 'access' }),
      bed.systemdHost({
        name: 'access-remote',
        prepare: (early) => early.writeFile('/etc/systemd/system/docker.service.d/tcp.conf', '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375\n'),
      }),
    ]);
    await host.exec('useradd plain && useradd -G docker member', { check: true });
    await host.writeFile('/srv/proxy.mjs', PROXY);
    await host.writeFile('/srv/web.mjs', WEB_SERVER);
    before = { host: await tree(host), remote: await tree(remote) };
  });
  afterAll(async () => {
    await host.down();
    await remote.down();
  });
  afterEach(async () => {
    expect(await tree(host)).toBe(before.host);
    expect(await tree(remote)).toBe(before.remote);
  });

  const expectRefused = async (args: readonly string[], says: RegExp, options: Parameters<typeof harden>[2] = {}): Promise<void> => {
    const { code, stdout, stderr } = await harden(host, args, options);
    expect({ code, stdout, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(says) as string });
    expect(stderr.trim().split('\n').length).toBeLessThanOrEqual(3);
  };
  const start = (script: string, socket: string, ...args: string[]): Promise<unknown> => host.exec(
    ['sh', '-c', 'node "$@" >/dev/null 2>&1 </dev/null & until [ -S "$2" ]; do sleep 0.1; done', 'start', script, socket, ...args], { check: true },
  );
  const stopEngine = (): Promise<unknown> => host.exec('systemctl stop docker.socket docker.service', { check: true });
  const startEngine = (): Promise<unknown> => host.exec('systemctl reset-failed docker.socket docker.service; systemctl start docker', { check: true });
  const mainPid = async (): Promise<string> => (await host.exec(['systemctl', 'show', '--property=MainPID', '--value', 'docker'], { check: true })).stdout;

  test('a user outside the group docker is told what is missing', async () => {
    for (const args of [['scan'], ['plan'], APPLY]) await expectRefused(args, /permission denied .*docker\.sock[^]*root/, { user: 'plain' });
  });

  test('a user in the group docker sees what the engine says, claims no more, and changes nothing', async () => {
    const asMember = { user: 'member' };
    const [seen, truth] = [await hardenJson<ScanDocument>(host, ['scan', ...HOST_CHECKS], [1], asMember), await scan(host, ...HOST_CHECKS)];
    expect(outcomes(truth)['daemon.log-level']).toBe('pass');
    expect(seen.host.engine.local).toBe(false);
    const outcomesOfRoot = outcomes(truth);
    for (const { check, section, outcome, findings } of seen.results) {
      expect([check, outcome]).toEqual([check, section === 'daemon' && outcome === outcomesOfRoot[check] ? outcome : 'unknown']);
      if (outcome === 'unknown') expect(findings.map(({ message }) => message).join()).toContain('run as root');
    }
    expect(outcomes(seen)['daemon.live-restore']).toBe('warn');
    expect(seen.summary['pass']).toBe(0);
    expect((await hardenJson<PlanDocumentJson>(host, ['plan', ...CEILINGS], [0], asMember)).changes).toEqual([]);
    await expectRefused(APPLY, /Only root[^]*sudo/, asMember);
  });

  test('without an engine, and with a daemon.json at which it ends', async () => {
    await stopEngine();
    for (const args of [['scan'], ['plan'], APPLY]) await expectRefused(args, /no Docker engine at .*docker\.sock[^]*systemctl start docker/);
    await host.writeFile(CONFIG, '{\n  "debug": false,\n}\n');
    for (const args of [['scan'], APPLY]) await expectRefused(args, /\/etc\/docker\/daemon\.json, line 3, column 1: /);
    await host.exec(['rm', CONFIG], { check: true });
    await startEngine();
  });

  describe('the engine of another machine', () => {
    const expectNothingAboutThisHost = async (url: string | undefined, reason: RegExp): Promise<void> => {
      const options = url === undefined ? {} : { env: { DOCKER_HOST: url } };
      const seen = await hardenJson<ScanDocument>(host, ['scan', ...HOST_CHECKS], [1], options);
      expect(seen.host).toMatchObject({ hostname: 'access-remote', engine: { local: false } });
      for (const { check, section, outcome, findings } of seen.results.filter((result) => result.section !== 'daemon' || result.outcome !== 'warn')) {
        expect([check, section, outcome]).toEqual([check, section, 'unknown']);
        for (const { message } of findings) expect([check, message]).toEqual([check, expect.stringMatching(reason)]);
      }
      expect((await hardenJson<PlanDocumentJson>(host, ['plan', ...CEILINGS], [0], options)).changes).toEqual([]);
      await expectRefused(APPLY, /not proven to be this host's[^]*Nothing was changed/, options);
    };

    test('over TCP', () => expectNothingAboutThisHost(`tcp://${remote.address}:2375`, /is not this host's/));

    test('behind a unix socket of this machine', async () => {
      await start('/srv/proxy.mjs', '/tmp/proxy.sock', remote.address, '2375');
      await expectNothingAboutThisHost('unix:///tmp/proxy.sock', /proxy\.sock is served by node .*not a docker daemon/);
    });

    test('behind a socket that was put in the place of the local one, while the local daemon runs on', async () => {
      await host.exec(['mv', SOCKET, `${SOCKET}.aside`], { check: true });
      await start('/srv/proxy.mjs', SOCKET, remote.address, '2375');
      try {
        await expectNothingAboutThisHost(undefined, /a connection to it did not reach that daemon/);
      } finally {
        await host.exec(['mv', `${SOCKET}.aside`, SOCKET], { check: true });
      }
      expect((await scan(host)).host).toMatchObject({ hostname: 'access', engine: { local: true } });
    });

    test('what was done here is not undone there', async () => {
      expect(await harden(host, ['apply', '--yes', '-c', 'daemon.live-restore'])).toMatchObject({ code: 0 });
      const applied = await tree(host);
      for (const url of [`tcp://${remote.address}:2375`, 'unix:///tmp/proxy.sock']) await expectRefused(['rollback', '--yes'], /not proven to be this host's|changed the daemon at unix:/, { env: { DOCKER_HOST: url } });
      expect(await tree(host)).toBe(applied);
      expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    });
  });

  test('a socket behind which there is no engine', async () => {
    await start('/srv/web.mjs', '/tmp/web.sock');
    for (const args of [['scan'], APPLY]) await expectRefused(args, /is not a Docker engine/, { env: { DOCKER_HOST: 'unix:///tmp/web.sock' } });
  });

  describe('a second daemon of this machine', () => {
    const at = ['--docker-host', SECOND.url];
    const selected = ['-c', 'daemon.live-restore,daemon.no-new-privileges', ...CEILINGS];
    beforeAll(async () => {
      await host.writeFile(SECOND.config, '{}\n');
      await host.writeFile(SECOND.restart, SECOND_RESTART, { mode: 0o755 });
      await host.exec('ip link add name second0 type bridge && ip address add 172.30.0.1/24 dev second0 && ip link set second0 up', { check: true });
      await host.exec([SECOND.restart], { check: true });
    });

    test('is judged by its own argv and files', async () => {
      const second = await scan(host, ...at);
      const targets = Object.fromEntries(second.results.map(({ check, findings }) => [check, findings.map(({ target }) => target.id)]));
      expect(targets).toMatchObject({ 'host.partition': [SECOND.data], 'audit.data-root': [SECOND.data], 'file.daemon-json.mode': [SECOND.config], 'file.docker-sock.mode': [SECOND.socket] });
      expect(second.host.engine.local).toBe(true);
      expect(outcomes(second)).toMatchObject({ 'daemon.insecure-registries': 'warn', 'daemon.iptables': 'warn' });
      expect(outcomes(await scan(host))).toMatchObject({ 'daemon.insecure-registries': 'pass', 'daemon.iptables': 'pass', 'file.daemon-json.mode': 'na' });
    });

    test('is not restarted as if it were docker.service', async () => {
      const { changes, deferred } = await plan(host, ...at, ...CEILINGS);
      expect(changes.map(({ target }) => target.id)).toEqual([SECOND.config]);
      expect(changes[0]?.diff).not.toContain('no-new-privileges');
      expect(deferred).toContainEqual(expect.objectContaining({ check: 'daemon.no-new-privileges', reason: 'guard', needs: '--restart-command CMD' }));
    });

    test('is restarted by --restart-command, and by nothing else on the way back', async () => {
      const unit = await mainPid();
      const document = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...at, ...selected, '--restart-command', SECOND.restart], [0]);
      expect(document.results.map(({ state }) => state)).toEqual(['fixed', 'fixed']);
      await expectRefused(['rollback', '--yes'], /changed the daemon at unix:\/\/\/run\/second\.sock[^]*--docker-host unix:\/\/\/run\/second\.sock/);
      expect(outcomes(await scan(host, ...at, '-c', 'daemon.no-new-privileges'))).toEqual({ 'daemon.no-new-privileges': 'pass' });
      expect(await harden(host, ['rollback', '--yes', ...at])).toMatchObject({ code: 0 });
      expect(await host.readFile(SECOND.config)).toBe('{}\n');
      expect(outcomes(await scan(host, ...at, '-c', 'daemon.no-new-privileges'))).toEqual({ 'daemon.no-new-privileges': 'warn' });
      expect(await mainPid()).toBe(unit);
    });
  });
});
