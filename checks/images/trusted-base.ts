import type { Check, ImageFacts } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { always, IMAGES, judgeImages, matchesPattern } from './images.ts';

/** The repository of a reference, in full: "busybox:latest" is docker.io/library/busybox. */
function repositoryOf(reference: string): string {
  const name = reference.replace(/@.*$/u, '').replace(/:[^/:]*$/u, '');
  const first = name.split('/')[0] ?? '';
  if (name.includes('/') && (/[.:]/u.test(first) || first === 'localhost')) return name.replace(/^index\.docker\.io\//u, 'docker.io/');
  return name.includes('/') ? `docker.io/${name}` : `docker.io/library/${name}`;
}

/** What the label of the OCI image specification says that an image was built on. */
const BASE = 'org.opencontainers.image.base.name';

/** Digests that a registry gave, by repository. */
const pulledFrom = ({ digests }: ImageFacts): readonly string[] => [...new Set(digests.map(repositoryOf))];

export const check: Check<null> = {
  id: 'image.trusted-base',
  title: 'Images come from approved sources',
  rationale: 'What an image is built on runs with everything that it is given, and is only as trustworthy as whoever publishes it.',
  evidence: 'GET /images/json RepoDigests (what was pulled, and from where), label org.opencontainers.image.base.name; policy parameter images.trustedSources',
  passes: 'Every image was pulled from a repository among images.trustedSources, or was built here and names such a base.',
  section: 'images',
  severity: 'medium',
  level: 1,
  cis: always('4.2'),
  aliases: ['CIS-DI-0002'],
  evaluate: (facts, { parameters: { images } }) => {
    const trusted = images?.trustedSources;
    if (trusted === undefined && facts.images.status === 'present' && facts.images.value.length > 0) {
      return [manual(IMAGES, 'Nobody said which sources are trusted: review where the images come from')];
    }
    return judgeImages<null>(facts, (image, target) => {
      const isTrusted = (repository: string): boolean => trusted?.some((pattern) => matchesPattern(pattern, repository)) === true;
      const repositories = pulledFrom(image);
      if (repositories.length > 0) {
        const bad = repositories.find((repository) => !isTrusted(repository));
        return [bad === undefined ? pass(target, `It comes from ${repositories.join(', ')}`) : warn(target, `It comes from ${bad}, which is not among the trusted sources`, null)];
      }
      const config = valueOf(image.config);
      if (config === undefined) return [unknown(target, image.config?.status === 'unreadable' ? image.config.reason : 'The labels of the image are not known')];
      const base = config.labels[BASE];
      if (base === undefined || base === '') return [manual(target, 'It was made here, and does not say what it was built on')];
      return [isTrusted(repositoryOf(base)) ? pass(target, `It was built on ${base}`) : warn(target, `It was built on ${base}, which is not among the trusted sources`, null)];
    });
  },
};
