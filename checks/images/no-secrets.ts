import { instructionsOf } from '../../src/image/history.ts';
import { secretsOf } from '../../src/image/instruction-secrets.ts';
import { secretIn, secretShape } from '../../src/image/secrets.ts';
import { listNames } from '../../src/daemon/containers.ts';
import type { Check, ImageConfig } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { judgeImages, sinceD112 } from './images.ts';

/** Names, never values. */
export interface SecretDetail {
  readonly names: readonly string[];
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
      ...(built === undefined ? [] : instructionsOf(built).flatMap((instruction) => secretsOf(instruction, publicNames))),
    ])];
    if (names.length > 0) return [warn(target, `What sounds or looks like a secret: ${listNames(names)}`, { names })];
    const unread = [config, history].find((part) => part?.status !== 'present');
    if (configured === undefined || built === undefined) {
      return [unknown(target, unread?.status === 'unreadable' ? unread.reason : 'The configuration and history of the image are not known')];
    }
    return [pass(target, 'Nothing in its configuration and history sounds or looks like a secret')];
  }),
};
