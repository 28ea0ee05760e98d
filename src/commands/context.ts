import type { Prompter } from '../ask.ts';
import type { TargetSelection } from '../model.ts';
import type { Layout } from '../render/layout.ts';

/** All that a command may touch of the process it runs in. */
export interface Context {
  /** Results, to stdout. */
  out(text: string): void;
  /** Diagnostics, to stderr. */
  err(text: string): void;
  /** A line that the next one replaces; nothing when stderr is no terminal. */
  progress(text: string): void;
  /** Of stdout; `color` gives way to --no-color. */
  readonly layout: Layout;
  /** Of stderr, where questions are asked. */
  readonly errorLayout: Layout;
  /** A person can be asked: stdin and stderr are terminals. */
  readonly interactive: boolean;
  readonly cwd: string;
  readonly euid: number;
  now(): Date;
  prompter(): Promise<Prompter>;
}

/** Which host is looked at. */
export interface WhereOptions {
  readonly dockerHost?: string;
  readonly facts?: string;
  readonly stateDir?: string;
  /** Reports of scanners about images. */
  readonly vulnerabilities?: readonly string[];
  /** Look inside the file systems of images. */
  readonly deep?: boolean;
  /** Which images `deep` looks into. */
  readonly targets?: TargetSelection;
  /** Also measure what containers use and have written: for a plan, not for a verdict. */
  readonly evidence?: boolean;
  /** Also measure how much space is used, which may take the engine minutes: where the policy says how much may be. */
  readonly diskUsage?: boolean;
}

/** In which form results are printed, and where to. */
export interface OutputOptions {
  /** `F` or `F=FILE`, in order. */
  readonly format?: readonly string[];
  readonly output?: string;
  readonly limit?: number;
  /** False after --no-color. */
  readonly color?: boolean;
}

/** 0 clean · 1 something remains · 2 could not do its job · 3 failed and rolled back · 4 failed, roll-back incomplete. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;
