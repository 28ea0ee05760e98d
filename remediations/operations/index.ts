import { enterpriseReviews } from '../../checks/enterprise.ts';
import { reclaimable } from '../../checks/operations/reclaimable.ts';
import { retiredOperationsReviews } from '../../checks/reviews.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';
import { stoppedContainers, unusedImages } from './removal.ts';

/** Section 6, in the order of its checks. */
export const operationsRemediations: readonly Remediation[] = [
  unusedImages,
  stoppedContainers,
  byHand(reclaimable, {
    effect: 'The space is free. An image that no registry has, and what a removed container wrote, are lost.',
    why: 'What of it nobody needs any more is for the owner of the host to say.',
    steps: 'See what takes the space: docker system df -v. The build cache may go any time (docker builder prune). Name images and containers that may go in operations.removeUnusedImages and '
      + 'operations.removeStoppedContainers, and harden plan --max-impact data --max-risk irreversible shows which; or remove them with docker image rm and docker rm.',
    impact: 'data',
    risk: 'irreversible',
    parameters: [{ name: 'operations.maxReclaimable', description: 'How much may lie around in unused images, stopped containers and the build cache; setting it has the engine measure', example: '20g' }],
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
