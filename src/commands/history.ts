import { createLocalReader } from '../host/local-reader.ts';
import { listRuns } from '../journal.ts';
import { renderHistory } from '../render/history.ts';
import { TOOL } from '../version.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions, WhereOptions } from './context.ts';
import { destinations, emit, layoutFor } from './output.ts';
import { stateDirOf } from './look.ts';

export type HistoryOptions = Pick<WhereOptions, 'stateDir'> & OutputOptions;

export async function history(options: HistoryOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['text', 'json'], options);
  const stateDir = stateDirOf(options, context);
  const runs = (await listRuns(stateDir, createLocalReader())).slice(0, options.limit);
  await emit(wanted, {
    text: (layout) => renderHistory(runs, stateDir, layout),
    json: () => printJson({ schemaVersion: 1, tool: TOOL, runs }),
  }, layoutFor(context.layout, options), context);
  return 0;
}
