import type { Setting } from '../src/daemon/settings.ts';
import { daemonSetting } from '../src/daemon/settings.ts';
import type { Facts, Json, Observed, Verdict } from '../src/model.ts';
import { mapObserved, present, unreadable } from '../src/model.ts';
import { DAEMON, manual, na, pass, pendingWarn, unknown, warn } from './verdict.ts';

const RESTART = 'a restart of the daemon';
export const RELOAD = 'a reload of the daemon';

/** Something that the daemon is told in its configuration: what its next start will use, and what the running one uses. */
export interface InForce<T> {
  readonly next: T;
  readonly now: Observed<T>;
  /** Where `next` comes from: the first key that is set, where several make one value. */
  readonly source: Setting['next']['source'];
}

/** How a message says where a value comes from. */
const ORIGINS = { flag: 'set by a flag of the daemon', file: 'set in daemon.json', default: 'the engine\'s default' } as const;

/** One daemon.json key. */
export const option = (facts: Facts, key: string): Observed<InForce<Json>> =>
  mapObserved(daemonSetting(facts, key), ({ next, now }) => ({ next: next.value, now, source: next.source }));

/** Several keys that are judged together, by key. `now` is readable when all of them are. */
export function options<K extends string>(facts: Facts, keys: readonly K[]): Observed<InForce<Readonly<Record<K, Json>>>> {
  const next: [K, Json][] = [];
  const now: [K, Json][] = [];
  let source: InForce<unknown>['source'] = 'default';
  let nowUnreadable: Observed<never> | undefined;
  for (const key of keys) {
    const one = option(facts, key);
    if (one.status !== 'present') return one;
    next.push([key, one.value.next]);
    if (one.value.now.status === 'present') now.push([key, one.value.now.value]);
    else nowUnreadable ??= one.value.now.status === 'unreadable' ? one.value.now : unreadable(`the running daemon's ${key} is not known`);
    if (source === 'default') source = one.value.source;
  }
  return present({
    next: Object.fromEntries(next) as Record<K, Json>,
    now: nowUnreadable ?? present(Object.fromEntries(now) as Record<K, Json>),
    source,
  });
}

export const mapInForce = <T, U>(observed: Observed<InForce<T>>, f: (value: T) => U): Observed<InForce<U>> =>
  mapObserved(observed, ({ next, now, source }) => ({ next: f(next), now: mapObserved(now, f), source }));

export interface Rule<T> {
  readonly outcome: (value: T) => 'pass' | 'warn' | 'manual' | 'na';
  /** What a value means, as a clause that stands alone: "Containers on the default bridge can reach each other". */
  readonly says: (value: T) => string;
  /** What the running daemon was seen to do, where the engine reports it; otherwise `now` decides. */
  readonly live?: Observed<T>;
  /** What brings `next` into force; a restart, unless said otherwise. */
  readonly waitsFor?: string;
}

/**
 * Passes only when both what is in force and what the next start uses are right. A right configuration that is not in force
 * yet is a pending warn; what is seen to be wrong is a warn even if the configuration cannot be read.
 */
export function judgeInForce<T>(configured: Observed<InForce<T>>, rule: Rule<T>): readonly Verdict<null>[] {
  if (configured.status !== 'present') {
    const reason = configured.status === 'unreadable' ? configured.reason : 'the configuration of the daemon was not read';
    return rule.live?.status === 'present' && rule.outcome(rule.live.value) === 'warn'
      ? [warn(DAEMON, `${rule.says(rule.live.value)}, and the configuration of the daemon is not known: ${reason}`, null)]
      : [unknown(DAEMON, reason)];
  }
  const { next, source } = configured.value;
  const now = rule.live ?? configured.value.now;
  const judgedNow = now.status === 'present' ? rule.outcome(now.value) : undefined;
  const judgedNext = rule.outcome(next);
  if (judgedNext === 'warn') {
    const later = judgedNow === undefined || judgedNow === 'warn' ? '' : ' after the next start of the daemon';
    return [warn(DAEMON, `${rule.says(next)}${later} (${ORIGINS[source]})`, null)];
  }
  if (now.status !== 'present') {
    const reason = now.status === 'unreadable' ? now.reason : 'the engine does not say';
    return [unknown(DAEMON, `The next start of the daemon will be right, but what the running one uses is not known: ${reason}`)];
  }
  if (judgedNow === 'warn') {
    return [pendingWarn(DAEMON, `${rule.says(now.value)}: the configuration is right, but not in force yet`, null,
      rule.waitsFor ?? RESTART)];
  }
  if (judgedNow === 'manual') return [manual(DAEMON, rule.says(now.value))];
  switch (judgedNext) {
    case 'manual': return [manual(DAEMON, `${rule.says(next)} after the next start of the daemon (${ORIGINS[source]})`)];
    case 'na': return [judgedNow === 'na' ? na(DAEMON, rule.says(next)) : pass(DAEMON, rule.says(now.value))];
    case 'pass': return [pass(DAEMON, rule.says(next))];
  }
}
