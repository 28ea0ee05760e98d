/**
 * A host as installed, one set right, and one that manages a swarm, on both releases of Debian: the outcome of every check on each of
 * them is what fixtures/verdicts.json says. HARDEN_WRITE_VERDICTS=1 writes that file anew, for a person to read. What these machines cannot
 * show stands there too: audit rules belong to the machine (unknown), its kernel has no AppArmor and no SELinux (na), and the data root is always
 * a mount of its own (pass). fixtures/cases/ and audit.test.ts have those in their other states.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type Suite, type SystemdHost } from './host.ts';
import { harden, outcomes, scan, type ScanDocument } from './support.ts';
import { recordedVerdicts, recordVerdicts } from './verdict-table.ts';

const SUITES: readonly Suite[] = ['bookworm', 'trixie'];

const DOCKERFILE = `FROM busybox:latest
COPY Dockerfile /srv/Dockerfile
LABEL org.opencontainers.image.base.name=busybox:latest
HEALTHCHECK --interval=1s CMD true
USER 10001:10001
CMD ["sleep", "100000"]
`;

/** All that a container can be given; --restart stays off and the address is this host's own. */
const RIGHT = [
  '--network', 'own', '--cap-drop', 'ALL', '--read-only', '--memory', '64m', '--cpu-shares', '512', '--pids-limit', '50', '--security-opt', 'no-new-privileges',
  '--restart', 'on-failure:5', '-p', '127.0.0.1:8080:8080', '-v', '/srv/data:/data:ro',
];

const DAEMON_JSON = {
  icc: false, 'live-restore': true, 'userland-proxy': false, 'no-new-privileges': true, 'log-level': 'info', iptables: true, experimental: false,
  'default-ulimits': { nofile: { Name: 'nofile', Soft: 1024, Hard: 4096 } },
  'log-driver': 'syslog', 'log-opts': { 'syslog-address': 'udp://192.0.2.9:514', mode: 'non-blocking' },
};

/** What nobody but the owner of a host can say. */
const POLICY = `
parameters:
  trustedUsers: [deploy]
  engine: { supportedReleases: ["20.10", "26.1"] }
  images: { trustedSources: ["docker.io/library/*"], maxAgeDays: 30 }
  swarm: { rootCaDays: 365 }
`;

const KINDS: Readonly<Record<string, { readonly prepare: (host: SystemdHost) => Promise<void>; readonly flags?: readonly string[] }>> = {
  stock: {
    prepare: async (host) => {
      await host.run('-d', '--name', 'plain', 'busybox:latest', 'sleep', '100000');
    },
  },
  hardened: {
    flags: ['--policy', '/root/harden.yaml'],
    prepare: async (host) => {
      await host.writeFile('/root/harden.yaml', POLICY);
      await host.writeFile('/etc/docker/daemon.json', `${JSON.stringify(DAEMON_JSON, null, 2)}\n`);
      await host.writeFile('/srv/image/Dockerfile', DOCKERFILE);
      await host.exec('systemctl restart docker && useradd -m -G docker deploy && docker network create own && mkdir -p /srv/data', { check: true });
      // The image on which the good one stands has no history: it stays as layers, without a name.
      await host.exec('docker build -t good:1 /srv/image && docker image rm busybox:latest', { check: true });
      await host.run('-d', '--name', 'right', ...RIGHT, 'good:1');
      await host.exec('for i in $(seq 100); do test "$(docker inspect -f "{{.State.Health.Status}}" right)" = healthy && exit 0; sleep 0.2; done; exit 1', { check: true });
    },
  },
  manager: {
    prepare: async (host) => {
      const swarm = 'docker swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 --data-path-addr 127.0.0.2 --autolock --cert-expiry 720h';
      await host.exec(`${swarm} && docker network create -d overlay --opt encrypted safe && echo secret | docker secret create token -`, { check: true });
      await host.exec([
        'docker', 'service', 'create', '--no-resolve-image', '--name', 'tight', '--secret', 'token', '--network', 'safe', '--env', 'API_TOKEN_FILE=/run/secrets/token',
        'busybox:latest', 'sleep', '100000',
      ], { check: true });
    },
  },
};

/** What remains on the hardened host: each takes another data root, or a plugin of the owner's choice. */
const UNAVOIDABLE = ['daemon.rootless', 'daemon.userns-remap', 'daemon.authz-plugin'];

describe.skipIf(skipReason('systemd') !== null)(titled('every verdict on hosts of three kinds', 'systemd'), () => {
  const hosts: SystemdHost[] = [];
  const reports = new Map<string, ScanDocument>();
  const seen = (kind: string, suite: Suite): ScanDocument => {
    const report = reports.get(`${kind} ${suite}`);
    if (report === undefined) throw new Error(`${kind} on ${suite} was not scanned`);
    return report;
  };

  beforeAll(async () => {
    // One after the other for each suite: an image that is missing is then built once.
    await Promise.all(SUITES.map(async (suite) => {
      for (const [kind, { prepare, flags = [] }] of Object.entries(KINDS)) {
        const host = await bed.systemdHost({ name: `${kind}-${suite}`, suite });
        hosts.push(host);
        await host.loadBusybox();
        await prepare(host);
        reports.set(`${kind} ${suite}`, await scan(host, ...flags));
      }
    }));
    for (const kind of Object.keys(KINDS)) recordVerdicts(kind, { bookworm: seen(kind, 'bookworm'), trixie: seen(kind, 'trixie') });
  });
  afterAll(() => Promise.all(hosts.map((host) => host.down())));

  const cases = Object.keys(KINDS).flatMap((kind) => SUITES.map((suite) => [kind, suite] as const));
  test.each(cases)('%s on %s', (kind, suite) => {
    expect(outcomes(seen(kind, suite))).toEqual(recordedVerdicts(kind, suite));
  });

  test.each(cases)('%s on %s has one result for each of the 118 recommendations', (kind, suite) => {
    const numbers = seen(kind, suite).results.flatMap(({ cis }) => cis === null ? [] : [cis]);
    expect(numbers).toHaveLength(118);
    expect(new Set(numbers).size).toBe(118);
  });

  test('the hardened host warns of nothing but what takes another data root, or a plugin', () => {
    for (const suite of SUITES) {
      const warns = seen('hardened', suite).results.filter(({ outcome }) => outcome === 'warn').map(({ check }) => check);
      expect(warns).toEqual(UNAVOIDABLE);
    }
  });

  test('every check has a remediation of a kind, and none says that it is not there yet', async () => {
    const [host] = hosts;
    if (host === undefined) throw new Error('no host');
    const { stdout } = await harden(host, ['list', 'checks', '--format', 'json']);
    const { checks } = JSON.parse(stdout) as { checks: { check: string; cis: string | null; remediation: { mode: string } }[] };
    expect(checks.filter(({ cis }) => cis !== null)).toHaveLength(118);
    expect(checks.filter(({ remediation }) => !['auto', 'choice', 'manual'].includes(remediation.mode))).toEqual([]);
    for (const args of [['list', 'checks'], ['plan'], ['scan']]) expect((await harden(host, args)).stdout).not.toMatch(/not (yet )?implemented/i);
  });
});
