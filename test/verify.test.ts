import { describe, expect, test } from 'vitest';
import type { Finding, Outcome, Promised } from '../src/model.ts';
import { countStates, verify } from '../src/verify.ts';

const target = { kind: 'daemon', name: 'dockerd', id: 'dockerd' } as const;
const finding = (check: string, outcome: Outcome, waitsFor?: string): Finding =>
  ({ check, target, outcome, message: `${check} is ${outcome}`, detail: null, ...(waitsFor === undefined ? {} : { pending: { waitsFor } }) });
const promise = (check: string): Promised => ({ check, target, expect: 'pass', waitsFor: null });

describe('verify', () => {
  const rows: { name: string; before: Finding[]; after: Finding[]; promises: string[]; states: Record<string, string> }[] = [
    { name: 'a promise that holds', before: [finding('a', 'warn')], after: [finding('a', 'pass')], promises: ['a'], states: { a: 'fixed' } },
    { name: 'a target that is gone', before: [finding('a', 'warn')], after: [], promises: ['a'], states: { a: 'fixed' } },
    { name: 'done but not in force', before: [finding('a', 'warn')], after: [finding('a', 'warn', 'a restart')], promises: ['a'], states: { a: 'pending' } },
    { name: 'a promise that does not hold', before: [finding('a', 'warn')], after: [finding('a', 'warn')], promises: ['a'], states: { a: 'unmet' } },
    { name: 'what cannot be read any more holds no promise', before: [finding('a', 'warn')], after: [finding('a', 'unknown')], promises: ['a'], states: { a: 'unmet' } },
    { name: 'pass to warn', before: [finding('a', 'pass')], after: [finding('a', 'warn')], promises: [], states: { a: 'regressed' } },
    { name: 'pass to unknown', before: [finding('a', 'pass')], after: [finding('a', 'unknown')], promises: [], states: { a: 'regressed' } },
    { name: 'a new target that warns', before: [], after: [finding('a', 'warn')], promises: [], states: { a: 'regressed' } },
    { name: 'a new target that cannot be read is no regression', before: [], after: [finding('a', 'unknown')], promises: [], states: {} },
    { name: 'what newly applies and cannot be read is no regression', before: [finding('a', 'na')], after: [finding('a', 'unknown')], promises: [], states: {} },
    { name: 'a warn that nobody promised to fix', before: [finding('a', 'warn')], after: [finding('a', 'warn')], promises: [], states: { a: 'unchanged' } },
    { name: 'passes are not listed', before: [finding('a', 'pass')], after: [finding('a', 'pass')], promises: [], states: {} },
  ];
  test.each(rows)('$name', ({ before, after, promises, states }) => {
    const results = verify({ before, after, promises: promises.map(promise) });
    expect(Object.fromEntries(results.map(({ check, state }) => [check, state]))).toEqual(states);
  });

  test('promises of a change that was taken back are reverted, of one that failed failed', () => {
    const request = { before: [finding('a', 'warn')], after: [finding('a', 'warn')], promises: [promise('a')] };
    expect(verify({ ...request, stateOf: () => 'reverted' })[0]?.state).toBe('reverted');
    expect(verify({ ...request, stateOf: () => 'failed' })[0]?.state).toBe('failed');
  });

  describe('tasks of a service', () => {
    const task = (check: string, slot: number, id: string, outcome: Outcome): Finding => ({ ...finding(check, outcome), target: { kind: 'container', name: `web.${slot}.${id.repeat(25)}`, id } });
    const before = [task('a', 1, 'x', 'warn'), task('b', 1, 'x', 'warn')];
    const promises: Promised[] = [{ check: 'a', target: task('a', 1, 'x', 'warn').target, expect: 'pass', waitsFor: null }];
    const states = (after: readonly Finding[], services = ['web']): string[] => verify({ before, after, promises, services }).map(({ check, state }) => `${check} ${state}`);
    test.each<[string, Finding[], string[]]>([
      ['are held to what was promised of those before', [task('a', 1, 'y', 'pass'), task('b', 1, 'y', 'warn')], ['a fixed', 'b unchanged']],
      ['count by the worst', [task('a', 2, 'z', 'warn'), task('a', 1, 'y', 'pass')], ['a unmet']],
      ['that run elsewhere prove nothing here', [], ['a unmet']],
    ])('%s', (_name, after, expected) => {
      expect(states(after)).toEqual(expected);
    });
    test('are containers like others where no manager knows the service', () => {
      expect(states([task('a', 1, 'y', 'warn')], [])).toEqual(['a fixed', 'a regressed']);
    });
  });

  test('a waived finding is neither regressed nor unchanged', () => {
    const waived = { ...finding('a', 'warn'), waiver: { reason: 'r', owner: 'o', expires: null } };
    expect(verify({ before: [finding('a', 'pass')], after: [waived], promises: [] })).toEqual([]);
  });

  test('counts every state', () => {
    const results = verify({ before: [finding('a', 'warn'), finding('b', 'pass')], after: [finding('a', 'pass'), finding('b', 'warn')], promises: [promise('a')] });
    expect(countStates(results)).toEqual({ fixed: 1, pending: 0, unmet: 0, failed: 0, reverted: 0, regressed: 1, unchanged: 0 });
  });
});
