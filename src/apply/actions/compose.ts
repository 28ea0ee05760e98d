import { setTimeout as sleep } from 'node:timers/promises';
import { at, list, object, text } from '../../collect/json.ts';
import { upArguments } from '../../compose/call.ts';
import { editTexts, projectEdit, projectMembers } from '../../compose/container.ts';
import { decodeCompose } from '../../compose/document.ts';
import { listNames } from '../../daemon/containers.ts';
import { sha256 } from '../../digest.ts';
import type { FileSnapshot } from '../../host/port.ts';
import { HostError } from '../../host/port.ts';
import { readBackup } from '../../journal.ts';
import { maskSecretsInText } from '../../mask.ts';
import type { ComposeProjectChange, JsonObject } from '../../model.ts';
import { valueOf } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';
import { inspectNoticed, isRunning, isUnnoticed, watchStarted } from './container.ts';

/** Containers stop one after the other at worst, each in its own time. */
const UP_TIMEOUT_MS = 15 * 60_000;
/** How often the old state is made again where somebody else makes the same containers, and how long that is given to end. */
const UP_ATTEMPTS = 4;
const UP_PAUSE_MS = 3000;

const digest = (content: Buffer | string | null): string | null => (content === null ? null : sha256(content));
const membersOf = ({ services }: ComposeProjectChange): readonly { readonly id: string; readonly name: string }[] => services.flatMap(({ containers }) => containers);

/** The texts of the files after the edits, with the files as they are; proven to be what was planned. */
async function textsAfter(action: ComposeProjectChange, { writer }: Session): Promise<readonly { readonly path: string; readonly after: string; readonly snapshot: FileSnapshot }[]> {
  const snapshots = new Map<string, FileSnapshot>();
  const known: { path: string; text: string }[] = [];
  for (const path of [...action.project.files, ...action.related]) {
    const snapshot = await writer.snapshot(path);
    if (snapshot?.content == null) continue;
    snapshots.set(path, snapshot);
    known.push({ path, text: decodeCompose(path, snapshot.content) });
  }
  const edit = editTexts(action.project, known, action.services);
  const files = 'files' in edit ? edit.files : [];
  return action.edited.map(({ path, before, after: planned }) => {
    const snapshot = snapshots.get(path);
    const after = files.find((file) => file.path === path)?.after;
    if (snapshot === undefined || after === undefined || digest(snapshot.content) !== before || digest(after) !== planned || files.length !== action.edited.length) {
      throw new HostError(`${path}, or a file beside it, was changed while harden was at work. Plan again.`);
    }
    return { path, after, snapshot };
  });
}

/** Brings into force what the files say, for these services alone: those that ran go on running, those that did not stay stopped. */
async function up({ tool, endpoint, project, services, others }: ComposeProjectChange, { writer }: Session): Promise<void> {
  const counted = (some: ComposeProjectChange['services']) => some.map(({ name, containers }) => ({ name, containers: containers.length }));
  for (const [step, these] of [['make', counted(services)], ['start', counted(services.filter(({ start }) => start))]] as const) {
    if (these.length === 0) continue;
    const all = step === 'make' ? [...these, ...others] : these;
    const { code, stderr, stdout } = await writer.run(tool, upArguments(tool, endpoint, project, all, { step }), { timeoutMs: UP_TIMEOUT_MS });
    if (code !== 0) {
      const words = (stderr.trim() === '' ? stdout : stderr).trim().split('\n').map((line) => line.trim()).slice(-3).join('; ');
      throw new HostError(`Compose could not ${step} ${listNames(these.map(({ name }) => name))} of ${project.project}${step === 'make' ? ' anew' : ''}: ${maskSecretsInText(words).slice(0, 500)}`);
    }
  }
}

/**
 * `up`; once more where Compose stopped a container that a busy engine had not noticed to have ended: until it has, it is not removed.
 * @throws HostError
 */
async function upOnceNoticed(action: ComposeProjectChange, session: Session): Promise<void> {
  try {
    await up(action, session);
  } catch (error) {
    const looks = await Promise.all(membersOf(action).map(async ({ id }) => ({ id, late: await isUnnoticed(await session.engine.inspectContainer(id), session) })));
    const unnoticed = looks.filter(({ late }) => late);
    if (unnoticed.length === 0) throw error;
    for (const { id } of unnoticed) await inspectNoticed(id, session);
    await removeUnfinished(action, session);
    await up(action, session);
  }
}

/** Every container by its name, which Compose gives to the one that takes its place. */
const inspected = (action: ComposeProjectChange, session: Session): Promise<readonly { readonly name: string; readonly id: string; readonly start: boolean; readonly raw: JsonObject | null }[]> =>
  Promise.all(action.services.flatMap(({ containers, start }) => containers.map(async ({ id, name }) => ({ id, name, start, raw: await inspectNoticed(name, session) }))));

/**
 * Those that are not what the files say, by a rehearsal: no lock keeps somebody else's `up`, which read other files, from making them
 * at the same time. Where nothing can be rehearsed, what the engine says of them has to do.
 */
async function unlikeFiles(action: ComposeProjectChange, session: Session): Promise<readonly string[]> {
  const { compose } = await session.collect();
  const rehearsal = compose === undefined ? undefined : valueOf(compose)?.find(({ project }) => project === action.project.project)?.rehearsal;
  const unchanged = rehearsal === undefined ? undefined : valueOf(rehearsal)?.unchanged;
  return unchanged === undefined ? [] : membersOf(action).map(({ name }) => name).filter((name) => !unchanged.includes(name));
}

/** `up`, once; why that did not do, null when it did. */
async function attempt(action: ComposeProjectChange, session: Session): Promise<HostError | null> {
  try {
    await up(action, session);
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
  const unlike = await unlikeFiles(action, session);
  return unlike.length === 0 ? null : new HostError(`With its old files, Compose did not leave ${listNames(unlike)} as they say: somebody else's \`up\` was at work. Run \`up\` once more.`);
}

/** `up`, and again where somebody else's was in its way or came after it. @throws HostError */
async function insist(action: ComposeProjectChange, session: Session): Promise<void> {
  for (let made = 1; ; made += 1) {
    const problem = await attempt(action, session);
    if (problem === null) return;
    if (made === UP_ATTEMPTS) throw problem;
    await sleep(UP_PAUSE_MS);
    await removeUnfinished(action, session);
  }
}

/** What Compose, had it been killed, left under the name that a new container has until the old one is gone. */
async function removeUnfinished(action: ComposeProjectChange, { engine }: Session): Promise<void> {
  for (const { id, name } of membersOf(action)) {
    const waiting = await engine.inspectContainer(`${id.slice(0, 12)}_${name}`);
    const isUnused = text(at(waiting, 'State', 'Status')) === 'created' && text(at(waiting, 'Config', 'Labels', 'com.docker.compose.project')) === action.project.project;
    if (waiting !== null && isUnused && await engine.inspectContainer(id) !== null) await engine.removeContainer(text(waiting['Id']));
  }
}

export const changeComposeProject: Executor<ComposeProjectChange> = {
  async before(action, session, run) {
    const facts = await session.collect();
    const containers = valueOf(facts.containers) ?? [];
    const wishes = action.services.flatMap(({ edits, containers: [first] }) => containers.filter(({ id }) => id === first?.id).map((container) => ({ container, edits })));
    if (wishes.length !== action.services.length) throw new HostError(`A container of the compose project ${action.project.project} is gone. Plan again.`);
    // Rehearses once more: nobody else's edit goes live with this one.
    const edit = projectEdit(facts, wishes);
    if ('refused' in edit) throw new HostError(`The compose project ${action.project.project} is not as it was planned: ${edit.refused}.`);
    const same = 'services' in edit && edit.services.every(({ start, containers: members }, index) => start === action.services[index]?.start
      && members.map(({ id }) => id).sort().join() === action.services[index].containers.map(({ id }) => id).sort().join())
      && JSON.stringify(edit.others) === JSON.stringify(action.others);
    if (!same) throw new HostError(`The containers of the compose project ${action.project.project} are not those that were planned. Plan again.`);
    const files: JsonObject[] = [];
    for (const { path, snapshot } of await textsAfter(action, session)) {
      const refusal = await session.writer.refusal(path);
      if (refusal !== null) throw new HostError(refusal);
      await session.writer.removeLeftovers(path);
      files.push({ path, backup: await run.backup(snapshot) });
    }
    return { run: run.runId, files };
  },
  async perform(action, _before, session, { baseline }) {
    for (const { path, after, snapshot } of await textsAfter(action, session)) await session.writer.replace(path, Buffer.from(after), snapshot);
    await upOnceNoticed(action, session);
    const now = await inspected(action, session);
    const missing = now.find(({ raw }) => raw === null);
    if (missing !== undefined) throw new HostError(`Compose left no container ${missing.name}.`);
    const old = now.find(({ id, raw }) => text(raw?.['Id']) === id);
    if (old !== undefined) throw new HostError(`Compose left ${old.name} as it was: to it, its files say the same as before.`);
    const watched = await Promise.allSettled(now.filter(({ start }) => start)
      .map(({ name, raw }) => watchStarted({ name, watchSeconds: action.watchSeconds }, text(raw?.['Id']), session, baseline)));
    const failed = watched.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const unlike = await unlikeFiles(action, session);
    if (unlike.length > 0) throw new HostError(`${listNames(unlike)} of ${action.project.project} ${unlike.length === 1 ? 'is' : 'are'} not what its files say now: somebody else's \`up\` was at work.`);
  },
  async undo(action, { run, files }, session) {
    const { writer } = session;
    for (const file of list(files)) {
      const path = text(at(file, 'path'));
      const before = await readBackup(session.stateDir, text(run), object(at(file, 'backup')), writer);
      const edited = action.edited.find((one) => one.path === path);
      const now = digest((await writer.snapshot(path))?.content ?? null);
      await writer.removeLeftovers(path);
      if (before.content === null || edited === undefined || now === edited.before) continue;
      if (now !== edited.after) throw new HostError(`${path} was changed since; it is left as it is.`);
      await writer.replace(path, before.content, before);
    }
    await removeUnfinished(action, session);
    const asBefore = (await inspected(action, session)).every(({ id, start, raw }) => text(raw?.['Id']) === id && isRunning(raw) === start);
    if (asBefore) return;
    await insist(action, session);
    const down = (await inspected(action, session)).filter(({ start, raw }) => raw === null || isRunning(raw) !== start);
    if (down.length > 0) throw new HostError(`With its old files, Compose did not bring back ${listNames(down.map(({ name }) => name))}.`);
  },
  async touched(action, _before, session) {
    const { project } = action.project;
    if (session.endpoint !== action.endpoint) return `The compose project ${project} is on another engine: --docker-host ${action.endpoint}`;
    for (const { path, before, after } of action.edited) {
      if (![before, after].includes(digest((await session.writer.snapshot(path))?.content ?? null) ?? '')) return `The compose file ${path} was changed since`;
    }
    const facts = await session.collect();
    const rehearsal = valueOf(facts.compose)?.find((one) => one.project === project)?.rehearsal;
    if (rehearsal?.status !== 'present') return `What "up" would do to the compose project ${project} is not known${rehearsal?.status === 'unreadable' ? `: ${rehearsal.reason}` : ''}`;
    // Those that the run did not come to are not what the files say.
    const untouched = (await inspected(action, session)).filter(({ id, raw }) => text(raw?.['Id']) === id).map(({ name }) => name);
    // One that never ran is what Compose was making when the run was killed.
    const unborn = (valueOf(facts.containers) ?? []).filter(({ runtime }) => valueOf(runtime)?.state === 'created').map(({ name }) => name);
    const stale = projectMembers(facts, project).filter(({ name }) => ![...untouched, ...unborn, ...rehearsal.value.unchanged].includes(name));
    return stale.length === 0 ? null : `Something else that ${listNames(stale.map(({ name }) => name))} of the compose project ${project} is made of was changed since, and is not in force yet`;
  },
};
