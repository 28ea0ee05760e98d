import { messageOf } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import type { Run } from '../journal.ts';
import type { Action, Facts, JsonObject } from '../model.ts';
import { changeComposeProject } from './actions/compose.ts';
import { createReplacement, retireContainer, startReplacement, stopContainer, swapContainers, updateContainer } from './actions/container.ts';
import { removeGroupMember } from './actions/group.ts';
import { removeContainer, removeImage } from './actions/removal.ts';
import { lockSwarm, setSwarmCertificates } from './actions/swarm.ts';
import { describeAction } from '../steps.ts';
import { updateService } from './actions/service.ts';
import { saveLayer } from './actions/layer.ts';
import type { Session } from './session.ts';

/** What is known of the host while actions are carried out. */
export interface Known {
  /** What ran and answered before the run. */
  readonly baseline: HealthBaseline;
  /** As it was read when the run began, or after harden last made the daemon read its configuration. */
  readonly facts: Facts;
}

/** How one kind of action is carried out and taken back. */
export interface Executor<A extends Action> {
  /** What takes it back, to be journalled before it is done; no secrets, which only backups of the run hold. Throws HostError when what it changes is not as it was planned. */
  before(action: A, session: Session, run: Run): Promise<JsonObject>;
  perform(action: A, before: JsonObject, session: Session, known: Known): Promise<void>;
  /** Takes it back, wherever it was stopped: it looks before it acts, and does nothing where nothing was done. Throws what could not be done. */
  undo(action: A, before: JsonObject, session: Session): Promise<void>;
  /** Why taking it back would lose what somebody did since, as a sentence; null when it would not. */
  touched(action: A, before: JsonObject, session: Session): Promise<string | null>;
  /** What was made since and would go with it, and is saved, as a sentence; null: nothing. Missing where nothing can. */
  saves?(action: A, before: JsonObject, session: Session): Promise<string | null>;
  /** What it did that nothing takes back, as a sentence: then `undo` is not asked. null: nothing of the kind. Missing where everything can be taken back. */
  lost?(action: A, session: Session): Promise<string | null>;
}

const EXECUTORS: { readonly [K in Action['kind']]: Executor<Extract<Action, { kind: K }>> } = {
  removeGroupMember, updateContainer, saveLayer, createReplacement, retireContainer, stopContainer, swapContainers, startReplacement, changeComposeProject, updateService, setSwarmCertificates,
  lockSwarm, removeContainer, removeImage,
};

/** One executor for all: the kind of an action decides which one gets it. */
const executorOf = (action: Action): Executor<Action> => EXECUTORS[action.kind];

export const beforeAction = (action: Action, session: Session, run: Run): Promise<JsonObject> => executorOf(action).before(action, session, run);
export const performAction = ({ action, before }: PerformedAction, session: Session, known: Known): Promise<void> =>
  executorOf(action).perform(action, before, session, known);

/** An action that was begun, and what takes it back. */
export interface PerformedAction {
  readonly action: Action;
  readonly before: JsonObject;
}

export const undoAction = ({ action, before }: PerformedAction, session: Session): Promise<void> => executorOf(action).undo(action, before, session);
export const touchedSince = ({ action, before }: PerformedAction, session: Session): Promise<string | null> => executorOf(action).touched(action, before, session);

/** Where the engine does not answer, nobody knows whether a removal was done: it is said all the same. */
export async function lostBy({ action }: PerformedAction, session: Session): Promise<string | null> {
  return await executorOf(action).lost?.(action, session).catch((error: unknown) => `${describeAction(action)}: whether that was done is not known (${messageOf(error)})`) ?? null;
}

/** What taking an action back saves of what was made since, as a sentence; null: nothing. */
export const savedBy = async ({ action, before }: PerformedAction, session: Session): Promise<string | null> =>
  await executorOf(action).saves?.(action, before, session).catch((error: unknown) => `whether what was made since holds files is not known (${messageOf(error)})`) ?? null;

/** An action as the journal has it; null for one that this version does not know. */
export const actionIn = (value: JsonObject | null): Action | null =>
  value !== null && typeof value.kind === 'string' && Object.hasOwn(EXECUTORS, value.kind) ? value as Action : null;
