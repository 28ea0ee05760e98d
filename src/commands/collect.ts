import { reclaimable } from '../../checks/operations/reclaimable.ts';
import { exportSnapshot } from '../collect.ts';
import { loadPolicy } from '../policy.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode } from './context.ts';
import { needsDiskUsage, readFacts } from './look.ts';
import { writeResult } from './output.ts';

export interface CollectOptions {
  readonly output: string;
  readonly dockerHost?: string;
  readonly deep?: boolean;
  readonly policy?: string;
}

/** Writes the facts of this host, with all that a plan needs to know, as one file, secrets masked. It may be shared, but says much about the host: 0600. */
export async function collectFacts({ output, policy: named, ...where }: CollectOptions, context: Context): Promise<ExitCode> {
  // What takes minutes is read where the policy will want it.
  const { policy } = await loadPolicy({ flags: { policy: named }, cwd: context.cwd, euid: context.euid });
  const text = printJson(exportSnapshot(await readFacts({ ...where, evidence: true, diskUsage: needsDiskUsage(policy, [reclaimable]) }, context)));
  if (output === '-') context.out(text);
  else await writeResult(output, text, 0o600);
  return 0;
}
