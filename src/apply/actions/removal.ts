import { at, texts } from '../../collect/json.ts';
import { parseInspect } from '../../container/from-inspect.ts';
import { isKept } from '../../container/kept.ts';
import { HostError } from '../../host/port.ts';
import type { Action } from '../../model.ts';
import { valueOf } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;

/** Nothing takes a removal back: what is done is said by name (`lost`), and what was not done needs nothing. */
const FINAL = { undo: () => Promise.resolve(), touched: () => Promise.resolve(null) } as const;

/** Throws unless the container is still what was shown: stopped, not started meanwhile, and not kept for an undo. One that is gone is fine. */
async function requireStopped({ container, name, finishedAt }: Of<'removeContainer'>, { engine }: Session): Promise<void> {
  const raw = await engine.inspectContainer(container);
  if (raw === null) return;
  const found = parseInspect(raw, { apiVersion: await engine.apiVersion() });
  const runtime = valueOf(found.runtime);
  const stopped = runtime?.state === 'exited' || runtime?.state === 'created';
  if (!stopped || (runtime.finishedAt ?? '') !== finishedAt) throw new HostError(`The container ${name} was started meanwhile. It was not removed. Plan again.`);
  if (isKept(found) || found.name !== name) throw new HostError(`The container ${name} has another name now. It was not removed. Plan again.`);
}

export const removeContainer: Executor<Of<'removeContainer'>> = {
  ...FINAL,
  async before(action, session) {
    await requireStopped(action, session);
    return {};
  },
  async perform(action, _before, session) {
    await requireStopped(action, session);
    await session.engine.removeContainer(action.container);
    if (await session.engine.inspectContainer(action.container) !== null) throw new HostError(`The engine did not remove the container ${action.name}.`);
  },
  lost: async ({ container, name }, { engine }) => (await engine.inspectContainer(container) === null ? `The container ${name} is removed for good` : null),
};

const referencesOf = (raw: Parameters<typeof at>[0]): readonly string[] =>
  [...texts(at(raw, 'RepoTags')), ...texts(at(raw, 'RepoDigests'))].filter((reference) => !reference.includes('<none>'));

/** Throws unless the image is still what was shown: nothing uses it, and nothing else leads to it. One that is gone is fine. */
async function requireUnused({ image, name, references }: Of<'removeImage'>, { engine }: Session): Promise<void> {
  const raw = await engine.inspectImage(image);
  if (raw === null) return;
  const [user] = await engine.usersOfImage(image);
  if (user !== undefined) throw new HostError(`The container ${user} uses the image ${name} now. It was not removed. Plan again.`);
  const other = referencesOf(raw).find((reference) => !references.includes(reference));
  if (other !== undefined) throw new HostError(`The image ${name} is also ${other} now. It was not removed. Plan again.`);
}

export const removeImage: Executor<Of<'removeImage'>> = {
  ...FINAL,
  async before(action, session) {
    await requireUnused(action, session);
    return {};
  },
  async perform(action, _before, session) {
    const { engine } = session;
    await requireUnused(action, session);
    // Without force the engine removes an image by its id only where one name is left; the last name takes the image with it.
    for (const reference of action.references) {
      if (await engine.imageId(reference) === action.image) await engine.removeImage(reference);
    }
    const left = await engine.inspectImage(action.image);
    if (left !== null && action.references.length === 0) await engine.removeImage(action.image);
    // Layers that other images are built on stay, without a name.
    const still = action.references.length === 0 ? await engine.inspectImage(action.image) !== null : left !== null && referencesOf(left).length > 0;
    if (still) throw new HostError(`The engine did not remove the image ${action.name}.`);
  },
  async lost({ image, name, references }, { engine }) {
    const now = await engine.inspectImage(image);
    const gone = references.filter((reference) => now === null || !referencesOf(now).includes(reference));
    return now === null || gone.length > 0 ? `The image ${name} is removed for good` : null;
  },
};
