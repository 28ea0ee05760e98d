import { dirname } from 'node:path';
import { messageOf } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import type { FileSnapshot } from '../host/port.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { describeAction } from '../steps.ts';
import type { PerformedAction } from './actions.ts';
import { lostBy, undoAction } from './actions.ts';
import type { WayBack } from '../daemon/way-back.ts';
import type { DaemonReturn } from './daemon.ts';
import { returnDaemon } from './daemon.ts';
import { restoreKernelRules } from './kernel-rules.ts';
import type { Session } from './session.ts';

/** One path that a run changed, as it was before. */
export interface FileUndo {
  readonly path: string;
  /** null: nothing was there. */
  readonly before: FileSnapshot | null;
  /** Directories that the run made for it, outermost first. */
  readonly made: readonly string[];
}

/** What a run did, or may have done when it was killed: enough to take it back. */
export interface RunEffects {
  /** In the order in which they were made. A path stands here once, as it was before its first change. */
  readonly files: readonly FileUndo[];
  readonly systemdReloaded: boolean;
  /** The drop-in that was loaded and the kernel's rules before it; null: no audit rules were loaded. */
  readonly audit: { readonly dropIn: string; readonly kernelBefore: readonly string[] } | null;
  readonly daemon: 'reload' | 'restart' | null;
  readonly configPath: string;
  /** How the daemon gets from the daemon.json that the run wrote to the one before. */
  readonly wayBack: WayBack;
  /** daemon.json that the daemon ran with when the run began; null: none, undefined: unknown. */
  readonly startedWith: string | null | undefined;
  readonly method: RestartMethod | null;
  /** Containers that ran when a run that was never finished stopped the daemon. */
  readonly alsoStart: DaemonReturn['alsoStart'];
  /** What was changed that is no file, in the order in which it was done: after the files, so it is taken back before them. */
  readonly actions: readonly PerformedAction[];
}

/** True when a path is as it was: mode, owner, and bytes where it had any. */
export const isAsBefore = (now: FileSnapshot | null, before: FileSnapshot | null): boolean =>
  now === null || before === null ? now === before
    : now.mode === before.mode && now.uid === before.uid && now.gid === before.gid && (before.content === null || now.content?.equals(before.content) === true);

async function restoreFile(session: Session, { path, before, made }: FileUndo): Promise<void> {
  const { writer } = session;
  await writer.removeLeftovers(path);
  if (before === null) {
    await writer.remove(path);
    for (const directory of [...made].reverse()) await writer.removeDirectory(directory);
    return;
  }
  if (isAsBefore(await writer.snapshot(path), before)) return;
  if (before.content === null) await writer.setMetadata(path, before);
  else await writer.replace(path, before.content, before);
}

/**
 * Takes a run back: actions in reverse order, then files in reverse order, then what re-reads them, the daemon last. Every part is tried even when another fails.
 * Returns what could not be put back, as sentences; empty when everything is as it was.
 * `immediate`: called by the failing run itself, so whatever differs from before is its own doing. `baseline` is asked for once the actions are
 * taken back: until then what they made may run, which goes with them.
 */
export async function undo(session: Session, effects: RunEffects, baseline: () => Promise<HealthBaseline>, immediate: boolean): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (what: string, act: () => Promise<void>): Promise<void> => {
    try {
      session.progress(what);
      await act();
    } catch (error) {
      problems.push(`${what}: ${messageOf(error)}`);
    }
  };
  for (const performed of [...effects.actions].reverse()) {
    const lost = await lostBy(performed, session);
    // Whoever rolls back was told beforehand what does not come back; a run that fails says here what it could not take back.
    if (lost !== null) {
      if (immediate) problems.push(lost);
    } else await attempt(`taking back: ${describeAction(performed.action)}`, () => undoAction(performed, session));
  }
  const config = effects.daemon === null ? undefined : effects.files.find(({ path }) => path === effects.configPath);
  for (const file of [...effects.files].reverse().filter((candidate) => candidate !== config)) {
    await attempt(`restoring ${file.path}`, () => restoreFile(session, file));
  }
  if (effects.systemdReloaded) {
    await attempt('systemd reads its units again', async () => {
      const { code, stderr } = await session.writer.run('systemctl', ['daemon-reload']);
      if (code !== 0) throw new Error(stderr.trim());
    });
  }
  const { audit, daemon } = effects;
  if (audit !== null) await attempt('restoring the kernel\'s audit rules', () => restoreKernelRules(session.writer, audit.dropIn, audit.kernelBefore, immediate));
  if (daemon !== null) {
    await attempt('returning the daemon to its old configuration', async () => returnDaemon(session, {
      configPath: effects.configPath, before: config?.before, wayBack: effects.wayBack, startedWith: effects.startedWith, activation: daemon, method: effects.method, baseline: await baseline(),
      alsoStart: effects.alsoStart,
    }));
  }
  if (config !== undefined) await attempt(`restoring ${config.path}`, () => restoreFile(session, config));
  for (const { path, before } of effects.files) {
    const now = await session.writer.snapshot(path).catch(() => undefined);
    if (now === undefined || !isAsBefore(now, before)) problems.push(`${path} is not as it was before the run (see ${dirname(path)})`);
  }
  return problems;
}
