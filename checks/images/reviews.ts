import type { Check, Facts, Verdict } from '../../src/model.ts';
import { manual } from '../verdict.ts';
import { IMAGES, judgeImages } from './images.ts';

/** One task for all images: what is asked cannot be seen from outside of their files. */
export function review(facts: Facts, task: string): readonly Verdict<never>[] {
  const verdicts = judgeImages<never>(facts, (_, target) => [manual(target, task)]);
  return verdicts.some(({ outcome }) => outcome === 'manual') ? [manual(IMAGES, `${verdicts.length} ${verdicts.length === 1 ? 'image' : 'images'}: ${task}`)] : verdicts;
}

export const signedArtifacts: Check<never> = {
  id: 'image.signed-artifacts',
  title: 'Signatures of images are verified before they are used',
  rationale: 'A registry or a network that was broken into can hand out another image under the same name.',
  evidence: 'The engine verifies no signatures: whether the way to this host does is not seen here',
  passes: 'Never by itself: a person attests that the pipeline verifies signatures.',
  section: 'images',
  severity: 'medium',
  level: 1,
  cis: { '1.4.0': '4.12', '1.5.0': '4.12', '1.6.0': '4.12', '1.7.0': '4.12', '1.8.0': '4.12' },
  evaluate: (facts) => review(facts, 'see that signatures were verified on the way here'),
};
