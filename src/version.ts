import type { ToolStamp } from './model/base.ts';

/** Kept equal to package.json by a test: reading a file would cost every start. */
export const TOOL: ToolStamp = { name: 'harden', version: '0.1.0' };
