import { join } from 'node:path';
import { at, list, number, object, text } from '../../collect/json.ts';
import { onlyMembers } from '../../container/layer-tar.ts';
import { writtenOutside } from '../../container/written.ts';
import { listNames } from '../../daemon/containers.ts';
import { HostError } from '../../host/port.ts';
import { byteSource } from '../../image/bytes.ts';
import type { Run } from '../../journal.ts';
import type { Action, ContainerSpec, JsonObject } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

/** A container and the name that it, or the one that it takes the place of, has. */
export interface About {
  readonly container: string;
  readonly name: string;
}

const ADDED_OR_MODIFIED = [0, 1];
/** Of a running kernel and of the engine: nothing that a container wrote. */
const NOT_FILES = /^\/(?:dev|proc|sys)(?:\/|$)/u;

/** Of a saved layer, below the state directory. A `+` is in no name of a container: what a new one wrote is never taken for that of another. */
export const LAYER_FILE = /^runs\/[0-9A-Za-z-]+\/backups\/[A-Za-z0-9][A-Za-z0-9_.-]*(?:\+new)?-layer\.tar$/;

function pathOf({ file }: JsonObject, stateDir: string): string {
  if (!LAYER_FILE.test(text(file))) throw new HostError('The journal names no file of ours for the saved layer.');
  return join(stateDir, text(file));
}

async function pathsToSave(container: string, { engine }: Session): Promise<Set<string>> {
  const mounts = list(at(await engine.inspectContainer(container), 'Mounts')).map((mount) => text(at(mount, 'Destination')).replace(/\/$/, ''));
  const isMounted = (path: string): boolean => mounts.some((target) => path === target || path.startsWith(`${target}/`));
  return new Set((await engine.containerChanges(container)).map(object).filter((change) => ADDED_OR_MODIFIED.includes(number(change['Kind'])))
    .map((change) => text(change['Path'])).filter((path) => !NOT_FILES.test(path) && !isMounted(path)));
}

/** Where a run keeps what a container wrote; `new`: what the one wrote that took its place. */
export const layerFile = (name: string, { runId }: Pick<Run, 'runId'>, which: '' | 'new' = ''): JsonObject =>
  ({ file: `runs/${runId}/backups/${name}${which === 'new' ? '+new' : ''}-layer.tar` });

/** Writes what a container wrote outside of its mounts to the file that `before` names. */
async function save({ container, name }: About, before: JsonObject, session: Session): Promise<void> {
  const wanted = await pathsToSave(container, session);
  const source = byteSource(await session.engine.exportContainer(container));
  const seen = new Set<string>();
  try {
    await session.writer.create(pathOf(before, session.stateDir), onlyMembers(source, wanted, seen));
  } finally {
    await source.close();
  }
  // Sockets are in no tar, and what a program removed meanwhile is gone; a file that is there must be saved.
  const still = await pathsToSave(container, session);
  const lost: string[] = [];
  for (const path of [...wanted].filter((candidate) => still.has(candidate) && !seen.has(candidate))) {
    if (!await session.engine.isSocketIn(container, path)) lost.push(path);
  }
  if (lost.length > 0) throw new HostError(`What ${name} wrote could not be saved wholly: ${lost.slice(0, 10).join(', ')} ${lost.length > 10 ? '… ' : ''}is not in what the engine sent.`);
}

/** What a container wrote that one in its place would miss, and where it is saved when it goes, as a sentence; null: nothing. */
export async function layerToSave({ container, name }: About, before: JsonObject, { engine }: Session, spec: ContainerSpec): Promise<string | null> {
  const changes = (await engine.containerChanges(container)).map((change) => ({ path: text(at(change, 'Path')) }));
  const written = writtenOutside(changes, spec);
  if (written.length === 0) return null;
  return `what the new ${name} wrote outside of its volumes is not carried over, but saved: ${listNames(written, 10)} (${text(before['file'])})`;
}

/** Saves what a container that is to be removed wrote outside of its mounts, once it is stopped. It stays there, stopped, where that fails. */
export async function saveBeforeRemoval(about: About, before: JsonObject, session: Session, spec: ContainerSpec): Promise<void> {
  // A journal of an earlier version names no file.
  if (before['file'] === undefined || await layerToSave(about, before, session, spec) === null) return;
  await session.writer.remove(pathOf(before, session.stateDir));
  await save(about, before, session);
}

/** Saves what a container wrote outside of its mounts, before anything is stopped. */
export const saveLayer: Executor<Extract<Action, { kind: 'saveLayer' }>> = {
  before: ({ name }, _session, run) => Promise.resolve(layerFile(name, run)),
  perform: (action, before, session) => save(action, before, session),
  undo: (_action, before, { writer, stateDir }) => writer.remove(pathOf(before, stateDir)),
  touched: () => Promise.resolve(null),
};
