/** Processes, locks and waiting: what the rest of the bed is written with. */
import { spawn, spawnSync, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What a finished command left behind. A command ended by a signal has the code a shell would give it: 128 + signal. */
export interface ExecResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: string | Buffer | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  timeoutMs?: number | undefined;
  /** Throw when the command exits non-zero. */
  check?: boolean | undefined;
}

const DEFAULT_TIMEOUT_MS = 120_000;

export interface LaunchOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** In a session of its own, so that it can outlive this process. */
  detached?: boolean;
}

/** Starts a command with pipes to it. */
export function launch(argv: readonly string[], options: LaunchOptions = {}): ChildProcessWithoutNullStreams {
  const [file = '', ...args] = argv;
  return spawn(file, args, options);
}

/** Starts a command that outlives this process and writes to a log file. */
export function launchDaemon(argv: readonly string[], logFile: string): ChildProcess {
  const [file = '', ...args] = argv;
  const log = openSync(logFile, 'w');
  const daemon = spawn(file, args, { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  daemon.unref();
  return daemon;
}

/** Runs a command to its end before anything else happens: for what cannot wait for a promise. A command that cannot be started has code 127. */
export function runSync(argv: readonly string[], options: { cwd?: string } = {}): ExecResult {
  const [file = '', ...args] = argv;
  const { status, stdout, stderr, error } = spawnSync(file, args, { ...options, encoding: 'utf8' });
  return error === undefined ? { code: status ?? 128, stdout, stderr } : { code: 127, stdout: '', stderr: error.message };
}

/** Runs a command to its end. Rejects when it cannot be started, when it runs out of time, and with `check` when it fails. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<ExecResult> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    const child = launch(argv, { env: options.env ?? process.env });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A command that exits without reading its input is judged by its exit code, not by the broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
      // A grandchild may hold the pipes open; what it still has to say is not worth waiting for.
      child.stdout.destroy();
      child.stderr.destroy();
    }, timeoutMs);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const result: ExecResult = {
        code: code ?? 128 + constants.signals[signal ?? 'SIGKILL'],
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      };
      if (timedOut) reject(failure(argv, `still running after ${timeoutMs} ms`, result));
      else if (options.check === true && result.code !== 0) reject(failure(argv, `exit code ${result.code}`, result));
      else resolve(result);
    });
  });
}

function failure(argv: readonly string[], why: string, { stdout, stderr }: ExecResult): Error {
  return new Error([`${argv.join(' ')}: ${why}`, tail(stderr), tail(stdout)].filter((part) => part !== '').join('\n'));
}

/** The standard output of a command that must succeed, without the final newline. */
export async function output(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  return (await run(argv, { ...options, check: true })).stdout.trimEnd();
}

/** The last lines of a log, for an error message. */
export function tail(text: string, lines = 40): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n');
}

/** Polls until `probe` gives something other than undefined; throws what `explain` says when the time is up. */
export async function until<T>(
  probe: () => Promise<T | undefined>,
  { timeoutMs, explain }: { timeoutMs: number; explain: () => Promise<string> },
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(await explain());
    await sleep(50);
  }
}

/**
 * Runs `action` while no other process runs one under the same lock file. The kernel holds the lock for a flock(1)
 * child that lives as long as our end of its stdin, so a crash of this process releases it.
 */
export async function withLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = launch(['flock', '--exclusive', file, 'sh', '-c', 'echo locked; exec cat >/dev/null']);
  const ended = new Promise<void>((resolve) => holder.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('error', reject);
    holder.once('exit', (code) => reject(new Error(`flock ${file}: exit code ${String(code)}`)));
  });
  try {
    return await action();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

/** When a process started, in clock ticks since boot: with the pid it names one process for as long as the machine is up. */
export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
