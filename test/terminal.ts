import type { Prompter } from '../src/ask.ts';
import type { Context } from '../src/commands/context.ts';
import { Declined } from '../src/errors.ts';
import { run } from '../src/program.ts';
import { PLAIN } from '../src/render/layout.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line in this process, with no terminal unless `context` says otherwise. */
export async function harden(argv: readonly string[], context: Partial<Context> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await run(argv, {
    out: (text) => { out += text; },
    err: (text) => { err += text; },
    progress: () => undefined,
    layout: PLAIN,
    errorLayout: PLAIN,
    interactive: false,
    cwd: '/nonexistent',
    euid: 0,
    now: () => new Date('2026-11-22T10:00:00Z'),
    prompter: () => Promise.reject(new Error('nobody to ask')),
    ...context,
  });
  return { code, out, err };
}

/** One answer to one question: the part of a choice's name that picks it, the values to tick, or the text to type. */
export type Answer = string | readonly string[];

/** A person who gives these answers in order, and leaves when they are used up. `asked` collects the questions. */
export function scripted(answers: readonly Answer[], asked: string[] = []): Prompter {
  const left = [...answers];
  const next = (message: string): Answer => {
    asked.push(message);
    const answer = left.shift();
    if (answer === undefined) throw new Declined('Declined: nothing was changed.');
    return answer;
  };
  return {
    select: (message, choices) => {
      const answer = String(next(message));
      const choice = choices.find(({ name }) => name.includes(answer));
      if (choice === undefined) throw new Error(`"${answer}" is not among: ${choices.map(({ name }) => name).join(' | ')}`);
      return Promise.resolve(choice.value);
    },
    pick: (message, choices) => {
      const answer = next(message);
      return Promise.resolve(choices.map(({ value }) => value).filter((value) => answer.includes(value)));
    },
    text: (message) => Promise.resolve(String(next(message))),
  };
}
