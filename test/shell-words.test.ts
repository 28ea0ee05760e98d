import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parseRunText, parseRunWords } from '../src/container/from-run.ts';
import { splitCommands, TextError } from '../src/container/shell-words.ts';
import { UsageError } from '../src/errors.ts';
import { shellLine } from '../src/quote.ts';

const valuesOf = (text: string): readonly (readonly string[])[] => splitCommands(text).map((words) => words.map(({ value }) => value));
/** What a POSIX shell makes of a line: its words, each ended by NUL. */
const inShell = (line: string): readonly string[] => {
  const { stdout, status } = spawnSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8', env: {} });
  expect(status).toBe(0);
  return stdout.split('\0').slice(0, -1);
};

describe('words of a command line', () => {
  it.each([
    ['docker run \\\n  -p 80:80 \\\n\tnginx', [['docker', 'run', '-p', '80:80', 'nginx']]],
    [`a 'b c' "d \\" \\$ e" f\\ g '' "h"'i'j`, [['a', 'b c', 'd " $ e', 'f g', '', 'hij']]],
    ['# a comment\n\na b # c\n\n  d#e\n', [['a', 'b'], ['d#e']]],
    ["a 'x\ny' \"p\\\nq\"", [['a', 'x\ny', 'pq']]],
    ['a $ "$" b$ "x$ y" \\$c', [['a', '$', '$', 'b$', 'x$ y', '$c']]],
    ['-p [::1]:80:80 {{.Name}} a=b', [['-p', '[::1]:80:80', '{{.Name}}', 'a=b']]],
    ["'$(x)' '`y`' '*' \"*\"", [['$(x)', '`y`', '*', '*']]],
  ])('%j', (text, expected) => expect(valuesOf(text)).toEqual(expected));

  it.each([
    ['docker run -e A=$HOME x', '1:17', '$HOME is for a shell'],
    ['docker run \\\n -v $(pwd):/x y', '2:5', '$( is for a shell'],
    ['docker run -e "A=${B:-c}" x', '1:18', '${B:-c} is for a shell'],
    ['docker run -e `id` x', '1:15', '` is for a shell'],
    ['docker run $\'a\' x', '1:12', "$' is for a shell"],
    ['docker run x; rm -rf /', '1:13', '";" would start a second command'],
    ['docker run x && y', '1:14', '"&" would start'],
    ['docker run x | y', '1:14', '"|" would start a pipe'],
    ['docker run x >y', '1:14', '">" would start a redirection'],
    ['docker run -v ~/x:/y z', '1:15', '~ is for a shell'],
    ['docker run x *.log', '1:14', '"*" may stand for names of files'],
    ['docker run x {a,b}', '1:14', 'some shells make several words'],
    ["docker run 'x", '1:12', "the quote ' is never closed"],
    ['docker run "x', '1:12', 'the quote " is never closed'],
    ['docker run x \\', '1:14', 'a backslash stands at the very end'],
    ['docker run \\\r\n x', '1:13', 'a carriage return'],
    ['docker run x\r\n', '1:13', 'a carriage return'],
    ['docker run \0x', '1:12', 'a NUL character'],
    ['docker run --frobnicate x', '1:12', 'docker run has no flag --frobnicate'],
    ['docker run \\\n --memry 5m x', '2:2', 'docker run has no flag --memry; did you mean --memory?'],
    ['docker run -tZ x', '1:12', 'docker run has no flag -Z'],
    ['docker run --name', '1:12', '--name needs a value'],
    ['docker run -d', '1:14', 'the image is missing'],
    ['docker run -p 80:x y', '1:12', '-p has no port of the container'],
    ['docker run x\ndocker pull y', '2:8', 'docker pull makes no container'],
    ['podman run x', '1:1', '"podman" is no docker command'],
    ['#!/bin/sh\n', '1:1', 'there is no docker run command in it'],
    ['docker --frob run x', '1:8', 'docker has no flag --frob'],
  ])('%j is refused at %s', (text, place, message) => {
    expect(() => parseRunText(text, 'f')).toThrow(UsageError);
    expect(() => parseRunText(text, 'f')).toThrow(`f:${place}: ${message}`);
  });

  it.each([
    'sudo -E docker -H tcp://x:2376 --tlsverify container run -d nginx', 'DOCKER_HOST=x /usr/bin/docker --context=c run nginx', 'exec docker create nginx',
    '#!/bin/sh\n# web\nexec docker run nginx\n',
  ])('%j is a docker run line', (line) => expect(parseRunText(line, 'f')).toHaveLength(1));
});

describe('properties', () => {
  const hostile = fc.array(fc.oneof(fc.string(), fc.constantFrom('$(id)', '`id`', '\'', '"', '\\', '\n', ' ', '*', '~', '-p', '{a,b}', '\u001b[31m', '!x', '#', '=x', 'ü', ';')), { maxLength: 6 })
    .map((parts) => parts.join('').replaceAll('\0', '')).filter((text) => !/\p{Cs}/u.test(text));

  test('a quoted word is the same word to a real shell and to us', { timeout: 30_000 }, () => {
    fc.assert(fc.property(fc.array(hostile, { minLength: 1, maxLength: 20 }), (argv) => {
      const line = shellLine(argv);
      expect(inShell(line)).toEqual(argv);
      expect(valuesOf(line).flat()).toEqual(argv);
    }), { numRuns: 30 });
  });

  test('what is read at all is read as a real shell reads it', { timeout: 30_000 }, () => {
    const piece = fc.constantFrom('a', 'b c', '\'x y\'', '"p q"', '\\ ', '\\\n', ' ', '\t', '\\\\', '\\"', '""', '[::1]', '{{.N}}', '"\\a\\$"', '$', '#', 'ü', '=', '%', '!', '^');
    fc.assert(fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }).map((parts) => `w${parts.join('')}`), (line) => {
      let commands: readonly (readonly string[])[];
      try {
        commands = valuesOf(line);
      } catch (error) {
        if (error instanceof TextError) return;
        throw error;
      }
      if (commands.length === 1) expect(commands[0]).toEqual(inShell(line));
    }), { numRuns: 80 });
  });

  test('no text makes the parser throw anything but a UsageError', { timeout: 30_000 }, () => {
    const token = fc.oneof(hostile, fc.constantFrom('docker', 'run', '-p', '--mount', '--network', '--gpus', '--ulimit', '-v', '-e', '--label', '__proto__=x', '--restart', '=', ',', ':', '80-90', '--health-interval', '1h', '-itv'));
    const fails = (parse: () => unknown): void => {
      try {
        parse();
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
      }
    };
    fc.assert(fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
      fails(() => parseRunText(tokens.join(' '), 'f'));
      fails(() => parseRunWords(['docker', 'run', ...tokens]));
    }), { numRuns: 300 });
  });

  test('a long line is read or refused, and does not hang', { timeout: 60_000 }, () => {
    expect(parseRunText(`docker run ${'-e A=b '.repeat(20_000)}x`, 'f')).toHaveLength(1);
    expect(() => parseRunText(`docker run --mount ${`"a",`.repeat(20_000)} x`, 'f')).toThrow(UsageError);
    expect(() => parseRunText(`docker run ${'-p 1-65535 '.repeat(5_000)} x`, 'f')).toThrow(UsageError);
    expect(() => parseRunText(`docker run ${'a'.repeat(1 << 20)}`, 'f')).toThrow(UsageError);
    expect(() => parseRunText(`docker run "${'a'.repeat(1 << 20)}`, 'f')).toThrow(UsageError);
  });

  test('a label called __proto__ is a label', () => {
    const { spec } = parseRunWords(['docker', 'run', '-l', '__proto__=x', '-l', 'constructor=y', 'nginx']);
    expect(Object.entries(spec.labels)).toEqual([['__proto__', 'x'], ['constructor', 'y']]);
  });
});
