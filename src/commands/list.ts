import { CHECKLISTS } from '../../checks/checklists.ts';
import { checks } from '../../checks/index.ts';
import { remediationFor } from '../../remediations/index.ts';
import { UsageError } from '../errors.ts';
import { loadPolicy } from '../policy.ts';
import type { PolicyFlags } from '../policy.ts';
import { catalogueEntry, checklistEntry, renderChecklist, renderList } from '../render/catalogue.ts';
import { selectChecks } from '../selection.ts';
import { TOOL } from '../version.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { destinations, emit, layoutFor } from './output.ts';

export type ListOptions = PolicyFlags & OutputOptions & { readonly checklist?: string };

/** `checks`: every check of the selection. `remediations`: those that have one. */
export async function list(what: 'checks' | 'remediations', options: ListOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  if (options.checklist !== undefined) return listChecklist(options.checklist, what, options, context);
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

/** A checklist of others, with the checks that answer each of its boxes, whatever is selected, and what is left to a person. */
async function listChecklist(name: string, what: string, options: ListOptions, context: Context): Promise<ExitCode> {
  const checklist = CHECKLISTS.get(name);
  if (checklist === undefined) throw new UsageError(`there is no checklist "${name}"\nharden knows ${[...CHECKLISTS.keys()].join(', ')}`);
  if (what !== 'checks') throw new UsageError('--checklist maps to checks: `harden list checks --checklist NAME`');
  if (options.check !== undefined || options.exclude !== undefined || options.level !== undefined) throw new UsageError('--checklist lists all of its boxes; leave out --check, --exclude and --level');
  const { policy: { benchmark } } = await loadPolicy({ flags: options, cwd: context.cwd, euid: context.euid });
  const entry = checklistEntry(name, checklist, (terms) => terms.length === 0 ? []
    : selectChecks(checks, { include: terms, exclude: [], level: 2, benchmark }).selected.map((check) => catalogueEntry(check, remediationFor(check.id), benchmark)));
  await emit(destinations(['text', 'json'], options), {
    text: (layout) => renderChecklist(entry, layout),
    json: () => printJson({ schemaVersion: 1, tool: TOOL, benchmark, ...entry }),
  }, layoutFor(context.layout, options), context);
  return 0;
}
