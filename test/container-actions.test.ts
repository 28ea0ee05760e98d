/** What takes a container back to how it was, in states that only come up by chance. */
import { describe, expect, test } from 'vitest';
import { retireContainer, stopContainer } from '../src/apply/actions/container.ts';
import type { Session } from '../src/apply/session.ts';
import type { JsonObject, Observed } from '../src/model.ts';

/** A container, and what is asked of the engine about it. */
function engineWith(raw: JsonObject | null): { readonly session: Session; readonly asked: string[] } {
  const asked: string[] = [];
  const engine = {
    inspectContainer: () => Promise.resolve(raw),
    updateContainer: (id: string, settings: JsonObject) => Promise.resolve(void asked.push(`update ${id} ${JSON.stringify(settings)}`)),
    startContainer: (id: string) => Promise.resolve(void asked.push(`start ${id}`)),
  };
  return { session: { engine } as unknown as Session, asked };
}

const action = { kind: 'retireContainer', container: 'a', name: 'web' } as const;
const container = (policy: string, running: boolean, exitCode = 0): JsonObject => ({ State: { Running: running, ExitCode: exitCode }, HostConfig: { RestartPolicy: { Name: policy, MaximumRetryCount: 0 } } });
const restart = (name: string): JsonObject => ({ Name: name, MaximumRetryCount: 0 });
const put = (name: string): string => `update a {"RestartPolicy":{"Name":"${name}","MaximumRetryCount":0}}`;

describe('a container that lost its restart policy', () => {
  test('is noted with its policy, and with whether it ran', async () => {
    expect(await retireContainer.before(action, engineWith(container('always', true)).session, {} as never)).toEqual({ restart: restart('always'), running: true });
  });

  test.each<readonly [string, JsonObject | null, JsonObject, readonly string[]]>([
    ['and runs gets it back', container('no', true), { restart: restart('always'), running: true }, [put('always')]],
    ['and ended meanwhile is started, as the engine would have', container('no', false), { restart: restart('always'), running: true }, [put('always'), 'start a']],
    ['and failed meanwhile is started, as the engine would have', container('no', false, 1), { restart: restart('on-failure'), running: true }, [put('on-failure'), 'start a']],
    ['and ended well stays so where only a failure starts it again', container('no', false), { restart: restart('on-failure'), running: true }, [put('on-failure')]],
    ['and never had one stays as it ended', container('no', false, 1), { restart: restart('no'), running: true }, []],
    ['and did not run is not started', container('no', false), { restart: restart('always'), running: false }, [put('always')]],
    ['and has it again is left alone', container('always', true), { restart: restart('always'), running: true }, []],
    ['and is gone is left alone', null, { restart: restart('always'), running: true }, []],
  ])('%s', async (_, now, before, expected) => {
    const { session, asked } = engineWith(now);
    await retireContainer.undo(action, before, session);
    expect(asked).toEqual(expected);
  });
});

describe('a container that was being stopped', () => {
  /** Looks as if it ran until it was looked at so many times, with a first process of which /proc says that. */
  const stopping = (looks: number, stat: Observed<string>): { readonly session: Session; readonly asked: string[] } => {
    const asked: string[] = [];
    let seen = 0;
    const engine = {
      inspectContainer: () => Promise.resolve({ Config: { StopTimeout: 0 }, State: { Running: (seen += 1) <= looks, Pid: 7 } }),
      startContainer: (id: string) => Promise.resolve(void asked.push(`start ${id} after ${seen}`)),
    };
    const reader = { observe: (requests: readonly unknown[]) => Promise.resolve(requests.map(() => stat)) };
    return { session: { engine, reader } as unknown as Session, asked };
  };
  const stat = (state: string): Observed<string> => ({ status: 'present', value: `7 (a) R (b) ${state} 1 7 7 0 -1` });

  test.concurrent.each<readonly [string, number, Observed<string>, string]>([
    ['is started once it has stopped', 2, stat('S'), 'start a after 4'],
    ['is started once a busy engine has noticed that its process is gone', 8, { status: 'absent' }, 'start a after 9'],
    ['is started once a busy engine has noticed that its process has ended', 8, stat('Z'), 'start a after 9'],
    ['is not waited for where its process lives', 100, stat('S'), 'start a after'],
  ])('%s', async (_, looks, said, expected) => {
    const { session, asked } = stopping(looks, said);
    await stopContainer.undo({ kind: 'stopContainer', container: 'a', name: 'web' }, { running: true }, session);
    expect(asked).toEqual([expect.stringContaining(expected)]);
    expect(Number(asked[0]?.split(' ').at(-1))).toBeLessThan(20);
  });
});
