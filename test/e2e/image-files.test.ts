/** What images hold inside, on engines that save the classic layout (20.10) and an OCI layout (26.1): through the engine, and from what it saves without one. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type Suite, type SystemdHost } from './host.ts';
import { harden, outcomes, plan, scan, type ScanDocument } from './support.ts';

const SECRET = 'b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ';

const BAD = `FROM busybox:latest
RUN cp /bin/busybox /bin/as-root && chmod 4755 /bin/as-root && ln /bin/as-root /bin/as-root-too
RUN mkdir -p /var/lib/apt/lists /root/.ssh && echo x > /var/lib/apt/lists/index && printf 'root::0:0::/:/bin/sh\\ntoor:x:0:0::/:/bin/sh\\n' > /etc/passwd
COPY key /root/.ssh/deploy
RUN rm /root/.ssh/deploy && rm -rf /var/lib/apt/lists/*
COPY Dockerfile /app/Dockerfile
`;
const GOOD = `FROM bad:1
RUN rm -rf /bin/as-root /bin/as-root-too /app && printf 'root:x:0:0::/:/bin/sh\\n' > /etc/passwd
`;

const CHECKS = ['image.setuid', 'image.secret-files', 'image.empty-password', 'image.unique-accounts', 'image.package-cache', 'image.unneeded-files'];
const SELECT = ['-c', CHECKS.join(',')];
const all = (outcome: string): Record<string, string> => Object.fromEntries(CHECKS.map((check) => [check, outcome]));
/** What a layer below still holds cannot be taken away above. */
const MENDED = { ...all('pass'), 'image.secret-files': 'warn', 'image.package-cache': 'warn' };

describe.skipIf(skipReason('systemd') !== null)(titled('inside images', 'systemd'), () => {
  describe.each<Suite>(['bookworm', 'trixie'])('on %s', (suite) => {
    let host: SystemdHost;
    const build = async (name: string, dockerfile: string): Promise<string> => {
      await host.writeFile(`/srv/${name}/Dockerfile`, dockerfile);
      await host.writeFile(`/srv/${name}/key`, `-----BEGIN OPENSSH PRIVATE KEY-----\n${SECRET}\n-----END OPENSSH PRIVATE KEY-----\n`);
      await host.exec(['docker', 'build', '-t', `${name}:1`, `/srv/${name}`], { check: true });
      return (await host.exec(['docker', 'image', 'inspect', '-f', '{{.Id}}', `${name}:1`], { check: true })).stdout.trim();
    };
    const of = (document: ScanDocument, id: string): Record<string, string | undefined> =>
      Object.fromEntries(document.results.map(({ check, findings }) => [check, findings.find(({ target }) => target.id === id)?.outcome]));

    let bad: string;
    let good: string;
    beforeAll(async () => {
      host = await bed.systemdHost({ name: `image-files-${suite}`, suite });
      await host.loadBusybox();
      bad = await build('bad', BAD);
      good = await build('good', GOOD);
    });
    afterAll(() => host.down());

    test('--deep judges the files of each image; without it they are a task for a person', async () => {
      expect(outcomes(await scan(host, ...SELECT))).toEqual(all('manual'));
      const document = await scan(host, '--deep', ...SELECT);
      expect(of(document, bad)).toEqual(all('warn'));
      expect(of(document, good)).toEqual(MENDED);
      const messages = document.results.flatMap(({ findings }) => findings.filter(({ target }) => target.id === bad).map(({ message }) => message)).join('\n');
      expect(messages).toContain('/bin/as-root (4755) and /bin/as-root-too (4755)');
      expect(messages).toMatch(/a private key at \/root\/\.ssh\/deploy \(layer 4 of 6, removed later, but still in the image\)/u);
      expect(messages).toContain('uid 0 stands for 2 entries (root and toor)');
      expect(JSON.stringify(document)).not.toContain(SECRET);
    });

    test('every WARN is deferred with its steps, and a snapshot says the same as the host', async () => {
      const { deferred, summary } = await plan(host, '--deep', ...SELECT);
      expect(summary.warns).toBe(CHECKS.length + 2);
      expect(deferred.map(({ reason }) => reason)).toEqual(deferred.map(() => 'manual'));
      expect(await harden(host, ['collect', '--deep', '-o', '/tmp/facts.json'])).toMatchObject({ code: 0 });
      expect(await host.readFile('/tmp/facts.json')).not.toContain(SECRET);
      expect(of(await scan(host, '--facts', '/tmp/facts.json', ...SELECT), bad)).toEqual(all('warn'));
    });

    test('--image judges one image, by name and from what docker save wrote, with no engine at all', async () => {
      expect(outcomes(await scan(host, '--image', 'bad:1', '--deep', ...SELECT))).toEqual(all('warn'));
      await host.exec('docker save good:1 -o /tmp/good.tar && gzip -k /tmp/good.tar && mkdir /tmp/layout && tar -xf /tmp/good.tar -C /tmp/layout', { check: true });
      const without = ['--docker-host', 'unix:///nonexistent.sock', '--deep', ...SELECT];
      for (const archive of ['/tmp/good.tar', '/tmp/good.tar.gz', ...(suite === 'trixie' ? ['/tmp/layout'] : [])]) {
        const document = await scan(host, '--image', archive, ...without);
        expect(outcomes(document), archive).toEqual(MENDED);
        expect(document.results[0]?.findings[0]?.target.id).toBe(good);
      }
    });

    test('what nothing uses is measured where the policy says how much may lie around', async () => {
      const limited = (limit: string): readonly string[] => ['-c', 'operations.reclaimable', '--set', `operations.maxReclaimable=${limit}`];
      await host.run('--name', 'wrote', 'busybox:latest', 'sh', '-c', 'dd if=/dev/zero of=/large bs=1M count=5');
      const document = await scan(host, ...limited('4m'));
      expect(outcomes(document)).toEqual({ 'operations.reclaimable': 'warn' });
      expect(document.results[0]?.findings[0]?.message).toMatch(/could be freed: .* in images that no container uses and 5 MiB in 1 stopped container; 4 MiB are allowed$/u);
      expect((await plan(host, ...limited('4m'))).deferred.map(({ check, reason }) => `${check} ${reason}`)).toEqual(['operations.reclaimable manual']);
      expect(outcomes(await scan(host, ...limited('20g')))).toEqual({ 'operations.reclaimable': 'pass' });
      expect(outcomes(await scan(host, '--facts', '/tmp/facts.json', ...limited('20g')))).toEqual({ 'operations.reclaimable': 'unknown' });
      await host.exec('docker rename wrote harden-kept-$(docker inspect -f "{{.Id}}" wrote | cut -c1-12)', { check: true });
      expect((await scan(host, ...limited('1'))).results[0]?.findings[0]?.message).not.toContain('stopped container');
    });

    test('--deep reads what containers added to their image, running or paused, and asks for the files of no other', async () => {
      const ofContainers = ['image.setuid', 'image.secret-files', 'image.empty-password', 'image.unique-accounts'];
      const each = (outcome: string): Record<string, string> => Object.fromEntries(ofContainers.map((check) => [check, outcome]));
      const make = async (name: string, command: string): Promise<string> => (await host.exec(`docker ${command} --name ${name} good:1 sleep 1000`, { check: true })).stdout.trim();
      const [dirty, same, created] = [await make('dirty', 'run -d'), await make('same', 'run -d'), await make('created', 'create')];
      await host.exec(
        `docker exec dirty sh -c 'cp /bin/busybox /bin/rootsh && chmod 4755 /bin/rootsh && echo toor::0:0::/:/bin/sh >> /etc/passwd && : > /.wh.x' && docker cp /srv/bad/key dirty:/root/key && docker cp /srv/bad/key created:/key`,
        { check: true });
      const state = async (): Promise<string> => (await host.exec(['docker', 'inspect', '-f', '{{.State.Status}} {{.State.Pid}} {{.State.StartedAt}}', 'dirty', 'same'], { check: true })).stdout;
      const exported = async (): Promise<readonly string[]> => (await host.exec(
        'docker events --since 2020-01-01T00:00:00Z --until $(( $(date +%s) + 1 )) --filter event=export --format "{{.Actor.ID}}"', { check: true })).stdout.split('\n').filter((line) => line !== '');
      const before = await state();
      const select = ['--deep', '-c', ofContainers.join(','), '-i', 'good*,bad*,dirty,same,created'];
      const document = await scan(host, ...select);
      expect(of(document, dirty)).toEqual(each('warn'));
      expect(of(document, same)).toEqual(each('pass'));
      expect(of(document, created)).toEqual({ ...each('pass'), 'image.secret-files': 'warn' });
      expect(await state()).toBe(before);
      // The engine tells of an export that was read to its end only: that of one that changed nothing is never asked for.
      expect(await exported()).not.toContain(same);
      expect(document.results.flatMap(({ findings }) => findings.filter(({ target }) => target.id === same).map(({ message }) => message))).toEqual(ofContainers.map(() => 'It changed no file of its image'));
      const messages = document.results.flatMap(({ findings }) => findings.filter(({ target }) => target.id === dirty).map(({ message }) => message));
      expect(messages).toEqual([
        'It added or changed /bin/rootsh (4755)', 'It wrote a private key at /root/key', 'No password is asked of toor (/etc/passwd)', 'uid 0 stands for 2 entries (root and toor)',
      ]);
      expect(JSON.stringify(document)).not.toContain(SECRET);
      const { deferred } = await plan(host, ...select);
      expect(deferred.filter(({ target }) => target.id === dirty).map(({ check, reason, needs }) => `${check} ${reason} ${needs?.includes('create it anew from its image') === true}`))
        .toEqual(ofContainers.map((check) => `${check} manual true`));
      await host.exec('docker pause dirty', { check: true });
      const paused = await scan(host, '--deep', '-c', ofContainers.join(','), '-i', 'dirty');
      expect(of(paused, dirty)).toEqual(each('warn'));
      expect(of(paused, good)).toEqual(Object.fromEntries(ofContainers.map((check) => [check, undefined])));
      expect(await state()).toMatch(/^paused /u);
      await host.exec('docker unpause dirty', { check: true });
      expect(await harden(host, ['collect', '--deep', '-o', '/tmp/containers.json'])).toMatchObject({ code: 0 });
      expect(await host.readFile('/tmp/containers.json')).not.toContain(SECRET);
      expect(of(await scan(host, '--facts', '/tmp/containers.json', '-c', ofContainers.join(',')), dirty)).toEqual(each('warn'));
    });

    test('an archive that was cut or changed is refused, and nothing is judged', async () => {
      const damage = { cut: 'head -c 100000 /tmp/good.tar > /tmp/damaged.tar', changed: "sed 's/toor/t00r/g' /tmp/good.tar > /tmp/damaged.tar" };
      for (const [name, command] of Object.entries(damage)) {
        await host.exec(command, { check: true });
        const { code, stdout, stderr } = await harden(host, ['scan', '--image', '/tmp/damaged.tar', '--deep']);
        expect({ name, code, stdout }).toEqual({ name, code: 2, stdout: '' });
        expect(stderr).toContain('/tmp/damaged.tar');
      }
    });
  });
});
