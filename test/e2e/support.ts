/** What the end-to-end tests of the CLI share. */
import { expect } from 'vitest';
import type { ExecOptions } from './bed/test-host.ts';
import type { TestHost } from './host.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What lets harden do all that it can without moving data. */
export const CEILINGS = ['--max-impact', 'restart', '--max-risk', 'behaviour'];

/** Runs the built CLI inside a host. */
export const harden = (host: TestHost, args: readonly string[], options: ExecOptions = {}): Promise<CliResult> =>
  host.exec(['harden', ...args], { timeoutMs: 300_000, ...options });

/** The parts of our documents that the tests look at. */
export interface ScanDocument {
  host: { hostname: string; engine: { endpoint: string; local: boolean; version: string } };
  results: { check: string; cis: string | null; section: string; outcome: string; findings: { target: { id: string; name: string }; outcome: string; message: string; pending?: { waitsFor: string }; waiver?: { owner: string } }[] }[];
  summary: Record<string, number>;
}
export interface PlanDocumentJson {
  id: string;
  changes: { id: string; kind: string; target: { id: string }; diff: string; impact: string; undo: string; because: { check: string; target: { id: string } }[]; promises: { check: string; expect: string }[] }[];
  promises: string[];
  deferred: { check: string; target: { id: string; name: string }; reason: string; explanation: string; needs: string | null }[];
  advice?: { check: string[]; target: { id: string; name: string }; path: string; diff: string; notes: string[] }[];
  summary: { warns: number; fixable: number; changes: number; deferred: number };
}
export interface OutcomesDocument {
  runId: string | null;
  changes: { id: string; state: string; reason: string | null }[];
  results: { check: string; target: { id: string }; state: string; reason: string; before: string | null; after: string | null }[];
  summary: Record<string, number>;
}

/** Runs the CLI with --format json and gives its document; the exit code must be one of those expected. */
export async function hardenJson<T>(host: TestHost, args: readonly string[], codes: readonly number[], options: ExecOptions = {}): Promise<T> {
  const { code, stdout, stderr } = await harden(host, [...args, '--format', 'json'], options);
  if (!codes.includes(code) || stdout === '') throw new Error(`harden ${args.join(' ')} exited ${code}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as T;
}

export const scan = (host: TestHost, ...args: string[]): Promise<ScanDocument> => hardenJson(host, ['scan', ...args], [0, 1]);
export const plan = (host: TestHost, ...args: string[]): Promise<PlanDocumentJson> => hardenJson(host, ['plan', ...args], [0]);

export const outcomes = (document: ScanDocument): Record<string, string> =>
  Object.fromEntries(document.results.map(({ check, outcome }) => [check, outcome]));

/** Exactly one result for each recommendation of sections 1.1, 2 and 3. */
export function expectAllSections({ results }: ScanDocument): void {
  const numbers = results.flatMap(({ cis }) => (/^(1\.1|2|3)\./.test(cis ?? '') ? [cis] : []));
  expect(numbers).toHaveLength(61);
  expect(new Set(numbers).size).toBe(61);
}

/** A container that serves HTTP on a published port, one with data in a volume, one with nothing. */
export async function startContainers(host: TestHost): Promise<void> {
  await host.run('-d', '--name', 'web', '-p', '8080:80', '--restart', 'unless-stopped', 'busybox:latest', 'sh', '-c', 'echo hello > /index.html && httpd -f -p 80 -h /');
  await host.run('-d', '--name', 'data', '-v', 'data:/data', 'busybox:latest', 'sh', '-c', 'echo kept > /data/file && sleep 100000');
  await host.run('-d', '--name', 'plain', 'busybox:latest', 'sleep', '100000');
}

/** The containers of `startContainers` run as the processes that they were, and serve what they served. */
export async function expectContainersKept(host: TestHost, before: Record<string, string>): Promise<void> {
  expect(await pids(host)).toEqual(before);
  expect(await answers(host, 'http://127.0.0.1:8080/')).toBe(true);
  expect((await host.exec(['docker', 'exec', 'data', 'cat', '/data/file'])).stdout).toBe('kept\n');
}

/** All changes are in; gives what became of each finding that they were made for. */
export function promised({ changes, results }: OutcomesDocument): Record<string, string> {
  expect(changes.map(({ state }) => state)).toEqual(changes.map(() => 'applied'));
  return Object.fromEntries(results.filter(({ state }) => state !== 'unchanged').map(({ check, state }) => [check, state]));
}

/** Every path that harden may touch: type, mode, owner, link target and content digest, one line each. */
export async function tree(host: TestHost): Promise<string> {
  const roots = ['/etc', '/usr/lib/systemd/system', '/run/docker.sock', '/run/containerd/containerd.sock', '/root'];
  const script = 'find "$@" -xdev -printf "%y %m %U:%G %p -> %l\\n" | sort; find "$@" -xdev -type f -print0 | sort -z | xargs -0 sha256sum';
  return (await host.exec(['sh', '-c', script, 'tree', ...roots], { check: true })).stdout;
}

/** Host pids of running containers by name. */
export async function pids(host: TestHost): Promise<Record<string, string>> {
  const { stdout } = await host.exec('docker inspect -f "{{.Name}} {{.State.Pid}} {{.State.Running}}" $(docker ps -aq)', { check: true });
  const rows = stdout.trim().split('\n').map((line) => line.split(' '));
  return Object.fromEntries(rows.map(([name = '', pid = '', running]) => [name, running === 'true' ? pid : 'stopped'] as const));
}

/** True when an HTTP GET inside the host gets an answer. */
export const answers = async (host: TestHost, url: string): Promise<boolean> =>
  (await host.exec(['node', '-e', `fetch(${JSON.stringify(url)}).then((r) => process.exit(r.status ? 0 : 1), () => process.exit(1))`])).code === 0;
