/** Something the user can put right. The message says what, where and what to do next, in one to three lines. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
}

/** The user said no, or could not be asked. Nothing was changed. */
export class Declined extends UsageError {
  override readonly name = 'Declined';
}

/** harden.yaml or a policy flag cannot be obeyed; one problem per line. */
export class PolicyError extends UsageError {
  override readonly name = 'PolicyError';
}

/** The host is not what the plan was made for. Nothing was changed. */
export class StalePlanError extends UsageError {
  override readonly name = 'StalePlanError';
  /** What the plan shows and what would be done now: several lines, as in a diff. */
  readonly comparison: string;

  constructor(message: string, comparison: string) {
    super(message);
    this.comparison = comparison;
  }
}

/** Names of errors that a program fault throws; everything that we throw on purpose has a name of its own. */
const FAULTS: ReadonlySet<string> = new Set(['Error', 'TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'EvalError', 'URIError', 'AggregateError', 'ZodError']);

/** True for what was thrown for a person to read: our own errors, and the operating system's (they have an errno). */
export function isExpected(error: unknown): error is Error {
  return error instanceof Error && (!FAULTS.has(error.name) || ('errno' in error && 'syscall' in error));
}

/** The text of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
