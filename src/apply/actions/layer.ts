import { join } from 'node:path';
import { at, list, number, object, text } from '../../collect/json.ts';
import { onlyMembers } from '../../container/layer-tar.ts';
import { HostError } from '../../host/port.ts';
import { byteSource } from '../../image/bytes.ts';
import type { Action, JsonObject } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

const ADDED_OR_MODIFIED = [0, 1];
/** Of a running kernel and of the engine: nothing that a container wrote. */
const NOT_FILES = /^\/(?:dev|proc|sys)(?:\/|$)/u;

const FILE = /^runs\/[0-9A-Za-z-]+\/backups\/[A-Za-z0-9][A-Za-z0-9_.-]*-layer\.tar$/;

function pathOf({ file }: JsonObject, stateDir: string): string {
  if (!FILE.test(text(file))) throw new HostError('The journal names no file of ours for the saved layer.');
  return join(stateDir, text(file));
}

async function pathsToSave(container: string, { engine }: Session): Promise<Set<string>> {
  const mounts = list(at(await engine.inspectContainer(container), 'Mounts')).map((mount) => text(at(mount, 'Destination')).replace(/\/$/, ''));
  const isMounted = (path: string): boolean => mounts.some((target) => path === target || path.startsWith(`${target}/`));
  return new Set((await engine.containerChanges(container)).map(object).filter((change) => ADDED_OR_MODIFIED.includes(number(change['Kind'])))
    .map((change) => text(change['Path'])).filter((path) => !NOT_FILES.test(path) && !isMounted(path)));
}

/** Saves what a container wrote outside of its mounts, before anything is stopped. */
export const saveLayer: Executor<Extract<Action, { kind: 'saveLayer' }>> = {
  before: ({ name }, _session, { runId }) => Promise.resolve({ file: `runs/${runId}/backups/${name}-layer.tar` }),
  async perform({ container, name }, before, session) {
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
    if (lost.length > 0) throw new HostError(`What ${name} wrote could not be saved wholly: ${lost.slice(0, 10).join(', ')} ${lost.length > 10 ? '… ' : ''}is not in what the engine sent. Nothing was stopped.`);
  },
  undo: (_action, before, { writer, stateDir }) => writer.remove(pathOf(before, stateDir)),
  touched: () => Promise.resolve(null),
};
