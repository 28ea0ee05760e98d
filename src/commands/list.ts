import { checks } from '../../checks/index.ts';
import { remediationFor } from '../../remediations/index.ts';
import { loadPolicy } from '../policy.ts';
import type { PolicyFlags } from '../policy.ts';
import { catalogueEntry, renderList } from '../render/catalogue.ts';
import { selectChecks } from '../selection.ts';
import { TOOL } from '../version.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { destinations, emit, layoutFor } from './output.ts';

export type ListOptions = PolicyFlags & OutputOptions;

/** `checks`: every check of the selection. `remediations`: those that have one. */
export async function list(what: 'checks' | 'remediations', options: ListOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const { policy } = await loadPolicy({ flags: options, cwd: context.cwd, euid: context.euid });
  const entries = selectChecks(checks, policy).selected
    .map((check) => catalogueEntry(check, remediationFor(check.id), policy.benchmark))
    .filter(({ remediation }) => what === 'checks' || remediation.mode !== 'none');
  await emit(wanted, {
    text: (layout) => renderList(entries, policy.benchmark, layout),
    json: () => printJson({ schemaVersion: 1, tool: TOOL, benchmark: policy.benchmark, checks: entries }),
  }, layoutFor(context.layout, options), context);
  return 0;
}
