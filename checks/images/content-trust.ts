import type { Check } from '../../src/model.ts';
import { HOST, judge, pass, unknown, warn } from '../verdict.ts';
import { sinceD111 } from './images.ts';

/** Where it is on. */
export interface ContentTrustDetail {
  readonly sources: readonly string[];
}

/** The docker command takes everything but a false or empty value for on (docker/cli, cli/command/cli.go before release 29). */
const isOn = (value: string): boolean => value !== '' && !['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(value);

export const check: Check<ContentTrustDetail> = {
  id: 'image.content-trust',
  title: 'Content trust, which Docker retired, is not switched on',
  rationale: 'Docker shut its signing service down and lets the certificates of official images expire: with DOCKER_CONTENT_TRUST=1 pulls fail, and clients from release 29 '
    + 'on ignore it. Images are pinned by digest instead, or verified by other tools.',
  evidence: 'DOCKER_CONTENT_TRUST in the environment of harden, /etc/environment, the profile files of the system and of root; what other users and build machines set is not seen',
  passes: 'Nothing sets DOCKER_CONTENT_TRUST to an effective value.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: sinceD111('4.5'),
  aliases: ['CIS-DI-0005'],
  evaluate: ({ contentTrust }) => contentTrust === undefined ? [unknown(HOST, 'Whether content trust is on is not known')]
    : judge(HOST, contentTrust, (settings) => {
      const sources = settings.filter(({ value }) => isOn(value)).map(({ source }) => source);
      return [sources.length === 0 ? pass(HOST, 'Content trust is off: pin images by digest instead')
        : warn(HOST, `DOCKER_CONTENT_TRUST is on in ${sources.join(', ')}: pulls of official images fail`, { sources })];
    }, () => [unknown(HOST, 'Whether content trust is on is not known')]),
};
