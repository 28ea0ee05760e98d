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
      while kill -0 $pid 2>/dev/null && ! [ "$(cat ${STATE}/runs/*/journal.jsonl 2>/dev/null | grep -c "$t")" -ge "$n" ]; do sleep 0.02; done
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

  for (const kind of ['swapContainers']) {
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

  test('what it wrote outside of its volumes is saved, and comes back with it; gc removes the old one once that is wanted', async () => {
    await host.exec(['docker', 'exec', 'web', 'sh', '-c', 'echo kept > /precious && mkdir -p /opt/deep && echo more > /opt/deep/file'], { check: true });
    expect((await harden(host, APPLY)).stdout + (await harden(host, APPLY)).stderr).not.toContain('layer.tar');
    const saving = [...APPLY, '--set', 'container.writableLayer=save'];
    const applied = await harden(host, saving);
    expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('web-layer.tar') as string });
    const saved = (await host.exec(`f=$(echo ${STATE}/runs/*/backups/web-layer.tar) && stat -c %a $f && tar -tf $f && tar -xOf $f precious opt/deep/file`, { check: true })).stdout.split('\n');
    expect(saved).toEqual(expect.arrayContaining(['600', 'precious', 'opt/deep/file', 'kept', 'more']));
    expect(saved.filter((name) => name.startsWith('bin/'))).toEqual([]);
    expect(await harden(host, ['gc', '--older-than', '0'])).toMatchObject({ code: 2, stderr: expect.stringContaining('Declined') as string });
    // What the new one wrote meanwhile goes with it: that is said, and saved too.
    await host.exec(['docker', 'exec', 'web', 'sh', '-c', 'echo late > /late'], { check: true });
    const back = await harden(host, ['rollback', '--yes']);
    expect(back).toMatchObject({ code: 0, stdout: expect.stringContaining('what the new web wrote outside of its volumes is not carried over, but saved: /late') as string });
    expect(await state()).toEqual([OLD]);
    expect((await host.exec(['docker', 'exec', 'web', 'cat', '/precious'], { check: true })).stdout).toBe('kept\n');
    expect((await host.exec(`cd ${STATE}/runs && ls */backups/*.tar && tar -xOf */backups/web+new-layer.tar late`, { check: true })).stdout).toMatch(/^\S+\/backups\/web\+new-layer\.tar\nlate\n$/);

    expect(await harden(host, saving)).toMatchObject({ code: 0 });
    expect(await harden(host, ['gc', '--yes'])).toMatchObject({ code: 0, stdout: expect.stringContaining('less than 7 days') as string });
    expect((await state()).length).toBe(2);
    expect(await harden(host, ['gc', '--older-than', '0', '--yes'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Removed: 2 containers and saved layers') as string });
    expect(await state()).toEqual([NEW]);
    expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 2, stderr: expect.stringContaining('was removed since') as string });
  });

  test('where there is no room for what it wrote, or harden is killed while it saves that, nothing is lost and nothing is left', async () => {
    await host.exec('docker rm -f web; mkdir -p /mnt/small && mount -t tmpfs -o size=2m,mode=700 tmpfs /mnt/small', { check: true });
    await host.run('-d', '--name', 'web', '--restart', 'always', '--stop-timeout', '2', 'busybox:latest', 'sh', '-c', 'dd if=/dev/urandom of=/big bs=1M count=40 2>/dev/null; echo written; exec sleep 100000');
    await host.exec('until docker logs web | grep -q written; do sleep 0.2; done; docker exec web md5sum /big > /tmp/sum', { check: true });
    const started = async (): Promise<string> => (await host.exec(['docker', 'inspect', '-f', '{{.Id}} {{.State.StartedAt}}', 'web'])).stdout;
    const before = await started();
    const saving = [...APPLY, '--set', 'container.writableLayer=save'];
    const full = await harden(host, [...saving, '--state-dir', '/mnt/small']);
    expect({ code: full.code, said: full.stdout + full.stderr }).toEqual({ code: 3, said: expect.stringMatching(/cannot write \S+web-layer\.tar: no space is left/) as string });
    expect((await host.exec('find /mnt/small -name "*-layer.tar"')).stdout).toBe('');
    expect(await harden(host, ['history', '--state-dir', '/mnt/small'])).toMatchObject({ code: 0, stdout: expect.stringContaining(' reverted ') as string });
    await killedAt('"kind":"saveLayer"', 1, saving);
    expect(await recover('--yes')).toMatchObject({ code: 0 });
    expect((await host.exec(`find ${STATE} -name "*-layer.tar"`)).stdout).toBe('');
    expect(await state()).toEqual([OLD]);
    expect(await started()).toBe(before);
    expect((await host.exec('docker exec web md5sum /big | cmp - /tmp/sum')).code).toBe(0);
  });

  test('one that was told to be root is only made another user where its files and its ports allow that', async () => {
    await host.exec(`docker run --name base busybox:latest sh -c 'echo "app:x:500:501::/:/bin/sh" >>/etc/passwd; echo "team:x:77:app" >>/etc/group; mkdir /data /team; chown 500 /data; chgrp 77 /team; chmod 775 /team'
      docker commit --change 'USER app' base app:1 && docker rm base
      docker run -d --name allowed -u 0 -v allowed:/data --tmpfs /tmp app:1 httpd -f -p 80
      docker run -d --name port -u 0 --sysctl net.ipv4.ip_unprivileged_port_start=1024 app:1 httpd -f -p 80
      docker run -d --name layer -u 0 app:1 sh -c 'echo x >/team/x; echo x >/etc/conf; sleep 100000'
      docker run -d --name volume -u 0 -v volume:/data app:1 sh -c 'sleep 2.5; echo x >/data/db; chmod 600 /data/db; sleep 100000'
      sleep 4`, { check: true });
    const looked = ['-c', 'image.user', ...['allowed', 'port', 'layer', 'volume'].flatMap((name) => ['-i', name]), '--max-impact', 'recreate', '--max-risk', 'behaviour'];
    try {
      const { deferred } = JSON.parse((await harden(host, ['plan', ...looked, '--format', 'json'])).stdout) as { deferred: { target: { name: string }; explanation: string; asks?: { suggested: string | null }[] }[] };
      const said = Object.fromEntries(deferred.map(({ target: { name }, explanation, asks }) => [name, [asks?.[0]?.suggested, explanation.replace(/^.*?As app, /u, '')]]));
      expect(said).toEqual({
        allowed: ['"app"', expect.any(String)],
        port: [null, 'the user of its image, it could not listen on port 80 (there others than root may from 1024 on).'],
        layer: [null, 'the user of its image, it could not write to /etc (0:0, mode 0755).'],
        volume: [null, 'the user of its image, it could not read /data/db (0:0, mode 0600), which changed since the container was made.'],
      });
      const applied = await harden(host, ['apply', '--yes', ...looked, '--set', 'container.user=app', '--set', 'container.watchSeconds=1']);
      expect({ code: applied.code, guarded: applied.stdout.match(/As app \w+ could not/gu)?.sort() }).toEqual({ code: 0, guarded: ['As app layer could not', 'As app port could not', 'As app volume could not'] });
      expect((await host.exec('docker exec allowed id -u; docker exec allowed wget -q -O - http://127.0.0.1/ 2>&1; for c in port layer volume; do docker exec $c id -u; done')).stdout).toMatch(/^500\n.*404 Not Found\n0\n0\n0\n$/su);
    } finally {
      await host.exec('docker rm -fv allowed port layer volume; docker volume rm allowed volume; docker ps -aq --filter name=harden- | xargs -r docker rm -f; docker rmi app:1');
    }
  });
});
