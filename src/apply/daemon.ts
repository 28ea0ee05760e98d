import { setTimeout as sleep } from 'node:timers/promises';
import type { WayBack } from '../daemon/way-back.ts';
import { textsOnTheWay } from '../daemon/way-back.ts';
import { messageOf } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import { checkHealth } from '../health.ts';
import type { FileSnapshot, ToolResult } from '../host/port.ts';
import { HostError } from '../host/port.ts';
import { maskSecretsInText } from '../mask.ts';
import type { DaemonProcess } from '../model.ts';
import { valueOf } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { isSameProcess, startedWithNote, startedWithPath } from '../started-with.ts';
import type { Session } from './session.ts';

/** A daemon that has not come up by then is treated as one that will not. */
const RESTART_TIMEOUT_MS = 120_000;
const API_TIMEOUT_MS = 60_000;
const RELOAD_TIMEOUT_MS = 15_000;
const POLL_MS = 250;
/** As long as this a daemon has to stay up after a restart. */
const STEADY_MS = 4_000;

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
    const said = maskSecretsInText((result.stderr.trim() || result.stdout.trim()).split('\n').at(-1) ?? '');
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

/** A daemon that was restarted: its process, undefined where that cannot be seen, and when it answered (performance.now). */
export interface Restarted {
  readonly pid: number | undefined;
  readonly at: number;
}

/** Restarts the daemon and waits until the API of a new process answers. */
export async function restartDaemon(session: Session, method: RestartMethod, oldPid: number | null): Promise<Restarted> {
  const result = await restart(session, method);
  requireSuccess(result, 'The restart of the daemon', 'See `journalctl -u docker` for what it said.');
  if (!await until(() => session.ping(), API_TIMEOUT_MS)) {
    throw new HostError(`The engine's API did not answer within ${API_TIMEOUT_MS / 1000} s after the restart.`);
  }
  const pid = valueOf((await session.collect()).daemon.process)?.pid;
  if (pid !== undefined && pid === oldPid) {
    throw new HostError(`The daemon still runs as process ${pid}: the restart did not restart it. Name the right way with --restart-command.`);
  }
  return { pid, at: performance.now() };
}

/** One that comes up, answers and ends is started again by its service manager, over and over: only the time tells. */
export async function requireSteady(session: Session, { pid, at }: Restarted): Promise<void> {
  await sleep(Math.max(0, at + STEADY_MS - performance.now()));
  if (!await until(() => session.ping(), API_TIMEOUT_MS)) throw new HostError('The daemon came up, and does not answer any more.');
  const now = valueOf((await session.collect()).daemon.process)?.pid;
  if (pid !== undefined && now !== pid) throw new HostError(`The daemon does not stay up: process ${pid}, which the restart made, has ended${now === undefined ? '' : `, and another one, ${now}, was started`}.`);
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

type Watched = Pick<HealthBaseline['containers'][number], 'id' | 'name' | 'startedAt'>;

const isUp = (state: string | undefined): boolean => state === 'running' || state === 'paused' || state === 'restarting';

/**
 * Starts what ran before and does not run now, in the order in which it was started then. One that cannot start yet (it joins a
 * namespace of one that comes later) is tried again after the others; one that never starts does not keep the others down.
 * Returns why some could not be started.
 */
async function startStopped(session: Session, before: readonly Watched[]): Promise<string[]> {
  const states = new Map((valueOf((await session.collect()).containers) ?? []).map(({ id, runtime }) => [id, valueOf(runtime)?.state]));
  let waiting = before.filter(({ id }) => states.has(id) && !isUp(states.get(id))).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  for (;;) {
    const failed: { readonly container: Watched; readonly reason: string }[] = [];
    for (const container of waiting) {
      session.progress(`starting container ${container.name} again`);
      await session.engine.startContainer(container.id).catch((error: unknown) => failed.push({ container, reason: messageOf(error) }));
    }
    if (failed.length === 0 || failed.length === waiting.length) return failed.map(({ container, reason }) => `container ${container.name} does not start: ${reason}`);
    waiting = failed.map(({ container }) => container);
  }
}

/**
 * The health criteria after a reload or restart: the API answers, every container that ran runs (as the same process when
 * the containers were to survive), every network is there, every published TCP port that answered answers.
 */
export async function awaitHealthy(session: Session, baseline: HealthBaseline, samePids: boolean, toleratesLoss: (host: string, port: number) => boolean): Promise<void> {
  const unstarted = samePids ? [] : await startStopped(session, baseline.containers);
  const problems = await checkHealth(baseline, () => session.collect(), session, { samePids, lostPorts: toleratesLoss });
  if (problems.length > 0) throw new HostError(`After the restart ${[...problems, ...unstarted].join('; ')}.`);
}

/**
 * Leaves the note by which a later scan knows what the daemon runs with, when daemon.json was changed without a restart.
 * `left`: the text that is on disk now; `startedWith`: what `process` read at its start, undefined when nobody knows. Without the note
 * a scan says unknown, so whatever stands in its way is no failure of the run.
 */
export async function noteStartedWith(session: Session, left: string | null, startedWith: string | null | undefined, process: DaemonProcess | undefined): Promise<void> {
  const path = startedWithPath(session.stateDir);
  try {
    const now = valueOf((await session.collect()).daemon.process);
    await session.writer.removeLeftovers(path);
    // Somebody else's restart in between makes it another process, which has read the new file.
    const known = startedWith !== undefined && process !== undefined && now !== undefined && isSameProcess(process, now);
    if (!known) await session.writer.remove(path);
    else await session.writer.replace(path, Buffer.from(startedWithNote(process, left, startedWith)), { mode: 0o600, uid: 0, gid: 0 });
  } catch {
    await session.writer.remove(path).catch(() => undefined);
  }
}

/** The text of a file as it was, "" where there was none; without a byte order mark. */
export const textOf = (before: FileSnapshot | null): string => before?.content?.toString('utf8').replace(/^\uFEFF/, '') ?? '';

export interface DaemonReturn {
  readonly configPath: string;
  /** daemon.json as it was before the run; null: there was none. undefined: the run did not touch it. */
  readonly before: FileSnapshot | null | undefined;
  readonly wayBack: WayBack;
  /** daemon.json that the daemon started with before the run, for a run that did not restart it; undefined: nobody knows. */
  readonly startedWith: string | null | undefined;
  readonly activation: 'reload' | 'restart';
  readonly method: RestartMethod | null;
  readonly baseline: HealthBaseline;
  /** Containers that the run may have stopped without starting them again. */
  readonly alsoStart: readonly Watched[];
}

/**
 * Brings the daemon back to its old configuration; the old files but daemon.json are in place already. Removing a key and reloading does not
 * reset it, and a daemon that starts without live-restore stops the containers that survived under it. So the old file is
 * first written with explicit values, the daemon restarted and reloaded with those, and the exact bytes come last.
 * May be called again after it was killed. @throws HostError
 */
export async function returnDaemon(session: Session, request: DaemonReturn): Promise<void> {
  const { configPath, before, wayBack: way, startedWith, activation, method, baseline, alsoStart } = request;
  const { writer } = session;
  const onTheWay = before === undefined ? null : textsOnTheWay(textOf(before), way);
  const write = async (text: string): Promise<void> =>
    writer.replace(configPath, Buffer.from(text), before ?? await writer.snapshot(configPath) ?? { mode: 0o644, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });
  const putBack = async (): Promise<void> => {
    if (before === undefined) return;
    if (before === null) await writer.remove(configPath);
    else if (before.content !== null) await writer.replace(configPath, before.content, before);
  };

  const answers = await session.ping();
  const restarts = activation === 'restart' || !answers;
  if (restarts) {
    if (method === null) throw new HostError('harden does not know how this daemon is restarted. Restart it by hand, or give --restart-command.');
    // One that ends and is started again all the time may be gone by now: then it reads the file when it starts.
    const running = answers ? await session.collect().then((facts) => valueOf(facts.daemon.process), () => undefined) : undefined;
    if (way.keepContainers && onTheWay !== null) {
      await write(onTheWay.restart);
      if (running !== undefined) await reloadDaemon(session, true).catch((error: unknown) => session.progress(messageOf(error)));
    } else await putBack();
    session.progress('restarting the daemon with its old configuration');
    await restartDaemon(session, method, running?.pid ?? null);
  }
  if (onTheWay !== null && (way.keepContainers || (!restarts && Object.keys(way.explicit).length > 0))) {
    await write(onTheWay.reload);
    await reloadDaemon(session, way.keepContainers ? false : null);
  }
  await putBack();
  if (before !== undefined) {
    const old = before === null ? null : textOf(before);
    await noteStartedWith(session, old, restarts ? old : startedWith, valueOf((await session.collect()).daemon.process));
  }
  // Last, so that a service that is slow to come back does not keep the daemon from its old configuration.
  const unstarted = await startStopped(session, [...baseline.containers, ...alsoStart.filter(({ id }) => !baseline.containers.some((container) => container.id === id))]);
  const problems = [...await checkHealth(baseline, () => session.collect(), session, { samePids: false }), ...unstarted];
  if (problems.length > 0) throw new HostError(`With its old configuration ${problems.join('; ')}.`);
}
