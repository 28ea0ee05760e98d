import type { Check, Facts, Verdict } from '../../src/model.ts';
import { manual } from '../verdict.ts';
import { always, IMAGES, judgeImages, sinceD112 } from './images.ts';

/** One task for all images: what is asked cannot be seen from outside of their files. */
export function review(facts: Facts, task: string): readonly Verdict<never>[] {
  const verdicts = judgeImages<never>(facts, (_, target) => [manual(target, task)]);
  return verdicts.some(({ outcome }) => outcome === 'manual') ? [manual(IMAGES, `${verdicts.length} ${verdicts.length === 1 ? 'image' : 'images'}: ${task}`)] : verdicts;
}

export const minimal: Check<never> = {
  id: 'image.minimal',
  title: 'Images hold no packages that they do not need',
  rationale: 'Every package is one more that can have a flaw, and a shell or a compiler is a tool for whoever gets in.',
  evidence: 'Configuration and history do not show which packages an image holds, and only its owner knows which it needs',
  passes: 'Never by itself: a person reviews the packages of each image.',
  section: 'images',
  severity: 'low',
  level: 1,
  cis: always('4.3'),
  aliases: ['CIS-DI-0003'],
  evaluate: (facts) => review(facts, 'review which packages they need'),
};

export const setuid: Check<never> = {
  id: 'image.setuid',
  title: 'Images hold no setuid or setgid files that they do not need',
  rationale: 'A setuid program makes its caller another user: a flaw in one makes any process in the container root.',
  evidence: 'Configuration and history do not show the modes of files',
  passes: 'Never by itself: a person reviews the files.',
  section: 'images',
  severity: 'medium',
  level: 2,
  cis: sinceD112('4.8'),
  evaluate: (facts) => review(facts, 'review their setuid and setgid files'),
};

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
