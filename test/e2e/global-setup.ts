/**
 * Before the end-to-end tests: says what this machine cannot test, removes what killed runs left, builds harden and the
 * Debian roots that the hosts are made of, so that no test's time limit has to allow for it.
 * After them: removes what they left.
 */
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './bed/layout.ts';
import { hostRoot } from './bed/roots.ts';
import { beginRun } from './bed/runs.ts';
import { runSync } from './bed/shell.ts';
import { bed, skipReason, type HostKind } from './host.ts';

const KINDS: HostKind[] = ['systemd', 'audit'];
const SOURCES = ['src', 'checks', 'remediations', 'templates', 'fixtures/hosts', 'scripts', 'package.json', 'tsconfig.json'];
const BUILT_CLI = join(REPOSITORY, 'dist/src/cli.js');

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const reasons = KINDS.map((kind) => ({ kind, reason: skipReason(kind) }));
  for (const { kind, reason } of reasons) {
    if (reason !== null) process.stderr.write(`e2e: tests on ${kind} hosts are skipped: ${reason}\n`);
  }
  if (reasons.every(({ reason }) => reason !== null)) return undefined;
  beginRun();
  await bed.cleanUp();
  buildIfStale();
  await hostRoot('bookworm');
  if (skipReason('systemd') === null) await hostRoot('trixie');
  return () => bed.cleanUp();
}

/**
 * The hosts run the built harden. When it cannot be built it is removed: a test that needs it must not pass on what an
 * earlier state of the sources did; one that does not need it may.
 */
function buildIfStale(): void {
  const newest = Math.max(...SOURCES.map((path) => newestChange(join(REPOSITORY, path))));
  if (newest < newestChange(BUILT_CLI)) return;
  const build = runSync(['npm', 'run', 'build'], { cwd: REPOSITORY });
  if (build.code === 0) return;
  rmSync(BUILT_CLI, { force: true });
  process.stderr.write(`e2e: harden cannot be built, so tests that run it in a host fail:\n${build.stdout}${build.stderr}\n`);
}

/** When a file, or anything in a directory, was last written: 0 when there is no such thing. */
function newestChange(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  return stat.isDirectory() ? Math.max(stat.mtimeMs, ...readdirSync(path).map((entry) => newestChange(join(path, entry)))) : stat.mtimeMs;
}
