import { remediations } from '../../remediations/index.ts';
import type { Session } from '../apply/session.ts';
import { UsageError } from '../errors.ts';
import { connectEngine } from '../host/engine.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { createLocalWriter } from '../host/local-writer.ts';
import type { Check, Facts } from '../model.ts';
import { valueOf } from '../model.ts';
import { TOOL } from '../version.ts';
import type { Context, WhereOptions } from './context.ts';
import { readFacts, stateDirOf } from './look.ts';

export interface SessionOptions extends WhereOptions {
  readonly restartCommand?: string;
}

/** Opens this host for changes; `close` lets go of the engine. */
export async function openSession(options: SessionOptions, checks: readonly Check[], context: Context): Promise<Session & { close(): void }> {
  const engine = await connectEngine({ dockerHost: options.dockerHost });
  return {
    reader: createLocalReader(),
    writer: createLocalWriter(),
    stateDir: stateDirOf(options, context),
    checks,
    remediations,
    tool: TOOL,
    restartCommand: options.restartCommand,
    collect: () => readFacts(options, context),
    ping: () => engine.version().then(() => true, () => false),
    startContainer: (id) => engine.startContainer(id),
    now: () => context.now(),
    progress: (text) => context.progress(text),
    close: () => engine.close(),
  };
}

/**
 * Refuses what could only end in a misleading "nothing to do": another host's engine, or files that this user may not write.
 * @throws UsageError
 */
export function requirePower({ engine, daemon }: Facts, { euid }: Context): void {
  if (euid !== 0 && valueOf(daemon.process)?.uid !== euid) {
    throw new UsageError('Only root, or the user that a rootless daemon runs as, can change this host. Nothing was changed.\nRun the command with sudo; sudo drops DOCKER_HOST, so name the engine with --docker-host if it is not the default one.');
  }
  if (engine.local.status !== 'present') {
    const reason = engine.local.status === 'unreadable' ? engine.local.reason : 'no process of this host serves it';
    throw new UsageError(`The engine at ${engine.endpoint} is not proven to be this host's: ${reason}. Nothing was changed.\nRun harden on the host of the engine.`);
  }
}
