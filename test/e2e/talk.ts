/** A person at a terminal of a host: a real one, which `script` of util-linux makes there. */
import { spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import type { TestHost } from './host.ts';

/** What is waited for on the screen, and the keys that are pressed then; of a menu the entry that is gone down to and taken. */
export type Turn = readonly [sees: RegExp, keys: string] | { readonly choose: RegExp };

export const ENTER = '\r';
const DOWN = '\u001b[B';
/** How long a turn may take. */
const PATIENCE_MS = 60_000;
const MOST_ENTRIES = 20;

/**
 * Runs a command at a terminal and answers it. Each turn sees only what came after the one before.
 * @returns its exit code, and all that was on the screen, without colours and movements of the cursor
 * @throws when something does not show in time; then the command is hung up on
 */
export async function talk(host: TestHost, command: string, turns: readonly Turn[]): Promise<{ code: number; screen: string }> {
  const { argv, env } = host.entry(['script', '-qec', `stty cols 200 rows 60; ${command}`, '/dev/null'], { stdin: true, tty: false, env: { TERM: 'xterm' } });
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  let screen = '';
  let seen = 0;
  let wake = (): void => undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => { screen += text; wake(); });
  const ended = new Promise<number>((resolve, reject) => { child.on('error', reject).on('close', (code) => { resolve(code ?? 1); wake(); }); });
  const unseen = (): string => stripVTControlCharacters(screen.slice(seen));
  const until = async (pattern: RegExp): Promise<string> => {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const text = unseen();
      if (pattern.test(text)) return text;
      if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${String(pattern)} did not show:\n${stripVTControlCharacters(screen)}`);
      await new Promise<void>((resolve) => { wake = resolve; setTimeout(resolve, 200); });
    }
  };
  const press = (keys: string): void => {
    seen = screen.length;
    child.stdin.write(keys);
  };
  /** The entry of a menu that the last picture of it points to. */
  const pointedTo = (text: string): string => [...text.matchAll(/❯ ([^\r\n]*)/gu)].at(-1)?.[1] ?? '';
  try {
    for (const turn of turns) {
      if ('choose' in turn) {
        for (let tries = 0; !turn.choose.test(pointedTo(await until(/❯ [^\r\n]*[\r\n]/u))); tries += 1) {
          if (tries > MOST_ENTRIES) throw new Error(`no entry is ${String(turn.choose)}:\n${stripVTControlCharacters(screen)}`);
          press(DOWN);
        }
        press(ENTER);
      } else {
        await until(turn[0]);
        press(turn[1]);
      }
    }
    return { code: await ended, screen: stripVTControlCharacters(screen) };
  } finally {
    child.stdin.destroy();
  }
}
