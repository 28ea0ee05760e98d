/** A container is created anew, and harden is killed on the way: recovered, it is the old one or the new one, never something in between. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, type CliResult } from './support.ts';

const STATE = '/var/lib/harden';
const APPLY = ['apply', '--yes', '-c', 'container.no-new-privileges', '-i', 'web', '--max-impact', 'recreate', '--max-risk', 'behaviour', '--set', 'container.watchSeconds=1'];

describe.skipIf(skipReason('systemd') !== null)(titled('a container that is created anew', 'systemd'), () => {
  let host: SystemdHost;
  const state = async (): Promise<string[]> =>
    (await host.exec('docker inspect -f "{{.Name}} {{.State.Status}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.SecurityOpt}}" $(docker ps -aq) | sort', { check: true })).stdout.trim().split('\n');
  const OLD = '/web running always []';
  const NEW = '/web running always [no-new-privileges=true]';

  /** Starts harden, and kills it once its journal holds a text `times` times; then what was left. */
  const killedAt = async (text: string, times: number, args: readonly string[]): Promise<void> => {
    const script = `t=$1 n=$2; shift 2; harden "$@" >/tmp/said 2>&1 & pid=$!
      while kill -0 $pid 2>/dev/null && ! [ "$(cat ${STATE}/runs/*/journal.jsonl 2>/dev/null | grep -c "$t")" -ge "$n" ]; do :; done
      kill -9 $pid; wait $pid; code=$?; cat /tmp/said; rm -f /tmp/said; exit $code`;
    const { code, stdout } = await host.exec(['sh', '-c', script, 'killed', text, String(times), ...args], { timeoutMs: 300_000 });
    expect({ code, stdout }).toMatchObject({ code: 137 });
  };
  const recover = (...args: string[]): Promise<CliResult> => harden(host, ['recover', ...args]);
  const history = async (): Promise<string> => (await harden(host, ['history'])).stdout;

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'recreate' });
    await host.loadBusybox();
    await host.run('-d', '--name', 'web', '--restart', 'always', '--stop-timeout', '2', 'busybox:latest', 'sleep', '100000');
  });
  afterAll(() => host.down());
  afterEach(async () => {
    await host.exec(`rm -rf ${STATE}; docker ps -aq --filter name=harden- | xargs -r docker rm -f`, { check: true });
  });

  test('nothing to recover', async () => {
    expect(await recover()).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to recover') as string });
  });

  for (const kind of ['createReplacement', 'stopContainer', 'swapContainers', 'startReplacement']) {
    test(`killed at ${kind}: the old one comes back as it was`, async () => {
      await killedAt(`"kind":"${kind}"`, 1, APPLY);
      const again = await harden(host, APPLY);
      expect({ code: again.code, says: again.stderr.includes('harden recover') }).toEqual({ code: 2, says: true });
      expect(await recover()).toMatchObject({ code: 2, stderr: expect.stringContaining('Declined') as string });
      expect(await recover('--yes')).toMatchObject({ code: 0 });
      expect(await state()).toEqual([OLD]);
      expect(await history()).not.toContain('unfinished');
      expect(await recover()).toMatchObject({ code: 0 });
    });
  }

  test('killed before its last word: it is closed as applied, and can be rolled back; a rollback that is killed is finished', async () => {
    await killedAt('"type":"done"', 5, APPLY);
    expect(await recover('--yes')).toMatchObject({ code: 0, stdout: expect.stringContaining('closed as applied') as string });
    const [kept, ...rest] = await state();
    expect(kept).toMatch(/^\/harden-kept-[0-9a-f]{12} exited no \[\]$/);
    expect(rest).toEqual([NEW]);
    expect(await history()).toMatch(/ applied /);
    await killedAt('"kind":"rollback"', 1, ['rollback', '--yes']);
    expect(await recover('--yes')).toMatchObject({ code: 0 });
    expect(await state()).toEqual([OLD]);
    expect(await history()).not.toContain('unfinished');
  });

  test('--undo takes back what is in', async () => {
    await killedAt('"type":"done"', 5, APPLY);
    expect(await recover('--undo', '--yes')).toMatchObject({ code: 0 });
    expect(await state()).toEqual([OLD]);
  });
});
