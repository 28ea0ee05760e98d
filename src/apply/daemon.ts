import { setTimeout as sleep } from 'node:timers/promises';
import { mergeJson, parseConfigFile } from '../daemon/json-edit.ts';
import { explicitRollback } from '../daemon/settings.ts';
import type { HealthBaseline } from '../health.ts';
import { checkHealth } from '../health.ts';
import type { FileSnapshot, ToolResult } from '../host/port.ts';
import { HostError } from '../host/port.ts';
import { valueOf } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { startedWithNote, startedWithPath } from '../started-with.ts';
import type { Session } from './session.ts';

/** A daemon that has not come up by then is treated as one that will not. */
const RESTART_TIMEOUT_MS = 120_000;
const API_TIMEOUT_MS = 60_000;
const RELOAD_TIMEOUT_MS = 15_000;
const POLL_MS = 250;

/** Polls until `probe` holds; false when the time is over. */
async function until(probe: () => Promise<boolean>, timeoutMs: number, now: () => number = Date.now): Promise<boolean> {
  const deadline = now() + timeoutMs;
  for (;;) {
    if (await probe()) return true;
    if (now() >= deadline) return false;
    await sleep(POLL_MS);
  }
}

const requireSuccess = (result: ToolResult, what: string, next: string): void => {
  if (result.code !== 0) {
    const said = (result.stderr.trim() || result.stdout.trim()).split('\n').at(-1) ?? '';
    throw new HostError(`${what} failed (exit ${result.code})${said === '' ? '' : `: ${said}`}. ${next}`);
  }
};

/** A unit that failed a few times in a row refuses the next start (systemd.unit(5), StartLimitBurst=) until it is reset. */
async function restart(session: Session, method: RestartMethod): Promise<ToolResult> {
  const { writer } = session;
  const options = { timeoutMs: RESTART_TIMEOUT_MS };
  switch (method.kind) {
    case 'systemd':
      await writer.run('systemctl', ['reset-failed', method.unit, 'docker.socket']);
      return writer.run('systemctl', ['restart', method.unit], options);
    case 'sysvinit': return writer.run('service', [method.service, 'restart'], options);
    case 'command': return writer.run('sh', ['-c', method.command], options);
  }
}

/** Restarts the daemon and waits until the API of a new process answers. */
export async function restartDaemon(session: Session, method: RestartMethod, oldPid: number | null): Promise<void> {
  const result = await restart(session, method);
  requireSuccess(result, 'The restart of the daemon', 'See `journalctl -u docker` for what it said.');
  if (!await until(() => session.ping(), API_TIMEOUT_MS)) {
    throw new HostError(`The engine's API did not answer within ${API_TIMEOUT_MS / 1000} s after the restart.`);
  }
  const pid = valueOf((await session.collect()).daemon.process)?.pid;
  if (pid !== undefined && pid === oldPid) {
    throw new HostError(`The daemon still runs as process ${pid}: the restart did not restart it. Name the right way with --restart-command.`);
  }
}

/** SIGHUP, then GET /info until it says what the reload was for. A reload of an invalid file leaves the daemon as it was. */
export async function reloadDaemon(session: Session, liveRestore: boolean | null): Promise<void> {
  const process = valueOf((await session.collect()).daemon.process);
  if (process === undefined) throw new HostError('The daemon\'s process is not to be seen, so it cannot be told to reload.');
  await session.writer.signal(process.pid, 'SIGHUP');
  const confirmed = await until(async () => {
    const info = valueOf((await session.collect()).engine.info);
    return info !== undefined && (liveRestore === null || info.liveRestore === liveRestore);
  }, RELOAD_TIMEOUT_MS);
  if (!confirmed) throw new HostError(`The daemon did not take over live-restore=${String(liveRestore)} within ${RELOAD_TIMEOUT_MS / 1000} s of the reload.`);
}

/** Starts what ran before and does not run now, in the order in which it was started then. */
async function startStopped(session: Session, baseline: HealthBaseline): Promise<void> {
  const running = new Set((valueOf((await session.collect()).containers) ?? [])
    .filter(({ runtime }) => valueOf(runtime)?.state === 'running').map(({ id }) => id));
  const stopped = baseline.containers.filter(({ id }) => !running.has(id)).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  for (const { id, name } of stopped) {
    session.progress(`starting container ${name} again`);
    await session.startContainer(id);
  }
}

/**
 * The health criteria after a reload or restart: the API answers, every container that ran runs (as the same process when
 * the containers were to survive), every network is there, every published TCP port that answered answers.
 */
export async function awaitHealthy(session: Session, baseline: HealthBaseline, samePids: boolean, toleratesLoss: (host: string, port: number) => boolean): Promise<void> {
  if (!samePids) await startStopped(session, baseline);
  const problems = await checkHealth(baseline, () => session.collect(), session, { samePids, lostPorts: toleratesLoss });
  if (problems.length > 0) throw new HostError(`After the restart ${problems.join('; ')}.`);
}

/**
 * Leaves the note by which a later scan knows what the daemon runs with, when daemon.json was changed without a restart.
 * `left`: the text that is on disk now; `startedWith`: what the process read at its start, undefined when nobody knows.
 */
export async function noteStartedWith(session: Session, left: string | null, startedWith: string | null | undefined): Promise<void> {
  const path = startedWithPath(session.stateDir);
  const process = valueOf((await session.collect()).daemon.process);
  if (startedWith === undefined || process === undefined) return session.writer.remove(path);
  await session.writer.replace(path, Buffer.from(startedWithNote(process, left, startedWith)), { mode: 0o600, uid: 0, gid: 0 });
}

export interface DaemonReturn {
  readonly configPath: string;
  /** daemon.json as it was before the run; null: there was none. undefined: the run did not touch it. */
  readonly before: FileSnapshot | null | undefined;
  /** The text that the run wrote. */
  readonly written: string | null;
  /** daemon.json that the daemon started with before the run, for a run that did not restart it; undefined: nobody knows. */
  readonly startedWith: string | null | undefined;
  readonly activation: 'reload' | 'restart';
  readonly method: RestartMethod | null;
  readonly baseline: HealthBaseline;
}

/**
 * Brings the daemon back to its old configuration; the old files but daemon.json are in place already. Removing a key and reloading does not
 * reset it, and a daemon that starts without live-restore stops the containers that survived under it. So the old file is
 * first written with explicit values, the daemon restarted and reloaded with those, and the exact bytes come last.
 */
export async function returnDaemon(session: Session, request: DaemonReturn): Promise<void> {
  const { configPath, before, written, startedWith, activation, method, baseline } = request;
  const oldText = before?.content?.toString('utf8').replace(/^\uFEFF/, '') ?? '';
  const oldConfig = parseConfigFile(oldText).parsed;
  const newConfig = parseConfigFile(written ?? '').parsed;
  const explicit = before !== undefined && oldConfig.ok && newConfig.ok ? explicitRollback(oldConfig.value, newConfig.value) : {};
  const metadata = before ?? { mode: 0o644, uid: 0, gid: 0 };
  const write = (text: string): Promise<void> => session.writer.replace(configPath, Buffer.from(text), metadata);
  const putBack = async (): Promise<void> => {
    if (before === undefined) return;
    if (before === null) await session.writer.remove(configPath);
    else if (before.content !== null) await session.writer.replace(configPath, before.content, before);
  };

  const keepsContainers = explicit['live-restore'] === false;
  if (activation === 'restart') {
    if (method === null) throw new HostError('harden does not know how this daemon is restarted. Restart it by hand, or give --restart-command.');
    if (keepsContainers) await write(mergeJson(oldText, { ...explicit, 'live-restore': true }));
    else await putBack();
    session.progress('restarting the daemon with its old configuration');
    await restartDaemon(session, method, null);
    await awaitHealthy(session, baseline, keepsContainers, () => false);
  }
  if (before !== undefined && Object.keys(explicit).length > 0) {
    await write(mergeJson(oldText, explicit));
    await reloadDaemon(session, typeof explicit['live-restore'] === 'boolean' ? explicit['live-restore'] : null);
  }
  await putBack();
  const old = before === null ? null : oldText;
  if (before !== undefined) await noteStartedWith(session, old, activation === 'restart' ? old : startedWith);
}
