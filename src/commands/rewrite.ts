import { constants } from 'node:fs';
import { chown, open, readFile, realpath, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { checks } from '../../checks/index.ts';
import { containerRemediations as remediations } from '../../remediations/containers/index.ts';
import { parseRunText, parseRunWords } from '../container/from-run.ts';
import type { RunCommand } from '../container/from-run.ts';
import { editRun } from '../container/run-edit.ts';
import { messageOf, UsageError } from '../errors.ts';
import { maskSecretsInText } from '../mask.ts';
import type { Deferred, Policy, SpecEdit } from '../model.ts';
import { loadPolicy } from '../policy.ts';
import type { PolicyFlags } from '../policy.ts';
import { renderRewrites } from '../render/rewrite.ts';
import type { Rewrite, RewriteDocument, RewrittenUnit } from '../render/rewrite.ts';
import { printJson } from '../render/escape.ts';
import { advise, definitionChecks } from '../rewrite.ts';
import type { Advice, Definition } from '../rewrite.ts';
import { selectChecks } from '../selection.ts';
import { TOOL } from '../version.ts';
import type { Context, ExitCode, OutputOptions } from './context.ts';
import { destinations, emit, layoutFor, writeResult } from './output.ts';

export interface RewriteOptions extends PolicyFlags, OutputOptions {
  readonly write?: boolean;
}

/** No line that people write comes near this. */
const MAX_BYTES = 16 << 20;

/** A text with the containers that it defines, and how edits of one are written into it. */
export interface Source {
  readonly name: string;
  readonly text: string;
  /** Takes the secrets out of such a text. */
  readonly mask: (text: string) => string;
  readonly definitions: readonly Definition[];
  readonly unseen: (id: string) => readonly string[];
  /** The text with the edits of one definition made in it; or why not, and what to write. */
  readonly edit: (text: string, id: string, edits: readonly SpecEdit[]) => { readonly text: string } | { readonly refused: string };
}

/** Hardens what defines containers, without an engine. Words after `--` are a docker run line. */
export async function rewrite(words: readonly string[], { write = false, ...options }: RewriteOptions, context: Context): Promise<ExitCode> {
  const wanted = destinations(['diff', 'text', 'json'], options);
  const isLine = words.length > 0 && ['docker', 'sudo', 'exec'].includes(basename(words[0] ?? '')) && words.length > 1;
  if (words.length === 0) throw new UsageError('Name a file with a docker run line or a compose file (- is standard input), or write the line after --, as in\n`harden rewrite -- docker run nginx`');
  if (write && (isLine || words.includes('-'))) throw new UsageError('--write edits files; a line is printed: use --format text');
  if (!isLine && words.length > 1 && wanted.some(({ format }) => format === 'text')) throw new UsageError('--format text prints one text; name one file, or use --write to edit several');
  const { policy } = await loadPolicy({ flags: options, cwd: context.cwd, euid: context.euid });
  const selected = definitionChecks(selectChecks(checks, policy).selected);
  if (selected.length === 0) throw new UsageError('None of the selected checks is of a container\'s definition; `harden list checks -c container` shows those that are');
  const sources: Source[] = [];
  if (isLine) sources.push(runSource('docker run line', [parseRunWords(words)]));
  else for (const file of words) sources.push(await readSource(file, context));
  const rewrites = sources.map((source) => rewriteSource(source, policy, advise({ definitions: source.definitions, checks: selected, remediations, policy, now: context.now() })));
  if (write) for (const [index, one] of rewrites.entries()) if (one.after !== one.before) await replaceFile(resolve(context.cwd, words[index] ?? ''), one.before, one.after);
  await emit(wanted, {
    diff: (layout) => renderRewrites(rewrites, layout, 'diff'),
    text: () => rewrites.map(({ after }) => after.replace(/\n?$/, '\n')).join(''),
    json: () => printJson(documentOf(rewrites, policy)),
  }, layoutFor(context.layout, options), context);
  if (!wanted.some(({ format, path }) => format === 'json' && path === null)) context.err(renderRewrites(rewrites, layoutFor(context.errorLayout, options), 'rest'));
  return !write && rewrites.some(({ before, after }) => before !== after) ? 1 : 0;
}

function rewriteSource(source: Source, { benchmark }: Policy, advice: readonly Advice[]): Rewrite {
  let text = source.text;
  const units = advice.map(({ target, fixes, deferred, unknown }): RewrittenUnit => {
    const whole = source.edit(text, target.id, fixes.flatMap(({ edits }) => edits));
    const made: typeof fixes[number][] = [];
    const refused: Deferred[] = [];
    // Together where that is possible: one edit less must not cost the others.
    if ('text' in whole) {
      text = whole.text;
      made.push(...fixes);
    } else {
      const edits: SpecEdit[] = [];
      for (const fix of fixes) {
        const alone = source.edit(source.text, target.id, [...edits, ...fix.edits]);
        if ('text' in alone) {
          edits.push(...fix.edits);
          made.push(fix);
        } else refused.push({ check: fix.check, target, reason: 'unsupported', explanation: `${fix.message}. The text cannot be edited for it: ${alone.refused}`, needs: `harden explain ${fix.check}` });
      }
      const those = source.edit(text, target.id, edits);
      if ('text' in those) text = those.text;
    }
    return { target, fixes: made, deferred: [...deferred, ...refused], unknown, unseen: source.unseen(target.id) };
  });
  return { name: source.name, benchmark, before: source.text, after: text, mask: source.mask, units };
}

const documentOf = (rewrites: readonly Rewrite[], { benchmark }: Policy): RewriteDocument => ({
  schemaVersion: 1,
  tool: TOOL,
  benchmark,
  files: rewrites.map((one) => ({
    file: one.name,
    changed: one.before !== one.after,
    diff: maskSecretsInText(renderRewrites([one], { color: false, width: Infinity }, 'diff')),
    containers: one.units.map(({ target, fixes, deferred, unknown, unseen }) => ({
      target, fixed: fixes.map(({ check, message, note }) => ({ check, message, effect: note })), deferred, unknown, unseen: unseen.map(maskSecretsInText),
    })),
  })),
  summary: {
    files: rewrites.length,
    changed: rewrites.filter(({ before, after }) => before !== after).length,
    fixed: rewrites.flatMap(({ units }) => units.flatMap(({ fixes }) => fixes)).length,
    deferred: rewrites.flatMap(({ units }) => units.flatMap(({ deferred }) => deferred)).length,
  },
});

function runSource(name: string, commands: readonly RunCommand[]): Source {
  const idOf = (_: RunCommand, index: number): string => `${name}#${index + 1}`;
  const byId = new Map(commands.map((command, index) => [idOf(command, index), index]));
  return {
    name,
    text: commands[0]?.text ?? '',
    mask: maskSecretsInText,
    definitions: commands.map((command, index) => ({ id: idOf(command, index), name: command.spec.name === '' ? command.spec.image.reference : command.spec.name, spec: command.spec, owner: { kind: 'none' } })),
    unseen: (id) => commands[byId.get(id) ?? -1]?.unseen ?? [],
    edit: (text, id, edits) => {
      // Edits of one command move those after it.
      const command = parseRunText(text, name)[byId.get(id) ?? -1];
      const edited = command === undefined ? null : editRun(command, edits);
      return edited === null ? { refused: 'a docker run line cannot say it, or says it in a way that cannot be told apart' } : { text: edited };
    },
  };
}

async function readSource(file: string, { cwd }: Context): Promise<Source> {
  const name = file === '-' ? 'standard input' : file;
  const text = file === '-' ? decode(name, await readStdin()) : decode(name, await readRegular(name, resolve(cwd, file)));
  if (/\.ya?ml$/i.test(file) || (!/\bdocker\b/.test(text) && /^\S+:/m.test(text))) return (await import('./rewrite-compose.ts')).composeSource(name, text);
  return runSource(name, parseRunText(text, name));
}

function decode(name: string, bytes: Uint8Array): string {
  if (bytes.length > MAX_BYTES) throw new UsageError(`${name} is larger than ${MAX_BYTES >> 20} MiB: this is no file that people edit`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`${name} is not valid UTF-8; save it as UTF-8`, { cause: error });
  }
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    chunks.push(chunk as Uint8Array);
    size += (chunk as Uint8Array).length;
    if (size > MAX_BYTES) break;
  }
  return Buffer.concat(chunks);
}

async function readRegular(name: string, path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (found.isDirectory()) throw new UsageError(`${name} is a directory; name the file in it`);
      if (!found.isFile()) throw new UsageError(`${name} is not a regular file; pipe it to \`harden rewrite -\``);
      if (found.size > MAX_BYTES) throw new UsageError(`${name} is larger than ${MAX_BYTES >> 20} MiB: this is no file that people edit`);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${name} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

/** Replaces a file that is still what was read, whole, with its mode and owner; of a link, what it leads to. */
async function replaceFile(path: string, before: string, after: string): Promise<void> {
  const target = await realpath(path);
  const { mode, uid, gid } = await stat(target);
  if (await readFile(target, 'utf8') !== before) throw new UsageError(`${path} changed while it was read; run it again`);
  await writeResult(target, after, mode & 0o777);
  const written = await stat(target);
  if (written.uid !== uid || written.gid !== gid) await chown(target, uid, gid);
}
