/** A JSON value, as daemon.json, the Engine API and our own documents hold it. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/**
 * Something we tried to read. A check that meets `unreadable` answers `unknown`; it never guesses.
 * `absent` is knowledge (we looked, there is none); `unreadable` is the lack of it.
 */
export type Observed<T> =
  | { readonly status: 'present'; readonly value: T }
  | { readonly status: 'absent' }
  | { readonly status: 'unreadable'; readonly reason: string };

export const present = <T>(value: T): Observed<T> => ({ status: 'present', value });
export const absent: Observed<never> = { status: 'absent' };
export const unreadable = (reason: string): Observed<never> => ({ status: 'unreadable', reason });

/** The value if it was read, else undefined: for predictions and display, never for a verdict. */
export const valueOf = <T>(observed: Observed<T> | undefined): T | undefined =>
  observed?.status === 'present' ? observed.value : undefined;

/** Applies `f` to a value that was read; the other states pass through. */
export const mapObserved = <T, U>(observed: Observed<T>, f: (value: T) => U): Observed<U> =>
  observed.status === 'present' ? present(f(observed.value)) : observed;

/** What a finding or a change is about. `id` is stable for machines, `name` is what a person calls it. */
export interface Target {
  readonly kind: 'host' | 'daemon' | 'file' | 'unit' | 'audit' | 'account' | 'container' | 'image' | 'network' | 'swarm';
  readonly name: string;
  readonly id: string;
}

/** One text for one target. A container is known by its name: the one that takes its place has another id. */
const targetKey = ({ kind, name, id }: Target): string => `${kind}\0${kind === 'container' ? name : id}`;

export const sameTarget = (a: Target, b: Target): boolean => targetKey(a) === targetKey(b);

/** One text for what a finding is about. */
export const findingKey = ({ check, target }: { readonly check: string; readonly target: Target }): string => `${check}\0${targetKey(target)}`;

/** Editions of the CIS Docker Benchmark, oldest first. `d…` are the documents named after a Docker release, `ce1.1.0` is CIS Docker CE 1.1.0. */
export const EDITIONS = [
  'd1.6', 'd1.11', 'd1.12', 'd1.13', 'ce1.1.0', '1.2.0', '1.3.1', '1.4.0', '1.5.0', '1.6.0', '1.7.0', '1.8.0',
] as const;
export type Edition = (typeof EDITIONS)[number];

/** What a change costs now, ordered. `data` hides, moves or discards data. */
export const IMPACTS = ['none', 'reload', 'restart', 'recreate', 'data'] as const;
export type Impact = (typeof IMPACTS)[number];

/** Whether something that works today may stop working, at once or later; ordered. */
export const RISKS = ['safe', 'behaviour', 'irreversible'] as const;
export type Risk = (typeof RISKS)[number];

export const impactExceeds = (a: Impact, b: Impact): boolean => IMPACTS.indexOf(a) > IMPACTS.indexOf(b);
export const riskExceeds = (a: Risk, b: Risk): boolean => RISKS.indexOf(a) > RISKS.indexOf(b);
export const maxImpact = (impacts: readonly Impact[]): Impact =>
  impacts.reduce<Impact>((most, impact) => (impactExceeds(impact, most) ? impact : most), 'none');
export const maxRisk = (risks: readonly Risk[]): Risk =>
  risks.reduce<Risk>((most, risk) => (riskExceeds(risk, most) ? risk : most), 'safe');

/** Every JSON document says what wrote it. */
export interface ToolStamp {
  readonly name: 'harden';
  readonly version: string;
}
