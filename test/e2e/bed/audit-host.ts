/**
 * Hosts with real kernel audit rules: a Debian root in mount, network and UTS namespaces of its own. Audit rules can
 * only be loaded from the initial pid namespace, so such a host shares it, and with it PID 1, which is not systemd: inside
 * it is a host with sysvinit scripts (`service docker restart` works).
 *
 * The rule table is the machine's. Therefore a machine-wide lock lets one audit host live at a time; it is held by the
 * host's holder process, that is, for exactly as long as the host exists. Never load `-e 2` in one: it locks the
 * table until the machine reboots.
 *
 * Of the 16 paths that the benchmark wants audited, 14 exist in a fresh host: not /etc/docker/daemon.json, until a
 * test or a fix writes it, and never /etc/sysconfig/docker, which is Red Hat's. The daemon is /usr/sbin/dockerd, as Debian has it.
 */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cgroupMounts, containerIds, removeCgroups } from './cgroups.ts';
import { AUDIT } from './layout.ts';
import { hostMounts, hostRoot, type Suite } from './roots.ts';
import { currentRun } from './runs.ts';
import { launch, output, tail, until, type ExecResult } from './shell.ts';
import { checkName, TestHost, type Entry, type EntryOptions } from './test-host.ts';

const STATE_FILE = 'host.json';
const LOCK_TIMEOUT_MS = 300_000;
const LOCK_CONFLICT = 75;
const ENGINE_TIMEOUT_MS = 30_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Makes the host's file system in fresh namespaces, waits until this process has noted down that the host exists, and
 * then keeps the namespaces alive by sleeping. If this process dies before that, so does the holder.
 */
const HOLDER_SCRIPT = `
umask 022
root=$1 state=$2 name=$3; shift 3
mkdir -p "$state/upper" "$state/work" "$state/merged" "$state/docker"
mount -t overlay -o "lowerdir=$root,upperdir=$state/upper,workdir=$state/work" overlay "$state/merged"
cd "$state/merged"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/lock
while [ "$1" != -- ]; do
  [ "$1" = /sys/fs/cgroup ] || mountpoint -q sys/fs/cgroup || mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  mkdir -p ".$1"
  mount --bind "$1" ".$1"
  shift
done
shift
while [ $# -gt 0 ]; do
  if [ -d "$1" ]; then mkdir -p ".$2"
  elif [ ! -e ".$2" ]; then mkdir -p "$(dirname ".$2")"; : >".$2"; fi
  mount --bind "$1" ".$2"
  mount -o remount,bind,ro ".$2"
  shift 2
done
mkdir -p var/lib/docker old-root
mount --bind "$state/docker" var/lib/docker
ip link set lo up
hostname "$name"
printf '%s\\n' "$name" >etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 %s\\n' "$name" >etc/hosts
# The init script raises limits, which takes a capability that a machine for tests need not have.
sed -i 's/^\\([[:space:]]*\\)ulimit .*/\\1:/' etc/init.d/docker
pivot_root . old-root
umount --lazy /old-root
rmdir /old-root
echo ready
read -r noted
exec sleep infinity
`;

export interface AuditHostOptions {
  name: string;
  /** Default: bookworm (Docker 20.10). */
  suite?: Suite;
  /** Called when commands run in the host and files can be written, but the engine has not started yet. */
  prepare?: (host: AuditHost) => Promise<void>;
}

/** The audit table as it was before a host, to be put back. */
interface AuditState {
  /** As `auditctl -s` names and prints them. */
  settings: Record<string, string>;
  rules: string;
}

/** Kept as a file in the host's directory, so that a later process can find the host, and a later host can put right what a crash left. */
interface HostState {
  name: string;
  run: string;
  holder: number;
  before: AuditState;
}

export class AuditHost extends TestHost {
  private readonly directory: string;
  private readonly holder: number;

  constructor(name: string, directory: string, holder: number) {
    super(name);
    this.directory = directory;
    this.holder = holder;
  }

  override entry(argv: readonly string[], { user, env }: EntryOptions): Entry {
    const as = user === undefined ? [] : ['runuser', '--user', user, '--'];
    const enter = ['nsenter', `--target=${this.holder}`, '--mount', '--net', '--uts', '--'];
    const home = user === undefined ? { HOME: '/root' } : {};
    return { argv: [...enter, ...as, ...argv], env: { PATH, LANG: 'C.UTF-8', ...home, ...env } };
  }

  /** Starts containerd and the Docker engine and waits until it answers. */
  async startEngine(): Promise<void> {
    await this.exec('setsid containerd >>/var/log/containerd.log 2>&1 </dev/null &', { check: true });
    await until(async () => ((await this.exec('test -S /run/containerd/containerd.sock')).code === 0 ? true : undefined), {
      timeoutMs: ENGINE_TIMEOUT_MS,
      explain: () => this.explain('containerd', '/var/log/containerd.log'),
    });
    await this.exec('service docker start', { check: true });
    await until(async () => ((await this.exec(['docker', 'version'])).code === 0 ? true : undefined), {
      timeoutMs: ENGINE_TIMEOUT_MS,
      explain: () => this.explain('the engine', '/var/log/docker.log'),
    });
  }

  private async explain(what: string, log: string): Promise<string> {
    const { stdout } = await this.exec(['tail', '--lines', '40', log]);
    return `host ${this.name}: ${what} does not answer:\n${stdout}`;
  }

  /**
   * What a reboot does to audit rules: every process ends, /run is empty, the kernel has no rules, and then, before
   * containerd and Docker start, auditd's unit runs `augenrules --load`. Gives the result of that. The engine is left
   * down; `startEngine` goes on with the boot.
   */
  async rebootRules(): Promise<ExecResult> {
    await killInside(this.directory, this.holder);
    const leftovers = 'findmnt --list --noheadings --output TARGET | grep ^/var/lib/docker/ | xargs --no-run-if-empty umount --lazy';
    await this.exec(leftovers, { check: true });
    await this.exec('umount --lazy /run && mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/lock', { check: true });
    await output(['auditctl', '-D']);
    // auditd.service is ordered after systemd-tmpfiles-setup.service.
    await this.exec('systemd-tmpfiles --create --prefix=/run');
    return this.exec(['augenrules', '--load']);
  }

  override async down(): Promise<void> {
    const state = await readState(this.directory);
    if (state !== undefined) await remove(this.directory, state);
  }
}

/** Makes a host and waits until its engine answers. Waits while another audit host exists, but not for ever. */
export async function upAuditHost({ name, suite = 'bookworm', prepare }: AuditHostOptions): Promise<AuditHost> {
  checkName(name);
  const root = await hostRoot(suite);
  const directory = join(AUDIT.directory, `${name}-${randomUUID()}`);
  const mounts = (await hostMounts(root)).flatMap(({ source, target }) => [source, target]);
  const holder = await startHolder([root.directory, directory, name, ...cgroupMounts(), '--', ...mounts]);
  await removeCrashed(directory);
  const state: HostState = { name, run: currentRun(), holder: holder.pid, before: await readAudit() };
  await writeFile(join(directory, STATE_FILE), JSON.stringify(state));
  holder.release();
  const host = new AuditHost(name, directory, holder.pid);
  try {
    await output(['auditctl', '-D']);
    await output(['auditctl', '-e', '1']);
    await prepare?.(host);
    await host.startEngine();
  } catch (error) {
    await host.down();
    throw error;
  }
  return host;
}

interface Holder {
  pid: number;
  /** Lets it live on without this process. */
  release: () => void;
}

/** Starts the holder, which first takes the machine-wide lock, and waits until the host's file system is complete. */
async function startHolder(scriptArguments: string[]): Promise<Holder> {
  await mkdir(dirname(AUDIT.lock), { recursive: true });
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (let waiting = false; ; waiting = true) {
    const holder = launch(
      [
        'flock', '--no-fork', '--nonblock', `--conflict-exit-code=${LOCK_CONFLICT}`, AUDIT.lock,
        'unshare', '--mount', '--net', '--uts', 'sh', '-euc', HOLDER_SCRIPT, 'audit-host', ...scriptArguments,
      ],
      { cwd: '/', env: { PATH }, detached: true },
    );
    let log = '';
    holder.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const code = await new Promise<number | null | 'ready'>((resolve, reject) => {
      holder.stdout.once('data', () => resolve('ready'));
      holder.once('close', (exitCode) => resolve(exitCode));
      holder.once('error', reject);
    });
    if (code === 'ready' && holder.pid !== undefined) {
      const release = (): void => {
        holder.stdin.end('noted\n');
        holder.stdout.destroy();
        holder.stderr.destroy();
        holder.unref();
      };
      return { pid: holder.pid, release };
    }
    const others = (await listAuditHosts()).map((entry) => entry.name).join(', ');
    if (code !== LOCK_CONFLICT || Date.now() > deadline) {
      throw new Error(
        code === LOCK_CONFLICT
          ? `the machine's audit rules are in use by another audit host (${others}); to remove it: npm run host -- down NAME`
          : `the audit host's file system could not be made (exit code ${String(code)}):\n${tail(log)}`,
      );
    }
    if (!waiting) process.stderr.write(`e2e: waiting for another audit host to go (${others})\n`);
    await sleep(500);
  }
}

async function remove(directory: string, { holder, before }: HostState): Promise<void> {
  await killInside(directory, holder);
  await restoreAudit(before, directory);
  const containers = containerIds(join(directory, 'docker'));
  // Its mounts, bridge and firewall go with the namespaces, the namespaces and the lock with the last process.
  await killInside(directory);
  await removeCgroups(containers);
  await rm(directory, { recursive: true });
}

/** Removes what is left of all other hosts: only one can be alive, and the caller has the lock. */
async function removeCrashed(alive: string): Promise<void> {
  for (const directory of await hostDirectories()) {
    if (directory === alive) continue;
    const state = await readState(directory);
    if (state === undefined) await rm(directory, { recursive: true });
    else await remove(directory, state);
  }
}

/** Kills all processes of a host, those in its containers included, except one. */
async function killInside(directory: string, except?: number): Promise<void> {
  await until(
    async () => {
      const doomed = processesOf(directory).filter((pid) => pid !== except);
      for (const pid of doomed) signalIfAlive(pid);
      return Promise.resolve(doomed.length === 0 ? true : undefined);
    },
    { timeoutMs: 20_000, explain: async () => Promise.resolve(`processes do not end: ${processesOf(directory).join(', ')}`) },
  );
}

function signalIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/** The processes that see the host's file system, and all their descendants: processes of containers see another one. */
function processesOf(directory: string): number[] {
  const all = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).map(Number);
  const parents = new Map(all.map((pid) => [pid, parentOf(pid)]));
  const inside = new Set(all.filter((pid) => isInside(pid, directory)));
  const belongs = (pid: number | undefined): boolean => pid !== undefined && (inside.has(pid) || belongs(parents.get(pid)));
  return all.filter(belongs);
}

/** The mount table of a process tells for sure: pids and namespace numbers are used again. */
function isInside(pid: number, directory: string): boolean {
  return readProc(pid, 'mountinfo').includes(`upperdir=${join(directory, 'upper')},`);
}

function parentOf(pid: number): number | undefined {
  const stat = readProc(pid, 'stat');
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie is its parent's to collect; it does nothing any more.
  return state === undefined || state === 'Z' || parent === undefined ? undefined : Number(parent);
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

// Lines of `auditctl -s` and the flags that set them. `augenrules --load` changes most of them.
const SETTING_FLAGS = {
  failure: '-f',
  rate_limit: '-r',
  backlog_limit: '-b',
  backlog_wait_time: '--backlog_wait_time',
  enabled: '-e',
} as const;

async function readAudit(): Promise<AuditState> {
  const status = await output(['auditctl', '-s']);
  const settings = Object.fromEntries([...status.matchAll(/^(\w+) (\d+)/gm)].map(([, name = '', value = '']) => [name, value]));
  const rules = await output(['auditctl', '-l']);
  return { settings, rules: rules === 'No rules' ? '' : rules };
}

async function restoreAudit({ settings, rules }: AuditState, directory: string): Promise<void> {
  await output(['auditctl', '-D']);
  if (rules !== '') {
    const file = join(directory, 'before.rules');
    await writeFile(file, `${rules}\n`);
    await output(['auditctl', '-R', file]);
  }
  for (const [name, flag] of Object.entries(SETTING_FLAGS)) {
    const value = settings[name];
    if (value !== undefined) await output(['auditctl', flag, value]);
  }
}

async function readState(directory: string): Promise<HostState | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, STATE_FILE), 'utf8')) as HostState;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function hostDirectories(): Promise<string[]> {
  return (await readdir(AUDIT.directory).catch(() => [])).map((entry) => join(AUDIT.directory, entry));
}

async function states(): Promise<{ directory: string; state: HostState }[]> {
  const found = await Promise.all((await hostDirectories()).map(async (directory) => ({ directory, state: await readState(directory) })));
  return found.flatMap(({ directory, state }) => (state === undefined ? [] : [{ directory, state }]));
}

/** An audit host as `npm run host -- list` shows it. */
export interface AuditHostEntry {
  name: string;
  run: string;
  alive: boolean;
}

/** All audit hosts of this cache directory, also what is left of killed ones. */
export async function listAuditHosts(): Promise<AuditHostEntry[]> {
  return (await states()).map(({ directory, state: { name, run: madeBy, holder } }) => ({
    name,
    run: madeBy,
    alive: isInside(holder, directory),
  }));
}

/** An audit host that exists already. */
export async function findAuditHost(name: string): Promise<AuditHost | undefined> {
  const found = (await states()).find(({ state }) => state.name === name);
  return found && new AuditHost(name, found.directory, found.state.holder);
}
