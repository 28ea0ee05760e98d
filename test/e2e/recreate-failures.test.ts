/** Containers that are better left alone are, and a new one that does not do gives its place back. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { text } from '../../src/collect/json.ts';
import type { JsonObject } from '../../src/model.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, hardenJson, type CliResult, type PlanDocumentJson } from './support.ts';

const until = (start: string): string[] => ['sh', '-c', `trap 'exit 0' TERM INT; ${start}`];
const IDLE = ['busybox:latest', ...until('sleep 100000 & wait')];
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.watchSeconds=2'];
const NO_NEW = ['-c', 'container.no-new-privileges'];

describe.skipIf(skipReason('systemd') !== null)(titled('containers that are not replaced', 'systemd'), () => {
  let host: SystemdHost;
  const docker = (...args: string[]): Promise<{ stdout: string }> => host.exec(['docker', ...args], { check: true });
  /** Id, name, state, restart policy and start of each container: what nobody may lose. */
  const all = async (): Promise<string[]> => (await host.exec(
    'docker inspect -f "{{.Id}} {{.Name}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}} {{.State.StartedAt}}" $(docker ps -aq)', { check: true })).stdout.trim().split('\n').sort();
  const inspect = async (name: string): Promise<JsonObject | undefined> => (JSON.parse((await host.exec(['docker', 'inspect', '--type', 'container', name])).stdout) as JsonObject[])[0];
  const put = async (name: string, options: readonly string[], command: readonly string[] = IDLE): Promise<string> => {
    await host.exec(['docker', 'rm', '-f', '-v', name]);
    return (await docker('run', '-d', '--name', name, ...options, ...command)).stdout.trim();
  };
  /** Without the times at which containers were started, and without the moment's state of the one that restarts over and over. */
  const standing = async (): Promise<string[]> => (await all()).map((line) => line.split(' ').slice(0, 4)
    .map((part, index, [, name, , policy]) => (index === 2 && (name === '/restarting' || (name === '/stale' && policy === 'always')) ? '…' : part)).join(' '));

  /** Applies to one container, which is then as it was, running under its name as the container that it was. */
  async function failing(name: string, ...args: string[]): Promise<CliResult> {
    const before = await standing();
    const result = await harden(host, ['apply', '--yes', '-i', name, ...ALLOW, ...args]);
    expect({ code: result.code, said: result.code === 3 ? '' : result.stdout + result.stderr, standing: await standing() }).toEqual({ code: 3, said: '', standing: before });
    return result;
  }

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'not-replaced' });
    await host.loadBusybox();
    await host.exec('for tag in moved gone; do printf "FROM busybox:latest\\nLABEL of=$tag\\n" | docker build -q -t $tag:1 -; done', { check: true });
  });
  afterAll(() => host.down());

  test('are left alone, each with the reason', async () => {
    await put('restarting', ['--restart', 'always'], ['busybox:latest', 'false']);
    await put('writer', [], ['busybox:latest', ...until('echo x >/srv.txt; mkdir -p /var/lib/db; echo x >/var/lib/db/table; echo x >/tmp/y; sleep 100000 & wait')]);
    await put('ephemeral', ['--rm']);
    await put('interactive', ['-i']);
    await put('terminal', ['-i', '-t']);
    await put('paused', []);
    await docker('pause', 'paused');
    await put('moved', [], ['moved:1', ...IDLE.slice(1)]);
    await put('gone', [], ['gone:1', ...IDLE.slice(1)]);
    await host.exec('printf "FROM busybox:latest\\nLABEL of=other\\n" | docker build -q -t moved:1 - && docker tag gone:1 elsewhere:1 && docker rmi gone:1', { check: true });
    await host.exec('docker run --name attached busybox:latest sleep 100000 </dev/null >/dev/null 2>&1 & until docker ps -q --filter name=attached | grep -q .; do sleep 0.2; done', { check: true });
    // The engine waits longer each time: by then long enough that it is not just running when it is looked at.
    await host.exec('until docker inspect -f "{{.State.Restarting}} {{.RestartCount}}" restarting | grep -qE "true ([89]|..)"; do sleep 0.2; done', { check: true, timeoutMs: 90_000 });
    await put('faltering', ['--restart', 'on-failure', '-v', '/data'], ['busybox:latest', 'sh', '-c', 'test -e /data/tried || { touch /data/tried; exit 1; }; exec sleep 100000']);
    await host.exec('until docker inspect -f "{{.State.Running}} {{.RestartCount}}" faltering | grep -q "true 1"; do sleep 0.2; done', { check: true, timeoutMs: 30_000 });
    const before = (await all()).filter((line) => !line.includes('/restarting '));
    const names = ['writer', 'ephemeral', 'interactive', 'terminal', 'paused', 'restarting', 'faltering', 'moved', 'gone', 'attached'];
    const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW, ...NO_NEW], [0]);
    expect(changes).toEqual([]);
    const why = Object.fromEntries(deferred.map(({ target, reason, explanation }) => [target.name, `${reason}: ${explanation}`]));
    expect(why).toEqual(Object.fromEntries(names.map((name) => [name, expect.stringMatching(/^guard: /) as string])));
    expect([why['writer'], why['moved'], why['gone'], why['paused'], why['restarting'], why['faltering'], why['ephemeral'], why['attached']]).toEqual([
      // The engine lists what was written in no order.
      expect.stringMatching(/^guard: writer wrote files outside of its volumes, which a new container would not have: (?:\/srv\.txt and \/var\/lib\/db\/table|\/var\/lib\/db\/table and \/srv\.txt)\.$/) as string,
      ...['no longer stands for the image', 'no longer stands for the image', 'is paused', 'restarts over and over', 'started it again (once) less than a minute ago', '--rm', 'attached'].map((part) => expect.stringContaining(part) as string),
    ]);
    expect((await harden(host, ['apply', '--yes', ...ALLOW, ...NO_NEW])).code).toBe(0);
    expect((await all()).filter((line) => !line.includes('/restarting '))).toEqual(before);
    await docker('rm', '-f', '-v', ...names);
  });

  test('are left alone when they are others than in the plan, or are not at rest any more', async () => {
    await put('stale', []);
    await harden(host, ['plan', ...ALLOW, ...NO_NEW, '-o', '/root/plan.json']);
    const since: readonly [what: string, make: () => Promise<unknown>][] = [
      ['paused', () => docker('pause', 'stale')],
      ['stopped', () => docker('stop', '-t', '1', 'stale')],
      ['under another name', () => docker('rename', 'stale', 'other')],
      ['restarting', () => put('stale', ['--restart', 'always'], ['busybox:latest', 'false'])],
      ['another of its name', () => put('stale', [])],
    ];
    for (const [what, make] of since) {
      await make();
      const replaced = await standing();
      const other = await harden(host, ['apply', '--yes', '/root/plan.json']);
      expect({ what, code: other.code, stderr: other.stderr, standing: await standing() })
        .toEqual({ what, code: 2, stderr: expect.stringContaining('Plan again') as string, standing: replaced });
      await host.exec('docker unpause stale; docker rename other stale; docker start stale');
    }
    await docker('rm', '-f', 'stale');
    const none = await harden(host, ['apply', '--yes', '/root/plan.json']);
    expect({ code: none.code, stderr: none.stderr }).toEqual({ code: 2, stderr: expect.stringContaining('Plan again') as string });
  });

  test('get their place back from one that ends', async () => {
    await put('needing', ['--restart', 'unless-stopped', '-v', 'needed:/data'], ['busybox:latest', ...until('chown 1:1 /data || exit 7; sleep 100000 & wait')]);
    const { stdout, stderr } = await failing('needing', '-c', 'container.capabilities', '--set', 'container.capabilities=[]');
    expect(stdout + stderr).toMatch(/needing.*(?:exit code 7|restarted by itself)/);
    await put('writing', ['--restart', 'always', '--tmpfs', '/out'], ['busybox:latest', ...until('mkdir -p /tmp/x || exit 9; sleep 100000 & wait')]);
    const readOnly = await failing('writing', '-c', 'container.readonly-rootfs', '--set', 'container.tmpfs=[/tmp:ro]');
    expect(readOnly.stdout + readOnly.stderr).toMatch(/writing.*(?:exit code 9|restarted by itself)/);
  });

  test('get their place back from one that is ill, or cannot be started', async () => {
    await put('ill', ['--restart', 'on-failure:2']);
    const ill = await failing('ill', '-c', 'container.healthcheck', '--set', 'container.healthcheck={ test: "exit 5", interval: 1s, timeout: 1s, retries: 1, startPeriod: 0s }');
    expect(ill.stdout + ill.stderr).toContain('its health check fails with exit code 5');
    await put('misplaced', []);
    const misplaced = await failing('misplaced', '-c', 'container.readonly-rootfs', '--set', 'container.tmpfs=["/tmp:mode=nonsense"]');
    expect(misplaced.stdout + misplaced.stderr).toMatch(/misplaced/);
    await put('bound', ['-p', '0.0.0.0:8088:80']);
    const bound = await failing('bound', '-c', 'container.bind-interface', '--set', 'container.publishAddress=203.0.113.7');
    expect(bound.stdout + bound.stderr).toMatch(/bound.*listen tcp4 203\.0\.113\.7:8088/s);
  });

  test('get their place back when the run is told to end while the new one is watched, without its wait', async () => {
    await put('slow', ['--health-cmd', 'false', '--health-interval', '1s', '--health-start-period', '300s', '--restart', 'always']);
    const before = await standing();
    const { code, stdout, stderr } = await host.exec(
      `harden apply --yes -i slow ${ALLOW.slice(0, 4).join(' ')} -c container.no-new-privileges & pid=$!
       until docker inspect -f '{{.State.Running}}{{.HostConfig.SecurityOpt}}' slow | grep -q 'true.*no-new'; do sleep 0.1; done; kill -TERM $pid; wait $pid`, { timeoutMs: 60_000 });
    expect({ code, said: stdout + stderr, standing: await standing() })
      .toEqual({ code: 1, said: expect.stringMatching(/SIGTERM came while the new container slow was watched/) as string, standing: before });
    await docker('rm', '-f', 'slow');
  });

  test('get their place back when the run is told to end', async () => {
    const before = await standing();
    const { code, stdout, stderr } = await host.exec(
      `harden apply --yes -i ill ${ALLOW.slice(0, 4).join(' ')} --set container.watchSeconds=1 -c container.no-new-privileges & pid=$!
       until docker ps -a --format '{{.Names}}' | grep -q harden-new-; do sleep 0.05; done; kill -TERM $pid; wait $pid`, { timeoutMs: 100_000 });
    expect({ code, said: stdout + stderr }).toEqual({ code: 1, said: expect.stringContaining('SIGTERM') as string });
    const now = await standing();
    // What was complete by then stays; nothing stands half-way.
    expect([before, now.filter((line) => !line.includes('/harden-kept-')).map((line) => line.slice(64))]).toContainEqual(now.some((line) => line.includes('/harden-kept-')) ? before.map((line) => line.slice(64)) : now);
    expect(text((await inspect('ill'))?.['Name'])).toBe('/ill');
  });
});
