import { at, list, number, text } from '../collect/json.ts';
import { messageOf } from '../errors.ts';
import type { Engine } from '../host/engine.ts';
import { ImageError } from '../image/bytes.ts';
import { combineLayers } from '../image/filesystem.ts';
import type { Chosen, Limits } from '../image/layer.ts';
import { budgetOf, summarizeFiles } from '../image/layer.ts';
import { reported } from '../image/look-inside.ts';
import type { AddedFiles, ContainerFacts, Facts, ImageAccounts, ImageFilesystem, Json, Observed, TargetSelection } from '../model.ts';
import { absent, mapObserved, present, unreadable, valueOf } from '../model.ts';
import { targetFilter } from '../targets.ts';
import { isKept } from './kept.ts';
import { isSpentTask } from './service.ts';

/** Of the list of what a container changed; a longer one is that of no container that is worth reading. */
const MAX_CHANGES_BYTES = 4 << 20;
/** Of the files of a container; holes of sparse ones count. */
const LIMITS: Limits = { entries: 4_000_000, bytes: 32 * 2 ** 30, remembered: 1 << 20 };
/** For one container. */
const TIMEOUT_MS = 10 * 60_000;

/** What the engine makes in every container, or mounts over: nothing that is written there is seen in it. */
const MADE_BY_ENGINE = /^\/(?:etc\/(?:hosts|hostname|resolv\.conf|mtab)|\.dockerenv|(?:dev|proc|sys)(?:\/.*)?)$/su;

/** The facts with what each container that is selected added to its image, read one after the other. Images come first: what they have is left out. */
export async function withAddedFiles(engine: Engine, facts: Facts, targets: TargetSelection | undefined, progress: (message: string) => void): Promise<Facts> {
  const { containers } = facts;
  if (containers.status !== 'present') return facts;
  const isWanted = targets === undefined ? () => true : targetFilter(targets, facts);
  const wanted = containers.value.filter((container) => exists(container) && !isKept(container) && !isSpentTask(container, facts)
    && isWanted({ kind: 'container', name: container.name, id: container.id }));
  const images = new Map((valueOf(facts.images) ?? []).map(({ id, filesystem }) => [id, valueOf(filesystem)]));
  const added = new Map<string, Observed<AddedFiles>>();
  for (const [index, container] of wanted.entries()) {
    const report = (bytes: number): void => progress(`looking into container ${index + 1} of ${wanted.length}, ${container.name}: ${Math.floor(bytes / 2 ** 20)} MiB`);
    added.set(container.id, await addedFiles(engine, container, images.get(valueOf(container.spec)?.image.id ?? ''), report));
  }
  progress('');
  return { ...facts, containers: present(containers.value.map((container) => {
    const files = added.get(container.id);
    return files === undefined ? container : { ...container, added: files };
  })) };
}

function exists({ spec, runtime }: ContainerFacts): boolean {
  const state = valueOf(runtime)?.state;
  return spec.status === 'present' && state !== undefined && state !== 'dead' && state !== 'removing';
}

/** Asks what it changed first: the files of a container that changed nothing are not sent. */
async function addedFiles(engine: Engine, container: ContainerFacts, image: ImageFilesystem | undefined, report: (bytes: number) => void): Promise<Observed<AddedFiles>> {
  const { id } = container;
  const abortSignal = AbortSignal.timeout(TIMEOUT_MS);
  const gone = unreadable('it vanished before anybody could look at its files');
  try {
    report(0);
    const changes = await engine.containerChanges(id, abortSignal);
    if (changes === undefined) return gone;
    const paths = changedPaths(await jsonOf(changes), mountPoints(container));
    if (paths.length === 0) return present({ changed: 0, setuid: [], secrets: [], accounts: absent });
    const archive = await engine.containerArchive(id, abortSignal);
    return archive === undefined ? gone : present(await readAdded(reported(archive, report), paths, image));
  } catch (error) {
    const why = abortSignal.aborted ? `that took longer than ${TIMEOUT_MS / 60_000} minutes` : messageOf(error).replaceAll('\n', ' ');
    return unreadable(`what it changed cannot be read: ${why}`);
  }
}

const mountPoints = ({ spec, runtime }: ContainerFacts): ReadonlySet<string> =>
  new Set([...(valueOf(spec)?.mounts ?? []), ...(valueOf(runtime)?.applied?.mounts ?? [])].map(({ target }) => target));

async function jsonOf(chunks: AsyncIterable<Uint8Array>): Promise<Json> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > MAX_CHANGES_BYTES) throw new ImageError(`the list of its changes is longer than ${MAX_CHANGES_BYTES / 2 ** 20} MiB`);
    parts.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as Json;
  } catch {
    throw new ImageError('the engine sent a list of its changes that is no JSON');
  }
}

/** Kinds of GET /containers/ID/changes: 0 modified, 1 added, 2 deleted. */
const DELETED = 2;

/**
 * What was added or changed and may be a file: no directory that holds such a thing itself, nothing that the engine makes, and no place where
 * something is mounted. What was deleted proves no directory: a file may have taken the place of one.
 */
export function changedPaths(changes: Json, mounts: ReadonlySet<string>): readonly string[] {
  if (changes !== null && !Array.isArray(changes)) throw new ImageError('the engine sent no list of its changes');
  const paths = list(changes).filter((entry) => number(at(entry, 'Kind')) !== DELETED).map((entry) => text(at(entry, 'Path')));
  if (!paths.every((path) => path.startsWith('/'))) throw new ImageError('the engine sent a change without a path');
  const directories = new Set<string>();
  for (const path of paths) {
    for (let slash = path.lastIndexOf('/'); slash > 0 && !directories.has(path.slice(0, slash)); slash = path.lastIndexOf('/', slash - 1)) directories.add(path.slice(0, slash));
  }
  return paths.filter((path) => !directories.has(path) && !MADE_BY_ENGINE.test(path) && !mounts.has(path));
}

/** Names that are no UTF-8 come with other bytes in JSON: as many replacements as the engine and we like, so that one stands for all. */
const comparable = (path: string): string => path.replaceAll(/\uFFFD+/gu, '\uFFFD');

/** Chooses some paths of a tar, and is done once each was seen; where one name may stand for several, only at the end. */
function choose(paths: readonly string[]): Chosen {
  const wanted = new Set(paths.map(comparable));
  const isExact = !paths.some((path) => path.includes('\uFFFD'));
  const left = new Set(wanted);
  return {
    wants: (path) => {
      const key = comparable(`/${Buffer.from(path, 'latin1').toString('utf8')}`);
      left.delete(key);
      return wanted.has(key);
    },
    isDone: () => isExact && left.size === 0,
  };
}

/**
 * Of the files of a container those at some paths, without what its image has in the same way. A file that looks like a secret counts whatever the
 * image has there: contents are not kept, so whether it is the same one cannot be seen.
 * @throws ImageError when they cannot be read
 */
export async function readAdded(archive: AsyncIterable<Uint8Array>, paths: readonly string[], image: ImageFilesystem | undefined, limits = LIMITS): Promise<AddedFiles> {
  const { setuid, secrets, accounts } = combineLayers([await summarizeFiles(archive, budgetOf(limits), choose(paths))], null);
  const known = valueOf(image?.accounts);
  const without = <T>(found: readonly T[], inImage: readonly T[] = []): readonly T[] => {
    const same = new Set(inImage.map((item) => JSON.stringify(item)));
    return found.filter((item) => !same.has(JSON.stringify(item)));
  };
  return {
    changed: paths.length,
    setuid: without(setuid, image?.setuid),
    secrets: secrets.map(({ path, what }) => ({ path, what })),
    accounts: mapObserved(accounts, ({ duplicates, emptyPasswords }): ImageAccounts => ({
      duplicates: without(duplicates, known?.duplicates), emptyPasswords: without(emptyPasswords, known?.emptyPasswords),
    })),
  };
}
