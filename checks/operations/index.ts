import type { Check } from '../../src/model.ts';
import { enterpriseReviews } from '../enterprise.ts';
import { retiredOperationsReviews } from '../reviews.ts';
import { reclaimable } from './reclaimable.ts';
import { containerSprawl, imageSprawl } from './sprawl.ts';

/** Section 6, in the order of the newest edition; retired recommendations last. */
export const operationsChecks: readonly Check[] = [imageSprawl, containerSprawl, reclaimable, ...retiredOperationsReviews, ...enterpriseReviews];
