/** What somebody else does to a host between a plan and its apply, or meanwhile: it is refused by name or done right, and never half. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden } from './support.ts';

const CONFIG = '/etc/docker/daemon.json';
const FLAGS = '/etc/systemd/system/docker.service.d/flags.conf';
const DIRECTORY = '/srv/shop';
const COMPOSE_FILE = `${DIRECTORY}/compose.yaml`;
/** `web` waits until `db` is well, which takes it a while: so long an `up` is under way. */
const COMPOSE = `services:
  db:
    image: busybox:latest
    command: [sh, -c, "sleep 3; touch /tmp/ready; sleep 100000"]
    stop_signal: SIGKILL
    healthcheck: { test: [CMD, test, -f, /tmp/ready], interval: 1s, retries: 60 }
  web:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    depends_on: { db: { condition: service_healthy } }
`;
const POLICY = 'maxImpact: recreate\nmaxRisk: behaviour\nparameters: { container: { memory: 64m, watchSeconds: 5, tmpfs: [/run, /tmp] } }\n';
const ALLOW = ['--policy', '/root/harden.yaml'];
const CHECKS = 'container.memory-limit,container.pids-limit';

describe.skipIf(skipReason('systemd') !== null)(titled('races', 'systemd'), () => {
  let host: SystemdHost;
  const start = (): Promise<unknown> => host.run('-d', '--name', 'plain', '--stop-signal', 'KILL', 'busybox:latest', 'sleep', '100000');
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'races', suite: 'trixie', prepare: async (early) => early.writeFile(CONFIG, '{\n  "log-level": "info"\n}\n') });
    await host.loadBusybox();
    await host.writeFile('/root/harden.yaml', POLICY);
    await start();
  });
  afterAll(() => host.down());

  const containers = async (): Promise<Record<string, string>> => {
    const { stdout } = await host.exec('docker ps -a --no-trunc --format "{{.Names}} {{.ID}} {{.State}}"', { check: true });
    return Object.fromEntries(stdout.trim().split('\n').sort().map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
  };
  const runs = async (): Promise<number> => (JSON.parse((await harden(host, ['history', '--format', 'json'])).stdout) as { runs: unknown[] }).runs.length;

  /** Plans, lets somebody do something, and applies that plan: refused, and nothing of harden's is there afterwards. */
  async function refused(checks: readonly string[], deed: () => Promise<unknown>): Promise<string> {
    expect(await harden(host, ['plan', ...ALLOW, ...checks, '-o', '/root/plan.json'])).toMatchObject({ code: 0 });
    expect(JSON.parse(await host.readFile('/root/plan.json'))).toMatchObject({ changes: [{}] });
    await deed();
    const [before, config] = [await containers(), await host.readFile(CONFIG)];
    const { code, stderr } = await harden(host, ['apply', '/root/plan.json', ...ALLOW, '--yes']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('Nothing was done. Plan again.') as string });
    expect([await containers(), await host.readFile(CONFIG)]).toEqual([before, config]);
    expect(await runs()).toBe(0);
    await host.exec(['rm', '/root/plan.json'], { check: true });
    return stderr;
  }

  test('a container that was made anew under its name is another', async () => {
    const said = await refused(['-c', CHECKS, '-i', 'plain'], async () => {
      await host.exec(['docker', 'rm', '-f', 'plain'], { check: true });
      await start();
    });
    expect(said).toMatch(/^harden: plain changed since the plan was made\./mu);
    expect(said).toMatch(/^- id [0-9a-f]{64}\n\+ id [0-9a-f]{64}$/mu);
  });

  test('what was written into daemon.json since is shown, and so is a file that was replaced by one like it', async () => {
    const checks = ['-c', 'daemon.live-restore'];
    const edited = await refused(checks, () => host.writeFile(CONFIG, '{\n  "log-level": "warn"\n}\n'));
    expect(edited).toContain(`${CONFIG} changed since the plan was made.`);
    expect(edited).toMatch(/What the plan shows:[^]*"log-level": "info"[^]*What would be done now:[^]*"log-level": "warn"/u);
    const replaced = await refused(checks, () => host.exec(`cp -p ${CONFIG} ${CONFIG}.new && mv ${CONFIG}.new ${CONFIG}`, { check: true }));
    expect(replaced).toMatch(/^- inode \d+\n\+ inode \d+$/mu);
  });

  test('a daemon with other flags is another', async () => {
    const said = await refused(['-c', 'daemon.live-restore'], async () => {
      await host.writeFile(FLAGS, '[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock --max-concurrent-uploads=2\n');
      await host.exec('systemctl daemon-reload && systemctl restart docker && docker start plain', { check: true });
    });
    expect(said).toContain('the flags of dockerd changed since the plan was made.');
    expect(said).toContain('\n+ --max-concurrent-uploads=2\n');
  });

  test('of two applies at once one is made, and the other says which process has the host, and since when', async () => {
    const script = 'for n in 1 2; do { harden "$@" >/tmp/said.$n 2>&1 & echo $! >/tmp/pid.$n; wait $!; echo $? >/tmp/code.$n; } & done; wait; for n in 1 2; do cat /tmp/code.$n /tmp/pid.$n /tmp/said.$n | base64 -w0; echo; done';
    const { stdout } = await host.exec(['sh', '-c', script, 'both', 'apply', '--yes', ...ALLOW, '-i', 'plain', '-c', 'container.readonly-rootfs'], { timeoutMs: 300_000, check: true });
    const both = stdout.trim().split('\n').map((line) => {
      const [code = '', pid = '', ...said] = Buffer.from(line, 'base64').toString().split('\n');
      return { code, pid, said: said.join('\n') };
    }).sort((a, b) => a.code.localeCompare(b.code));
    const [winner, loser] = both;
    expect(both.map(({ code }) => code), both.map(({ said }) => said).join('\n')).toEqual(['0', '2']);
    expect(loser?.said).toMatch(new RegExp(`another harden \\(process ${winner?.pid ?? '?'}\\) has been changing this host since \\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z`));
    expect(Object.keys(await containers())).toEqual([expect.stringMatching(/^harden-kept-[0-9a-f]{12}$/) as string, 'plain']);
    expect(await runs()).toBe(1);
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
    expect(Object.keys(await containers())).toEqual(['plain']);
  });

  describe('a compose project of which somebody runs `up`', () => {
    const up = `cd ${DIRECTORY} && docker compose up -d 2>&1`;
    const ids = async (): Promise<Record<string, string>> => Object.fromEntries(Object.entries(await containers()).filter(([name]) => name.startsWith('shop')));
    const APPLY = ['apply', '--yes', ...ALLOW, '-i', 'shop-*', '-c', CHECKS];

    /** Whoever came first: the file is the owner's or that with the limits, the containers are what it says and run, and harden says which. */
    async function expectWhole({ code, said }: { readonly code: number; readonly said: string }, text: string): Promise<'made' | 'left'> {
      const now = await host.readFile(COMPOSE_FILE);
      const made = now !== text;
      expect({ code: made ? code === 0 : [0, 1, 2, 3].includes(code), said }).toEqual({ code: true, said });
      if (made) expect(now.match(/mem_limit: 64m/g)).toHaveLength(2);
      const limits = (await host.exec('docker inspect -f "{{.HostConfig.Memory}}" shop-db-1 shop-web-1', { check: true })).stdout;
      expect({ limits, said }).toEqual({ limits: (made ? '67108864\n' : '0\n').repeat(2), said });
      const before = await ids();
      expect(Object.entries(before).map(([name, state]) => [name, state.split(' ')[1]])).toEqual([['shop-db-1', 'running'], ['shop-web-1', 'running']]);
      await host.exec(up, { check: true });
      expect(await ids()).toEqual(before);
      expect((await harden(host, ['history'])).stdout).not.toContain('unfinished');
      return made ? 'made' : 'left';
    }
    const during = async (script: string): Promise<{ readonly code: number; readonly said: string }> => {
      const { code, stdout, stderr } = await host.exec(['sh', '-c', script, 'during', ...APPLY], { timeoutMs: 300_000 });
      return { code, said: stdout + stderr };
    };

    test('harden comes in the middle of it', async () => {
      await host.writeFile(COMPOSE_FILE, COMPOSE);
      await host.exec(up, { check: true });
      const text = COMPOSE.replace('command: [sleep,', 'labels: { edited: "yes" }\n    command: [sleep,').replace('sleep 3;', 'sleep 4;');
      await host.writeFile(COMPOSE_FILE, text);
      const result = await during(`(${up}) >/tmp/up & while [ "$(docker inspect -f '{{.State.Status}}' shop-web-1 2>/dev/null)" != created ]; do :; done; harden "$@"; code=$?; wait; cat /tmp/up; exit $code`);
      // Where harden is so slow that the `up` has ended by then, it is not in the middle of anything.
      if (await expectWhole(result, text) === 'left') expect(result.said).toContain('shop-web-1 of its compose project shop was made a moment ago and never started');
      expect(result.said).toMatch(/Container shop-web-1 {2}Started/);
    });

    test('it comes in the middle of harden', async () => {
      await host.writeFile(COMPOSE_FILE, COMPOSE);
      await host.exec(up, { check: true });
      const result = await during(`harden "$@" >/tmp/said 2>&1 & pid=$!; while kill -0 $pid 2>/dev/null && ! grep -q mem_limit ${COMPOSE_FILE}; do sleep 0.02; done; (${up}); wait $pid; code=$?; cat /tmp/said; exit $code`);
      await expectWhole(result, COMPOSE);
    });
  });
});
