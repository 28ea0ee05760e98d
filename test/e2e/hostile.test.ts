/** A host on which every name is an attack and every value a secret: nothing of it runs, nothing reaches a terminal, nothing is written down. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hostileCorpus, terminalDanger } from '../support/hostile.ts';
import { isReadingCommand } from '../../src/host/authority.ts';
import type { Tool } from '../../src/host/port.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { harden, pids, type CliResult } from './support.ts';

/** On the host and in containers: it is there once anything ran what it was to print. */
const TOUCHED = '/canary';
const PROJECT = '/srv/we ird $(touch /canary)';
const CERTIFICATES = `/etc/docker/certs.d/a'$(touch ${TOUCHED})'\u001b[31m\nb`;

/** Every place where a secret can be, with a value of its own: letters and digits, so that no escaping hides it. */
const SECRETS = new Map<string, string>();
const secret = (place: string): string => {
  const value = SECRETS.get(place) ?? `zq${String(SECRETS.size + 1).padStart(2, '0')}canary${Buffer.from(place).toString('hex').slice(0, 8)}`;
  SECRETS.set(place, value);
  return value;
};

/** What README.md promises of this test: at least so many secrets, held against at least so many outputs and files. */
const GUARANTEED = { secrets: 60, outputs: 100 };

const KEY = `-----BEGIN PRIVATE KEY-----\n${secret('TLS key')}\n-----END PRIVATE KEY-----\n`;

const DAEMON_JSON = `{
  "log-driver": "splunk",
  "log-opts": { "splunk-token": "${secret('log-opt of daemon.json')}", "splunk-url": "http://admin:${secret('URL in a log-opt of daemon.json')}@127.0.0.1:1", "splunk-verify-connection": "false" },
  "labels": ["api-token=${secret('label of the daemon')}"],
  "proxies": { "http-proxy": "http://proxyuser:${secret('proxy of daemon.json')}@127.0.0.1:1", "no-proxy": "localhost" }
}
`;
const PROXY = `[Service]\nEnvironment="HTTPS_PROXY=http://u:${secret('proxy of a unit')}@127.0.0.1:1"\nEnvironment=VAULT_TOKEN=${secret('environment of a unit')}\n`;
const DEFAULTS = `export REGISTRY_PASSWORD='${secret('environment file of the daemon')}'\n`;
const AUTH = JSON.stringify({ auths: { 'registry.test': { auth: Buffer.from(`u:${secret('docker login')}`).toString('base64'), identitytoken: secret('identity token') } } });

const DOCKERFILE = `FROM busybox:latest
ARG DB_PASSWORD
ENV IMAGE_SECRET=${secret('ENV of an image')}
LABEL registry.token=${secret('label of an image')}
RUN echo "$DB_PASSWORD" >/dev/null; : wget --password=${secret('option in a RUN')} http://u:${secret('URL in a RUN')}@127.0.0.1/
HEALTHCHECK --interval=1s CMD echo curl -u admin:${secret('health check of an image')} http://127.0.0.1/
CMD ["sh", "-c", "sleep 100000", "--api-key", "${secret('CMD of an image')}"]
`;

const COMPOSE = `services:
  web:
    image: busybox:latest
    command: [sh, -c, "sleep 100000", "--password", "${secret('command of a compose service')}"]
    stop_signal: SIGKILL
    env_file: [web.env]
    environment:
      DB_PASSWORD: ${secret('environment of a compose service')}
      PLAIN: ${secret('plain environment of a compose service')}
    labels:
      api.token: "${secret('label of a compose service')}"
    healthcheck:
      test: ["CMD-SHELL", "echo curl -H 'Authorization: Bearer ${secret('health check of a compose service')}'"]
      interval: 1s
  worker:
    image: busybox:latest
    command: [sleep, "100000"]
    stop_signal: SIGKILL
    environment:
      - WORKER_TOKEN=${secret('environment list of a compose service')}
      - WORKER_PLAIN=${secret('plain environment list of a compose service')}
`;

const POLICY = `maxImpact: recreate
maxRisk: behaviour
parameters:
  logDriver: { driver: splunk, options: { splunk-token: ${secret('log option of harden.yaml')}, splunk-url: "https://u:${secret('URL in harden.yaml')}@logs.test:8088", splunk-verify-connection: "false" } }
  container: { memory: 64m, watchSeconds: 1, tmpfs: [/run, /tmp], log: { maxSize: 10m, maxFile: 3 }, writableLayer: save }
`;

const RUN_LINE = `docker run -d --name line -e LINE_PASSWORD=${secret('env of a docker run line')} -e LINE_PLAIN=${secret('plain env of a docker run line')} --label token=${secret('label of a docker run line')} busybox:latest app --password ${secret('command of a docker run line')}\n`;

/** Containers as the API takes them: what no command line could say. */
const hostile = Object.values(hostileCorpus(TOUCHED)).flat();
const CONTAINERS: readonly { readonly name: string; readonly body: object }[] = [
  {
    name: 'secret',
    body: {
      Image: 'secret:1',
      Env: [`DB_PASSWORD=${secret('env of a container')}`, `PLAIN=${secret('plain env of a container')}`, `DATABASE_URL=postgres://u:${secret('URL in an env')}@db/x`, `SETTINGS={"password": "${secret('JSON in an env')}"}`],
      Cmd: ['sh', '-c', 'sleep 100000', '--password', secret('command of a container'), `--token=${secret('option of a container')}`],
      Labels: { 'api-token': secret('label of a container'), 'traefik.http.middlewares.auth.basicauth.users': `admin:${secret('basicauth label of a container')}` },
      StopSignal: 'SIGKILL',
      HostConfig: { LogConfig: { Type: 'splunk', Config: { 'splunk-token': secret('log-opt of a container'), 'splunk-url': 'http://127.0.0.1:1', 'splunk-verify-connection': 'false' } } },
    },
  },
  { name: 'redis', body: { Image: 'busybox:latest', Cmd: ['sleep', '100000'], StopSignal: 'SIGKILL', Healthcheck: { Test: ['CMD', 'redis-cli', '-a', secret('health check of a container'), 'ping'], Interval: 3.6e12 } } },
  {
    name: 'mysql',
    body: { Image: 'busybox:latest', Cmd: ['sleep', '100000'], StopSignal: 'SIGKILL', Healthcheck: { Test: ['CMD-SHELL', `mysqladmin ping -u root -p${secret('password of mysqladmin')}`], Interval: 3.6e12 } },
  },
  {
    name: 'composed',
    body: {
      Image: 'busybox:latest', Cmd: ['sleep', '100000'], StopSignal: 'SIGKILL',
      Labels: {
        'com.docker.compose.project': 'x', 'com.docker.compose.service': 'y', 'com.docker.compose.project.config_files': '/etc/secret,/root/.docker/config.json', 'com.docker.compose.project.environment_file': '/etc/secret',
        'com.docker.compose.project.working_dir': '/etc/a\u0000b', 'com.docker.compose.config-hash': 'x', 'com.docker.compose.container-number': '1', 'com.docker.compose.oneoff': 'False',
      },
    },
  },
  {
    name: 'hostile',
    body: {
      Image: 'hostile:1',
      Env: hostile.filter((text) => !text.includes('\0')).map((text, index) => `H${index}=${text}`),
      Cmd: ['sh', '-c', 'echo kept >"/x\'$(echo a)"; sleep 100000', ...hostile.filter((text) => !text.includes('\0') && !/\p{Cs}/u.test(text))],
      Labels: Object.fromEntries(hostile.map((text, index) => [index % 2 === 0 ? `label${index}` : text || 'empty', text])),
      StopSignal: 'SIGKILL',
      HostConfig: { Binds: ['/srv/a b$(touch ;`\'":/data'.replace(';', ' '), 'volume:/x'] },
    },
  },
];

const CREATE = `
import { request } from 'node:http';
let text = '';
for await (const part of process.stdin) text += part;
for (const { name, body } of JSON.parse(text)) {
  const call = (path, data) => new Promise((done, fail) => {
    const sent = request({ socketPath: '/run/docker.sock', path, method: 'POST', headers: { 'content-type': 'application/json' } }, (answer) => {
      let said = '';
      answer.on('data', (part) => { said += part; }).on('end', () => (answer.statusCode < 300 ? done(said && JSON.parse(said)) : fail(new Error(name + ': ' + said))));
    });
    sent.on('error', fail);
    sent.end(JSON.stringify(data ?? {}));
  });
  const { Id } = await call('/containers/create?name=' + name, body);
  await call('/containers/' + Id + '/start');
}
`;

describe.skipIf(skipReason('systemd') !== null)(titled('a hostile host full of secrets', 'systemd'), () => {
  let host: SystemdHost;
  const directory = mkdtempSync(join(tmpdir(), 'harden-e2e-hostile-'));
  /** Everything that harden printed, by the command that printed it. */
  const printed: { readonly what: string; readonly text: string; readonly json: boolean }[] = [];
  const all = ['--policy', '/root/harden.yaml'];

  const run = async (args: readonly string[], options: Parameters<typeof harden>[2] = {}): Promise<CliResult> => {
    const result = await harden(host, args, options);
    const what = args.join(' ').slice(0, 100);
    const isJson = args.includes('json');
    printed.push({ what: `${what} (stdout)`, text: result.stdout, json: isJson && result.stdout !== '' }, { what: `${what} (stderr)`, text: result.stderr, json: false });
    expect(result.stderr).not.toContain('a fault in harden');
    return result;
  };
  const works = async (args: readonly string[], codes: readonly number[] = [0]): Promise<CliResult> => {
    const result = await run(args);
    expect({ args, code: result.code, says: codes.includes(result.code) ? '' : result.stderr.slice(-2000) }).toEqual({ args, code: codes.includes(result.code) ? result.code : codes[0], says: '' });
    return result;
  };

  beforeAll(async () => {
    host = await bed.systemdHost({
      name: 'hostile',
      suite: 'trixie',
      prepare: async (early) => {
        await early.writeFile('/etc/docker/daemon.json', DAEMON_JSON);
        await early.writeFile('/etc/systemd/system/docker.service.d/proxy.conf', PROXY);
        await early.writeFile('/etc/default/docker', DEFAULTS);
      },
    });
    await host.loadBusybox();
    await host.writeFile('/etc/secret', `root:${secret('file that a label names')}:1:0:99999:7:::\n`, { mode: 0o600 });
    await host.writeFile('/root/.docker/config.json', AUTH, { mode: 0o600 });
    await host.writeFile('/root/.docker/key.pem', KEY, { mode: 0o600 });
    await host.writeFile('/srv/image/Dockerfile', DOCKERFILE);
    await host.exec(['sh', '-c', 'cd /srv/image && DOCKER_BUILDKIT=0 docker build -t secret:1 --build-arg DB_PASSWORD="$1" . 2>&1', 'build', secret('build argument')], { check: true });
    await host.writeFile('/srv/evil/Dockerfile', `FROM busybox:latest\nLABEL ${hostile.filter((text) => !/[\0\n\r]/.test(text) && !/\p{Cs}/u.test(text)).slice(0, 60).map((text, index) => `l${index}=${JSON.stringify(text).replaceAll('$', '\\$')}`).join(' ')}\n`);
    await host.exec('cd /srv/evil && DOCKER_BUILDKIT=0 docker build -t hostile:1 . 2>&1', { check: true });
    await host.writeFile(`${PROJECT}/compose.yaml`, COMPOSE);
    await host.writeFile(`${PROJECT}/web.env`, `API_TOKEN=${secret('env_file of a compose service')}\nFILE_PLAIN=${secret('plain line of an env_file')}\n`);
    await host.exec(['sh', '-c', 'cd "$1" && docker compose -p shop up -d 2>&1', 'up', PROJECT], { check: true });
    await host.writeFile('/srv/create.mjs', CREATE);
    await host.exec(['node', '/srv/create.mjs'], { input: JSON.stringify(CONTAINERS), check: true });
    await host.writeFile(`${CERTIFICATES}/ca.crt`, 'none\n', { mode: 0o666 });
    await host.writeFile(`${CERTIFICATES}/client.key`, KEY, { mode: 0o644 });
    await host.writeFile('/root/harden.yaml', POLICY, { mode: 0o600 });
    await host.writeFile('/srv/run.sh', RUN_LINE);
    await host.exec('mkdir -m 0700 /root/said', { check: true });
    await host.exec('docker swarm init --advertise-addr 127.0.0.1 >/dev/null', { check: true });
    await host.exec(['docker', 'service', 'create', '--detach', '--name', 'service', '--env', `SERVICE_PASSWORD=${secret('env of a service')}`, '--env', `SERVICE_PLAIN=${secret('plain env of a service')}`,
      '--label', `token=${secret('label of a service')}`, '--container-label', `token=${secret('container label of a service')}`, 'busybox:latest', 'sh', '-c', 'sleep 100000', '--password', secret('command of a service')], { check: true });
    await host.exec('until docker ps | grep -q " service\\."; do sleep 0.2; done', { check: true });
    expect((await host.exec(['ls', TOUCHED])).code).not.toBe(0);
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true, force: true });
    await host.down();
  });

  test('every command and format runs', async () => {
    const ceilings = ['--max-impact', 'data', '--max-risk', 'irreversible'];
    const saved = (name: string, ...formats: string[]): string[] => formats.flatMap((format) => ['--format', `${format}=/root/said/${name}.${format}`]);
    const also = (name: string, format: string): string[] => ['--format', format, ...saved(name, 'json')];
    await Promise.all([
      works(['scan', ...all, ...also('scan', 'table'), ...saved('scan', 'docker-bench')], [0, 1]),
      works(['scan', ...all, '--deep', '-i', 'secret:1', '-c', '4', '--format', 'json', '--debug'], [0, 1]),
      works(['scan', '--image', 'secret:1', '--format', 'json'], [0, 1]),
    ]);
    await Promise.all([
      works(['plan', ...all, ...ceilings, '--dockerfile', 'secret:1=/srv/image/Dockerfile', ...also('plan', 'text'), '-o', '/root/said/plan.saved']),
      works(['collect', '-o', '/root/said/facts.json']).then(() => works(['plan', '--facts', '/root/said/facts.json', ...all, ...ceilings])),
      works(['explain', 'container.log-rotation', ...all]),
    ]);
    await Promise.all([
      works(['generate', 'shell', ...all, ...ceilings, '-o', '/root/said/harden.sh']),
      works(['generate', 'ansible', ...all, ...ceilings, '-o', '/root/said/project']),
      ...['diff', 'json'].map((format) => works(['rewrite', ...all, `${PROJECT}/compose.yaml`, '/srv/run.sh', '--format', format], [0, 1])),
    ]);
    await works(['apply', '--yes', ...all, '-i', 'secret,hostile,shop-*', '-c', 'daemon.no-new-privileges,file.registry-certs.mode,container.pids-limit,container.memory-limit,container.readonly-rootfs,container.log-rotation', ...also('apply', 'text')], [0, 1, 3]);
    await Promise.all([
      works(['verify', ...all, ...also('verify', 'table')], [0, 1]),
      works(['verify', '/root/said/plan.saved', ...all], [0, 1]),
      works(['history', ...also('history', 'text')]),
    ]);
    await run(['gc', '--older-than', '0', ...also('gc', 'text')]);
  });

  test('a script and a playbook of it are what a shell and Ansible read, and a look at what they would do is only that', async () => {
    expect(await host.exec('dash -n /root/said/harden.sh && bash -n /root/said/harden.sh')).toMatchObject({ code: 0, stderr: '' });
    const before = await pids(host);
    const { code, stdout, stderr } = await host.exec(['sh', '/root/said/harden.sh', '--dry-run'], { timeoutMs: 300_000 });
    printed.push({ what: 'harden.sh --dry-run', text: stdout + stderr, json: false });
    expect({ code, stdout, stderr }).toMatchObject({ stdout: expect.stringContaining('Nothing was changed.') as string });
    expect(await pids(host)).toEqual(before);

    const { stdout: archive } = await host.exec('tar -C /root/said -cf - project | base64 -w0', { check: true });
    execFileSync('tar', ['-C', directory, '-xf', '-'], { input: Buffer.from(archive, 'base64') });
    const { status, stdout: said, stderr: complaint } = spawnSync('ansible-playbook', ['-i', 'inventory.example.yml', 'site.yml', '--syntax-check'], {
      cwd: join(directory, 'project'), encoding: 'utf8', env: { ...process.env, HOME: directory, ANSIBLE_HOME: join(directory, '.ansible'), ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' },
    });
    expect({ status, said: said + complaint }).toMatchObject({ status: 0 });
    expect(existsSync(TOUCHED)).toBe(false);
  });

  test('what is broken, and an address with a password in it, ends in a clean error', async () => {
    const files: Readonly<Record<string, string>> = {
      '/root/unclosed.yaml': `parameters:\n  logDriver: { driver: splunk, options: { splunk-token: ${secret('broken harden.yaml')}\n`,
      '/root/misspelt.yaml': `parameters:\n  logDriver: { driver: splunk, options: { splunk-token: [${secret('misspelt harden.yaml')}] }, token: ${secret('unknown key of harden.yaml')} }\n`,
      '/root/broken.json': `{ "password": "${secret('broken JSON')}", }\n`,
      '/root/broken/compose.yaml': `services:\n  web:\n    environment:\n      PASSWORD: ${secret('broken compose file')}\n     image: x\n`,
      '/root/broken.sh': `docker run --no-such-flag -e TOKEN=${secret('broken docker run line')} x\n`,
    };
    for (const [path, text] of Object.entries(files)) await host.writeFile(path, text, { mode: 0o600 });
    for (const args of [
      ['scan', '--policy', '/root/unclosed.yaml'], ['plan', '--policy', '/root/misspelt.yaml'], ['scan', '--facts', '/root/broken.json'], ['apply', '/root/broken.json', '--yes'], ['verify', '--baseline', '/root/broken.json'],
      ['scan', '--vulnerabilities', '/root/broken.json'], ['rewrite', '/root/broken/compose.yaml'], ['rewrite', '/root/broken.sh'], ['scan', '--set', `logDriver={driver: splunk, options: {splunk-token: ${secret('broken --set')}`],
      ['scan', '--docker-host', `tcp://u:${secret('--docker-host')}@127.0.0.1:1`], ['plan', '--docker-host', `ssh://u:${secret('ssh address')}@127.0.0.1`], ['rollback', '--yes', '--docker-host', `tcp://u:${secret('--docker-host')}@127.0.0.1:1`],
    ]) await works([...args, '--debug'], [2]);
    await run(['scan'], { env: { DOCKER_HOST: `tcp://u:${secret('DOCKER_HOST')}@127.0.0.1:1` } });
    const config = await host.readFile('/etc/docker/daemon.json');
    await host.writeFile('/etc/docker/daemon.json', `{ "log-opts": { "splunk-token": "${secret('broken daemon.json')}" }, }\n`);
    for (const args of [['scan', '--debug'], ['plan', ...all], ['collect', '-o', '/root/said/facts-broken.json'], ['apply', '--yes', '-c', 'daemon.live-restore', '--debug']]) await run(args);
    await host.writeFile('/etc/docker/daemon.json', config);
  });

  test('what scan and plan do stands in the table of what harden may do', async () => {
    for (const args of [['scan', ...all], ['plan', ...all, '-o', '/root/said/traced.json'], ['collect', '-o', '/root/said/traced-facts.json']]) {
      await host.exec(['strace', '-f', '-qq', '-s', '4096', '-e', 'signal=none', '-e', 'trace=execve,open,openat,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,chmod,fchmod,fchmodat,chown,fchown,fchownat,link,linkat,symlink,symlinkat,truncate,mknod,mknodat,kill',
        '-o', '/tmp/trace', 'harden', ...args], { timeoutMs: 300_000 });
      const lines = (await host.readFile('/tmp/trace')).split('\n').filter((line) => !line.includes(' = -1 E') && !/resumed>|\+\+\+/.test(line));
      const commands = lines.flatMap((line) => /execve\("[^"]*", (\[.*?\])(?:, 0x|\) = )/.exec(line)?.[1] ?? []).map((argv) => JSON.parse(argv.replaceAll(/\\([0-7]{1,3})/g, (_, octal: string) => `\\u${Number.parseInt(octal, 8).toString(16).padStart(4, '0')}`)) as string[]);
      const foreign = commands.filter(([name = '', ...rest], index) => index > 1 && !isReadingCommand(name.slice(name.lastIndexOf('/') + 1) as Tool, rest) && !/docker-compose$|cli-plugins/.test(name));
      expect({ args, foreign }).toEqual({ args, foreign: [] });
      const outputs = args.flatMap((arg, index) => (args[index - 1] === '-o' ? [arg] : []));
      const writes = lines.filter((line) => /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC| (?:creat|mkdir|mkdirat|unlink|unlinkat|rename|renameat|renameat2|chmod|fchmod|fchmodat|chown|fchown|fchownat|link|linkat|symlink|symlinkat|truncate|mknod|mknodat|kill)\(/.test(line))
        .filter((line) => !/"\/dev\/(?:null|tty)"|O_TMPFILE|"\/tmp\/harden-compose-/.test(line) && !outputs.some((path) => line.includes(`"${path}`)));
      expect({ args, writes }).toEqual({ args, writes: [] });
    }
  });

  test('rollback and recover', async () => {
    await works(['recover', '--yes']);
    await works(['rollback', '--yes', '--all'], [0, 2, 4]);
    await works(['history', '--debug']);
  });

  test('nothing of what it says does anything to a terminal, and documents are documents', () => {
    for (const { what, text, json } of printed) {
      if (json) expect(() => JSON.parse(text) as unknown, what).not.toThrow();
      expect([what, terminalDanger(text)]).toEqual([what, null]);
    }
  });

  test('nothing of it was run', async () => {
    expect((await host.exec(['find', '/', '(', '-path', '/proc', '-o', '-path', '/sys', ')', '-prune', '-o', '-name', 'canary', '-print'])).stdout).toBe('');
  });

  test('no secret was printed, written down, or logged', async () => {
    const written = await host.exec(['sh', '-c', 'find /var/lib/harden /root/said -type f -not -path "*/backups/*" -not -name started-with.json']);
    const files = await Promise.all(written.stdout.trim().split('\n').map(async (path) => ({ what: path, text: await host.readFile(path) })));
    for (const { what, text } of files) if (/\.(?:json|docker-bench|saved)$/.test(what)) expect(() => JSON.parse(text) as unknown, what).not.toThrow();
    const journal = { what: 'the system log', text: (await host.exec(['journalctl', '--no-pager', '-t', 'harden'])).stdout };
    const outputs = [...printed, ...files, journal];
    const forms = [...SECRETS].flatMap(([place, value]) => [[place, value], [`${place} in base64`, Buffer.from(`u:${value}`).toString('base64')], [`${place} in base64`, Buffer.from(value).toString('base64')]] as const);
    const leaks = forms.flatMap(([place, value]) => outputs.filter(({ text }) => text.includes(value)).map(({ what }) => `${place}: ${what}`));
    expect(leaks).toEqual([]);
    expect(SECRETS.size).toBeGreaterThanOrEqual(GUARANTEED.secrets);
    expect(outputs.length).toBeGreaterThanOrEqual(GUARANTEED.outputs);
    const modes = (await host.exec(['find', '/var/lib/harden', '-printf', '%y %m %U:%G\n'], { check: true })).stdout.trim().split('\n');
    expect(new Set(modes)).toEqual(new Set(['d 700 0:0', 'f 600 0:0']));
    // The way back for the owner's own files is the one place that has them.
    expect((await host.exec(['grep', '-rl', secret('log-opt of daemon.json'), '/var/lib/harden'])).stdout).toMatch(/^(\/var\/lib\/harden\/(started-with\.json|runs\/[^/]+\/backups\/\S+)\n)+$/);
  });
});
