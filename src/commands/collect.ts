import { exportSnapshot } from '../collect.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode } from './context.ts';
import { readFacts } from './look.ts';
import { writeResult } from './output.ts';

export interface CollectOptions {
  readonly output: string;
  readonly dockerHost?: string;
  readonly deep?: boolean;
}

/** Writes the facts of this host as one file, secrets masked. It may be shared, but says much about the host: 0600. */
export async function collectFacts({ output, ...where }: CollectOptions, context: Context): Promise<ExitCode> {
  const text = printJson(exportSnapshot(await readFacts(where, context)));
  if (output === '-') context.out(text);
  else await writeResult(output, text, 0o600);
  return 0;
}
