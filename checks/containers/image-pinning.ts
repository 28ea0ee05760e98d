import { normalReference } from '../../src/image/reference.ts';
import type { Check } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { parametersFor } from '../../src/container/parameters.ts';
import { eachContainer, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.image-pinning',
  title: 'The container runs the image that its reference stands for',
  rationale: 'A tag moves: what runs may be an old image with known holes, while the tag already stands for the repaired one.',
  evidence: 'inspect: Config.Image, Image; GET /images/json: RepoTags',
  passes: 'The reference names a digest; where the policy asks for one (container.pinImage), everything else is a WARN. Whether the registry has a newer image for a tag, this host cannot know.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(28, 'd1.12'),
  evaluate: (facts, policy) => eachContainer(facts, ({ spec: { image: { reference, id } }, target }) => {
    if (/@sha256:[0-9a-f]{64}$/u.test(reference)) return pass(target, 'Its image is pinned by digest');
    if (parametersFor(target.name, policy).pinImage === true) return warn(target, `${reference} is not pinned by digest, which the policy asks for`, null);
    const { images } = facts;
    if (images.status !== 'present') return unknown(target, images.status === 'unreadable' ? images.reason : 'The images of the engine are not known');
    // A container made from an id: no tag says which image is meant.
    if (reference === id || /^(?:sha256:)?[0-9a-f]{12,64}$/u.test(reference)) return manual(target, 'It was created from the id of an image: see whether that is current');
    const wanted = normalReference(reference);
    const current = images.value.find(({ tags }) => tags.some((tag) => normalReference(tag) === wanted));
    if (current !== undefined && id !== null && current.id !== id) return warn(target, `It runs an older image: ${reference} now stands for another`, null);
    if (current === undefined) return manual(target, `No image of this host is called ${reference} any more: see whether what runs is current`);
    return manual(target, wanted.endsWith(':latest') ? `${reference} is not pinned, and says nothing of a version: see whether it is current`
      : `${reference} is not pinned by digest: see whether the registry has a newer image`);
  }),
};
