import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { sha256 } from './digest.ts';
import { HostError, type FileSnapshot, type HostReader, type HostWriter } from './host/port.ts';
import type { Json, JsonObject } from './model.ts';
import { octal } from './octal.ts';

/*
 * STATE/runs/RUN/journal.jsonl   one JSON object per line, each durable before what it announces is done
 * STATE/runs/RUN/plan.json       the plan document that the run carries out
 * STATE/runs/RUN/backups/NNN     bytes of files as they were, verbatim, 0600
 *
 * The journal holds paths, digests and modes; bytes of the owner's files are in the backups only.
 */

/** What a run is, written before its first step. Callers may add fields. */
export type RunHeader = JsonObject & {
  runId: string;
  /** null for a rollback. */
  planId: string | null;
  /** ISO 8601 UTC. */
  createdAt: string;
  tool: { name: string; version: string };
  user: RunUser;
  /** What the operator said the run is for (--ticket); missing where nothing was said. */
  ticket?: string | null;
  /** Seconds after its end within which it has to be confirmed, or its guard undoes it; missing: it stays. */
  confirmWithin?: number | null;
};

/** Who starts a run: the effective user, `loginuid` from /proc/self/loginuid (null when unset), `sudoUser` from SUDO_USER. */
export type RunUser = { uid: number; loginuid: number | null; sudoUser: string | null };

/** What is about to be done. `change` is the id of the change that the step belongs to, null for a step of the whole run. */
export type StepRecord = JsonObject & { change: string | null; kind: string };

export type JournalEntry =
  | { readonly type: 'intent'; readonly seq: number; readonly at: string; readonly step: StepRecord }
  | { readonly type: 'done'; readonly seq: number; readonly at: string; readonly note: JsonObject | null }
  | { readonly type: 'failed'; readonly seq: number; readonly at: string; readonly error: string }
  | { readonly type: 'reverted'; readonly seq: number; readonly at: string }
  | { readonly type: 'closed'; readonly at: string; readonly result: JsonObject }
  /** Written into a run's journal by the run that undid it. */
  | { readonly type: 'rolledBack'; readonly at: string; readonly by: string }
  /** Somebody said in time that the run is to stay. */
  | { readonly type: 'confirmed'; readonly at: string; readonly user: RunUser; readonly ticket: string | null }
  /** Nobody did, and the guard could not undo it. */
  | { readonly type: 'notReverted'; readonly at: string; readonly reason: string };

/** A path as it was before a step, as the journal holds it. */
interface BackupRef extends JsonObject {
  /** Where the path led to. */
  realPath: string;
  /** Below the run's directory; null for anything but a regular file. */
  file: string | null;
  /** Hex, of the file's bytes; null without them. */
  sha256: string | null;
  mode: number;
  uid: number;
  gid: number;
}

/** A run that is being written. Calls must not overlap. */
export interface Run {
  readonly runId: string;
  /** Says that a step is about to be done; resolves with its number once that is durable. */
  intent(step: StepRecord): Promise<number>;
  done(seq: number, note?: JsonObject): Promise<void>;
  /** `error` must not hold secrets. */
  failed(seq: number, error: string): Promise<void>;
  reverted(seq: number): Promise<void>;
  /** Nothing is left to finish or undo. */
  close(result: JsonObject): Promise<void>;
  /** Keeps what was found at a path; null when nothing was. To be called before the intent that needs it. */
  backup(snapshot: FileSnapshot): Promise<BackupRef>;
  backup(snapshot: FileSnapshot | null): Promise<BackupRef | null>;
}

export interface RunRecord {
  readonly runId: string;
  readonly header: RunHeader;
  readonly entries: readonly JournalEntry[];
  /** Nothing is left to finish or undo: it was closed, or undone by another run. */
  readonly closed: boolean;
  readonly result: JsonObject | null;
  /** The run that undid this one. */
  readonly rolledBackBy: string | null;
  readonly confirmation: Confirmation | null;
}

/** Of a run that was to be confirmed, once it ended with something in. */
export interface Confirmation {
  /** Seconds. */
  readonly within: number;
  /** The end of that time, ISO 8601 UTC. */
  readonly by: string;
  /** ISO 8601 UTC; null: nobody did. */
  readonly confirmedAt: string | null;
  /** Why its guard could not undo it; null: it did not have to, or did. */
  readonly notReverted: string | null;
}

export interface RunSummary {
  readonly runId: string;
  /** null for a rollback, and where there is no header: the run was killed before its first step, or its journal is unreadable. */
  readonly planId: string | null;
  readonly createdAt: string | null;
  /** As in RunRecord; true of a run that was killed before its first step. */
  readonly closed: boolean;
  readonly result: JsonObject | null;
  readonly rolledBackBy: string | null;
  /** null where there is no header. */
  readonly user: RunUser | null;
  readonly ticket: string | null;
  readonly confirmation: Confirmation | null;
  /** Why its journal cannot be read; null when it can. Such a run is not closed: what it did is not known. */
  readonly unreadable: string | null;
}

const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;

/** Sorts by time, second by second: 20261122T101530Z-ab12cd. */
export const newRunId = (now: Date): string => `${now.toISOString().replace(/[-:]|\.\d+/g, '')}-${randomBytes(3).toString('hex')}`;

const RUN_ID = /^\d{8}T\d{6}Z-[0-9a-f]{6}$/;

const runsDirectory = (stateDir: string): string => join(stateDir, 'runs');

/** @throws HostError unless it is a run id: it comes from the command line and becomes part of a path */
function runDirectory(stateDir: string, runId: string): string {
  if (!RUN_ID.test(runId)) throw new HostError(`${JSON.stringify(runId)} is not a run id (they look like 20261122T101530Z-ab12cd). \`harden history\` lists them`);
  return join(runsDirectory(stateDir), runId);
}

const journalPath = (directory: string): string => join(directory, 'journal.jsonl');

/** ASCII only: cut anywhere, it is still text that a reader can decode. */
const line = (value: object): string =>
  JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Starts a run: its directory, its plan (null for a rollback) and the journal's header, all durable when this resolves. */
export async function createRun(stateDir: string, writer: HostWriter, header: RunHeader, plan: object | null): Promise<Run> {
  const directory = runDirectory(stateDir, header.runId);
  const made = await writer.makeDirectory(join(directory, 'backups'));
  if (made.length < 2) throw new HostError(`the run ${header.runId} exists already`);
  for (const path of made) await writer.setMetadata(path, { mode: 0o700, ...owner() });
  if (plan !== null) await writer.replace(join(directory, 'plan.json'), Buffer.from(`${JSON.stringify(plan)}\n`), { mode: 0o600, ...owner() });
  await writer.append(journalPath(directory), line(header));
  return runAt(directory, header.runId, writer, { seq: 0, backups: 0 });
}

/** Takes up a run again that was killed. Steps and backups are numbered on. */
export async function resumeRun(stateDir: string, runId: string, writer: HostWriter, reader: HostReader): Promise<Run> {
  const directory = runDirectory(stateDir, runId);
  const { entries } = await readRun(stateDir, runId, reader);
  const [backups] = await reader.observe([{ kind: 'list', path: join(directory, 'backups'), depth: 1 }]);
  if (backups.status !== 'present') throw new HostError(`the backups of run ${runId} cannot be listed: ${backups.status === 'absent' ? 'the directory is gone' : backups.reason}`);
  const highest = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.max(a, b), 0);
  return runAt(directory, runId, writer, {
    seq: highest(entries.map((entry) => (entry.type === 'intent' ? entry.seq : 0))),
    backups: highest(backups.value.map((path) => Number(/\/(\d{3,})$/.exec(path)?.[1] ?? 0))),
  });
}

function runAt(directory: string, runId: string, writer: HostWriter, last: { readonly seq: number; readonly backups: number }): Run {
  let { seq, backups } = last;
  type Unstamped = JournalEntry extends infer Entry ? (Entry extends JournalEntry ? Omit<Entry, 'at'> : never) : never;
  const write = (entry: Unstamped): Promise<void> =>
    writer.append(journalPath(directory), line({ ...entry, at: new Date().toISOString() } satisfies JournalEntry));
  // The overloads say that null comes back for null only.
  const backup = (async (snapshot: FileSnapshot | null) => {
    if (snapshot === null) return null;
    const { content, realPath, mode, uid, gid } = snapshot;
    if (content === null) return { realPath, file: null, sha256: null, mode, uid, gid };
    backups += 1;
    const file = `backups/${String(backups).padStart(3, '0')}`;
    await writer.replace(join(directory, file), content, { mode: 0o600, ...owner() });
    return { realPath, file, sha256: sha256(content), mode, uid, gid };
  }) as Run['backup'];
  return {
    runId,
    backup,
    intent: async (step) => {
      seq += 1;
      await write({ type: 'intent', seq, step });
      return seq;
    },
    done: (of, note) => write({ type: 'done', seq: of, note: note ?? null }),
    failed: (of, error) => write({ type: 'failed', seq: of, error }),
    reverted: (of) => write({ type: 'reverted', seq: of }),
    close: (result) => write({ type: 'closed', result }),
  };
}

const owner = (): { uid: number; gid: number } => ({ uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });

/** Notes in the journal of `runId` that the run `by` has undone it. */
export async function markRolledBack(stateDir: string, runId: string, by: string, writer: HostWriter): Promise<void> {
  const entry: JournalEntry = { type: 'rolledBack', at: new Date().toISOString(), by };
  await writer.append(journalPath(runDirectory(stateDir, runId)), line(entry));
}

/**
 * Notes in the journal of a run that it is to stay.
 * @throws HostError
 */
export async function markConfirmed(stateDir: string, runId: string, user: RunUser, ticket: string | null, writer: HostWriter): Promise<void> {
  const entry: JournalEntry = { type: 'confirmed', at: new Date().toISOString(), user, ticket };
  await writer.append(journalPath(runDirectory(stateDir, runId)), line(entry));
}

/**
 * Notes in the journal of a run that nobody confirmed why it could not be undone. `reason` must not hold secrets.
 * @throws HostError
 */
export async function markNotReverted(stateDir: string, runId: string, reason: string, writer: HostWriter): Promise<void> {
  const entry: JournalEntry = { type: 'notReverted', at: new Date().toISOString(), reason };
  await writer.append(journalPath(runDirectory(stateDir, runId)), line(entry));
}

/** Where the guard of a run says that it is there, and what it did. */
export const guardFiles = (stateDir: string, runId: string): { readonly process: string; readonly log: string } => {
  const directory = runDirectory(stateDir, runId);
  return { process: join(directory, 'guard.json'), log: join(directory, 'guard.log') };
};

/**
 * The snapshot that a backup holds; `ref` is what Run.backup resolved with, as the journal has it.
 * @throws HostError when its bytes are gone or are not those that were backed up
 */
export async function readBackup(stateDir: string, runId: string, ref: JsonObject, writer: HostWriter): Promise<FileSnapshot> {
  if (!isBackupRef(ref)) throw new HostError(`the journal of run ${runId} is damaged: ${JSON.stringify(ref)} is not a backup`);
  const { realPath, mode, uid, gid } = ref;
  if (ref.file === null) return { realPath, content: null, mode, uid, gid };
  const path = join(runDirectory(stateDir, runId), ref.file);
  const content = (await writer.snapshot(path))?.content ?? null;
  if (content === null) throw new HostError(`the backup ${path} of ${realPath} is gone. Restore ${realPath} by hand`);
  if (sha256(content) !== ref.sha256) throw new HostError(`the backup ${path} of ${realPath} is damaged (its digest is not the journal's). Restore ${realPath} by hand`);
  return { realPath, content, mode, uid, gid };
}

function isBackupRef(ref: JsonObject): ref is BackupRef {
  const { realPath, file, sha256: digest, mode, uid, gid } = ref;
  return typeof realPath === 'string' && [mode, uid, gid].every((field) => Number.isSafeInteger(field))
    && (file === null || (typeof file === 'string' && /^backups\/\d{3,}$/.test(file) && typeof digest === 'string'));
}

/** Every run of a state directory, newest first. A missing directory holds none. */
export async function listRuns(stateDir: string, reader: HostReader): Promise<RunSummary[]> {
  const [listing] = await reader.observe([{ kind: 'list', path: runsDirectory(stateDir), depth: 1 }]);
  if (listing.status === 'absent') return [];
  if (listing.status === 'unreadable') throw new HostError(`the runs in ${stateDir} cannot be listed: ${listing.reason}`);
  const ids = listing.value.map((path) => path.slice(path.lastIndexOf('/') + 1)).filter((name) => RUN_ID.test(name)).sort().reverse();
  return Promise.all(ids.map((runId) => summarize(stateDir, runId, reader)));
}

async function summarize(stateDir: string, runId: string, reader: HostReader): Promise<RunSummary> {
  const unknown = { runId, planId: null, createdAt: null, result: null, rolledBackBy: null, user: null, ticket: null, confirmation: null };
  try {
    const run = await readJournal(stateDir, runId, reader);
    if (run === null) return { ...unknown, closed: true, unreadable: null };
    const { header: { planId, createdAt, user, ticket }, closed, result, rolledBackBy, confirmation } = run;
    return { runId, planId, createdAt, closed, result, rolledBackBy, user, ticket: ticket ?? null, confirmation, unreadable: null };
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return { ...unknown, closed: false, unreadable: error.message };
  }
}

/**
 * One run. The line that a killed writer did not finish is left out: it was never acknowledged.
 * @throws HostError when there is no such run, it was killed before its header was written, or its journal is damaged
 */
export async function readRun(stateDir: string, runId: string, reader: HostReader): Promise<RunRecord> {
  const run = await readJournal(stateDir, runId, reader);
  if (run === null) throw new HostError(`there is no run ${runId} in ${stateDir}, or it was killed before its first step. \`harden history\` lists the runs`);
  return run;
}

/** The plan document that a run carried out; null when it had none. It is data from a file: parse it as one. */
export async function readRunPlan(stateDir: string, runId: string, reader: HostReader): Promise<unknown> {
  const path = join(runDirectory(stateDir, runId), 'plan.json');
  await requireOurs(stateDir, runId, 'plan.json', reader);
  const [text] = await reader.observe([{ kind: 'text', path, maxBytes: MAX_JOURNAL_BYTES }]);
  if (text.status === 'absent') return null;
  if (text.status === 'unreadable') throw new HostError(`the plan of run ${runId} cannot be read: ${text.reason}`);
  const plan = parseObject(text.value);
  if (plan === null) throw new HostError(`${path} is not JSON. The plan of that run is lost`);
  return plan;
}

/**
 * Whatever others could have written is no record of what harden did: to undo it would be to do as they say.
 * @throws HostError naming the file or directory of the state that is not ours alone
 */
async function requireOurs(stateDir: string, runId: string, file: string, reader: HostReader): Promise<void> {
  const directory = runDirectory(stateDir, runId);
  for (const path of [stateDir, runsDirectory(stateDir), directory, join(directory, file)]) {
    const [stat] = await reader.observe([{ kind: 'stat', path }]);
    if (stat.status !== 'present') continue;
    const { uid, mode } = stat.value;
    const doubt = uid !== 0 && uid !== owner().uid ? `belongs to uid ${uid}` : (mode & 0o022) !== 0 ? `can be written by others (mode ${octal(mode & 0o7777)})` : null;
    if (doubt !== null) throw new HostError(`${path} ${doubt}, so run ${runId} is not believed. See who changed it, and compare the host with the backups by hand`);
  }
}

/** null: no header, so no step was begun. */
async function readJournal(stateDir: string, runId: string, reader: HostReader): Promise<RunRecord | null> {
  const path = journalPath(runDirectory(stateDir, runId));
  await requireOurs(stateDir, runId, 'journal.jsonl', reader);
  const [text] = await reader.observe([{ kind: 'text', path, maxBytes: MAX_JOURNAL_BYTES }]);
  if (text.status === 'absent') return null;
  if (text.status === 'unreadable') throw new HostError(`the journal of run ${runId} cannot be read: ${text.reason}`);
  // What follows the last newline is a torn line or nothing.
  const lines = text.value.split('\n').slice(0, -1);
  if (lines.length === 0) return null;
  const damaged = (number: number): HostError => new HostError(`${path} is damaged in line ${number}. Compare the host with the backups beside it by hand`);
  const header = parseObject(lines[0] ?? '');
  if (header === null || !isHeader(header, runId)) throw damaged(1);
  const entries = lines.slice(1).map((line, index) => {
    const entry = parseObject(line);
    if (entry === null || !isEntry(entry)) throw damaged(index + 2);
    return entry;
  });
  const closing = entries.findLast((entry) => entry.type === 'closed');
  const undoing = entries.findLast((entry) => entry.type === 'rolledBack');
  return {
    runId, header, entries,
    closed: closing !== undefined || undoing !== undefined,
    result: closing?.result ?? null,
    rolledBackBy: undoing?.by ?? null,
    confirmation: closing === undefined ? null : confirmationOf(header.confirmWithin ?? null, closing, entries),
  };
}

/** Of a run that was taken back wholly by itself, nothing is to be confirmed. */
function confirmationOf(within: number | null, closing: Extract<JournalEntry, { type: 'closed' }>, entries: readonly JournalEntry[]): Confirmation | null {
  if (within === null || closing.result.result === 'reverted') return null;
  return {
    within,
    by: new Date(Date.parse(closing.at) + within * 1000).toISOString(),
    confirmedAt: entries.find((entry) => entry.type === 'confirmed')?.at ?? null,
    notReverted: entries.findLast((entry) => entry.type === 'notReverted')?.reason ?? null,
  };
}

/** True of a run that is in, and that somebody still has to confirm. */
export const awaitsConfirmation = ({ confirmation, rolledBackBy }: Pick<RunSummary, 'confirmation' | 'rolledBackBy'>): boolean =>
  confirmation !== null && confirmation.confirmedAt === null && rolledBackBy === null;

/**
 * Removes a run with its backups. False, and nothing is done, while it holds what a container wrote: that may be all that is left of it. The
 * journal goes first, so that a half-removed run does not look like one that can be rolled back.
 */
export async function removeRun(stateDir: string, runId: string, writer: HostWriter, reader: HostReader): Promise<boolean> {
  const directory = runDirectory(stateDir, runId);
  const backups = join(directory, 'backups');
  const [files] = await reader.observe([{ kind: 'list', path: directory, depth: 2 }]);
  if (files.status !== 'present' || files.value.some((path) => path.endsWith('-layer.tar'))) return false;
  await writer.remove(journalPath(directory));
  for (const path of files.value) if (path !== backups && path !== journalPath(directory)) await writer.remove(path);
  await writer.removeDirectory(backups);
  await writer.removeDirectory(directory);
  return true;
}


function parseObject(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as JsonObject : null;
  } catch {
    return null;
  }
}

/** The state directory is private to us, so this guards against damage and older versions, not against forgery. */
const isHeader = (value: JsonObject, runId: string): value is RunHeader =>
  value.runId === runId && typeof value.createdAt === 'string' && (value.planId === null || typeof value.planId === 'string')
  && isUser(value.user) && (value.ticket == null || typeof value.ticket === 'string') && (value.confirmWithin == null || Number.isSafeInteger(value.confirmWithin));

const isUser = (value: Json | undefined): value is RunUser => typeof value === 'object' && value !== null && !Array.isArray(value) && Number.isSafeInteger(value.uid);

function isEntry(value: object): value is JournalEntry {
  const { type, at, seq, step, error, result, by, reason } = value as Partial<Record<string, unknown>>;
  const isObject = (field: unknown): boolean => typeof field === 'object' && field !== null && !Array.isArray(field);
  switch (type) {
    case 'intent': return Number.isSafeInteger(seq) && isObject(step);
    case 'done': case 'reverted': return Number.isSafeInteger(seq);
    case 'failed': return Number.isSafeInteger(seq) && typeof error === 'string';
    case 'closed': return isObject(result) && !Number.isNaN(Date.parse(String(at)));
    case 'rolledBack': return typeof by === 'string';
    case 'confirmed': return typeof at === 'string';
    case 'notReverted': return typeof reason === 'string';
    default: return false;
  }
}
