/**
 * Crashes and failing disks below the Host port: the built CLI is ended with SIGKILL, or its operations fail, at each of the operations by which it
 * changes something (fault.mjs numbers them). Whatever happened, the host must then be as before the run or as after it, in every respect.
 */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import type { TestHost } from './host.ts';
import { harden } from './support.ts';

const PRELOAD = '/usr/local/lib/fault.mjs';
const LOG = '/run/harden-faults';
const RUNS = '/var/lib/harden/runs';

/** One operation of a run, as it was numbered. */
export interface Operation {
  readonly number: number;
  /** A system call, "engine" or "run". */
  readonly kind: string;
  readonly what: string;
}

/** What happens to the CLI: see fault.mjs. */
export type Fault =
  | { readonly at: number; readonly kill: 'before' | 'within' | 'after' | number }
  | { readonly at: number; readonly fail: string }
  | { readonly from: number; readonly fail: string; readonly below: string };

/** A step of a run, with its operations: from the line of the journal that announces it to the one that says that it is done. */
interface CrashStep {
  readonly kind: string;
  readonly operations: readonly Operation[];
}

/** Paths of the run's own names differ from run to run. */
const plain = (what: string): string => what.replace(/\d{8}T\d{6}Z-[0-9a-f]{6}/g, 'RUN').replace(/\b(?:[0-9a-f]{64}|[0-9a-f]{12})\b/g, 'ID');

/** Also makes the state directory, as the first run on a host would: the runs that are compared all find one. */
export async function prepareFaults(host: TestHost): Promise<void> {
  await host.writeFile(PRELOAD, await readFile(new URL('fault.mjs', import.meta.url)));
  await host.exec(`install -d -m 700 /var/lib/harden ${RUNS}`, { check: true });
}

/** Runs the CLI under a fault (none: only numbered), and gives what it said and its operations as far as it came. */
async function underFault(host: TestHost, args: readonly string[], fault: Fault | null): Promise<{ code: number; said: string; operations: Operation[] }> {
  const env = { NODE_OPTIONS: `--import ${PRELOAD}`, UV_THREADPOOL_SIZE: '1', HARDEN_FAULT: JSON.stringify({ log: LOG, ...fault }) };
  const { code, stdout, stderr } = await host.exec(['sh', '-c', `rm -f ${LOG}; harden "$@"; code=$?; exit $code`, 'underFault', ...args], { env, timeoutMs: 400_000 });
  const log = (await host.exec(`cat ${LOG} 2>/dev/null`)).stdout;
  const operations = log.split('\n').filter((line) => line !== '').map((line): Operation => {
    const [, number = '', kind = '', what = ''] = /^(\d+) (\S+) (.*)$/.exec(line) ?? [];
    return { number: Number(number), kind, what: plain(what) };
  });
  return { code, said: stdout + stderr, operations };
}

/** The steps of a whole run, by what its journal announces. */
function stepsOf(operations: readonly Operation[]): CrashStep[] {
  const steps: { kind: string; operations: Operation[] }[] = [];
  for (const operation of operations) {
    const [, kind] = /journal\.jsonl intent (\S+)$/.exec(operation.what) ?? [];
    if (kind !== undefined) steps.push({ kind, operations: [] });
    else steps.at(-1)?.operations.push(operation);
  }
  return steps;
}

/** Tools that change a host in more than one deed, and the moments (ms) at which they end with harden. */
const TEARABLE = /^(?:docker(?:-compose)? .*\bup\b|augenrules)/;
const TORN_MS = [50, 150, 300, 500, 700, 900, 1200, 1600, 2000];

/**
 * Every moment at which the CLI can end: before each operation, and where somebody else carries it on, while and just after he does. What does much
 * at once also ends with it, as when the power fails.
 */
export const everyCrash = (operations: readonly Operation[]): Fault[] => operations.flatMap(({ number, kind, what }): Fault[] => {
  const kills: Extract<Fault, { kill: unknown }>['kill'][] = ['before'];
  if (kind === 'engine' || kind === 'run') kills.push('within', 'after');
  if (kind === 'run' && TEARABLE.test(what)) kills.push(...TORN_MS);
  return kills.map((kill) => ({ at: number, kill }));
});

const isBegun = ({ what }: Operation): boolean => what.includes(' intent ');

/** Without what every run does before its first step. */
export const fromFirstStep = (operations: readonly Operation[]): readonly Operation[] => operations.slice(operations.findIndex(isBegun));

/** Every failure of a disk: EIO once at each operation on files; from each on, a full disk below the state directory and a read-only one below /etc. */
export function everyFailure(operations: readonly Operation[]): Fault[] {
  const onFiles = operations.filter(({ kind }) => kind !== 'engine' && kind !== 'run');
  const from = (fail: string, below: string, except: readonly string[]): Fault[] => onFiles.filter(({ what }) => what === below || what.startsWith(`${below}/`))
    .flatMap(({ kind }, index): Fault[] => (except.includes(kind) ? [] : [{ from: index + 1, fail, below }]));
  return [
    ...onFiles.map((_, index): Fault => ({ at: index + 1, fail: 'EIO' })),
    ...from('ENOSPC', '/var/lib/harden', ['rmdir', 'unlink', 'rm', 'chmod', 'chown', 'sync', 'truncate']),
    ...from('EROFS', '/etc', ['sync']),
  ];
}

/** One crash for each kind of step that is not among those seen, in the middle of what it does; they are seen then. */
export function oneCrashPerKind(operations: readonly Operation[], kinds: Set<string>): Fault[] {
  return stepsOf(operations).flatMap(({ kind, operations: own }): Fault[] => {
    if (kinds.has(kind)) return [];
    kinds.add(kind);
    const foreign = own.filter((operation) => operation.kind === 'engine' || operation.kind === 'run').at(-1);
    const sync = own.findIndex((operation) => operation.kind === 'sync');
    const deed = own[sync + 1];
    return [foreign === undefined ? { at: deed?.number ?? 0, kill: 'before' } : { at: foreign.number, kill: 'within' }];
  });
}

/** What nobody may lose, as lines: bytes and metadata of every path that may be changed, what the kernel, the daemon and each container are. */
export async function stateOf(host: TestHost): Promise<string> {
  const script = `
import json, os, subprocess, sys, hashlib, stat
def show(path):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    line = [path, oct(s.st_mode), f'{s.st_uid}:{s.st_gid}']
    if stat.S_ISLNK(s.st_mode): line.append(os.readlink(path))
    elif stat.S_ISREG(s.st_mode): line.append(hashlib.sha256(open(path, 'rb').read()).hexdigest())
    try: line += [f'{name}={os.getxattr(path, name, follow_symlinks=False).hex()}' for name in sorted(os.listxattr(path, follow_symlinks=False))]
    except OSError: pass
    print(*line)
for root in sys.argv[1:]:
    for directory, names, files in os.walk(root):
        for name in [''] + files + [n for n in names if os.path.islink(os.path.join(directory, n))]: show(os.path.join(directory, name) if name else directory)
for path in ['/run/docker.sock', '/run/containerd/containerd.sock']: show(path)
def out(*argv): return subprocess.run(argv, capture_output=True, text=True).stdout
print('live-restore', out('docker', 'info', '-f', '{{.LiveRestoreEnabled}}').strip())
ids = out('docker', 'ps', '-aq', '--no-trunc').split()
for c in sorted(json.loads(out('docker', 'inspect', *ids)) if ids else [], key=lambda c: c['Name']):
    h = c['HostConfig']
    limit = h['PidsLimit'] if (h['PidsLimit'] or 0) > 0 else None
    print('container', c['Name'], c['State']['Status'], c['Image'], h['RestartPolicy'], limit, h['SecurityOpt'], h['PortBindings'], c['Config']['Cmd'], c['Config']['Labels'].get('com.docker.compose.config-hash'))
print('rules', *sorted(out('auditctl', '-l').split(chr(10))))
`;
  const { stdout } = await host.exec(['python3', '-c', script, '/etc', '/usr/lib/systemd/system', '/srv'], { check: true });
  return stdout.replace(/harden-kept-[0-9a-f]{12}/g, 'harden-kept-ID').trim();
}

const differing = (now: string, from: string): string => {
  const [a, b] = [now, from].map((text) => text.split('\n')) as [string[], string[]];
  return [...b.filter((line) => !a.includes(line)).map((line) => `- ${line}`), ...a.filter((line) => !b.includes(line)).map((line) => `+ ${line}`)].join('\n');
};

/** The host before and after a whole run. */
interface States {
  readonly old: string;
  readonly after: string;
}

/** What came of some faults. */
interface Tally {
  readonly survived: number;
  /** How many ended in the state after the run; the others in that before it. */
  readonly kept: number;
  readonly problems: readonly string[];
}

/**
 * Applies under each fault, recovers, and holds the host to what it was before (`old`) or is after a run (`after`). What is found in the state after
 * it is rolled back, so that the next one, which is also the further apply after this one, starts from the state before. `first`: each run is the
 * first on its host. No run is begun over an unfinished one: that none is left is asked at the end.
 */
async function surviveAll(host: TestHost, args: readonly string[], states: States, faults: readonly Fault[], operations: readonly Operation[], first: boolean): Promise<Tally> {
  const problems: string[] = [];
  let survived = 0;
  let kept = 0;
  for (const fault of faults) {
    const number = 'at' in fault ? fault.at : fault.from;
    const below = 'from' in fault ? fault.below : '/';
    const numbered = operations.filter((operation) => 'kill' in fault || ((operation.kind !== 'engine' && operation.kind !== 'run') && operation.what.startsWith(below)));
    const { kind = '', what = '' } = numbered[number - 1] ?? {};
    const title = `${JSON.stringify(fault)} ${kind} ${what}`;
    if (first) await host.exec('rm -rf /var/lib/harden', { check: true });
    const found = await survive(host, args, states, fault, kind);
    if (process.env['HARDEN_CRASH'] !== undefined) process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${found.problem === null ? (found.kept ? 'after ' : 'before') : 'LOST  '} ${title}${found.problem === null ? '' : `\n${found.problem}`}\n`);
    if (found.problem === null) survived += 1;
    else {
      problems.push(`${title}\n${found.problem}`);
      // Somebody has to look at it; the others are not to be judged by it.
      await harden(host, ['recover', '--yes']);
      if (problems.length > 3 || await stateOf(host) !== states.old) break;
    }
    if (found.kept) kept += 1;
  }
  return { survived, kept, problems };
}

async function survive(host: TestHost, args: readonly string[], { old, after }: States, fault: Fault, kind: string): Promise<{ kept: boolean; problem: string | null }> {
  const lost = (problem: string): { kept: boolean; problem: string } => ({ kept: false, problem });
  const run = await underFault(host, args, fault);
  const last = run.operations.at(-1);
  if ('kill' in fault) {
    if (run.code !== 137 || last?.number !== fault.at || last.kind !== kind) return lost(`it was not ended there, but with exit code ${run.code} at ${JSON.stringify(last)}:\n${run.said}`);
  } else if (![0, 1, 2, 3].includes(run.code) && !('from' in fault)) return lost(`exit code ${run.code}:\n${run.said}`);
  const recovered = await harden(host, ['recover', '--yes']);
  if (recovered.code !== 0) return lost(`recover: exit code ${recovered.code}\n${recovered.stdout}${recovered.stderr}`);
  let now = await stateOf(host);
  const keeps = now === after;
  if ('fail' in fault && now !== old && !keeps && run.code === 4) {
    await harden(host, ['rollback', '--yes']);
    now = await stateOf(host);
  }
  if (keeps) {
    const back = await harden(host, ['rollback', '--yes']);
    if (back.code !== 0) return lost(`rollback: exit code ${back.code}\n${back.stdout}${back.stderr}`);
    now = await stateOf(host);
  }
  if ('fail' in fault && (run.code === 2 || run.code === 3) && keeps) return lost(`exit code ${run.code}, and the changes are in:\n${run.said}`);
  // So that the journals of hundreds of runs do not cost time.
  await host.exec(`cd ${RUNS} 2>/dev/null && ls | head -n -3 | xargs -r rm -rf`);
  return now === old ? { kept: keeps, problem: null } : lost(`the host is neither as before nor as after:\n${differing(now, old)}\n${run.said}\n${recovered.stdout}${recovered.stderr}`);
}

/**
 * Runs `harden` once to the end on a host whose state is `old`, numbering its operations, takes that back, and then runs it under each fault that is
 * chosen of them. Prints how many there were and how many the host survived, and fails when it did not survive one.
 */
export async function expectSurvival(host: TestHost, old: string, { title, args, choose, first = false }: {
  readonly title: string;
  readonly args: readonly string[];
  readonly choose: (operations: readonly Operation[]) => Fault[];
  readonly first?: boolean;
}): Promise<void> {
  if (first) await host.exec('rm -rf /var/lib/harden', { check: true });
  const whole = await underFault(host, args, null);
  expect(whole).toMatchObject({ code: 0 });
  const after = await stateOf(host);
  expect(after).not.toBe(old);
  expect(await harden(host, ['rollback', '--yes'])).toMatchObject({ code: 0 });
  expect((await stateOf(host)).split('\n')).toEqual(old.split('\n'));
  const faults = choose(whole.operations);
  const { survived, kept, problems } = await surviveAll(host, args, { old, after }, faults, whole.operations, first);
  process.stderr.write(`crash points of ${title}: ${survived} of ${faults.length} survived (${survived - kept} as before, ${kept} as after), ${whole.operations.length} operations in a whole run\n`);
  expect(problems).toEqual([]);
  expect(survived).toBe(faults.length);
  expect(survived).toBeGreaterThan(0);
  const history = await harden(host, ['history']);
  expect(history).toMatchObject({ code: 0 });
  expect(history.stdout).not.toContain('unfinished');
}
