import type { Instruction } from './history.ts';
import { secretIn, secretShape } from './secrets.ts';
import { assignmentsOf, bareCommand, commandsOf } from './shell.ts';

/** NAME=value pairs of ENV, ARG and LABEL; the classic builder drops quotes, so that a value may go on after a blank. */
const pairs = (text: string): readonly string[] => {
  const starts = [...text.matchAll(/(?:^|\s)(?=[A-Za-z_][\w.-]*=)/gu)].map(({ index, 0: blank }) => index + blank.length);
  return starts.map((start, index) => text.slice(start, starts[index + 1]).trim());
};

/** Options of commands: --password=x, --token x; the values of variables are no secrets of the image. */
function optionsOf(words: readonly string[]): readonly string[] {
  const [, ...args] = bareCommand(words);
  return args.flatMap((word, index) => {
    const option = /^--([A-Za-z][\w-]*)(?:=(.*))?$/su.exec(word);
    if (option === null) return [];
    const value = option[2] ?? args[index + 1] ?? '';
    return value.startsWith('-') ? [] : [`${option[1] ?? ''}=${value}`];
  });
}

/** What sounds or looks like a secret in one instruction: names and kinds, never values. `publicNames` are those that the owner declares harmless. */
export function secretsOf({ name, text, buildArguments }: Instruction, publicNames: readonly string[]): readonly string[] {
  const given = name === 'RUN'
    ? [...buildArguments, ...commandsOf(text).flatMap(({ words }) => [...assignmentsOf(words), ...optionsOf(words)])]
    : name === 'ENV' || name === 'ARG' || name === 'LABEL' ? pairs(text) : [];
  const named = given.flatMap((assignment) => secretIn(assignment, publicNames) ?? []);
  const shape = named.length === 0 ? secretShape(text) : null;
  return [...named, ...(shape === null ? [] : [shape])].map((what) => `${what} in ${name === '' ? 'its history' : name}`);
}
