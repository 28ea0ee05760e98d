/**
 * The outer engine: a dockerd of the bed's own, in which systemd hosts are containers. It shares nothing with an
 * engine that the machine may have (containerd namespace, bridge, cgroup, configuration) and leaves the machine's
 * firewall and forwarding alone: hosts reach each other and the machine over the bridge, and nothing else.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeCgroups } from './cgroups.ts';
import { ENGINE } from './layout.ts';
import { hostRoot, type Suite } from './roots.ts';
import { currentRun, isRunAlive } from './runs.ts';
import { launchDaemon, output, run, tail, until, withLock, type ExecResult, type RunOptions } from './shell.ts';

const PID_FILE = join(ENGINE.directory, 'docker.pid');
const LOG_FILE = join(ENGINE.directory, 'dockerd.log');
const OWNER_FILE = join(ENGINE.directory, 'started-by');
const DATA_ROOT = join(ENGINE.directory, 'data');
const EXEC_ROOT = join(ENGINE.directory, 'exec');

/** The argv and environment of a docker command for the outer engine, whatever DOCKER_* the caller's environment has. */
export function dockerCommand(args: readonly string[]): { argv: string[]; env: NodeJS.ProcessEnv } {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('DOCKER_')));
  return { argv: ['docker', '--host', `unix://${ENGINE.socket}`, ...args], env };
}

/** Runs a docker command on the outer engine. */
export function docker(args: readonly string[], options: RunOptions = {}): Promise<ExecResult> {
  const { argv, env } = dockerCommand(args);
  return run(argv, { ...options, env });
}

/** Runs `action` with the outer engine up. Nobody stops it meanwhile; it stays up afterwards. */
export function withEngine<T>(action: () => Promise<T>): Promise<T> {
  return withLock(ENGINE.lock, async () => {
    if (enginePid() === undefined) await start();
    return action();
  });
}

/** Stops the outer engine if no host is left in it, unless somebody else started it and is still at it. */
export async function stopEngine(): Promise<void> {
  await withLock(ENGINE.lock, async () => {
    const pid = enginePid();
    if (pid === undefined) return;
    const startedBy = await readFile(OWNER_FILE, 'utf8');
    if (startedBy !== currentRun() && isRunAlive(startedBy)) return;
    if ((await docker(['ps', '--all', '--quiet'], { check: true })).stdout !== '') return;
    process.kill(pid, 'SIGTERM');
    await until(async () => Promise.resolve(existsSync(`/proc/${pid}`) ? undefined : true), {
      timeoutMs: 30_000,
      explain: async () => `the outer engine (pid ${pid}) does not stop:\n${tail(await readFile(LOG_FILE, 'utf8'))}`,
    });
    await run(['ip', 'link', 'delete', ENGINE.bridge]);
    await removeCgroups([ENGINE.cgroup]);
  });
}

/** The pid of the outer engine, when it runs. */
export function enginePid(): number | undefined {
  try {
    const pid = Number(readFileSync(PID_FILE, 'utf8'));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(PID_FILE) ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function start(): Promise<void> {
  await rm(EXEC_ROOT, { recursive: true, force: true });
  await mkdir(EXEC_ROOT, { recursive: true });
  await rm(PID_FILE, { force: true });
  await writeFile(OWNER_FILE, currentRun());
  await writeFile(join(ENGINE.directory, 'daemon.json'), '{}\n');
  if (!existsSync(`/sys/class/net/${ENGINE.bridge}`)) {
    await output(['ip', 'link', 'add', 'name', ENGINE.bridge, 'type', 'bridge']);
    await output(['ip', 'address', 'add', ENGINE.bridgeAddress, 'dev', ENGINE.bridge]);
    await output(['ip', 'link', 'set', ENGINE.bridge, 'up']);
  }
  const daemon = launchDaemon(
    [
      'dockerd',
      '--config-file', join(ENGINE.directory, 'daemon.json'),
      '--data-root', DATA_ROOT,
      '--exec-root', EXEC_ROOT,
      '--pidfile', PID_FILE,
      '--host', `unix://${ENGINE.socket}`,
      '--containerd-namespace', ENGINE.cgroup,
      '--containerd-plugins-namespace', `${ENGINE.cgroup}-plugins`,
      '--bridge', ENGINE.bridge,
      '--iptables=false',
      '--ip-masq=false',
      '--ip-forward=false',
      '--exec-opt', 'native.cgroupdriver=cgroupfs',
      '--cgroup-parent', `/${ENGINE.cgroup}`,
      '--storage-driver', 'overlay2',
    ],
    LOG_FILE,
  );
  await until(async () => ((await docker(['version'])).code === 0 || daemon.exitCode !== null ? true : undefined), {
    timeoutMs: 60_000,
    explain: async () => `the outer engine does not answer:\n${tail(await readFile(LOG_FILE, 'utf8'))}`,
  });
  if (daemon.exitCode !== null) {
    throw new Error(`the outer engine ended with code ${daemon.exitCode}:\n${tail(await readFile(LOG_FILE, 'utf8'))}`);
  }
}

/** The image of a Debian root in the outer engine, imported at first use. Call it inside `withEngine`. */
export async function hostImage(suite: Suite): Promise<string> {
  const { directory, recipe } = await hostRoot(suite);
  const image = `docker-harden-e2e:${recipe}`;
  if ((await docker(['image', 'inspect', image])).code === 0) return image;
  const { argv, env } = dockerCommand(['import', '-', image]);
  // A shell pipe, because a root is too large to pass through this process.
  const script = 'tar --create --numeric-owner --xattrs --directory="$1" . | { shift; "$@"; }';
  await run(['bash', '-o', 'pipefail', '-c', script, 'import', directory, ...argv], { env, check: true, timeoutMs: 300_000 });
  return image;
}
