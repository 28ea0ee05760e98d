#!/usr/bin/env node
import type { Context } from './commands/context.ts';
import { run } from './program.ts';
import { escapeLine } from './render/escape.ts';
import type { Layout } from './render/layout.ts';

const { stdin, stdout, stderr, env } = process;

/** NO_COLOR (no-color.org): set to anything but the empty string. */
const coloured = (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';

const layoutOf = (stream: NodeJS.WriteStream): Layout =>
  (stream.isTTY ? { color: coloured, width: Math.max(40, stream.columns || 80) } : { color: false, width: Infinity });

/** A result that did not arrive is a failure, but none that may end this process while it changes the host. */
let lost: NodeJS.ErrnoException | null = null;

// A reader that has seen enough (`| head`) is no failure; a terminal that went away cannot be told anything.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || error.code === 'EIO' || lost !== null) return;
  lost = error;
  stderr.write(`harden: standard output cannot be written: ${error.message}\n`);
  process.exitCode = exitCodeFor(Number(process.exitCode ?? 0));
});
stderr.on('error', () => undefined);

/** 2 promises that nothing was changed, which apply and rollback cannot say once they have run. */
const exitCodeFor = (code: number): number => (code !== 0 || lost === null ? code : ['apply', 'rollback', 'recover', 'gc', 'confirm'].includes(process.argv[2] ?? '') ? 1 : 2);

let progressing = false;

/** Takes a progress line off the terminal before anything else is written to it. */
function clearProgress(): void {
  if (progressing) stderr.write('\r\u001b[K');
  progressing = false;
}

const context: Context = {
  out: (text) => {
    clearProgress();
    stdout.write(text);
  },
  err: (text) => {
    clearProgress();
    stderr.write(text);
  },
  progress: (text) => {
    clearProgress();
    if (!stderr.isTTY || text === '') return;
    stderr.write(escapeLine(text).slice(0, Math.max(40, stderr.columns || 80) - 1));
    progressing = true;
  },
  layout: layoutOf(stdout),
  errorLayout: layoutOf(stderr),
  interactive: stdin.isTTY && stderr.isTTY,
  cwd: process.cwd(),
  euid: process.geteuid?.() ?? -1,
  now: () => new Date(),
  prompter: async () => (await import('./ask.ts')).terminalPrompter(),
};

process.exitCode = exitCodeFor(await run(process.argv.slice(2), context));
clearProgress();
