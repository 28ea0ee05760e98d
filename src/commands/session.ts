import { remediations } from '../../remediations/index.ts';
import { leaveNote, noteText } from '../apply/record.ts';
import { currentUser } from '../apply/run-header.ts';
import type { Session } from '../apply/session.ts';
import { UsageError } from '../errors.ts';
import { connectEngine } from '../host/engine.ts';
import { createLocalReader } from '../host/local-reader.ts';
import { createLocalWriter } from '../host/local-writer.ts';
import type { RunUser } from '../journal.ts';
import type { Check, Facts } from '../model.ts';
import { valueOf } from '../model.ts';
import { escapeLine } from '../render/escape.ts';
import { TOOL } from '../version.ts';
import type { Context, WhereOptions } from './context.ts';
import { readFacts, stateDirOf } from './look.ts';

export interface SessionOptions extends WhereOptions {
  readonly restartCommand?: string;
  readonly ticket?: string;
  /** Whoever acts, where it is not who runs this process. */
  readonly user?: RunUser;
}

/** What would end this process half-way through a change: Ctrl-C, a service manager's stop, a terminal that goes away. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

class HeldSignals {
  first: string | null = null;
  private readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }

  hold(): void {
    for (const name of ENDING) process.on(name, this.note);
  }

  release(): void {
    for (const name of ENDING) process.off(name, this.note);
  }

  private readonly note = (name: NodeJS.Signals): void => {
    this.first ??= name;
    this.context.err(`harden: ${name}: the step that is under way is finished first, and the host is left in a known state\n`);
  };
}

export type OpenSession = Session & {
  /** From here on, signals that would end this process are only noted. */
  holdSignals(): void;
  /** Lets go of the engine and of signals. */
  close(): void;
};

/** Opens this host for changes. */
export async function openSession(options: SessionOptions, checks: readonly Check[], context: Context): Promise<OpenSession> {
  const engine = await connectEngine({ dockerHost: options.dockerHost });
  const signals = new HeldSignals(context);
  const [reader, writer] = [createLocalReader(), createLocalWriter()];
  const user = options.user ?? currentUser();
  const ticket = options.ticket ?? null;
  let complained = false;
  return {
    reader,
    writer,
    user,
    ticket,
    record: async (note) => {
      const problem = await leaveNote(noteText(note, user, ticket), { reader, writer });
      if (problem !== null && !complained) context.err(`harden: ${escapeLine(problem)}\n`);
      complained ||= problem !== null;
    },
    stateDir: stateDirOf(options, context),
    checks,
    remediations,
    tool: TOOL,
    restartCommand: options.restartCommand,
    endpoint: engine.endpoint.url,
    collect: (thorough = false) => readFacts({ ...options, evidence: true, deep: thorough && options.deep === true, diskUsage: thorough && options.diskUsage === true }, context),
    ping: () => engine.version().then(() => true, () => false),
    engine: engine.control,
    now: () => context.now(),
    progress: (text) => context.progress(text),
    interrupted: () => signals.first,
    holdSignals: () => signals.hold(),
    close: () => {
      signals.release();
      engine.close();
    },
  };
}

/**
 * Refuses what could only end in a misleading "nothing to do": another host's engine, or files that this user may not write.
 * Without facts (no engine answers) only root may go on.
 * @throws UsageError
 */
export function requirePower(facts: Facts | null, { euid }: Context): void {
  if (euid !== 0 && (facts === null || valueOf(facts.daemon.process)?.uid !== euid)) {
    throw new UsageError('Only root, or the user that a rootless daemon runs as, can change this host. Nothing was changed.\nRun the command with sudo; sudo drops DOCKER_HOST, so name the engine with --docker-host if it is not the default one.');
  }
  if (facts === null) return;
  const { engine } = facts;
  if (engine.local.status !== 'present') {
    const reason = engine.local.status === 'unreadable' ? engine.local.reason : 'no process of this host serves it';
    throw new UsageError(`The engine at ${engine.endpoint} is not proven to be this host's: ${reason}. Nothing was changed.\nRun harden on the host of the engine.`);
  }
}
