import { diffArrays } from 'diff';
import { sha256 } from '../digest.ts';
import { maskArguments } from '../mask.ts';
import type { ContainerFacts, Facts, FileChange, FileStat, Premise } from '../model.ts';
import { statOf, valueOf } from '../model.ts';
import { octal } from '../octal.ts';

/** What a premise of each kind is called where it is no file and no container. */
const NAMES = { 'kernel-rules': 'the audit rules in the kernel', 'daemon-flags': 'the flags of dockerd' } as const;

/**
 * A file by what its diff does not show of it. Only regular files by their inode: sockets are made anew with each start of what
 * listens there, and directories below /run with each boot.
 */
function fileLines(path: string, stat: FileStat | undefined): string[] {
  if (stat === undefined) return ['not there, or cannot be read'];
  const { type, ino, mode, uid, gid, realPath } = stat;
  return [...(type === 'file' ? [`inode ${ino}`] : [type]), `mode ${octal(mode)}`, `owner ${uid}:${gid}`, ...(realPath === path ? [] : [`leads to ${realPath}`])];
}

const containerLines = ({ id, runtime, spec }: ContainerFacts): string[] =>
  [`id ${id}`, `state ${valueOf(runtime)?.state ?? 'unknown'}`, `configuration ${sha256(JSON.stringify(valueOf(spec) ?? null))}`];

function linesOf({ kind, name }: Pick<Premise, 'kind' | 'name'>, facts: Facts): string[] {
  switch (kind) {
    case 'file': return fileLines(name, valueOf(statOf(facts, name)));
    case 'container': return (valueOf(facts.containers) ?? []).filter((container) => container.name === name).flatMap(containerLines);
    case 'kernel-rules': return facts.audit.loaded.status === 'present' ? facts.audit.loaded.value.map(({ text }) => text) : [facts.audit.loaded.status];
    // Masked: a plan of a snapshot, which has no secrets, is that of its host.
    case 'daemon-flags': return maskArguments(valueOf(facts.daemon.process)?.argv.slice(1) ?? ['dockerd does not run']);
  }
}

const premise = (kind: Premise['kind'], name: string, facts: Facts): Premise => ({ kind, name, lines: linesOf({ kind, name }, facts) });

/** What the change of a file was decided by, beside what is in it. */
export function filePremises(kind: FileChange['kind'], path: string, facts: Facts): Premise[] {
  const relies: readonly (keyof typeof NAMES)[] = kind === 'audit-rules' ? ['kernel-rules'] : kind === 'daemon-config' || kind === 'daemon-flags' ? ['daemon-flags'] : [];
  return [premise('file', path, facts), ...relies.map((other) => premise(other, NAMES[other], facts))];
}

/** The containers that a change is about. */
export const containerPremises = (containers: readonly ContainerFacts[], facts: Facts): Premise[] => containers.map(({ name }) => premise('container', name, facts));

/** What of the premises of a change is not so any more, each with its lines that went and came. */
export function brokenPremises(premises: readonly Premise[], facts: Facts): { readonly name: string; readonly diff: string }[] {
  return premises.flatMap((was) => {
    const parts = diffArrays([...was.lines], linesOf(was, facts)).filter(({ added, removed }) => added || removed);
    const diff = parts.flatMap(({ added, value }) => value.map((line) => `${added ? '+' : '-'} ${line}\n`)).join('');
    return diff === '' ? [] : [{ name: was.name, diff }];
  });
}
