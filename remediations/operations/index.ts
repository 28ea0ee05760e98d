import { containerSprawl, imageSprawl } from '../../checks/operations/sprawl.ts';
import { enterpriseReviews } from '../../checks/enterprise.ts';
import { retiredOperationsReviews } from '../../checks/reviews.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';

/** Section 6, in the order of its checks. */
export const operationsRemediations: readonly Remediation[] = [
  byHand(imageSprawl, {
    effect: 'Images that nothing uses are gone, and their space is free.',
    why: 'A removed image is lost if no registry has it: somebody has to look at the list.',
    steps: 'Look at the images of this finding (docker image ls --digests). Save what no registry has (docker save -o FILE NAME:TAG), then docker image rm NAME:TAG; for those without a tag '
      + 'docker image prune. operations.unusedImageDays says how long an image may wait.',
    impact: 'data',
    risk: 'irreversible',
    parameters: [{ name: 'operations.unusedImageDays', description: 'Days for which an image may be here without a container', example: '30' }],
  }),
  byHand(containerSprawl, {
    effect: 'Containers that stopped long ago are gone, with the files that they wrote outside of volumes.',
    why: 'What a container wrote is lost with it: somebody has to look.',
    steps: 'Look what the container wrote (docker diff NAME, docker logs NAME); copy what is needed (docker cp) or keep it as an image (docker commit); then docker rm NAME, which keeps named volumes. '
      + 'operations.stoppedContainerDays says how long a container may wait.',
    impact: 'data',
    risk: 'irreversible',
    parameters: [{ name: 'operations.stoppedContainerDays', description: 'Days for which a container may be stopped', example: '30' }],
  }),
  ...retiredOperationsReviews.map((check) => byHand(check, {
    effect: 'The practice is in place, and somebody answers for it.',
    why: 'What people do cannot be changed on this host.',
    steps: 'Name who does it and how often, and keep a record of the last time. Older editions of the benchmark ask for it.',
  })),
  ...enterpriseReviews.map((check) => byHand(check, {
    effect: 'The product is set up as its owner means it to be.',
    why: 'The settings of the product are behind its own login.',
    steps: 'Log in to the product as an administrator and look at the setting that the title names (Admin Settings: Authentication & Authorization, Certificates, Docker Content Trust; Access Control; '
      + 'of the registry: System, Security). Docker Enterprise ended; its successors name the same settings. Only edition 1.2.0 of the benchmark asks for it.',
  })),
];
