import { enterpriseReviews } from '../../checks/enterprise.ts';
import { retiredOperationsReviews } from '../../checks/reviews.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';
import { stoppedContainers, unusedImages } from './removal.ts';

/** Section 6, in the order of its checks. */
export const operationsRemediations: readonly Remediation[] = [
  unusedImages,
  stoppedContainers,
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
