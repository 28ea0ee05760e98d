/** What the end-to-end tests of the CLI share. */
import type { ExecOptions } from './bed/test-host.ts';
import type { TestHost } from './host.ts';

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built CLI inside a host. */
export const harden = (host: TestHost, args: readonly string[], options: ExecOptions = {}): Promise<CliResult> =>
  host.exec(['harden', ...args], { timeoutMs: 300_000, ...options });

/** The parts of our documents that the tests look at. */
export interface ScanDocument {
  results: { check: string; cis: string | null; outcome: string; findings: { target: { id: string }; outcome: string; message: string; pending?: { waitsFor: string } }[] }[];
  summary: Record<string, number>;
}
export interface PlanDocumentJson {
  id: string;
  changes: { id: string; kind: string; diff: string; impact: string; because: { check: string; target: { id: string } }[]; promises: { check: string; expect: string }[] }[];
  promises: string[];
  deferred: { check: string; target: { id: string }; reason: string; explanation: string; needs: string | null }[];
  summary: { warns: number; fixable: number; changes: number; deferred: number };
}
export interface OutcomesDocument {
  runId: string | null;
  changes: { id: string; state: string; reason: string | null }[];
  results: { check: string; target: { id: string }; state: string; reason: string; before: string | null; after: string | null }[];
  summary: Record<string, number>;
}

/** Runs the CLI with --format json and gives its document; the exit code must be one of those expected. */
export async function hardenJson<T>(host: TestHost, args: readonly string[], codes: readonly number[]): Promise<T> {
  const { code, stdout, stderr } = await harden(host, [...args, '--format', 'json']);
  if (!codes.includes(code)) throw new Error(`harden ${args.join(' ')} exited ${code}\n${stdout}\n${stderr}`);
  return JSON.parse(stdout) as T;
}

export const scan = (host: TestHost, ...args: string[]): Promise<ScanDocument> => hardenJson(host, ['scan', ...args], [0, 1]);
export const plan = (host: TestHost, ...args: string[]): Promise<PlanDocumentJson> => hardenJson(host, ['plan', ...args], [0]);

export const outcomes = (document: ScanDocument): Record<string, string> =>
  Object.fromEntries(document.results.map(({ check, outcome }) => [check, outcome]));

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
