import type { Observed, Target, Verdict } from '../src/model.ts';

/** Shorthands that make a check read as a table of its outcomes. Messages are one sentence without a final period. */
export const pass = (target: Target, message: string): Verdict<never> => ({ target, outcome: 'pass', message, detail: undefined as never });
export const na = (target: Target, message: string): Verdict<never> => ({ target, outcome: 'na', message, detail: undefined as never });
export const manual = (target: Target, message: string): Verdict<never> => ({ target, outcome: 'manual', message, detail: undefined as never });
export const unknown = (target: Target, message: string): Verdict<never> => ({ target, outcome: 'unknown', message, detail: undefined as never });
export const warn = <D>(target: Target, message: string, detail: D): Verdict<D> => ({ target, outcome: 'warn', message, detail });
/** A warn for what is written but not in force yet; `waitsFor` completes "waits for …". */
export const pendingWarn = <D>(target: Target, message: string, detail: D, waitsFor: string): Verdict<D> => ({
  target, outcome: 'warn', message, detail, pending: { waitsFor },
});

/** Runs `judge` on a value that was read; what is unreadable becomes `unknown`, what is absent is judged by `whenAbsent`. */
export function judge<T, D>(
  target: Target, observed: Observed<T>, judgeValue: (value: T) => readonly Verdict<D>[], whenAbsent: () => readonly Verdict<D>[],
): readonly Verdict<D>[] {
  switch (observed.status) {
    case 'present': return judgeValue(observed.value);
    case 'absent': return whenAbsent();
    case 'unreadable': return [unknown(target, observed.reason)];
  }
}

export const DAEMON: Target = { kind: 'daemon', name: 'dockerd', id: 'dockerd' };
export const HOST: Target = { kind: 'host', name: 'host', id: 'host' };
export const fileTarget = (path: string): Target => ({ kind: 'file', name: path, id: path });
