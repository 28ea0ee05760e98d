import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf, UsageError } from '../errors.ts';
import type { Layout } from '../render/layout.ts';
import { PLAIN } from '../render/layout.ts';
import type { Context, OutputOptions } from './context.ts';

/** Renderers by the name that --format takes; the first is the default. */
export type Formats = Readonly<Record<string, (layout: Layout) => string>>;

/** One wanted output; `path` null is stdout. */
interface Destination {
  readonly format: string;
  readonly path: string | null;
}

/**
 * Reads --format and -o, before anything slow happens.
 * @throws UsageError for a format that the command does not have, or two for one destination
 */
export function destinations(formats: readonly string[], { format = [], output }: OutputOptions): Destination[] {
  const wanted = (format.length === 0 ? [formats[0] ?? ''] : format).map((text): Destination => {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    if (!formats.includes(name)) throw new UsageError(`--format ${text}: there is no format "${name}" here; choose ${formats.join(' or ')}`);
    const path = equals < 0 ? (output ?? null) : text.slice(equals + 1);
    if (path === '') throw new UsageError(`--format ${text}: name a file after "="`);
    return { format: name, path: path === '-' ? null : path };
  });
  for (const { path } of wanted) {
    if (wanted.filter((other) => other.path === path).length > 1) {
      throw new UsageError(`--format: two results would go to ${path ?? 'standard output'}; give each its own file, as in --format json=FILE`);
    }
  }
  if (output !== undefined && !wanted.some(({ path }) => path === (output === '-' ? null : output))) {
    throw new UsageError(`-o ${output}: every --format already has a file; leave one of them out`);
  }
  return wanted;
}

/** Writes each result where it is wanted; files are plain text whatever the terminal can do. */
export async function emit(wanted: readonly Destination[], formats: Formats, layout: Layout, context: Context): Promise<void> {
  for (const { format, path } of wanted) {
    const render = formats[format];
    if (render === undefined) continue;
    if (path === null) context.out(render(layout));
    else await writeResult(path, render(PLAIN), 0o644);
  }
}

/** A stream's layout, without colour when the user says so. */
export const layoutFor = (layout: Layout, { color }: OutputOptions): Layout => (color === false ? { ...layout, color: false } : layout);

/**
 * Writes a result file. A regular file is replaced whole, never left half written; a device or pipe is written to. In a
 * directory that others can write, no symbolic link of theirs is followed.
 * @throws UsageError naming the file and what is wrong with it
 */
export async function writeResult(path: string, text: string, mode: number): Promise<void> {
  const target = resolve(path);
  try {
    const found = await lstatOrNull(target);
    if (found === null || found.isFile()) {
      await replace(target, text, mode);
    } else {
      if (found.isSymbolicLink() && !target.startsWith('/dev/')) await refuseForeignLink(target);
      await overwrite(target, text);
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${path} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}

async function lstatOrNull(path: string): Promise<Awaited<ReturnType<typeof lstat>> | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function replace(path: string, text: string, mode: number): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const file = await open(draft, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
    await file.close();
    await rename(draft, path);
  } catch (error) {
    await file.close();
    await rm(draft, { force: true });
    throw error;
  }
}

async function overwrite(path: string, text: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY);
  try {
    if ((await file.stat()).isFile()) await file.truncate();
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

async function refuseForeignLink(path: string): Promise<void> {
  const directory = await stat(dirname(path));
  if ((directory.mode & 0o022) !== 0) {
    throw new UsageError(`${path} is a symbolic link in a directory that others can write, so it is not followed; name the file itself`);
  }
}
