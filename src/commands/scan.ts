import type { PolicyFlags } from '../policy.ts';
import { renderTable } from '../render/table.ts';
import { printJson } from '../render/escape.ts';
import type { Context, ExitCode, OutputOptions, WhereOptions } from './context.ts';
import { dockerBenchText } from './docker-bench.ts';
import { judge, look } from './look.ts';
import { destinations, emit, layoutFor } from './output.ts';

export type FailOn = 'unknown' | 'warn' | 'never';

export interface ScanOptions extends WhereOptions, PolicyFlags, OutputOptions {
  /** `unknown`: WARN or UNKNOWN remain. */
  readonly failOn: FailOn;
  /** A reference, or the path of an archive or OCI layout: this image alone. */
  readonly image?: string;
}

export async function scan(options: ScanOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['table', 'json', 'docker-bench'], options);
  const { image } = options;
  const seen = image === undefined ? await look(options, options, context) : await (await import('./image.ts')).lookAtImage(image, options, options, context);
  const { report } = judge(seen, context);
  await emit(wanted, {
    table: (layout) => renderTable(report, layout, options.limit ?? null),
    json: () => printJson(report),
    'docker-bench': () => dockerBenchText(report, options.limit ?? null),
  }, layoutFor(context.layout, options), context);
  const { warn, unknown } = report.summary;
  switch (options.failOn) {
    case 'never': return 0;
    case 'warn': return warn > 0 ? 1 : 0;
    case 'unknown': return warn + unknown > 0 ? 1 : 0;
  }
}
