/** Hosts that boot a real systemd, with Docker, containerd and sshd as services: containers of the outer engine. */
import { ENGINE } from './layout.ts';
import { currentRun, HAND } from './runs.ts';
import { cgroupMounts, containerIds, removeCgroups, thawCgroups } from './cgroups.ts';
import { docker, dockerCommand, enginePid, hostImage, withEngine } from './engine.ts';
import { hostMounts, hostRoot, type Suite } from './roots.ts';
import { tail, until } from './shell.ts';
import { checkName, TestHost, type Entry, type EntryOptions } from './test-host.ts';

const RUN_LABEL = 'docker-harden-e2e.run';
const BOOT_TIMEOUT_MS = 60_000;
const DATA_ROOT = '/var/lib/docker';
const GO_FILE = '/run/e2e-go';

export interface SystemdHostOptions {
  name: string;
  /** Default: bookworm (Docker 20.10); trixie has Docker 26.1. */
  suite?: Suite;
  /** Called when commands run in the host and files can be written, but systemd has not started yet. */
  prepare?: (host: SystemdHost) => Promise<void>;
}

export class SystemdHost extends TestHost {
  /** The container that the host is, in the outer engine. */
  readonly container: string;
  /** Where this machine and the other systemd hosts reach it. */
  readonly address: string;

  constructor(name: string, container: string, address: string) {
    super(name);
    this.container = container;
    this.address = address;
  }

  override entry(argv: readonly string[], { user, env, stdin, tty }: EntryOptions): Entry {
    const flags = [
      ...(stdin ? ['--interactive'] : []),
      ...(tty ? ['--tty'] : []),
      ...(user === undefined ? [] : ['--user', user]),
      ...Object.entries(env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ];
    return dockerCommand(['exec', ...flags, this.container, ...argv]);
  }

  override async down(): Promise<void> {
    if (enginePid() === undefined) return;
    const found = await docker(['inspect', '--format', mountSource(DATA_ROOT), this.container]);
    if (found.code !== 0) return;
    const inner = containerIds(found.stdout.trim());
    // What is paused cannot be killed, and no host ends before all that is in it.
    await thawCgroups(inner);
    await docker(['rm', '--force', '--volumes', this.container], { check: true });
    await removeCgroups(inner);
  }
}

function mountSource(destination: string): string {
  return `{{range .Mounts}}{{if eq .Destination "${destination}"}}{{.Source}}{{end}}{{end}}`;
}

/** Boots a host and waits until its engine answers and systemd has nothing more to start. */
export async function upSystemdHost({ name, suite = 'bookworm', prepare }: SystemdHostOptions): Promise<SystemdHost> {
  checkName(name);
  const run = currentRun();
  // Test runs that go on at the same time may choose the same names; a person means the one name.
  const container = run === HAND ? name : `${name}.${run}`;
  const root = await hostRoot(suite);
  await withEngine(async () => {
    const init = prepare === undefined ? ['/sbin/init'] : ['sh', '-c', `until test -e ${GO_FILE}; do sleep 0.05; done; exec /sbin/init`];
    const args = [
      'run', '--detach', '--name', container, '--hostname', name, '--label', `${RUN_LABEL}=${run}`,
      // overlay2 does not work on top of overlay2.
      '--volume', DATA_ROOT,
      '--cap-add', 'SYS_ADMIN', '--cap-add', 'NET_ADMIN', '--cap-add', 'SYS_PTRACE',
      '--security-opt', 'seccomp=unconfined',
      // Or /proc/sys is read-only, and published ports are dead without a userland proxy.
      '--security-opt', 'systempaths=unconfined',
      '--tmpfs', '/run', '--tmpfs', '/run/lock',
      ...cgroupArguments(),
      '--env', 'container=docker', '--stop-signal', 'SIGRTMIN+3',
      ...(await hostMounts(root)).flatMap(({ source, target }) => ['--mount', `type=bind,source=${source},target=${target},readonly`]),
      await hostImage(suite),
      ...init,
    ];
    const { code, stderr } = await docker(args);
    if (code === 0) return;
    if (stderr.includes('is already in use')) throw new Error(`there is a host ${container}; to remove it: npm run host -- down ${container}`);
    // It may have been made all the same, and only not started.
    await docker(['rm', '--force', '--volumes', container]);
    throw new Error(`host ${name}: ${stderr.trim()}`);
  });
  const host = await attach(container);
  if (host.address === '') throw new Error(`host ${container} is not running (see: docker --host unix://${ENGINE.socket} logs ${container})`);
  if (prepare !== undefined) {
    await prepare(host);
    await host.exec(['touch', GO_FILE], { check: true });
  }
  await until(async () => ((await host.exec(['docker', 'version'])).code === 0 ? true : undefined), {
    timeoutMs: BOOT_TIMEOUT_MS,
    explain: () => explainBoot(host),
  });
  // Exit code 1 is "degraded": auditd cannot run in a container, which is a case that harden has to cope with.
  await host.exec(['systemctl', 'is-system-running', '--wait'], { timeoutMs: BOOT_TIMEOUT_MS });
  return host;
}

/**
 * Gives the container every cgroup hierarchy. With v1 each is mounted by itself into a tmpfs of the container's own:
 * given the machine's /sys/fs/cgroup as a whole, systemd remounts it read-only, for the machine as well.
 */
function cgroupArguments(): string[] {
  const mounts = cgroupMounts();
  const own = mounts.includes('/sys/fs/cgroup') ? [] : ['--tmpfs', '/sys/fs/cgroup'];
  return ['--cgroupns=host', ...own, ...mounts.flatMap((path) => ['--volume', `${path}:${path}:rw`])];
}

async function explainBoot(host: SystemdHost): Promise<string> {
  const state = await docker(['inspect', '--format', '{{.State.Status}}, exit code {{.State.ExitCode}}', host.container]);
  const console = await docker(['logs', '--tail', '20', host.container]);
  const units = await host.exec(['systemctl', '--no-pager', '--failed']);
  const journal = await host.exec(['journalctl', '--no-pager', '--lines', '60']);
  return [
    `host ${host.name} did not come up within ${BOOT_TIMEOUT_MS} ms (container: ${state.stdout.trim()})`,
    tail(console.stdout + console.stderr), tail(units.stdout + units.stderr), tail(journal.stdout + journal.stderr, 60),
  ].join('\n');
}

/** The address is empty where it does not run any more: such a host can still be taken down. */
async function attach(container: string): Promise<SystemdHost> {
  const format = '{{.Config.Hostname}} {{.NetworkSettings.IPAddress}}';
  const { stdout } = await docker(['inspect', '--format', format, container], { check: true });
  const [name = '', address = ''] = stdout.trim().split(' ');
  return new SystemdHost(name, container, address);
}

/** A systemd host as `npm run host -- list` shows it. */
export interface SystemdHostEntry {
  container: string;
  run: string;
  state: string;
  image: string;
}

/** All systemd hosts of this cache directory, whoever made them. */
export async function listSystemdHosts(): Promise<SystemdHostEntry[]> {
  if (enginePid() === undefined) return [];
  const format = `{{.Names}}\t{{.Label "${RUN_LABEL}"}}\t{{.Status}}\t{{.Image}}`;
  const { stdout } = await docker(['ps', '--all', '--filter', `label=${RUN_LABEL}`, '--format', format], { check: true });
  return stdout.split('\n').filter((line) => line !== '').map((line) => {
    const [container = '', run = '', state = '', image = ''] = line.split('\t');
    return { container, run, state, image };
  });
}

/** A systemd host that exists already, under the name that `listSystemdHosts` gives it. */
export async function findSystemdHost(container: string): Promise<SystemdHost | undefined> {
  return (await listSystemdHosts()).some((entry) => entry.container === container) ? attach(container) : undefined;
}
