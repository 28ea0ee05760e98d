import { bytesOf } from '../../src/container/parameters.ts';
import { isKept } from '../../src/container/kept.ts';
import { listNames } from '../../src/daemon/containers.ts';
import type { Check, DiskUsage, Facts, Observed } from '../../src/model.ts';
import { present, unreadable } from '../../src/model.ts';
import { DAEMON, na, pass, unknown, warn } from '../verdict.ts';
import { isStopped, usedImages } from './sprawl.ts';

/** Bytes, at least and at most: images share layers, and the engine does not say which of them with which. */
interface Span {
  readonly least: number;
  readonly most: number;
}

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0);

/** What would be free if all images went that no container was made from. */
function ofImages({ layers, images }: DiskUsage, used: ReadonlySet<string>): Span {
  const own = ({ size, shared }: DiskUsage['images'][number]): number => Math.max(0, size - (shared ?? size));
  const kept = images.filter(({ id }) => used.has(id));
  const loose = images.filter(({ id }) => !used.has(id));
  // What stays is no more than the used ones together, and no less than what each has alone with the largest share among them.
  const stays = { most: sum(kept.map(({ size }) => size)), least: sum(kept.map(own)) + Math.max(0, ...kept.map((image) => image.size - own(image))) };
  const least = Math.max(sum(loose.map(own)), layers - stays.most, 0);
  return { least, most: Math.max(least, Math.min(sum(loose.map(({ size }) => size)), layers - stays.least)) };
}

/** What stopped containers wrote, and how many of them wrote anything. Those that harden keeps for an undo are not among them. */
function ofContainers({ containers: measured }: DiskUsage, { containers }: Facts): Observed<{ readonly bytes: number; readonly count: number }> {
  if (containers.status !== 'present') return unreadable('the containers of the engine are not known');
  const written = new Map(measured.map((container) => [container.id, container.written]));
  let bytes = 0;
  let count = 0;
  for (const container of containers.value) {
    const { id, name, runtime } = container;
    if (runtime.status !== 'present') return unreadable(`whether the container ${name} runs is not known`);
    if (!isStopped(runtime.value) || isKept(container)) continue;
    const size = written.get(id);
    if (size === undefined || size === null) return unreadable(`how much the container ${name} wrote is not known`);
    bytes += size;
    if (size > 0) count += 1;
  }
  return present({ bytes, count });
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const;

/** "1.5 GiB" */
function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const power = Math.min(UNITS.length, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} ${UNITS[power - 1] ?? ''}`;
}

const spanText = ({ least, most }: Span): string => (sizeText(least) === sizeText(most) ? sizeText(least) : `${sizeText(least)} to ${sizeText(most)}`);

export const reclaimable: Check<null> = {
  id: 'operations.reclaimable',
  title: 'What nothing uses takes no more space than allowed',
  rationale: 'A full disk stops every container that writes, and what fills it unnoticed is what nobody needs any more.',
  evidence: 'GET /system/df, asked only where policy parameter operations.maxReclaimable sets a limit (it may take the engine minutes): layers of images that no container was made from, what '
    + 'stopped containers wrote, and the build cache. Volumes hold data and are not counted, nor is what harden keeps for an undo',
  passes: 'All that could be freed together is within operations.maxReclaimable.',
  section: 'operations',
  severity: 'low',
  level: 1,
  cis: {},
  evaluate(facts, { parameters: { operations } }) {
    if (operations?.maxReclaimable === undefined) return [na(DAEMON, 'No limit is set: operations.maxReclaimable says how much may lie around')];
    const { diskUsage } = facts;
    if (diskUsage === undefined) return [unknown(DAEMON, 'Nobody asked how much space is used when these facts were collected')];
    if (diskUsage.status !== 'present') return [unknown(DAEMON, diskUsage.status === 'unreadable' ? diskUsage.reason : 'How much space is used is not known')];
    const used = usedImages(facts);
    const stopped = ofContainers(diskUsage.value, facts);
    if (used.status !== 'present') return [unknown(DAEMON, used.status === 'unreadable' ? used.reason : 'Which images are used is not known')];
    if (stopped.status !== 'present') return [unknown(DAEMON, stopped.status === 'unreadable' ? stopped.reason : 'What stopped containers wrote is not known')];
    const limit = bytesOf(operations.maxReclaimable);
    const images = ofImages(diskUsage.value, used.value);
    const { bytes, count } = stopped.value;
    const { buildCache } = diskUsage.value;
    const all: Span = { least: images.least + bytes + buildCache, most: images.most + bytes + buildCache };
    const parts = [
      ...(images.most > 0 ? [`${spanText(images)} in images that no container uses`] : []),
      ...(bytes > 0 ? [`${sizeText(bytes)} in ${count} stopped ${count === 1 ? 'container' : 'containers'}`] : []),
      ...(buildCache > 0 ? [`${sizeText(buildCache)} in the build cache`] : []),
    ];
    const says = parts.length === 0 ? 'Nothing lies around' : `${spanText(all)} could be freed: ${listNames(parts)}`;
    if (all.least > limit) return [warn(DAEMON, `${says}; ${sizeText(limit)} are allowed`, null)];
    return [all.most <= limit ? pass(DAEMON, says) : unknown(DAEMON, `${says}; ${sizeText(limit)} are allowed, and the engine does not tell which layers images share`)];
  },
};
