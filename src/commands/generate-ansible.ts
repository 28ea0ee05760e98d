import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { remediations } from '../../remediations/index.ts';
import { messageOf, UsageError } from '../errors.ts';
import { hostVariables, inventoryExample, inventoryName, projectFiles } from '../render/ansible.ts';
import { escapeLine } from '../render/escape.ts';
import type { Context, ExitCode } from './context.ts';
import type { GenerateOptions } from './generate.ts';
import { portableFor, tellOf } from './generate.ts';
import { writeResult } from './output.ts';

const INVENTORY = 'inventory.example.yml';

/** Writes the plan as an Ansible project, or adds its host to one. What is there of the project stays as it is. */
export async function generateAnsible(saved: string | undefined, options: GenerateOptions, context: Context): Promise<ExitCode> {
  const { output } = options;
  if (output === '' || output === '-') throw new UsageError('-o: name the directory of the project');
  const present = new Map<string, string | null>();
  const files = projectFiles(remediations.map(({ check }) => check.id));
  for (const { path } of files) present.set(path, await textOf(join(output, path)));
  // A library of another version would run another script than the one that was planned.
  const other = files.find(({ path, text }) => path.endsWith('/library.sh') && ![null, text].includes(present.get(path) ?? null));
  if (other !== undefined) {
    throw new UsageError(`${join(output, other.path)} is of another version of harden, or was edited\nTake ${join(output, 'roles/harden')} away and generate it anew, for all hosts.`);
  }
  const generated = await portableFor(saved, options, context);
  const name = inventoryName(generated.plan.host.hostname);
  const variables = hostVariables(generated.plan, generated.portable, generated.facts);
  const put = async (path: string, text: string, mode: number): Promise<void> => {
    const full = join(output, path);
    await mkdir(dirname(full), { recursive: true });
    await writeResult(full, text, mode);
  };
  for (const { path, text } of files) {
    const there = present.get(path) ?? null;
    if (there === null) await put(path, text, 0o644);
    else if (there !== text) context.err(`harden: ${escapeLine(join(output, path))} stays as it is, with what somebody wrote there\n`);
  }
  await put(`host_vars/${name}.yml`, variables, 0o600);
  const names = (await readdir(join(output, 'host_vars'))).flatMap((file) => /^([A-Za-z0-9][A-Za-z0-9._-]*)\.yml$/u.exec(file)?.[1] ?? []).sort();
  await put(INVENTORY, inventoryExample(names), 0o644);
  tellOf(generated, escapeLine(join(output, 'site.yml')), context);
  return 0;
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UsageError(`${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
