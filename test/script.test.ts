/** The script of a plan, by real shells: what they take, what they do with hostile text, and that bytes come out as they were meant. */
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { createRun, markConfirmed, markRolledBack, type Run } from '../src/journal.ts';
import { acquireLock } from '../src/lock.ts';
import type { Facts, Json, Policy } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { restartMethod } from '../src/plan/restart.ts';
import { defaultPolicy } from '../src/policy.ts';
import { portablePlan } from '../src/portable/plan.ts';
import { splicesBetween } from '../src/portable/splices.ts';
import { renderScript } from '../src/render/shell.ts';
import { renderTemplate } from '../src/templates.ts';
import { TOOL } from '../src/version.ts';
import { hostWith, loadHost } from './hosts.ts';
import { asArgument, fuzzRuns, hostileText, makeCanary } from './support/hostile.ts';

const canary = makeCanary();
const directory = mkdtempSync(join(tmpdir(), 'harden-script-'));
afterAll(() => {
  canary.remove();
  rmSync(directory, { recursive: true, force: true });
});

const SHELLS = ([['dash'], ['bash', '--posix'], ['busybox', 'sh']] as const).filter(([shell]) => spawnSync('sh', ['-c', `command -v ${shell}`]).status === 0);
const WILLING: Policy = {
  ...defaultPolicy, maxImpact: 'recreate', maxRisk: 'behaviour', parameters: { ...defaultPolicy.parameters, trustedUsers: [], container: { publishAddress: '127.0.0.1', memory: '64m' } },
};

function scriptOf(facts: Facts, policy = WILLING): string {
  const method = restartMethod(facts, undefined);
  const { plan } = makePlan({ facts, policy, checks, remediations, tool: TOOL, now: new Date(0), restart: method });
  return renderScript(plan, portablePlan(plan, { facts, method, fromSnapshot: false }), facts);
}

/** A container that a plan creates anew, with `text` wherever its owner could write it, under the id of 64 times the digit. */
function containerWith(text: string, digit: number): Json {
  const [container] = (loadHost('debian-12').containers as { value: readonly { spec: { value: object }; runtime: { value: object } }[] }).value;
  if (container === undefined) throw new Error('the host has no container');
  const word = asArgument(text).replace(/[\r\n]/gu, ' ');
  return {
    ...container, id: String(digit).repeat(64), name: `c${digit}`, owner: { kind: 'none' }, evidence: { changes: { status: 'present', value: [] }, memory: { status: 'absent' }, pids: { status: 'absent' } },
    spec: { status: 'present', value: { ...container.spec.value, name: `c${digit}`, openStdin: false, env: [`A=${word}`, `S_TOKEN=hunter2${word}`], labels: { [`l${digit}`]: `hunter2${word}` }, command: ['--password', `hunter2${word}`, asArgument(text)], autoRemove: false, restart: { name: 'no', maximumRetryCount: 0 } } },
    runtime: { status: 'present', value: { ...container.runtime.value, state: 'running', applied: undefined } },
  } as unknown as Json;
}

function hostWithText(texts: readonly string[]): Facts {
  const base = loadHost('debian-12');
  const name = asArgument(texts[0] ?? '');
  return {
    ...base, host: { ...base.host, hostname: name },
    accounts: { status: 'present', value: { users: [], groups: [{ name: 'docker', gid: 999, members: texts.map((text) => asArgument(text).replace(/,/gu, '')) }] } },
    containers: { status: 'present', value: texts.map((text, index) => containerWith(text, index + 1)) as unknown as never },
  };
}

const write = (name: string, text: string | Buffer): string => {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
};
const library = write('library.sh', renderTemplate('script-library.sh', {}));

describe('the script', () => {
  const script = write('script.sh', scriptOf(hostWithText(['plain', 'two words', '$(id)'])));

  test('creates containers anew, and holds none of their values', () => {
    const text = readFileSync(script, 'utf8');
    expect(text).toContain('container:c1');
    expect(text).toMatch(/step \d+ create /u);
    expect(text).not.toContain('hunter2');
  });

  test.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('is taken by %s', (_, [shell, ...args]) => {
    expect(spawnSync(shell, [...args, '-n', script], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    expect(spawnSync(shell, [...args, script, '--help'], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '', stdout: expect.stringContaining('--dry-run') as string });
    expect(spawnSync(shell, [...args, script, '--wrong'], { encoding: 'utf8' })).toMatchObject({ status: 2, stdout: '' });
  });

  test('is clean to shellcheck', ({ skip }) => {
    if (spawnSync('sh', ['-c', 'command -v shellcheck']).status !== 0) skip('there is no shellcheck here');
    expect(spawnSync('shellcheck', [script], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: '' });
  });

  test('runs nothing of what a host is called, names or holds', { timeout: 60_000 }, () => {
    // Whatever it would ask of an engine, nothing answers.
    const bin = join(directory, 'bin');
    mkdirSync(bin, { recursive: true });
    for (const tool of ['docker', 'gpasswd', 'systemctl', 'auditctl']) writeFileSync(join(bin, tool), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    fc.assert(fc.property(fc.array(hostileText(canary.path), { minLength: 3, maxLength: 4 }), (texts) => {
      const path = write('hostile.sh', scriptOf(hostWithText(texts)));
      for (const [shell, ...args] of SHELLS) {
        expect(spawnSync(shell, [...args, '-n', path], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
        expect(spawnSync(shell, [...args, path, '--list'], { encoding: 'utf8' }).status).toBe(0);
        const { status } = spawnSync(shell, [...args, path, '--dry-run', '--any-host'], { encoding: 'utf8', env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } });
        expect([0, 1, 2]).toContain(status);
        expect(canary.touched()).toBe(false);
      }
    }), { numRuns: fuzzRuns(4) });
  });
});

describe('bytes', () => {
  test.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('are spliced by %s as they are meant', (_, [shell, ...args]) => {
    fc.assert(fc.property(fc.array(hostileText(canary.path), { maxLength: 4 }), fc.array(hostileText(canary.path), { maxLength: 4 }), fc.string(), (a, b, between) => {
      const text = (parts: readonly string[]): string => asArgument(parts.join('\n'));
      const [before, after] = [text([...a, between, ...b]), text([...b, between, ...a])];
      const file = write('before', before);
      const words = splicesBetween(before, after, (same) => same).flatMap(({ offset, length, text: inserted }) => [String(offset), String(length), inserted]);
      const { stdout } = spawnSync(shell, [...args, '-c', '. "$1"; shift; splice "$@"', 'harden', library, file, ...words]);
      expect(stdout.toString()).toBe(after);
    }), { numRuns: fuzzRuns(8) });
    expect(canary.touched()).toBe(false);
  });

  test.each(SHELLS.map((shell) => [shell.join(' '), shell] as const))('become a JSON string by %s', (_, [shell, ...args]) => {
    for (const text of ['', '{}', '{\n}\n', 'a\n\n', '{"a": "b\\"\\\\n\\u00e9é"}\n', '\t"x"\r\n', '\\\\&/']) {
      const { stdout } = spawnSync(shell, [...args, '-c', '. "$1"; json_text "$2"', 'harden', library, write('text', text)]);
      expect(JSON.parse(stdout.toString())).toBe(text);
    }
  });
});

describe('the lock', () => {
  const state = join(directory, 'state');
  const writer = createLocalWriter();
  const path = join(state, 'lock');
  const DEAD = { pid: 4_194_304, startTicks: 1, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(), pidNamespace: readlinkSync('/proc/self/ns/pid'), since: '2026-01-01T00:00:00.000Z' };
  const shell = ([name, ...args]: (typeof SHELLS)[number], body: string): SpawnSyncReturns<string> =>
    spawnSync(name, [...args, '-c', `. "$1"; STATE_DIR=$2 REASON=; ${body}`, 'harden', library, state], { encoding: 'utf8' });
  const take = 'take_lock || { echo "$REASON"; exit 2; }; ';
  beforeEach(() => {
    rmSync(state, { recursive: true, force: true });
    mkdirSync(state, { mode: 0o700 });
  });

  test.each(SHELLS.map((one) => [one.join(' '), one] as const))('that harden holds is not taken by %s, and that it holds is not taken by harden', async (_, one) => {
    const held = await acquireLock(state, writer);
    expect(shell(one, take)).toMatchObject({ status: 2, stdout: expect.stringContaining(`another harden (process ${process.pid}) has been changing this host since`) as string });
    await held.release();
    expect(shell(one, `${take} cat "$2/lock"; release "$2/lock"; ls -A "$2"`)).toMatchObject({ status: 0, stderr: '', stdout: expect.stringMatching(/^\{"pid":\d+,"startTicks":\d+,"bootId":"[0-9a-f-]{36}","pidNamespace":"pid:\[\d+\]","since":"[0-9TZ:.-]{24}"\}$/u) as string });

    const [name, ...args] = one;
    const child = spawn(name, [...args, '-c', `. "$1"; STATE_DIR=$2 REASON=; ${take} echo taken; read -r _; release "$2/lock"`, 'harden', library, state], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    await expect(acquireLock(state, writer)).rejects.toThrow(`another harden (process ${child.pid}) has been changing this host since`);
    const ended = once(child, 'exit');
    child.stdin.end('\n');
    await ended;
    await (await acquireLock(state, writer)).release();
    expect(readdirSync(state)).toEqual([]);
  });

  test.each(SHELLS.map((one) => [one.join(' '), one] as const))('of the dead is replaced by %s, also one that they held to replace it; no other is', (_, one) => {
    for (const dead of [DEAD, { ...DEAD, pid: process.pid }, { ...DEAD, bootId: 'another' }]) {
      writeFileSync(path, JSON.stringify(dead));
      writeFileSync(`${path}.takeover`, JSON.stringify(dead));
      expect(shell(one, `${take} ls -A "$2"; release "$2/lock"; ls -A "$2"`)).toMatchObject({ status: 0, stderr: '', stdout: 'lock\n' });
    }
    for (const [text, why] of [[JSON.stringify({ ...DEAD, pidNamespace: 'pid:[1]' }), 'in another container'], ['{"pid":', 'is damaged'], ['', 'is damaged']] as const) {
      writeFileSync(path, text);
      expect(shell(one, take)).toMatchObject({ status: 2, stdout: expect.stringContaining(why) as string });
      expect(readFileSync(path, 'utf8')).toBe(text);
      expect(readdirSync(state)).toEqual(['lock']);
    }
  });

  test('is taken by one of many at once', async () => {
    writeFileSync(path, JSON.stringify(DEAD));
    const children = Array.from({ length: 8 }, (_, index) => {
      const [name, ...args] = SHELLS[index % SHELLS.length] ?? ['sh'];
      return spawn(name, [...args, '-c', `. "$1"; STATE_DIR=$2 REASON=; ${take} echo taken; sleep 5`, 'harden', library, state], { stdio: ['ignore', 'pipe', 'ignore'] });
    });
    const said = await Promise.all(children.map(async (child) => String((await once(child.stdout, 'data') as [Buffer])[0])));
    for (const child of children) child.kill();
    expect(said.filter((text) => text === 'taken\n')).toHaveLength(1);
    expect(said.filter((text) => /another harden \(process \d+\)/u.test(text))).toHaveLength(7);
  });
});

describe('a run of harden', () => {
  const state = join(directory, 'runs-state');
  const writer = createLocalWriter();
  const user = { uid: 0, loginuid: null, sudoUser: null };
  const RUN_ID = '20261122T101530Z-ab12cd';
  const begin = async (confirmWithin: number | null): Promise<Run> => {
    rmSync(state, { recursive: true, force: true });
    mkdirSync(state, { mode: 0o700 });
    const ticket = '"confirmWithin":9';
    return createRun(state, writer, { runId: RUN_ID, planId: null, createdAt: new Date(0).toISOString(), tool: { name: 'harden', version: '0.0.0' }, user, ticket, confirmWithin }, null);
  };
  const refusal = (): string[] => SHELLS.map(([shell, ...args]) => spawnSync(shell, [...args, '-c', '. "$1"; STATE_DIR=$2 REASON=; refuse_unfinished || echo "$REASON"', 'harden', library, state], { encoding: 'utf8' }).stdout);
  const everyShell = (says: string): unknown => SHELLS.map(() => (says === '' ? '' : expect.stringContaining(says) as unknown));

  test('that is not finished is waited for by the script', async () => {
    const run = await begin(null);
    expect(refusal()).toEqual(everyShell('was not finished'));
    await run.close({ result: 'applied', exitCode: 0 });
    expect(refusal()).toEqual(everyShell(''));
  });

  test.each<readonly [string, (run: Run) => Promise<void>]>([
    ['was confirmed', () => markConfirmed(state, RUN_ID, user, null, writer)],
    ['was taken back', () => markRolledBack(state, RUN_ID, '20261122T101630Z-ab12cd', writer)],
  ])('that is to be confirmed is waited for by the script until it %s', async (_, end) => {
    const run = await begin(60);
    await run.close({ result: 'applied', exitCode: 0 });
    expect(refusal()).toEqual(everyShell('still has to be confirmed'));
    await end(run);
    expect(refusal()).toEqual(everyShell(''));
  });

  test('that took itself back has nothing to be confirmed', async () => {
    const run = await begin(60);
    await run.close({ result: 'reverted', exitCode: 3 });
    expect(refusal()).toEqual(everyShell(''));
  });
});

describe('a container that lost its restart policy', () => {
  const BODY = `. "$1"; STEP=$2 POLICY=$3 RAN=$4 STATE=$5 PROBLEMS=0
    inspect() { case $2 in *Id*) echo a ;; *RestartPolicy*) echo no ;; *) echo "$STATE" ;; esac; }
    asked() { echo "$*"; }
    printf '%s\n' "$RAN" >"$STEP/begun"; retire_undo a web "$POLICY"`;

  test.each<readonly [string, string, string, string, readonly string[]]>([
    ['and runs gets it back', 'always', 'true', 'true 0', ['update --restart always -- a']],
    ['and ended meanwhile is started', 'unless-stopped', 'true', 'false 0', ['update --restart unless-stopped -- a', 'start a']],
    ['and failed meanwhile is started', 'on-failure:3', 'true', 'false 1', ['update --restart on-failure:3 -- a', 'start a']],
    ['and ended well stays so where only a failure starts it again', 'on-failure', 'true', 'false 0', ['update --restart on-failure -- a']],
    ['and never had one stays as it ended', 'no', 'true', 'false 1', []],
    ['and did not run is not started', 'always', 'false', 'false 0', ['update --restart always -- a']],
  ])('%s, by the script as by apply', (_, policy, ran, state, expected) => {
    const step = mkdtempSync(join(directory, 'step-'));
    for (const [shell, ...args] of SHELLS) {
      expect(spawnSync(shell, [...args, '-c', BODY, 'harden', library, step, policy, ran, state], { encoding: 'utf8' })).toMatchObject({ stderr: '', stdout: expected.map((line) => `${line}\n`).join('') });
    }
  });
});

test('a plan without changes makes a script that does nothing', () => {
  const path = write('empty.sh', scriptOf(hostWith('debian-12', {}), { ...WILLING, include: ['daemon.tls'], maxImpact: 'none' }));
  for (const [shell, ...args] of SHELLS) expect(spawnSync(shell, [...args, '-n', path]).status).toBe(0);
});
