import { containerSprawl, imageSprawl } from '../../checks/operations/sprawl.ts';
import { allDependants, rootOf } from '../../src/container/dependants.ts';
import { isKept } from '../../src/container/kept.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { globMatches } from '../../src/glob.ts';
import type { ContainerFacts, Facts, ImageFacts } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { shownWord } from '../../src/quote.ts';
import { ask, defer, edits, remedy } from '../remedy.ts';

const COST = { impact: 'data', risk: 'irreversible' } as const;

const shortId = (id: string): string => id.replace(/^sha256:/u, '').slice(0, 12);

/** An image is chosen by all of its names: one that nobody named may be somebody's. */
function isChosen({ id, tags }: ImageFacts, globs: readonly string[]): boolean {
  const matches = (name: string): boolean => globs.some((glob) => globMatches(glob, name));
  return tags.length > 0 ? tags.every(matches) : matches(id) || matches(shortId(id));
}

export const unusedImages = remedy(imageSprawl, {
  mode: 'choice',
  effect: 'Images that nothing uses are gone, and the space that only they take is free. One that no registry has is lost.',
  ...COST,
  parameters: [
    { name: 'operations.removeUnusedImages', description: 'Images that may be removed once they are unused for too long, as names with *; all tags of an image have to match, and of one without a tag its id', example: '[registry.example.com/*]' },
    { name: 'operations.unusedImageDays', description: 'Days for which an image may be here without a container; 0: none', example: '30' },
  ],
  manual: 'Look at the images of this finding (docker image ls --digests). Save what no registry has (docker save -o FILE NAME:TAG), then docker image rm NAME:TAG; for those without a tag docker image prune.',
  propose({ target, detail: { days } }, facts, { parameters: { operations } }) {
    const globs = operations?.removeUnusedImages;
    const image = valueOf(facts.images)?.find(({ id }) => id === target.id);
    if (image === undefined || globs === undefined || !isChosen(image, globs)) {
      return defer('choice', 'A removed image is lost if no registry has it.',
        `save it (docker save -o FILE ${shownWord(target.name)}) or see that a registry has it; then name it in the parameter operations.removeUnusedImages, as a glob, or run: docker image rm ${shownWord(target.name)}`,
        image === undefined ? [] : [ask('operations.removeUnusedImages', JSON.stringify([...globs ?? [], ...image.tags.length > 0 ? image.tags : [image.id]]), 'All of its names, each a glob')]);
    }
    return edits(
      [{ kind: 'removeImage', image: image.id, name: target.name, days, ...COST, undo: 'impossible' }],
      [{ name: 'operations.removeUnusedImages', value: [...globs], source: 'policy', evidence: `no container uses ${target.name}` }],
    );
  },
});

/** Names of the containers that cannot do without another: its namespaces, a link to it, its volumes. */
function usersOf(container: ContainerFacts, facts: Facts): readonly string[] {
  const { id, name } = container;
  const mounting = (valueOf(facts.containers) ?? []).filter((other) => other.id !== id
    && valueOf(other.spec)?.volumesFrom.some((from) => [id, name].includes(from.split(':')[0] ?? '')) === true);
  return [...new Set([...allDependants(container, facts), ...mounting].map((other) => other.name))];
}

export const stoppedContainers = remedy(containerSprawl, {
  mode: 'choice',
  effect: 'Containers that stopped long ago are gone, with their logs and with the files that they wrote outside of volumes. Volumes stay.',
  ...COST,
  parameters: [
    { name: 'operations.removeStoppedContainers', description: 'Containers that may be removed once they are stopped for too long, as names with *', example: '[job-*]' },
    { name: 'operations.stoppedContainerDays', description: 'Days for which a container may be stopped; 0: none', example: '30' },
  ],
  manual: 'Look what the container wrote (docker diff NAME, docker logs NAME); copy what is needed (docker cp) or keep it as an image (docker commit); then docker rm NAME, which keeps named volumes.',
  propose({ target, detail: { days } }, facts, { parameters: { operations } }) {
    const { name } = target;
    const globs = operations?.removeStoppedContainers;
    const container = valueOf(facts.containers)?.find(({ id }) => id === target.id);
    if (container === undefined || isKept(container)) return defer('guard', `${name} is no container that can be removed any more.`, 'plan again');
    const { owner } = container;
    if (owner.kind !== 'none' && owner.kind !== 'compose') {
      return defer('owner', 'Whoever made the container counts on it, and removes it by rules of its own.',
        owner.kind === 'swarm' ? `docker swarm update --task-history-limit says how many tasks of the service ${owner.service} are kept` : `let ${owner.kind} remove it`);
    }
    if (globs?.some((glob) => globMatches(glob, name)) !== true) {
      return defer('choice', 'What a container wrote outside of volumes is lost with it.',
        `see what it wrote (docker diff ${shownWord(name)}); then name it in the parameter operations.removeStoppedContainers, as a glob, or run: docker rm ${shownWord(name)}`, [ask('operations.removeStoppedContainers', JSON.stringify([...globs ?? [], name]))]);
    }
    const users = usersOf(container, facts);
    if (users.length > 0) return defer('guard', `${listNames(users)} cannot start without it.`, `see to ${listNames(users)} first`);
    // Whatever it depends on takes it along when it is created anew.
    const root = rootOf(container, facts);
    if (root.id !== container.id) return defer('guard', `${name} depends on ${root.name} (a shared namespace or a link).`, `docker rm ${shownWord(name)}`);
    return edits(
      [{ kind: 'removeContainer', container: container.id, days, ...COST, undo: 'impossible' }],
      [{ name: 'operations.removeStoppedContainers', value: [...globs], source: 'policy', evidence: `${name} does not run` }],
    );
  },
});
