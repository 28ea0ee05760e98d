/** Images, stopped containers and a swarm on a real engine: what is bad is a WARN, what is good a PASS, and no secret is shown. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from './bed/shell.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, outcomes, plan, scan, type ScanDocument } from './support.ts';

const SECRET = 'hunter2-very-secret';

const BAD = `FROM busybox:latest
ARG NPM_TOKEN
ADD Dockerfile /copy
RUN printf '#!/bin/sh\\n' > /bin/sudo && chmod +x /bin/sudo && cp /bin/sudo /bin/apk
RUN sudo true && apk add curl
ENV ADDR=1 DB_PASSWORD="${SECRET} and more"
RUN printf '#!/bin/sh\\n' > /bin/apt-get && chmod +x /bin/apt-get
RUN apt-get update
RUN apt-get -y dist-upgrade
RUN apt-get install -y curl && wget -qO- http://127.0.0.1:1/install | sh
HEALTHCHECK NONE
USER 0:0
VOLUME /sys/fs/app
`;
const GOOD = `FROM busybox:latest
COPY Dockerfile /copy
ENV ADDR=1 DB_PASSWORD_FILE=/run/secrets/db
RUN printf '#!/bin/sh\\n' > /bin/apt-get && chmod +x /bin/apt-get
RUN apt-get update && apt-get install -y curl=7.88.1
HEALTHCHECK CMD true
LABEL org.opencontainers.image.base.name=busybox:latest
USER 1000:1000
`;

const BUILD_CHECKS = ['image.user', 'image.healthcheck', 'image.update-alone', 'image.copy-not-add', 'image.no-secrets', 'image.verified-packages', 'image.package-pins',
  'image.no-sudo', 'image.volumes', 'image.dist-upgrade', 'image.apk-cache'];

/** What a patch of the Dockerfile answers. */
const ADVISED = ['image.user', 'image.healthcheck', 'image.update-alone', 'image.copy-not-add'];

describe.skipIf(skipReason('systemd') !== null)(titled('images, leftovers and swarm', 'systemd'), () => {
  let host: SystemdHost;
  const imageId = async (name: string): Promise<string> => (await host.exec(['docker', 'image', 'inspect', '-f', '{{.Id}}', name], { check: true })).stdout.trim();
  const build = async (name: string, dockerfile: string, ...args: string[]): Promise<string> => {
    await host.writeFile(`/tmp/${name}/Dockerfile`, dockerfile);
    await host.exec(['docker', 'build', '-t', `${name}:1`, ...args, `/tmp/${name}`], { check: true });
    return imageId(`${name}:1`);
  };
  const verdictsOf = (document: ScanDocument, target: string): Record<string, string | undefined> =>
    Object.fromEntries(document.results.map(({ check, findings }) => [check, findings.find((finding) => finding.target.id === target)?.outcome]));

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'images', suite: 'bookworm' });
    await host.loadBusybox();
  });
  afterAll(() => host.down());

  test('a bad image warns where a good one passes, and an imported one says nothing of how it was made', async () => {
    const [bad, good] = [await build('bad', BAD, '--build-arg', `NPM_TOKEN=${SECRET}`), await build('good', GOOD)];
    const document = await scan(host, ...BUILD_CHECKS.flatMap((check) => ['-c', check]));
    expect(verdictsOf(document, bad)).toEqual(Object.fromEntries(BUILD_CHECKS.map((check) => [check, 'warn'])));
    expect(verdictsOf(document, good)).toEqual(Object.fromEntries(BUILD_CHECKS.map((check) => [check, 'pass'])));
    expect(verdictsOf(document, await imageId('busybox:latest'))).toMatchObject({ 'image.user': 'warn', 'image.update-alone': 'manual', 'image.no-secrets': 'pass' });
    const message = document.results.find(({ check }) => check === 'image.no-secrets')?.findings.find(({ target }) => target.id === bad)?.message;
    expect(message).toContain('DB_PASSWORD in ENV');
    expect(message).toContain('NPM_TOKEN in RUN');
  });

  test('names, expressions and labels select images, and waivers hold by image and label', async () => {
    const judged = async (...args: string[]): Promise<string[]> => (await scan(host, '-c', 'CIS-DI-0006', ...args)).results[0]?.findings.map(({ target: { name } }) => name) ?? [];
    expect((await judged()).toSorted()).toEqual(['bad:1', 'busybox:latest', 'good:1']);
    expect(await judged('-i', 'bad')).toEqual(['bad:1']);
    expect(await judged('-x', '/^(bad|good):/')).toEqual(['busybox:latest']);
    expect(await judged('-t', 'org.opencontainers.image.base.name=busybox:latest')).toEqual(['good:1']);
    expect(outcomes(await scan(host, '-c', 'DKL-DI-0006'))).toEqual({ 'image.latest-tag': 'warn' });
    expect(outcomes(await scan(host, '-c', 'dkl-di-0006', '-x', 'busybox'))).toEqual({ 'image.latest-tag': 'pass' });
    const { code, stderr } = await harden(host, ['scan', '-i', 'bad', '-x', 'nobody']);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/matches --exclude-name nobody\n/u) as string });

    await host.exec(['docker', 'create', '--name', 'kept', '--label', 'team=a', 'good:1', 'true'], { check: true });
    await host.exec(['docker', 'create', '--name', 'other', 'bad:1', 'true'], { check: true });
    await host.writeFile('/tmp/waive.yaml', `waivers:
  - { check: container.memory-limit, target: label=team=a, reason: small, owner: a }
  - { check: image.healthcheck, target: "image=bad:*", reason: legacy, owner: a }
`);
    const waived = await scan(host, '-c', 'container.memory-limit', '-c', 'image.healthcheck', '--policy', '/tmp/waive.yaml');
    expect(waived.results.flatMap(({ findings }) => findings).filter(({ waiver }) => waiver !== undefined).map(({ target: { name } }) => name).toSorted()).toEqual(['bad:1', 'kept']);
    const selected = await plan(host, '-c', 'container.memory-limit', '-i', 'kept', '-o', '/tmp/selected.json');
    expect(selected.deferred.map(({ target: { name } }) => name)).toEqual(['kept']);
    expect((await harden(host, ['apply', '/tmp/selected.json', '--yes'])).code).toBe(0);
    await host.exec(['docker', 'rename', 'kept', 'renamed'], { check: true });
    const gone = await harden(host, ['apply', '/tmp/selected.json', '--yes']);
    expect({ code: gone.code, stderr: gone.stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(/matches --include kept\n/u) as string });
    await host.exec(['docker', 'rm', 'renamed', 'other'], { check: true });
  });

  test('no document holds the secret', async () => {
    for (const args of [['scan', '--format', 'json'], ['plan', '--format', 'json'], ['scan'], ['collect', '-o', '/tmp/facts.json']]) {
      const { stdout, stderr } = await harden(host, args);
      expect(stdout + stderr, args.join(' ')).not.toContain(SECRET);
    }
    expect(await host.readFile('/tmp/facts.json')).not.toContain(SECRET);
  });

  test('every WARN of an image is deferred with its steps', async () => {
    const { deferred, summary } = await plan(host, '-c', 'image');
    expect(deferred).toHaveLength(summary.warns);
    expect(new Set(deferred.map(({ reason }) => reason))).toEqual(new Set(['manual']));
  });

  test('the patch for a Dockerfile goes in as it is, shows no secret, and the image built from it passes', async () => {
    const path = '/tmp/bad/Dockerfile';
    const { advice = [], deferred } = await plan(host, '-c', 'image', '--dockerfile', `bad:1=${path}`, '--set', 'images.healthcheck="true"');
    expect(advice.map(({ check, target }) => ({ check: [...check].sort(), id: target.id }))).toEqual([{ check: [...ADVISED].sort(), id: await imageId('bad:1') }]);
    expect(JSON.stringify(advice)).not.toContain(SECRET);
    expect(deferred.filter(({ check, explanation }) => ADVISED.includes(check) && explanation.includes(`A patch for ${path}`))).toHaveLength(ADVISED.length);
    // Nothing was written; patch(1) puts it in, without looking for where it fits.
    expect(await host.readFile(path)).toBe(BAD);
    const directory = await mkdtemp(join(tmpdir(), 'harden-patch-'));
    try {
      const file = join(directory, 'Dockerfile');
      await writeFile(file, BAD);
      const { stdout } = await run(['patch', '--fuzz=0', file], { input: advice[0]?.diff ?? '', check: true });
      expect(stdout).not.toMatch(/offset|fuzz/u);
      await build('bad', await readFile(file, 'utf8'), '--build-arg', `NPM_TOKEN=${SECRET}`);
    } finally {
      await rm(directory, { recursive: true });
    }
    const rebuilt = verdictsOf(await scan(host, ...ADVISED.flatMap((check) => ['-c', check])), await imageId('bad:1'));
    expect(rebuilt).toEqual(Object.fromEntries(ADVISED.map((check) => [check, 'pass'])));
    const { stdout, stderr } = await harden(host, ['plan', '-c', 'image', '--dockerfile', `bad:1=${path}`]);
    expect(stdout + stderr).not.toContain(SECRET);
  });

  test('sources and ages follow the policy', async () => {
    const ids = [await imageId('good:1'), await imageId('bad:1')];
    const trusting = await scan(host, '-c', 'image.trusted-base', '--set', 'images.trustedSources=["docker.io/library/*"]');
    expect(ids.map((id) => verdictsOf(trusting, id)['image.trusted-base'])).toEqual(['pass', 'manual']);
    const strict = await scan(host, '-c', 'image.trusted-base', '--set', 'images.trustedSources=["quay.io/*"]');
    expect(outcomes(strict)).toEqual({ 'image.trusted-base': 'warn' });
    expect(outcomes(await scan(host, '-c', 'image.age', '--set', 'images.maxAgeDays=1'))).toEqual({ 'image.age': 'pass' });
  });

  test('a report of a scanner is evidence for the image that it is of, by its id, and for no other', async () => {
    const [bad, good] = [await imageId('bad:1'), await imageId('good:1')];
    const report = (id: string, flaws: readonly object[]): string => JSON.stringify({
      SchemaVersion: 2, CreatedAt: new Date().toISOString(), ArtifactName: 'good:1', ArtifactType: 'container_image', Metadata: { ImageID: id, RepoTags: ['good:1'] },
      Results: [{ Target: 'good:1 (debian 12)', Class: 'os-pkgs', Vulnerabilities: flaws }],
    });
    expect(outcomes(await scan(host, '-c', 'image.scanned'))).toEqual({ 'image.scanned': 'manual' });
    await host.writeFile('/tmp/good.json', report(good, []));
    await host.writeFile('/tmp/bad.json', report(bad, [{ VulnerabilityID: 'CVE-2026-1', PkgName: 'openssl', InstalledVersion: '1', FixedVersion: '2', Severity: 'CRITICAL' }]));
    await host.writeFile('/tmp/other.json', report(`sha256:${'0'.repeat(64)}`, []));
    const given = ['-c', 'image.scanned', '--vulnerabilities', '/tmp/good.json', '--vulnerabilities', '/tmp/bad.json'];
    const document = await scan(host, ...given);
    const messages = Object.fromEntries(document.results.flatMap(({ findings }) => findings.map(({ target, outcome, message }) => [target.id, `${outcome}: ${message}`])));
    expect(messages[good]).toMatch(/^pass: Trivy found nothing to fix/u);
    expect(messages[bad]).toBe('warn: 1 critical with a fix: CVE-2026-1 in openssl');
    expect(messages[await imageId('busybox:latest')]).toMatch(/^warn: It is unscanned/u);
    expect((await plan(host, ...given)).deferred.map(({ needs }) => needs ?? '').join('\n')).toContain('openssl to 2');
    const { code, stderr } = await harden(host, ['scan', '-c', 'image.scanned', '--vulnerabilities', '/tmp/other.json']);
    expect(code).toBe(1);
    expect(stderr).toContain('/tmp/other.json is of another image');
  });

  test('docker-bench-security\'s JSON has its numbers', async () => {
    const { stdout } = await harden(host, ['scan', '--format', 'docker-bench']);
    const { dockerbenchsecurity, tests, checks } = JSON.parse(stdout) as { dockerbenchsecurity: string; checks: number; tests: { id: string; results: { id: string; result: string; items?: string[] }[] }[] };
    expect({ dockerbenchsecurity, checks, sections: tests.map(({ id }) => id) }).toEqual({ dockerbenchsecurity: '1.6.0', checks: 117, sections: ['1', '2', '3', '4', '5', '6', '7'] });
    expect(tests.flatMap(({ id, results }) => results.map((result) => `${id} ${result.id.split('.')[0] ?? ''}`)).every((pair) => pair.split(' ')[0] === pair.split(' ')[1])).toBe(true);
    await harden(host, ['scan', '--format', 'json', '-o', '/tmp/baseline.json']);
    const held = JSON.parse((await harden(host, ['verify', '--baseline', '/tmp/baseline.json', '--format', 'docker-bench'])).stdout) as { dockerbenchsecurity: string; checks: number };
    expect({ dockerbenchsecurity: held.dockerbenchsecurity, checks: held.checks }).toEqual({ dockerbenchsecurity: '1.6.0', checks: 117 });
    expect(tests.flatMap(({ results }) => results).find(({ id }) => id === '4.6')).toMatchObject({ result: 'WARN', items: expect.arrayContaining(['busybox:latest']) as unknown });
  });

  test('an engine whose line ended warns, unless the policy names the line; content trust warns where it is on', async () => {
    expect(outcomes(await scan(host, '-c', '1.2.2'))).toEqual({ 'host.docker-version': 'warn' });
    expect(outcomes(await scan(host, '-c', '1.2.2', '--set', 'engine.supportedReleases=["20.10"]'))).toEqual({ 'host.docker-version': 'pass' });
    expect(outcomes(await scan(host, '-c', '4.5'))).toEqual({ 'image.content-trust': 'pass' });
    await host.writeFile('/etc/environment', 'export DOCKER_CONTENT_TRUST="1"\n');
    expect(outcomes(await scan(host, '-c', '4.5'))).toEqual({ 'image.content-trust': 'warn' });
  });

  test('leftovers are judged by their age', async () => {
    await host.exec(['docker', 'create', '--name', 'never', 'good:1'], { check: true });
    expect(outcomes(await scan(host, '-c', '6.1,6.2'))).toEqual({ 'operations.image-sprawl': 'pass', 'operations.container-sprawl': 'pass' });
  });

  test('a swarm as docker makes it warns, and what can be set right passes', async () => {
    const swarm = async (...args: string[]): Promise<Record<string, string>> => outcomes(await scan(host, '-c', '7', ...args));
    expect(new Set(Object.values(await swarm()))).toEqual(new Set(['na']));
    await host.exec('docker swarm init --advertise-addr 127.0.0.1', { check: true });
    await host.exec(['docker', 'service', 'create', '--detach', '--no-resolve-image', '--name', 'leaky', '--env', `API_TOKEN=${SECRET}`, 'busybox:latest', 'sleep', '1000'], { check: true });
    expect(await swarm('--set', 'swarm.rootCaDays=1')).toEqual({
      'swarm.managers': 'pass', 'swarm.listen-addr': 'warn', 'swarm.overlay-encryption': 'warn', 'swarm.secrets': 'warn', 'swarm.autolock': 'warn', 'swarm.autolock-rotate': 'na',
      'swarm.node-cert-expiry': 'warn', 'swarm.ca-rotate': 'pass', 'swarm.data-path': 'warn',
    });
    await host.exec('docker service rm leaky && docker swarm update --cert-expiry 720h --autolock=true', { check: true });
    await host.exec('docker network create -d overlay --opt encrypted safe', { check: true });
    await host.exec(['docker', 'service', 'create', '--detach', '--no-resolve-image', '--name', 'tight', '--env', 'API_TOKEN_FILE=/run/secrets/t', 'busybox:latest', 'sleep', '1000'], { check: true });
    const document = await scan(host, '-c', '7');
    expect(outcomes(document)).toMatchObject({
      'swarm.secrets': 'pass', 'swarm.autolock': 'pass', 'swarm.autolock-rotate': 'manual', 'swarm.node-cert-expiry': 'pass', 'swarm.ca-rotate': 'manual',
    });
    const networks = document.results.find(({ check }) => check === 'swarm.overlay-encryption')?.findings ?? [];
    expect(networks.map(({ outcome }) => outcome).sort()).toEqual(['pass', 'warn']);
    expect(outcomes(await scan(host, '-c', '7.1', '--set', 'swarm.managers=3'))).toEqual({ 'swarm.managers': 'warn' });
    await host.exec('docker swarm leave --force', { check: true });
    await host.exec('docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 --data-path-addr 127.0.0.2', { check: true });
    expect(await swarm()).toMatchObject({ 'swarm.listen-addr': 'pass' });
  });
});
