import { isKept } from '../../src/container/kept.ts';
import type { Check, ContainerRuntime, Facts, Observed, Target } from '../../src/model.ts';
import { present, unreadable, valueOf } from '../../src/model.ts';
import { ageInDays } from '../age.ts';
import { IMAGES, judgeImages } from '../images/images.ts';
import { na, pass, unknown, warn } from '../verdict.ts';

const DEFAULT_DAYS = 30;

const since16 = (number: string, before: string): Record<string, string> => ({
  'd1.11': before, 'd1.12': before, 'd1.13': before,
  'ce1.1.0': number, '1.2.0': number, '1.3.1': number, '1.4.0': number, '1.5.0': number, '1.6.0': number, '1.7.0': number, '1.8.0': number,
});

/** Ids of the images that containers were made from, whatever their state. */
export function usedImages(facts: Facts): Observed<ReadonlySet<string>> {
  if (facts.containers.status !== 'present') return unreadable(facts.containers.status === 'unreadable' ? facts.containers.reason : 'the containers of the engine are not known');
  const used = new Set<string>();
  for (const { name, spec } of facts.containers.value) {
    const id = valueOf(spec)?.image.id;
    if (id === undefined || id === null) return unreadable(`which image the container ${name} was made from is not known`);
    used.add(id);
  }
  return present(used);
}

/** Days since the later of two times; an image that was loaded or tagged lately is not old, whenever it was built. */
function idleDays(times: readonly (string | null | undefined)[], now: string): number | null {
  const ages = times.flatMap((time) => (time === null || time === undefined ? [] : (ageInDays(time, now) ?? [])));
  return ages.length === 0 ? null : Math.min(...ages);
}

/** For how many whole days something has been of no use. */
export interface IdleDetail {
  readonly days: number;
}

/** 0 leaves nothing any time. */
const isOver = (idle: number, limit: number): boolean => limit === 0 || idle > limit;

export const imageSprawl: Check<IdleDetail> = {
  id: 'operations.image-sprawl',
  title: 'Images that no container uses are cleaned up',
  rationale: 'Forgotten images fill the disk, and one with known flaws is started by mistake sooner or later.',
  evidence: 'GET /images/json against the images of all containers, running or not; days since an image was built or tagged here, and policy parameter '
    + `operations.unusedImageDays (${DEFAULT_DAYS} where nothing is said)`,
  passes: 'No image has been without a container for longer than allowed.',
  section: 'operations',
  severity: 'low',
  level: 1,
  cis: { 'd1.6': '6.6', ...since16('6.1', '6.4') },
  evaluate(facts, { parameters: { operations } }) {
    const limit = operations?.unusedImageDays ?? DEFAULT_DAYS;
    const used = usedImages(facts);
    if (facts.images.status === 'present' && facts.images.value.length > 0 && used.status !== 'present') {
      return [unknown(IMAGES, used.status === 'unreadable' ? used.reason : 'The containers of the engine are not known')];
    }
    const ids = valueOf(used);
    return judgeImages<IdleDetail>(facts, ({ id, tags, createdAt, lastTaggedAt }, target) => {
      if (ids?.has(id) === true) return [pass(target, 'A container uses it')];
      const idle = idleDays([createdAt, lastTaggedAt], facts.collectedAt);
      if (idle === null) return [unknown(target, 'How long the image has been here is not known')];
      const what = tags.length === 0 ? 'No tag leads to it and no container uses it' : 'No container uses it';
      return [isOver(idle, limit) ? warn(target, `${what}; it has been here for ${idle} days, ${limit} are allowed`, { days: idle }) : pass(target, `${what}, but it has been here for only ${idle} days`)];
    });
  },
};

const CONTAINERS: Target = { kind: 'container', name: 'containers', id: 'containers' };

/** States in which nothing runs, and which do not end by themselves. */
export const isStopped = ({ state }: ContainerRuntime): boolean => state === 'exited' || state === 'created';

export const containerSprawl: Check<IdleDetail> = {
  id: 'operations.container-sprawl',
  title: 'Stopped containers are cleaned up',
  rationale: 'A stopped container keeps its files, with whatever secrets are in them, and is started again by mistake sooner or later.',
  evidence: 'GET /containers/ID/json State.Status, State.FinishedAt, Created, of all but those that harden keeps for an undo (harden gc removes them); policy parameter '
    + `operations.stoppedContainerDays (${DEFAULT_DAYS} where nothing is said)`,
  passes: 'No container has been stopped for longer than allowed.',
  section: 'operations',
  severity: 'low',
  level: 1,
  cis: { 'd1.6': '6.7', ...since16('6.2', '6.5') },
  evaluate(facts, { parameters: { operations } }) {
    const limit = operations?.stoppedContainerDays ?? DEFAULT_DAYS;
    if (facts.containers.status !== 'present') {
      return [unknown(CONTAINERS, facts.containers.status === 'unreadable' ? facts.containers.reason : 'The containers of the engine are not known')];
    }
    if (facts.containers.value.length === 0) return [na(CONTAINERS, 'The engine has no containers')];
    const verdicts = facts.containers.value.filter((container) => !isKept(container)).flatMap(({ id, name, runtime }) => {
      const target: Target = { kind: 'container', name, id };
      const now = valueOf(runtime);
      if (now === undefined) return [unknown(target, runtime.status === 'unreadable' ? runtime.reason : 'The state of the container is not known')];
      if (!isStopped(now)) return [];
      const idle = idleDays([now.finishedAt, now.createdAt], facts.collectedAt);
      if (idle === null) return [unknown(target, 'When the container stopped is not known')];
      return isOver(idle, limit) ? [warn(target, `It has been stopped for ${idle} days; ${limit} are allowed`, { days: idle })] : [];
    });
    return verdicts.length > 0 ? verdicts : [pass(CONTAINERS, limit === 0 ? 'No container is stopped' : `No container has been stopped for more than ${limit} days`)];
  },
};
