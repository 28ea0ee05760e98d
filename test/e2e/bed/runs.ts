/** Who made a host: a person by hand, or a test run. */
import { startTime } from './shell.ts';

export const HAND = 'hand';
const VARIABLE = 'HARDEN_E2E_RUN';

/** From here on, this process and the test workers that it starts are one test run. */
export function beginRun(): void {
  process.env[VARIABLE] = `${process.pid}-${startTime(process.pid) ?? ''}`;
}

export function currentRun(): string {
  return process.env[VARIABLE] ?? HAND;
}

/** Whether the process that began a run still exists. What a person made by hand is never a leftover. */
export function isRunAlive(run: string): boolean {
  const [pid, started] = run.split('-');
  return run === HAND || startTime(Number(pid)) === started;
}
