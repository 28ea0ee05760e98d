import type { Check } from '../src/model.ts';

/** Every check, in the benchmark's order; retired ones keep the place that they had. */
export const checks: readonly Check[] = [];
