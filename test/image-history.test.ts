import fc from 'fast-check';
import { expect, test } from 'vitest';
import { instructionsOf } from '../src/image/history.ts';
import { unpinnedPackages, unverified, updateAlone } from '../src/image/packages.ts';
import { secretIn, secretShape } from '../src/image/secrets.ts';

const entry = (createdBy: string) => ({ createdAt: '', createdBy, sizeBytes: 0, comment: '' });

test.each([
  ['/bin/sh -c #(nop)  CMD ["sh"]', 'CMD', '["sh"]', []],
  ['/bin/sh -c #(nop) ADD file:01 in / ', 'ADD', 'file:01 in /', []],
  ['|2 A=1 B=two words /bin/sh -c make it', 'RUN', 'make it', ['A=1', 'B=two words']],
  ['RUN |1 A=1 /bin/bash -o pipefail -c make it # buildkit', 'RUN', 'make it', ['A=1']],
  ['RUN /bin/sh -eux -c make it # buildkit', 'RUN', 'make it', []],
  ['ENV A=b', 'ENV', 'A=b', []],
  ['COPY /bin/sh -c /x # buildkit', 'COPY', '/bin/sh -c /x', []],
  ['sleep 100', '', 'sleep 100', []],
  ['', '', '', []],
])('%j is %s', (createdBy, name, text, buildArguments) => {
  expect(instructionsOf([entry(createdBy)])).toEqual([{ name, text, buildArguments, position: 1 }]);
});

const HOSTILE = fc.oneof(
  fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 100 }),
  fc.array(fc.constantFrom('sh', '-c', '"', '\'', '\\', '|', '&&', ';', '\n', '#', 'apt-get', 'update', 'curl', '|1 A=b', '/bin/sh', '#(nop)', 'a:b@c', '://', ' ', '='), { maxLength: 80 }).map((parts) => parts.join(' ')),
);

test('no line of a history makes its readers throw', () => {
  fc.assert(fc.property(HOSTILE, (line) => {
    for (const { text } of instructionsOf([entry(line)])) {
      updateAlone(text);
      unverified(text);
      unpinnedPackages(text);
      secretShape(text);
    }
  }));
  // A reader that goes over a line again for each of its characters would not get through these in the time that the runner gives a test.
  const long = [' -a a', '|1 A=', 'a:', 'sh -c ', 'http://', '"', 'a@', '-----BEGIN A', 'trusted=', '[a=b '].map((part) => part.repeat(20_000));
  for (const line of [...long, ...long.map((text) => `/bin/sh -c ${text}`), ...long.map((text) => `RUN |1 A=b ${text}`)]) {
    for (const { text } of instructionsOf([entry(line)])) {
      updateAlone(text);
      unverified(text);
      secretShape(text);
    }
  }
});

test('what is said of a secret never holds its value', () => {
  const value = fc.string({ minLength: 6, maxLength: 40, unit: fc.constantFrom('a', 'b', 'k', 'q', 'X', 'Z', '0', '1', '7', '9') }).filter((text) => /\d/u.test(text) && text.length > 7);
  fc.assert(fc.property(fc.constantFrom('DB_PASSWORD', 'apiKey', 'X', 'NPM_TOKEN'), value, (name, secret) => {
    for (const written of [secret, `redis://u:${secret}@h`, `https://${secret}:${secret}@h`]) expect(secretIn(`${name}=${written}`) ?? '').not.toContain(secret);
  }));
});
