import { checks } from '../../checks/index.ts';
import { remediationFor } from '../../remediations/index.ts';
import { UsageError } from '../errors.ts';
import { loadPolicy } from '../policy.ts';
import { explanation, renderExplanation } from '../render/catalogue.ts';
import { selectChecks } from '../selection.ts';
import { TOOL } from '../version.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { destinations, emit, layoutFor } from './output.ts';

export interface ExplainOptions extends OutputOptions {
  readonly benchmark?: string;
  readonly policy?: string;
}

/** One check, by its id, its number in the edition, or a code of another tool. */
export async function explain(name: string, options: ExplainOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const { policy } = await loadPolicy({ flags: options, cwd: context.cwd, euid: context.euid });
  const { selected } = selectChecks(checks, { include: [name], exclude: [], level: 2, benchmark: policy.benchmark });
  const check = selected.find(({ id, cis }) => id === name || cis[policy.benchmark] === name) ?? (selected.length === 1 ? selected[0] : undefined);
  if (check === undefined) throw new UsageError(`${name} names ${selected.length} checks; explain one of them:\n${selected.map(({ id }) => id).join(', ')}`);
  const entry = explanation(check, remediationFor(check.id), policy.benchmark);
  await emit(wanted, {
    text: (layout) => renderExplanation(entry, policy.benchmark, layout),
    json: () => printJson({ schemaVersion: 1, tool: TOOL, benchmark: policy.benchmark, ...entry }),
  }, layoutFor(context.layout, options), context);
  return 0;
}
