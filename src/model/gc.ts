import type { Target, ToolStamp } from './base.ts';

interface Removed {
  /** ISO 8601 UTC: when it was replaced or saved. */
  readonly since: string;
  readonly state: 'removed' | 'kept' | 'failed';
  /** Why it stays, as a sentence. */
  readonly reason: string | null;
}

/** What `harden gc --format json` prints. */
export interface GcDocument {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  readonly olderThanDays: number;
  /** `replaced`: the name that it had and its replacement has; null: no journal tells. */
  readonly containers: readonly (Removed & { readonly target: Target; readonly replaced: string | null })[];
  /** Writable layers that were saved, by the run that did and the name of the container. */
  readonly layers: readonly (Removed & { readonly runId: string; readonly container: string; readonly path: string })[];
  /** Journals and backups of runs, newest first. `undoable`: with them goes the way back. */
  readonly runs: readonly (Removed & { readonly runId: string; readonly planId: string | null; readonly undoable: boolean })[];
}
