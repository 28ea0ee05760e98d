import type { ImageHistoryEntry } from '../model.ts';

/** One line of an image's history, as the Dockerfile instruction that made it. */
export interface Instruction {
  /** Upper case: RUN, ADD, ENV, …; "" for what an import or a commit left. */
  readonly name: string;
  /** What follows the instruction; for RUN the shell line alone. */
  readonly text: string;
  /** Build arguments that a RUN saw: NAME=value. */
  readonly buildArguments: readonly string[];
  /** Its place in the history, counted from 1 at the oldest. */
  readonly position: number;
}

/** The shell that a RUN went through: /bin/sh -c, /bin/bash -o pipefail -c. Options may have one value each (-o pipefail). */
const SHELL = /^\/?(?:\S*\/)?(?:sh|bash|ash|dash|zsh|ksh)(?:\s+-\w+(?:\s+(?!-)\w+(?=\s+-))?)*?\s+-\w*c\s/u;
const INSTRUCTION = /^(ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR)\s+(.*)$/su;

/**
 * What builders write into `created_by`: the classic one `/bin/sh -c #(nop)  ENV A=b`, and `|1 ARG=value /bin/sh -c LINE` for RUN;
 * BuildKit `ENV A=b`, `RUN |1 ARG=value /bin/sh -c LINE # buildkit`. Buildah writes like either.
 */
export function instructionsOf(history: readonly ImageHistoryEntry[]): readonly Instruction[] {
  return history.map(({ createdBy }, index) => parse(createdBy, index + 1));
}

function parse(createdBy: string, position: number): Instruction {
  const line = createdBy.replace(/\s*# buildkit\s*$/u, '').trim();
  const marker = /^.{0,200}?#\(nop\)\s+/su.exec(line);
  const written = INSTRUCTION.exec(marker === null ? line : line.slice(marker[0].length));
  if (written !== null && written[1] !== 'RUN') return { name: written[1] ?? '', text: written[2] ?? '', buildArguments: [], position };
  const run = written === null ? line : (written[2] ?? '');
  const { rest, buildArguments } = takeArguments(run);
  const shell = SHELL.exec(rest);
  const isRun = written !== null || shell !== null || buildArguments.length > 0;
  return { name: isRun ? 'RUN' : '', text: shell === null ? rest : rest.slice(shell[0].length), buildArguments, position };
}

/** `|2 A=1 B=two words /bin/sh -c …`: values are not quoted, so that the last one ends where the shell begins. */
function takeArguments(run: string): { readonly rest: string; readonly buildArguments: readonly string[] } {
  const count = /^\|(\d+)\s+/u.exec(run);
  if (count === null) return { rest: run, buildArguments: [] };
  const tail = run.slice(count[0].length);
  const end = /\s(?=\/\S*\/?(?:sh|bash|ash|dash|zsh|ksh)\s+-)/u.exec(tail);
  const given = end === null ? '' : tail.slice(0, end.index);
  const starts = [...given.matchAll(/(?:^|\s)(?=[A-Za-z_]\w*=)/gu)].map(({ index, 0: blank }) => index + blank.length);
  return {
    rest: end === null ? tail : tail.slice(end.index + 1),
    buildArguments: starts.map((start, index) => given.slice(start, starts[index + 1]).trim()),
  };
}

/** Whether the history says how the image was made: an import or a commit alone does not. */
export const saysHow = (instructions: readonly Instruction[]): boolean => instructions.some(({ name }) => name !== '');

/** How a message points at an instruction. */
export const placeOf = ({ name, position }: Instruction): string => `${name === '' ? 'entry' : name} ${position} of its history`;
