/** Text as an attacker would choose it: what names, labels, env, commands, paths and files are made of in the tests of everything that prints, quotes or writes. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';

/** A path that exists once any hostile text was executed. `expectUntouched` is for the end of a test. */
export interface Canary {
  readonly path: string;
  /** True when something ran what it was to print. */
  touched(): boolean;
  remove(): void;
}

/** A canary in a directory of its own. */
export function makeCanary(): Canary {
  const directory = mkdtempSync(join(tmpdir(), 'harden-canary-'));
  const path = join(directory, 'touched');
  return { path, touched: () => existsSync(path), remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/**
 * One list for each consumer that it aims at. What a shell, a template or a parser would run, makes the file `canary`, which must be a path
 * without quotes and blanks.
 */
export function hostileCorpus(canary: string): Readonly<Record<'shell' | 'terminal' | 'bidi' | 'template' | 'markup' | 'structure' | 'path' | 'key' | 'diff' | 'unicode', readonly string[]>> {
  const touch = `touch ${canary}`;
  const python = `cycler.__init__.__globals__.os.system('${touch}')`;
  return {
    shell: [
      '', ' ', '\n', '\t', 'a b', 'a\nb', 'a\r\nb', '\'', '\'\'', '"', '\\', '\\\'', '\'\\\'\'', '$x', '${x}', '*', '/*', '?', '[a]', '{a,b}', '~', '~root', '-x', '--', '-', '#', '# x', '!', '!!', '=', 'A=b', '$\'\\n\'', '%s', '%n', '\\0', '\\c',
      `$(${touch})`, `\`${touch}\``, `'; ${touch}; '`, `"; ${touch}; "`, `\n${touch}\n`, `; ${touch}`, `& ${touch}`, `| ${touch}`, `|| ${touch}`, `&& ${touch}`, `> ${canary}`, `>>${canary}`, `<(${touch})`, `\${x:-$(${touch})}`, `$((a[$(${touch})]))`,
      `\\\n; ${touch}`, `'\n${touch}\n'`, `EOF\n${touch}\nEOF`, `\nEND\n${touch}\n`, `*/ ${touch} /*`, `a'$(${touch})'b`, `\\'; ${touch} #`, `\r${touch}\r`,
    ],
    terminal: [
      '\u001b[31m', '\u001b[2J\u001b[H', '\u001b[1A\u001b[2K', '\u001b]0;owned\u0007', '\u001b]8;;http://evil.test/\u001b\\link\u001b]8;;\u001b\\', '\u001b]52;c;b3duZWQ=\u0007', '\u001bP0;1|17/17\u001b\\', '\u001bc', '\u009b31m', '\u009d0;x\u009c', '\u0090q\u009c',
      '\u0007', '\b\b\bPASS', 'WARN\rPASS', '\u007f', '\u0000', '\u0085', '\u000b', '\u000c', '\u000e', '\u001b[?1049h', '\n2.2  PASS', 'x\n\u001b[8m',
    ],
    bidi: ['\u202ePASS', 'a\u2066b\u2069', '\u200e', '\u200f', '\u061c', '\u202a\u202b\u202c\u202d', '\u2067\u2068', '\u200bx', '\ufeffx', '\u2060', '\u00ad', '\u2028', '\u2029', '\u115f', '\u3164', '\u{e0041}\u{e007f}'],
    template: [
      '{{ 7 * 7 }}', '{{x}}', '{{{x}}}', '{{#each x}}', '{{/if}}', '{{> partial}}', '{{!-- x --}}', '{{else}}', '\\{{x}}', '{% raw %}', '{% endraw %}', '{% for x in y %}', '{# x #}', '{%- endraw -%}', '${{ secrets.TOKEN }}', '<%= x %>', '#{x}', '{{', '}}', '{%', '%}', '{#', '#}',
      `{{ lookup('pipe', '${touch}') }}`, `{{ ${python} }}`, `{% set x = ${python} %}`, `{% endraw %}{{ lookup('pipe', '${touch}') }}{% raw %}`, `{{ '{{' }} lookup('pipe', '${touch}') {{ '}}' }}`, '!unsafe x', '!!python/object/apply:os.system [id]', '!vault |',
      `{{#with "s" as |string|}}{{lookup (lookup this "constructor") "constructor"}}{{/with}}`,
    ],
    markup: ['<script>alert(1)</script>', '</script>', '<!--', '-->', ']]>', '<img src=x onerror=alert(1)>', '"><svg onload=alert(1)>', '&lt;', '&amp;', '&#x3c;', '<a href="javascript:alert(1)">', '| a | b |', '`x`', '```', '[x](javascript:alert(1))', '# heading'],
    structure: [
      '{', '}', '[', ']', '"', '\\"', '\\u0022', '","x":"', '{"__proto__":{"polluted":true}}', 'null', 'true', 'yes', 'no', 'on', '~', '0x10', '0o17', '1e3', '1_000', '.inf', '012', '-0', '2026-11-22', '<<', '&anchor', '*alias', '!tag', '|', '>', '>-', '- x', '? x', ': x', 'x: y', 'x:', ' #c', '%YAML 1.2', '---', '...', '@x', 'a\n  b: c', '\tx',
    ],
    path: ['/', '.', '..', '../', '../../../../etc/passwd', '/etc/../etc/shadow', 'a/../../b', '/dev/null', '/proc/self/environ', 'file:///etc/passwd', '~/.ssh/id_rsa', '-rf', '/*', 'C:\\x', '\\\\server\\share', '/a/\u0000/b', './-x', '//a', 'a/'],
    key: ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'then', 'length', '0', '__defineGetter__'],
    diff: ['--- a/etc/passwd', '+++ /etc/shadow', '@@ -1 +1 @@', '-removed', '+added', '\\ No newline at end of file', 'diff --git a/x b/x', 'Index: /etc/passwd', 'rename from x', '--- a\n+++ /etc/passwd\n@@ -0,0 +1 @@\n+root::0:0::/:/bin/sh', 'Only in x', '***************', '*** 1,2 ****', '1d', '1,2c3', '===='],
    unicode: ['é', 'e\u0301', '日本', '🐳', '👩‍👩‍👧', '\ud800', '\udc00', 'a\ud800b', '\udc00\ud800', '\ufffd', '\ufffe', '\uffff', 'İ', 'ß', 'ﬃ', 'Ａ', '\u00a0', '\u3000', 'a'.repeat(5000)],
  };
}

/** The whole corpus as one list. */
export const hostileTexts = (canary: string): readonly string[] => Object.values(hostileCorpus(canary)).flat();

/** Bytes that are no UTF-8: cut short, overlong, a surrogate, above the last code point, Latin-1, UTF-16 with a byte order mark. */
export const INVALID_UTF8: readonly Buffer[] = ['c3', 'c328', 'e282', 'c0af', 'c080', 'eda080', 'f4908080', 'ff', 'fe', '80', '67fc6e', 'fffe6100', 'f0'].map((hex) => Buffer.from(hex, 'hex'));

/** A value that nobody expects to be so long: 1 MiB. */
export const HUGE = 'x\'"$(id) \u001b[31m'.repeat((1 << 20) / 16);

/** What was put on Object.prototype, Array.prototype and Function.prototype since this module was loaded: nothing, unless a key got through. */
export const pollution = (): string[] => PROTOTYPES.flatMap((prototype, index) => Reflect.ownKeys(prototype).map(String).filter((key) => !(BEFORE[index]?.has(key) ?? false)));

const PROTOTYPES: readonly object[] = [Object.prototype, Array.prototype, Function.prototype, String.prototype];
const BEFORE = PROTOTYPES.map((prototype) => new Set(Reflect.ownKeys(prototype).map(String)));

/**
 * Hostile text: one of the corpus, several of them run together, or anything at all. With lone surrogates and NUL, which `asArgument` takes out
 * where the consumer is a command.
 */
export function hostileText(canary: string): fc.Arbitrary<string> {
  const listed = fc.constantFrom(...hostileTexts(canary));
  const anything = fc.oneof(
    fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'\'"\\$`*?[]{}()!#&;|<>~%:@, \t\n\r-=.'.split('')) }),
  );
  return fc.oneof({ weight: 3, arbitrary: listed }, { weight: 2, arbitrary: anything }, { weight: 2, arbitrary: fc.array(fc.oneof(listed, anything), { minLength: 2, maxLength: 5 }).map((parts) => parts.join('')) });
}

/** What of a text can be an argument of a command, a line of the environment, or a path: no NUL, and Unicode. */
export const asArgument = (text: string): string => text.replaceAll('\0', '').replace(/\p{Cs}/gu, '\ufffd');

/** A JSON value with hostile keys and strings at any depth, `__proto__` as an own key among them. */
export function hostileJson(canary: string): fc.Arbitrary<unknown> {
  const key = fc.oneof(fc.constantFrom(...hostileCorpus(canary).key), hostileText(canary));
  return fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true }, hostileText(canary), fc.integer(), fc.boolean(), fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      // By entries: an own "__proto__", as JSON.parse makes it.
      fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
    ),
  })).value;
}

/**
 * What a terminal would act on, or a reader not see: C0 but line ends, DEL, C1, bidirectional controls, separators, zero-width and filler
 * characters, tags, and lone surrogates. Tabs as well: they move the cursor.
 */
const TERMINAL_DANGER = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}\ud800-\udfff]/u;

/** The colours that we write ourselves. */
const OWN_COLOUR = /\u001b\[(?:1|2|22|3[1-9]|39)m/g;

/** The first thing in an output that a terminal would act on, with what stands around it; null when it is clean. `color` allows the colours that we write. */
export function terminalDanger(text: string, { color = false }: { readonly color?: boolean } = {}): string | null {
  const bare = color ? text.replace(OWN_COLOUR, '') : text;
  const found = TERMINAL_DANGER.exec(bare);
  return found === null ? null : JSON.stringify(bare.slice(Math.max(0, found.index - 40), found.index + 40));
}

/** How often a property is tried: `usual`, or what HARDEN_FUZZ_RUNS says for a long search. */
export const fuzzRuns = (usual: number): number => Number(process.env['HARDEN_FUZZ_RUNS'] ?? usual);
