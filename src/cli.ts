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

// A reader that has seen enough (`| head`) is no failure.
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

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

process.exitCode = await run(process.argv.slice(2), context);
clearProgress();
