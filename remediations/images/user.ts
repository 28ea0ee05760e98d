import { check } from '../../checks/images/user.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';
import { user } from '../containers/fixes.ts';
import { containerRemedy } from '../containers/steps.ts';

const ofImages = byHand(check, {
  effect: 'Containers of the image run as a user without rights on the host; files that it writes need that owner.',
  why: 'Which user a program can run as is for whoever builds the image to say.',
  steps: 'In the last stage of the Dockerfile create a user (RUN adduser --system --uid 10001 app), give it the files that it writes (COPY --chown=10001:10001), and end with '
    + 'USER 10001:10001. Ports below 1024 become higher ones. Build the image again, and create its containers from the new one. Volumes with files of root need chown once. '
    + 'A container that overrides a good image with --user root is created again without it. Where the entrypoint gives up root by itself, waive the finding.',
  impact: 'recreate',
  parameters: [{ name: 'images.user', description: 'What advice on a Dockerfile (--dockerfile) writes behind USER; without it 10001:10001', example: 'app' }],
});

const ofContainers = containerRemedy(check, {
  fix: user,
  effect: 'Its processes are no longer root; files that they wrote as root need a new owner.',
  steps: { run: 'without --user root', compose: 'remove user, or name one that is not root', service: '--user UID:GID' },
  because: 'Somebody wanted it to be root; which files it wrote as such, only its owner knows.',
});

/** An image is changed where it is built; a container that was told to be root although its image is not, is created anew. */
export const userRemediation: Remediation = {
  ...ofImages,
  mode: 'choice',
  parameters: [...ofImages.parameters, { name: 'container.user', description: 'NAME, UID or UID:GID of a container that was told to be root although its image is not', example: '"10001:10001"' }],
  propose: (finding, facts, policy) => (finding.target.kind === 'container' ? ofContainers : ofImages).propose({ ...finding, detail: null }, facts, policy),
};
