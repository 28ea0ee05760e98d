import { normalize } from 'node:path/posix';
import { isComposeOne, isProjectName, isServiceName, newContainer, unchangedContainers, upArguments } from '../compose/call.ts';
import type { ComposeTool } from '../compose/call.ts';
import { ComposeError, parseCompose } from '../compose/document.ts';
import { isRemote, referencesOf, resolvePath } from '../compose/project.ts';
import type { Reference } from '../compose/project.ts';
import { writerDoubt } from '../compose/trust.ts';
import { isInterpolated } from '../compose/yaml-edit.ts';
import type { ComposeFacts, ComposeRehearsal, ContainerFacts, FileStat, Observed, Owner } from '../model.ts';
import { absent, present, unreadable, valueOf } from '../model.ts';
import { directoriesAbove } from './paths.ts';
import type { Answer, Round } from './round.ts';

type ComposeOwner = Extract<Owner, { kind: 'compose' }>;

/** What is asked about files by way of the collector's own store of stat(2) answers. */
interface Stats {
  need(round: Round, paths: readonly string[]): void;
  at(path: string): FileStat | undefined;
}

interface Project extends Pick<ComposeFacts, 'project' | 'workingDir' | 'files' | 'environmentFiles'> {
  /** `isNew`: created, and never started. */
  readonly containers: readonly { readonly name: string; readonly service: string; readonly isNew: boolean }[];
  /** Why nothing is run for it. */
  readonly doubt: string | null;
}

/** What Compose may be: the client's plugin first. */
const TOOLS: readonly ComposeTool[] = ['docker', 'docker-compose'];

/**
 * The projects of Docker Compose that containers name. In the second round their files are read; in the third what those name, and Compose
 * itself is asked what `up` would do (`--dry-run`), once per project, and only where nobody but root and we can write the files.
 */
export function readCompose(second: Round, stats: Stats, containers: readonly ContainerFacts[], euid: number): {
  readonly third: (round: Round, endpoint: string) => () => readonly ComposeFacts[];
} {
  const projects = projectsOf(containers);
  const texts = new Map<string, Answer<string>>();
  for (const { files, workingDir, environmentFiles } of projects) {
    for (const file of files) texts.set(file, second.text(file));
    const read = [...files, ...(environmentFiles.length === 0 ? [`${workingDir}/.env`] : environmentFiles)];
    stats.need(second, [...read, ...read.flatMap(directoriesAbove), workingDir, ...directoriesAbove(workingDir)]);
  }
  return {
    third: (round, endpoint) => {
      const asked = projects.map((project) => {
        const references = project.files.flatMap((file) => referencesIn(file, valueOf(texts.get(file)?.())));
        const local = references.filter(({ path }) => !isRemote(path) && !isInterpolated(path)).map((reference) => ({ ...reference, path: resolvePath(reference.from, reference.path) }));
        const bases = local.filter(({ kind }) => kind === 'extends').map(({ path }) => path).filter((path) => !texts.has(path));
        const baseTexts = bases.map((path) => [path, round.text(path)] as const);
        stats.need(round, local.flatMap(({ path }) => [path, ...directoriesAbove(path)]));
        const doubt = project.doubt ?? distrusted(project, stats, euid) ?? unreadableFile(project, texts) ?? farAway(references);
        const services = grouped(project.containers, ({ service }) => service).map(([name, all]) => ({ name, containers: all.length }));
        const runs = doubt === null ? TOOLS.map((tool) => [tool, round.need({ kind: 'tool', tool, args: upArguments(tool, endpoint, project, services, { step: 'make', dryRun: true }) })] as const) : [];
        return { project, local, baseTexts, doubt, runs };
      });
      return () => asked.map(({ project: { containers: members, doubt: _, ...project }, local, baseTexts, doubt, runs }): ComposeFacts => ({
        ...project,
        texts: Object.fromEntries([...project.files.map((file) => [file, texts.get(file)?.() ?? absent] as const), ...baseTexts.map(([path, text]) => [path, text()] as const)]),
        reads: [...new Set(local.filter(({ kind }) => kind !== 'extends').map(({ path }) => path))].sort(),
        rehearsal: doubt === null ? rehearsalOf(runs, members) : unreadable(doubt),
      }));
    },
  };
}

function projectsOf(containers: readonly ContainerFacts[]): readonly Project[] {
  const members = containers.flatMap(({ name, owner, runtime }) => (owner.kind === 'compose' && owner.oneOff !== true ? [{ name, owner, isNew: valueOf(runtime)?.state === 'created' }] : []));
  return grouped(members, ({ owner }) => owner.project).map(([project, all]) => {
    const named = [...new Set(all.map(({ owner }) => JSON.stringify([owner.workingDir, owner.files, owner.environmentFiles ?? []])))];
    const [first] = all;
    const { workingDir = '', files = [], environmentFiles = [] } = first === undefined ? {} : placesOf(first.owner);
    const one = all.map(({ owner }) => owner.version).find(isComposeOne);
    const doubt = one !== undefined ? `its containers were made by Compose ${one}, which cannot say beforehand what \`up\` would do, and whose containers a later Compose makes anew under other names`
      : !isProjectName(project) || all.some(({ owner }) => !isServiceName(owner.service)) ? 'its containers have names that Compose does not give'
      : named.length > 1 ? 'its containers name different files: they were made with different options'
      : files.length === 0 ? 'its containers do not name its files'
      : [workingDir, ...files, ...environmentFiles].some((path) => !path.startsWith('/') || normalize(path) !== path) ? 'its containers name files by paths that are not absolute'
      : null;
    return { project, workingDir, files, environmentFiles, doubt, containers: all.map(({ name, owner, isNew }) => ({ name, service: owner.service, isNew })) };
  });
}

function grouped<T>(items: readonly T[], key: (item: T) => string): readonly (readonly [key: string, items: readonly T[]])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...groups.get(key(item)) ?? [], item]);
  return [...groups];
}

/** Compose 1 writes paths as they were given to it: from its working directory. */
function placesOf({ workingDir, files, environmentFiles = [] }: ComposeOwner): Pick<ComposeFacts, 'workingDir' | 'files' | 'environmentFiles'> {
  const whole = (path: string): string => (path.startsWith('/') || workingDir === '' ? path : normalize(`${workingDir}/${path}`));
  return { workingDir, files: files.map(whole), environmentFiles: environmentFiles.map(whole) };
}

function referencesIn(path: string, text: string | undefined): readonly Reference[] {
  if (text === undefined) return [];
  try {
    return referencesOf(parseCompose(path, text));
  } catch (error) {
    if (error instanceof ComposeError) return [];
    throw error;
  }
}

/** Whoever can write what Compose reads decides what root runs. */
function distrusted({ files, workingDir, environmentFiles }: Project, stats: Stats, euid: number): string | null {
  const read = environmentFiles.length === 0 ? [`${workingDir}/.env`] : environmentFiles;
  for (const path of [...files, ...read]) {
    const stat = stats.at(path);
    if (stat === undefined && read.includes(path) && environmentFiles.length === 0) continue;
    if (stat === undefined) return `${path} is not there`;
    const why = fileDoubt(stat, path, euid);
    if (why !== null) return `${path} ${why}`;
  }
  for (const directory of [workingDir, ...[...files, ...read, workingDir].flatMap(directoriesAbove)]) {
    const stat = stats.at(directory);
    if (stat === undefined) return `${directory} is not there`;
    // Whoever can put an .env into the project's directory sets its variables, in a sticky one, too.
    const strict = directory === workingDir ? { ...stat, mode: stat.mode & ~0o1000 } : stat;
    const why = stat.type === 'directory' ? writerDoubt(strict, euid) : 'is not a directory';
    if (why !== null) return `${directory} ${why}`;
  }
  return null;
}

function fileDoubt(stat: FileStat, path: string, euid: number): string | null {
  if (stat.type !== 'file') return 'is not a regular file';
  if (stat.realPath !== path) return `is reached through a symbolic link (${stat.realPath})`;
  return writerDoubt(stat, euid);
}

function unreadableFile({ files }: Project, texts: ReadonlyMap<string, Answer<string>>): string | null {
  for (const file of files) {
    const text = texts.get(file)?.() ?? absent;
    if (text.status === 'unreadable') return text.reason;
    if (text.status === 'absent') return `${file} is not there`;
    try {
      parseCompose(file, text.value);
    } catch (error) {
      if (error instanceof ComposeError) return error.message;
      throw error;
    }
  }
  return null;
}

/** Compose fetches what is elsewhere as soon as it reads the file. */
function farAway(references: readonly Reference[]): string | null {
  const remote = references.find(({ kind, path }) => (kind === 'include' || kind === 'extends') && (isRemote(path) || isInterpolated(path)));
  return remote === undefined ? null : `${remote.from} takes in ${remote.path}, which Compose may have to fetch from elsewhere`;
}

function rehearsalOf(runs: readonly (readonly [tool: ComposeTool, answer: Answer<{ readonly code: number; readonly stdout: string; readonly stderr: string }>])[], containers: Project['containers']): Observed<ComposeRehearsal> {
  let why = 'Docker Compose is not installed here';
  for (const [tool, answer] of runs) {
    const run = answer();
    if (run.status === 'unreadable') why = run.reason;
    if (run.status !== 'present') continue;
    const output = `${run.value.stdout}\n${run.value.stderr}`;
    const more = newContainer(output, containers.map(({ name }) => name));
    if (run.value.code === 0 && more !== undefined) return unreadable(`\`up\` would make the container ${more.slice(0, 200)}, too, which the project has not now`);
    if (run.value.code === 0) return present({ tool, unchanged: unchangedContainers(output, containers) });
    const line = run.value.stderr.trim().split('\n').at(-1)?.trim() ?? '';
    if (!/is not a docker command|unknown (?:command|flag|shorthand flag).*(?:compose|--host|project)/u.test(line)) why = `${tool === 'docker' ? 'docker compose' : tool}: ${line.slice(0, 200)}`;
  }
  return unreadable(why);
}
