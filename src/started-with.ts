import { join } from 'node:path';
import { parseConfigFile } from './daemon/json-edit.ts';
import { sha256 } from './digest.ts';
import type { ConfigFile, DaemonProcess, Observed } from './model.ts';
import { absent, present } from './model.ts';

/**
 * What harden notes when it leaves a daemon running with another daemon.json than the one on disk (a reload, or a rollback that
 * kept containers alive). Without it, nobody could tell afterwards what the daemon runs with, and every setting that GET /info does not
 * show would become unknown. Root only: it holds the owner's file verbatim, like a backup.
 */
interface Note {
  readonly pid: number;
  readonly startedAt: string;
  /** sha256 of the daemon.json that harden left behind; null: none. The note is void as soon as the file differs. */
  readonly leftBehind: string | null;
  /** Text of the daemon.json that the process started with; null: none. */
  readonly startedWith: string | null;
}

export const startedWithPath = (stateDir: string): string => join(stateDir, 'started-with.json');

const digest = (text: string): string => sha256(text.replace(/^\uFEFF/, ''));

/** The note's text. `left` and `startedWith` are whole texts of daemon.json, null where there is no file. */
export const startedWithNote = (process: DaemonProcess, left: string | null, startedWith: string | null): string =>
  `${JSON.stringify({ pid: process.pid, startedAt: process.startedAt, leftBehind: left === null ? null : digest(left), startedWith } satisfies Note)}\n`;

/** Start times are computed from two clocks and may differ by some milliseconds between two readings. */
const SAME_START_MS = 2_000;

export const isSameProcess = (a: { readonly pid?: number; readonly startedAt?: string }, b: DaemonProcess): boolean =>
  a.pid === b.pid && Math.abs(Date.parse(a.startedAt ?? '') - Date.parse(b.startedAt)) < SAME_START_MS;

/** What a note says about the process and the file that are there now; null when it is about others, or is no note. */
export function readStartedWith(text: string, process: DaemonProcess, config: Observed<ConfigFile>): Observed<ConfigFile> | null {
  let note: Partial<Note>;
  try {
    note = JSON.parse(text) as Partial<Note>;
  } catch {
    return null;
  }
  const current = config.status === 'present' ? digest(config.value.text) : config.status === 'absent' ? null : undefined;
  if (!isSameProcess(note, process) || current !== note.leftBehind || note.startedWith === undefined) return null;
  return note.startedWith === null ? absent : present(parseConfigFile(note.startedWith));
}
