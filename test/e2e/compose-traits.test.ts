/**
 * A service of Docker Compose is the same service in all but what was asked: one for each family of settings is hardened in its file, found
 * up to date by Compose afterwards, outlives a restart of the daemon, and comes back as it was.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { text } from '../../src/collect/json.ts';
import { differences } from '../../src/container/differences.ts';
import type { JsonObject } from '../../src/model.ts';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { answers, harden, hardenJson, type OutcomesDocument, type PlanDocumentJson, type ScanDocument } from './support.ts';

/** Ends at once when it is told to, which a first process without a handler does not. */
const until = (start: string): string => `["sh", "-c", "trap 'exit 0' TERM INT USR1; ${start} & wait"]`;
const IDLE = until('sleep 100000');

const FILE = `# Everything that a service can be. Who edits this file wants to find it again.
name: traits   # not the directory

x-common: &common
  image: "busybox:latest"
  command: ${IDLE}

services:
  ports:
    image: busybox:latest
    command: ${until('httpd -f -p 80 -h /www')}
    volumes: ["www:/www"]
    ports:
      - 127.0.0.1:8080:80   # for the proxy
      - "8081:80"
      - 127.0.0.1:8090-8092:90-92
      - { target: 53, published: "5353", protocol: udp, mode: host }
    restart: always

  volumes:
    image: busybox:latest
    command: ${until('test -e /data/file || { echo kept >/data/file; echo kept >/anonymous/file; }; sleep 100000')}
    volumes:
      - data:/data
      - /anonymous
      - ./data:/host:ro   # relative
      - { type: bind, source: /srv/traits/data, target: /b, read_only: true, bind: { propagation: rprivate } }
      - { type: tmpfs, target: /t, tmpfs: { size: 1048576, mode: 448 } }
    restart: unless-stopped

  # Merged from above, and nothing of its own.
  merged: { <<: *common, hostname: merged }

  tmpfs:
    <<: *common
    tmpfs:
    - /cache:rw,size=1m,mode=700
    shm_size: 32m

  networks:
    <<: *common
    networks:
      one:
        ipv4_address: 172.30.1.7
        aliases: [first, other]
      two: { ipv4_address: 172.30.2.7 }

  linked:
    image: busybox:latest
    command: ${IDLE}
    links: [ 'db:database', db ]

  db:
    image: busybox:latest
    command: ${IDLE}

  healthy:
    image: busybox:latest
    command: ${IDLE}
    healthcheck:
      test: test -d /proc || exit 1   # a string is a shell's
      interval: 1s
      retries: 2
    restart: "on-failure:3"

  entrypoint:
    image: busybox:latest
    entrypoint: env
    command:
      - A=it's "b"
      - sh
      - -c
      - trap "exit 0" TERM; sleep 100000 & wait
      - --
      - ""
      - ' *'

  env:
    image: busybox:latest
    command: ${IDLE}
    environment:
      LINES: |
        one
        two
      QUOTES: '''"\`$$(id)\\'
      PASSWORD: hunter2=
      EMPTY: ""
    env_file: web.env

  limits:
    image: busybox:latest
    command: ${IDLE}
    ulimits: { nofile: { soft: 100, hard: 200 }, core: 0 }
    oom_score_adj: 200
    cpu_shares: 100
    mem_reservation: 16m

  devices:
    image: busybox:latest
    command: ${IDLE}
    devices: ["/dev/null:/dev/nothing:r"]
    device_cgroup_rules: ['c 10:229 r']

  logging:
    image: busybox:latest
    command: ${IDLE}
    logging:
      driver: json-file
      options: { max-size: "1m", tag: '{{.Name}} "x" $$y' }

  labels:
    image: busybox:latest
    command: ${IDLE}
    labels:
      a.b/c: "it's \\"x\\"\\n$$(id)\\e[31m"
      empty:

  stopping:
    image: busybox:latest
    command: ${IDLE}
    stop_signal: USR1
    stop_grace_period: 3s
    init: true

  kernel:
    image: busybox:latest
    command: ${IDLE}
    sysctls: [ net.ipv4.ip_unprivileged_port_start=80 ]
    group_add: [10, "20"]
    pid: host
    ipc: shareable

  names:
    image: busybox:latest
    command: ${IDLE}
    dns: 127.0.0.53
    dns_search: [example.test]
    dns_opt: ["ndots:2"]
    extra_hosts: ["peer:10.1.2.3"]
    hostname: own
    domainname: example.test
    container_name: names-of-its-own

  user:
    image: busybox:latest
    command: ${IDLE}
    user: "1000:1000"
    working_dir: /var/lib/work
    cap_add:
      - CHOWN   # files of the old installation
    cap_drop: [MKNOD]

  readonly:
    image: busybox:latest
    command: ${IDLE}
    read_only: true
    tmpfs: "/tmp:rw,exec"
    security_opt:
    - seccomp=unconfined

  replicas:
    image: busybox:latest
    command: ${IDLE}
    deploy: { replicas: 2 }

  secret:
    image: busybox:latest
    command: ${IDLE}
    secrets: [token]
    configs:
      - source: motd
        target: /etc/motd
    extends: { file: common.yaml, service: base }

volumes:
  www:
  data: { labels: { a.b: "c d" } }
networks:
  one: { ipam: { config: [ subnet: 172.30.1.0/24 ] } }
  two: { ipam: { config: [ { subnet: 172.30.2.0/24 } ] } }
secrets: { token: { file: ./token } }
configs:
  motd:
    file: ./motd
# The end.
`;
const DIRECTORY = '/srv/traits';
const FILES = { 'compose.yaml': FILE, 'common.yaml': 'services:\n  base:\n    environment: { OF: base }\n', 'web.env': 'API_TOKEN=hunter3\n', token: 'hunter4\n', motd: 'hello\n', 'data/file': 'of the host\n' };

/** The lines of FILE that end in what an edit adds to. */
const REPLACED = ['  merged: { <<: *common, hostname: merged }', '    cap_drop: [MKNOD]'];

const CHECKS = ['container.no-new-privileges', 'container.capabilities', 'container.pids-limit', 'container.memory-limit', 'container.readonly-rootfs'];
const LOOK = ['-c', CHECKS.join(','), '--set', 'container.memory=64m', '--set', 'container.tmpfs=[/tmp, /run]', '--set', 'container.watchSeconds=1'];
const ALLOW = ['--max-impact', 'recreate', '--max-risk', 'behaviour', ...LOOK];
/** What the fixes of CHECKS show in, and what Compose writes of its own file. */
const INTENDED = /^(?:HostConfig\.(?:SecurityOpt|CapDrop|PidsLimit|Memory|MemorySwap|ReadonlyRootfs|Tmpfs(?:\[\/(?:tmp|run)\])?)|Config\.Labels\[com\.docker\.compose\.(?:config-hash|replace)\])$/;

describe.skipIf(skipReason('systemd') !== null)(titled('services of Docker Compose, one of each family of settings', 'systemd'), () => {
  let host: SystemdHost;
  let apiVersion: string;
  let before: ReadonlyMap<string, JsonObject>;

  const compose = async (...args: string[]): Promise<string> => (await host.exec(['docker', 'compose', '--progress', 'plain', '--project-directory', DIRECTORY, ...args], { check: true })).stdout;
  const inspect = async (): Promise<ReadonlyMap<string, JsonObject>> => {
    const found = JSON.parse((await host.exec('docker ps -aq --no-trunc | xargs docker inspect --type container', { check: true })).stdout) as JsonObject[];
    return new Map(found.map((raw) => [text(raw['Name']).slice(1), raw]));
  };
  const ids = (found: ReadonlyMap<string, JsonObject>): Record<string, unknown> => Object.fromEntries([...found].map(([name, raw]) => [name, raw['Id']]));
  const states = (found: ReadonlyMap<string, JsonObject>): Record<string, unknown> => Object.fromEntries([...found].map(([name, raw]) => [name, (raw['State'] as JsonObject)['Status']]));
  const changed = (now: ReadonlyMap<string, JsonObject>): string[] =>
    [...before].flatMap(([name, raw]) => differences(raw, now.get(name) ?? {}, apiVersion).map((path) => `${name} ${path}`));
  const file = (): Promise<string> => host.readFile(`${DIRECTORY}/compose.yaml`);
  async function expectServices(): Promise<void> {
    expect(await Promise.all([8080, 8081].map((port) => answers(host, `http://127.0.0.1:${port}/`)))).toEqual([true, true]);
    expect((await host.exec('docker exec traits-volumes-1 cat /data/file /anonymous/file /host/file; docker exec traits-secret-1 cat /run/secrets/token /etc/motd; docker exec traits-networks-1 ip -4 addr | grep -c "172.30.[12].7/"', { check: true })).stdout)
      .toBe('kept\nkept\nof the host\nhunter4\nhello\n2\n');
  }

  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'compose-traits', suite: 'trixie' });
    await host.loadBusybox();
    await host.exec(`mkdir -p ${DIRECTORY}/data`, { check: true });
    for (const [name, content] of Object.entries(FILES)) await host.writeFile(`${DIRECTORY}/${name}`, content);
    await compose('up', '--detach', '--wait');
    apiVersion = (await host.exec(['docker', 'version', '--format', '{{.Server.APIVersion}}'], { check: true })).stdout.trim();
    before = await inspect();
    expect(before.size).toBe(22);
  });
  afterAll(() => host.down());

  test('are the same in all but what was asked, and Compose finds nothing more to do', async () => {
    const { changes, deferred } = await hardenJson<PlanDocumentJson>(host, ['plan', ...ALLOW], [0]);
    expect([...new Set(deferred.map(({ target, reason, explanation }) => `${target.name} ${reason} ${explanation}`))])
      .toEqual(['traits-db-1 guard The files of its compose project are left alone: the container traits-linked-1 is made anew with it (depends_on with restart: true).']);
    // Only lines are added, but for those of lists in one line, and nothing that the owner wrote goes.
    const diff = changes.map((change) => change.diff).join('').split('\n');
    expect(diff.filter((line) => /^-(?!--)/.test(line))).toEqual(REPLACED.map((line) => `-${line}`));
    const done = await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0]);
    expect(done.changes.map(({ id, state }) => [id, state])).toEqual([['compose:traits', 'applied']]);
    const edited = (await file()).split('\n');
    const ours = diff.filter((line) => /^\+(?!\+\+)/.test(line)).map((line) => line.slice(1));
    expect(edited.length).toBe(FILE.split('\n').length - REPLACED.length + ours.length);
    expect(edited.filter((line) => !ours.includes(line))).toEqual(FILE.split('\n').filter((line) => !REPLACED.includes(line) && !ours.includes(line)));

    const after = await inspect();
    expect([...after.keys()].sort()).toEqual([...before.keys()].sort());
    expect([...after.keys()].filter((name) => ids(after)[name] === ids(before)[name])).toEqual(['traits-db-1']);
    expect(changed(after).filter((line) => !INTENDED.test(line.split(' ')[1] ?? ''))).toEqual([]);
    expect(states(after)).toEqual(states(before));
    await expectServices();
    await compose('up', '--detach');
    expect(ids(await inspect())).toEqual(ids(after));
  });

  test('keep every promise, and need no second run', async () => {
    const { results } = await hardenJson<ScanDocument>(host, ['scan', ...LOOK, '-x', 'traits-db-1'], [0]);
    expect(results.map(({ check, outcome }) => [check, outcome]).sort()).toEqual(CHECKS.map((check) => [check, 'pass']).sort());
    expect((await hardenJson<OutcomesDocument>(host, ['apply', '--yes', ...ALLOW], [0])).changes).toEqual([]);
  });

  test('give way to the old ones again', async () => {
    const { code, stdout, stderr } = await harden(host, ['rollback', '--yes']);
    expect({ code, said: code === 0 ? '' : `${stdout}${stderr}` }).toEqual({ code: 0, said: '' });
    expect(await file()).toBe(FILE);
    const now = await inspect();
    expect(changed(now).filter((line) => !line.endsWith(' Config.Labels[com.docker.compose.replace]'))).toEqual([]);
    expect(states(now)).toEqual(states(before));
    await expectServices();
    await compose('up', '--detach');
    expect(ids(await inspect())).toEqual(ids(now));
  });
});
