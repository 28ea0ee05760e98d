import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { applyPatch } from 'diff';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { instructionsIn, parseDockerfile } from '../src/image/dockerfile.ts';
import type { Deferred, Facts, Parameters, PlanDocument } from '../src/model.ts';
import { adviseDockerfiles } from '../src/plan/dockerfile.ts';
import { harden } from './terminal.ts';

const SECRET = 'hunter2-very-secret';
const CHECKS = ['image.user', 'image.healthcheck', 'image.copy-not-add', 'image.update-alone'];
const TARGET = { kind: 'image', name: 'web:1', id: 'sha256:1' } as const;
const deferredOf = (checks: readonly string[]): readonly Deferred[] =>
  checks.map((check) => ({ check, target: TARGET, reason: 'manual', explanation: 'Why.', needs: 'steps' }));
const advise = (text: string, checks: readonly string[], images: Parameters['images'] = {}): ReturnType<typeof adviseDockerfiles> =>
  adviseDockerfiles(deferredOf(checks), [{ image: TARGET.id, path: 'Dockerfile', dockerfile: parseDockerfile(text, 'Dockerfile') }], { images });

interface Case {
  readonly dockerfile: string;
  readonly checks: readonly string[];
  readonly parameters: NonNullable<Parameters['images']>;
  /** null: no patch. */
  readonly expected: string | null;
  readonly answers: readonly string[];
  /** A part of each note, in order. */
  readonly notes: readonly string[];
  /** What findings wait for that are a choice. */
  readonly needs?: Readonly<Record<string, string>>;
}

const DIRECTORY = 'fixtures/dockerfiles';

describe('advice', () => {
  it.each(readdirSync(DIRECTORY))('%s', (file) => {
    const { dockerfile, checks, parameters, expected, answers, notes, needs = {} } = JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8')) as Case;
    const { advice: [advice], deferred } = advise(dockerfile, checks, parameters);
    expect(advice?.diff === '' ? null : applyPatch(dockerfile, advice?.diff ?? '', { autoConvertLineEndings: false })).toBe(expected);
    expect(advice?.check).toEqual(checks.filter((check) => answers.includes(check)));
    for (const note of notes) expect(advice?.notes.join('\n')).toContain(note);
    expect(JSON.stringify([advice, deferred])).not.toContain(SECRET);
    for (const { check, reason, explanation, needs: steps } of deferred) {
      expect({ check, reason }).toEqual({ check, reason: check in needs ? 'choice' : 'manual' });
      if (answers.includes(check)) expect(explanation).toContain('in the advice of this plan');
      else expect(steps).toContain(needs[check] ?? 'steps');
    }
    // What was put in leaves nothing to advise.
    if (expected !== null) expect(advise(expected, answers, parameters).advice[0]?.diff).toBe('');
  });

  it('is for findings of the image alone', () => {
    const [user] = deferredOf(['image.user']);
    const others = [{ ...user, target: { ...TARGET, id: 'sha256:2' } }, { ...user, target: { kind: 'container', name: 'c', id: 'sha256:1' } }, { ...user, check: 'image.age' }] as Deferred[];
    const given = { image: TARGET.id, path: 'Dockerfile', dockerfile: parseDockerfile('FROM a', 'Dockerfile') };
    expect(adviseDockerfiles(others, [given], {})).toEqual({ advice: [], deferred: others });
  });
});

describe('the parser', () => {
  it('reads instructions as BuildKit does', () => {
    const text = '\ufeff# escape=\\\n# comment=1\nARG A\nFROM a AS b\n  RUN  --mount=type=bind \\\n\n # c\n  one \\\n two\nONBUILD ADD <<E /x\nFROM\nE\nrun cat <<-\'E 1\' 3<<F && echo "<<G" <<<H\n\tx\n\tE 1\nF\nCMD ["<<x"]\nFROM b';
    const dockerfile = parseDockerfile(text, 'x');
    expect(dockerfile.pieces.map(({ kind }) => kind).slice(0, 3)).toEqual(['directive', 'comment', 'instruction']);
    expect(instructionsIn(dockerfile).map(({ name, stage, flags, args, heredocs }) => [name, stage, flags.join(' '), args, heredocs.join(' ')])).toEqual([
      ['ARG', -1, '', 'A', ''], ['FROM', 0, '', 'a AS b', ''], ['RUN', 0, '--mount=type=bind', 'one  two', ''], ['ONBUILD', 0, '', 'ADD <<E /x', 'E'],
      ['RUN', 0, '', 'cat <<-\'E 1\' 3<<F && echo "<<G" <<<H', 'E 1 F'], ['CMD', 0, '', '["<<x"]', ''], ['FROM', 1, '', 'b', ''],
    ]);
    for (const { nameStart, nameEnd, name, argsStart, contentEnd, args } of instructionsIn(dockerfile)) {
      expect(text.slice(nameStart, nameEnd).toUpperCase()).toBe(name);
      expect(text.slice(argsStart, contentEnd).startsWith(args.slice(0, 3))).toBe(true);
      expect(text.slice(argsStart, contentEnd).endsWith(args.slice(-3))).toBe(true);
    }
  });

  const fragments = fc.constantFrom(
    'FROM a', 'FROM a AS b\n', 'FROM b', 'RUN apt-get update', 'RUN apt-get install -y x', ' ', '\n', '\r\n', '\\\n', '\\ \r\n', '`\n', '# escape=`\n', '# c\n', 'ADD a /b', 'ADD <<E /x\n', 'E\n', '<<-E', '\tE\n',
    'USER root', 'USER', 'HEALTHCHECK NONE', '--chown=1', '["a", "b"]', '"', '\'', '\ufeff', ' && ', ';', '__proto__', '\u2028', `ENV TOKEN=${SECRET}\n`, `ENV A_PASSWORD ${SECRET}\n`,
  );

  it('takes texts apart into pieces that are the text, or refuses; the patch is the change, and shows no secret', { timeout: 30_000 }, () => {
    let parsed = 0;
    fc.assert(fc.property(fc.array(fragments, { maxLength: 25 }), (parts) => {
      const text = ['FROM x\n', ...parts].join('');
      const dockerfile = ((): ReturnType<typeof parseDockerfile> | null => {
        try {
          return parseDockerfile(text, 'x');
        } catch (error) {
          expect((error as Error).name).toBe('UsageError');
          return null;
        }
      })();
      if (dockerfile === null) return;
      parsed += 1;
      expect(dockerfile.pieces.map(({ start, end }) => text.slice(start, end)).join('')).toBe(text);
      const { advice: [advice] } = advise(text, CHECKS, { healthcheck: 'true' });
      expect(JSON.stringify(advice)).not.toContain(SECRET);
      if (advice === undefined || advice.diff === '') return;
      const after = applyPatch(text, advice.diff, { autoConvertLineEndings: false });
      expect(after).not.toBe(false);
      expect(() => parseDockerfile(String(after), 'x')).not.toThrow();
    }), { numRuns: 500 });
    expect(parsed).toBeGreaterThan(100);
  });
});

describe('--dockerfile', () => {
  const directory = mkdtempSync(join(tmpdir(), 'harden-dockerfile-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const facts = JSON.parse(readFileSync('fixtures/hosts/stock-debian.json', 'utf8')) as Facts;
  const image = (digit: string, tags: readonly string[]): object => ({
    id: `sha256:${digit.repeat(64)}`, tags, digests: [], createdAt: '2026-11-01T00:00:00Z', sizeBytes: 1,
    config: { status: 'present', value: { user: '', env: [], healthcheck: null, labels: {}, volumes: [], exposed: [], entrypoint: [], command: [] } },
    history: { status: 'present', value: [{ createdAt: '', createdBy: 'RUN /bin/sh -c true # buildkit', sizeBytes: 0, comment: '' }] },
  });
  const write = (name: string, content: string | Buffer): string => {
    writeFileSync(join(directory, name), content);
    return join(directory, name);
  };
  const host = write('facts.json', JSON.stringify({ ...facts, images: { status: 'present', value: [image('a', ['web:1', 'web:latest']), image('e', [])] } }));
  const good = write('Dockerfile', 'FROM busybox\nRUN true\n');
  mkdirSync(join(directory, 'sub'));
  const plan = (...options: string[]) => harden(['plan', '--facts', host, '-c', 'image', ...options.flatMap((option) => ['--dockerfile', option])]);

  it.each([
    ['web:1', /it must be IMAGE=PATH/], [`=${good}`, /it must be IMAGE=PATH/], ['web:1=', /it must be IMAGE=PATH/],
    ['web:1=/nowhere/Dockerfile', /cannot be read: ENOENT/], [`web:1=${join(directory, 'sub')}`, /is not a regular file/], ['web:1=/dev/zero', /is not a regular file/],
    [`web:1=${write('big', Buffer.alloc(10 << 20, 'a'))}`, /larger than 256 KiB/], [`web:1=${write('binary', Buffer.from('FROM a\0'))}`, /is binary/],
    [`web:1=${write('latin', Buffer.from([0x46, 0xe9]))}`, /not valid UTF-8/], [`web:1=${write('none', '# nothing\n')}`, /has no FROM/],
    [`web:1=${write('open', 'FROM a\nRUN <<EOF\n')}`, /line 2: the here-document EOF has no end/], [`web:1=${write('odd', 'FROM a\nRUN a\\\\\n')}`, /line 2 ends with/],
    [`web:1=${write('escape', '# escape=x\nFROM a\n')}`, /escape character/], [`gone:1=${good}`, /has no image gone:1/], [`aaab=${good}`, /has no image aaab/], ['web:1=a\u001bb', /control characters/],
  ])('%j exits 2 and says what to do', async (option, expected) => {
    const { code, out, err } = await plan(option);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });

  it('an image has one Dockerfile, and one name at a time', async () => {
    expect((await plan(`web:1=${good}`, `docker.io/library/web:1=${good}`)).err).toMatch(/names the image docker\.io\/library\/web:1 twice/);
    expect((await plan(`web=${good}`, `aaaa=${good}`)).err).toMatch(/the image has .* already/);
    expect((await harden(['apply', 'plan.json', '--dockerfile', `web=${good}`])).err).toMatch(/^harden: --dockerfile: a saved plan keeps the advice/);
    const twice = write('twice.json', readFileSync(host, 'utf8').replace('e'.repeat(64), `aaaa${'e'.repeat(60)}`));
    expect((await harden(['plan', '--facts', twice, '--dockerfile', `aaaa=${good}`])).err).toMatch(/2 images match aaaa/);
  });

  it('stands in the plan and in its text, and nothing is written', async () => {
    const { code, out } = await plan(`web=${good}`, `eeee=${good}`);
    expect(code).toBe(0);
    expect(out).toContain('Advice on a Dockerfile (harden does not write it)');
    expect(out).toContain('    +USER 10001:10001');
    const saved = JSON.parse((await harden(['plan', '--facts', host, '-c', 'image', '--dockerfile', `web=${good}`, '--format', 'json'])).out) as PlanDocument;
    expect(saved.advice?.map(({ check, target, path }) => ({ check, name: target.name, path }))).toEqual([{ check: ['image.user'], name: 'web:1', path: good }]);
    expect(saved.deferred.find(({ check, target }) => check === 'image.healthcheck' && target.name === 'web:1')?.reason).toBe('choice');
    expect(saved.summary.warns).toBe(saved.deferred.length);
    expect(readFileSync(good, 'utf8')).toBe('FROM busybox\nRUN true\n');
    expect((await harden(['plan', '--facts', host, '--set', 'images.user="0"'])).err).toMatch(/not root/);
    expect((await harden(['plan', '--facts', host, '--set', 'images.healthcheck="a \\\\"'])).err).toMatch(/does not end with/);
  });
});
