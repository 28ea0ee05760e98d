import type { Instruction } from '../../src/image/history.ts';
import { instructionsOf } from '../../src/image/history.ts';
import { secretIn, secretShape } from '../../src/image/secrets.ts';
import { assignmentsOf, bareCommand, commandsOf } from '../../src/image/shell.ts';
import { listNames } from '../../src/daemon/containers.ts';
import type { Check, ImageConfig } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { judgeImages, sinceD112 } from './images.ts';

/** Names, never values. */
export interface SecretDetail {
  readonly names: readonly string[];
}

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

function inInstruction({ name, text, buildArguments }: Instruction, publicNames: readonly string[]): readonly string[] {
  const given = name === 'RUN'
    ? [...buildArguments, ...commandsOf(text).flatMap(({ words }) => [...assignmentsOf(words), ...optionsOf(words)])]
    : name === 'ENV' || name === 'ARG' || name === 'LABEL' ? pairs(text) : [];
  const named = given.flatMap((assignment) => secretIn(assignment, publicNames) ?? []);
  const shape = named.length === 0 ? secretShape(text) : null;
  return [...named, ...(shape === null ? [] : [shape])].map((what) => `${what} in ${name === '' ? 'its history' : name}`);
}

function inConfig({ env, labels, entrypoint, command, healthcheck }: ImageConfig, publicNames: readonly string[]): readonly string[] {
  const texts = [['ENTRYPOINT', entrypoint], ['CMD', command], ['HEALTHCHECK', healthcheck?.test ?? []]] as const;
  return [
    ...env.flatMap((entry) => secretIn(entry, publicNames) ?? []).map((what) => `${what} in ENV`),
    ...Object.entries(labels).flatMap(([key, value]) => secretIn(`${key}=${value}`, publicNames) ?? []).map((what) => `${what} in LABEL`),
    ...texts.flatMap(([where, words]) => {
      const shape = secretShape(words.join(' '));
      return shape === null ? [] : [`${shape} in ${where}`];
    }),
  ];
}

export const check: Check<SecretDetail> = {
  id: 'image.no-secrets',
  title: 'Images hold no secrets in their configuration and history',
  rationale: 'Whoever can pull an image reads its environment, its build arguments and the command of each layer; removing a secret in a later layer does not help.',
  evidence: 'GET /images/ID/json Config.Env, Labels, Entrypoint, Cmd; GET /images/ID/history: ENV, ARG, LABEL, build arguments, assignments and options in RUN. By name '
    + '(…PASSWORD, …TOKEN, …SECRET, API_KEY; not …_FILE, not paths) and by shape (private keys, tokens of well-known services, passwords in URLs, JWTs). Values are never shown',
  passes: 'Nothing in the configuration and history of any image sounds or looks like a secret.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: sinceD112('4.10'),
  aliases: ['CIS-DI-0010'],
  evaluate: (facts, { parameters: { images } }) => judgeImages<SecretDetail>(facts, ({ config, history }, target) => {
    const publicNames = images?.publicNames ?? [];
    const configured = valueOf(config);
    const built = valueOf(history);
    const names = [...new Set([
      ...(configured === undefined ? [] : inConfig(configured, publicNames)),
      ...(built === undefined ? [] : instructionsOf(built).flatMap((instruction) => inInstruction(instruction, publicNames))),
    ])];
    if (names.length > 0) return [warn(target, `What sounds or looks like a secret: ${listNames(names)}`, { names })];
    const unread = [config, history].find((part) => part?.status !== 'present');
    if (configured === undefined || built === undefined) {
      return [unknown(target, unread?.status === 'unreadable' ? unread.reason : 'The configuration and history of the image are not known')];
    }
    return [pass(target, 'Nothing in its configuration and history sounds or looks like a secret')];
  }),
};
