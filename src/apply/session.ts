import type { EngineControl } from '../host/engine-control.ts';
import type { HostReader, HostWriter } from '../host/port.ts';
import type { RunUser } from '../journal.ts';
import type { Check, Facts, Remediation, ToolStamp } from '../model.ts';
import type { RunNote } from './record.ts';

/** What changes a host: its ports, where its state lives, and how to look at it again. */
export interface Session {
  readonly reader: HostReader;
  readonly writer: HostWriter;
  /** Journal, backups and lock: /var/lib/harden unless --state-dir says otherwise. */
  readonly stateDir: string;
  readonly checks: readonly Check[];
  readonly remediations: readonly Remediation[];
  readonly tool: ToolStamp;
  readonly restartCommand: string | undefined;
  /** Of the engine that is talked to, answer or not, as in Facts.engine.endpoint. */
  readonly endpoint: string;
  /** `thorough`: with all that verdicts rest on, also what takes long to read (--deep, how much space is used). Steps and health checks need no more than the rest. */
  collect(thorough?: boolean): Promise<Facts>;
  /** True when the engine's API answers. */
  ping(): Promise<boolean>;
  /** What changes the engine. */
  readonly engine: EngineControl;
  now(): Date;
  /** What the operator says that this is for (--ticket). */
  readonly ticket: string | null;
  /** Who acts: in a guard whoever started the run. */
  readonly user: RunUser;
  /** Leaves a record outside of our own journal, in syslog; says where that cannot be, and never fails. */
  record(note: RunNote): Promise<void>;
  /** The signal that asked this process to end since changes began, e.g. "SIGTERM"; null: none. It is obeyed between steps. */
  interrupted(): string | null;
  progress(text: string): void;
}
