import { allDependants } from '../../src/container/dependants.ts';
import { chosenSpec, exactSpec, imageToCreateFrom, surroundingsOf } from '../../src/container/chosen.ts';
import { inexpressible, unseenMacs } from '../../src/container/inexpressible.ts';
import { areLive } from '../../src/container/live.ts';
import { parametersFor } from '../../src/container/parameters.ts';
import { editService, serviceOfTask } from '../../src/container/service.ts';
import { applySpecEdits } from '../../src/container/spec-edit.ts';
import { isComposeOne } from '../../src/compose/call.ts';
import { composeEdit } from '../../src/compose/container.ts';
import { linesFor } from '../../src/compose/edit.ts';
import { maskedRunLines } from '../../src/container/to-run.ts';
import { writtenOutside } from '../../src/container/written.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { shownWord } from '../../src/quote.ts';
import type { Ask, ContainerFacts, ContainerSpec, Facts, Owner, ParameterUse, Policy, Proposal, Risk, SpecEdit, SwarmService } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { defer, edits as proposed } from '../remedy.ts';

interface Wish {
  readonly edits: readonly SpecEdit[];
  readonly uses?: readonly ParameterUse[];
  readonly risk?: Risk;
  readonly note?: string;
}

type ComposeOwner = Extract<Owner, { kind: 'compose' }>;

interface About {
  readonly facts: Facts;
  readonly container: ContainerFacts;
  readonly spec: ContainerSpec;
  readonly policy: Policy;
  /** What the remediation usually risks. */
  readonly risk: Risk;
  /** What a person does instead, where the container belongs to somebody else. */
  readonly byHand: Proposal;
}

/** The edits of one finding as a change of the container: while it runs where the engine can, by a new container in its place otherwise. */
export function carryOut({ edits, uses = [], risk, note }: Wish, about: About): Proposal {
  const { facts, container, spec, policy, byHand } = about;
  const service = serviceOfTask(container, facts);
  if (service !== null) return inService({ edits, uses, ...(risk === undefined ? {} : { risk }), ...(note === undefined ? {} : { note }) }, service, about);
  if (container.owner.kind === 'compose' && facts.compose !== undefined) return carryOutInFiles({ edits, uses, ...(risk && { risk }), ...(note !== undefined && { note }) }, container.owner, about);
  if (container.owner.kind !== 'none') return byHand;
  const live = areLive(edits);
  const obstacle = stateObstacle(container, facts) ?? (live ? null : recreateObstacle(container, applySpecEdits(spec, edits.filter(({ path }) => path === 'image.reference')), facts, policy));
  if (obstacle !== null) return live || !('defer' in obstacle) ? obstacle : { ...obstacle, needs: [obstacle.needs, newLine(edits, spec, facts)].filter((part) => part !== undefined).join('\n') };
  const liftable = edits.every(({ path }) => path !== 'resources.memory');
  const notes = [...(note === undefined ? [] : [note]), ...(live ? [] : macNotes([container, ...allDependants(container, facts)], facts))];
  return proposed([{
    kind: 'changeContainer', container: container.id, by: live ? 'update' : 'recreate', edits,
    impact: live ? 'none' : 'recreate', risk: risk ?? about.risk, undo: live && liftable ? 'none' : 'recreate',
    ...(notes.length === 0 ? {} : { note: notes.join(' ') }),
  }], uses);
}

/** What a new container may have otherwise, because the engine does not show it. */
const macNotes = (containers: readonly ContainerFacts[], facts: Facts): readonly string[] => containers.flatMap(({ name, spec, runtime }) => {
  const made = valueOf(spec);
  const networks = made === undefined ? [] : unseenMacs(made, valueOf(runtime)?.state === 'running', valueOf(facts.engine.version)?.apiVersion ?? '');
  return networks.length === 0 ? [] : [`A MAC address that was chosen for ${name} on ${listNames(networks)} is not carried over: the engine does not show whether one was.`];
});

/** How a person would start it anew with the edits: secrets masked, so it is to be read and not to be pasted where it has some. */
function newLine(edits: readonly SpecEdit[], spec: ContainerSpec, facts: Facts): string {
  const surroundings = surroundingsOf(facts, spec);
  const names = new Map((valueOf(facts.containers) ?? []).map(({ id, name }) => [id, name]));
  const chosen = chosenSpec(applySpecEdits(exactSpec(spec, surroundings), edits), surroundings, names);
  return `by hand: ${maskedRunLines(chosen, valueOf(facts.engine.version)?.apiVersion ?? '').join('; ')}`;
}

const AT_REST: ReadonlySet<string> = new Set(['', 'completed', 'rollback_completed']);

/** The edits of one task's finding as a change of its service. */
function inService({ edits, uses = [], risk, note }: Wish, { id, name, definition }: SwarmService, about: About): Proposal {
  const { facts, container, spec, byHand } = about;
  const steps = 'defer' in byHand ? byHand.needs : undefined;
  if (definition === undefined) return byHand;
  const { fields, mode, updateState } = definition;
  if (mode === 'other') return guard(`The service ${name} is a job: its tasks run to their end, and are not made anew.`, steps);
  if (!AT_REST.has(updateState)) return guard(`An update of the service ${name} is not finished (${updateState}).`, `docker service ps ${name}, then plan again`);
  const after = editService(fields, edits, valueOf(facts.engine.version)?.apiVersion ?? '');
  if ('refused' in after) return defer('unsupported', `It is a task of the service ${name}, and a service ${after.refused}.`, after.needs ?? steps);
  // With a digest it is the same image, whatever the tag before it stands for here.
  const pinned = spec.image.reference.includes('@') || edits.some(({ path }) => path === 'image.reference');
  const obstacle = stateObstacle(container, facts) ?? (pinned ? null : imageObstacle(container, spec, facts)) ?? taskLayerObstacle(container, spec);
  if (obstacle !== null) return obstacle;
  return proposed([{
    kind: 'changeService', service: id, edits,
    impact: 'recreate', risk: risk ?? about.risk, undo: 'recreate',
    // What is true of one task is true of all.
    ...(note === undefined ? {} : { note: note.replaceAll(container.name, name) }),
  }], uses);
}

/** A task that is made anew has nothing of what the old one wrote, wherever that would be kept. */
function taskLayerObstacle(container: ContainerFacts, spec: ContainerSpec): Proposal | null {
  const written = writtenFiles(container, spec);
  if (typeof written === 'string') return guard(written, 'plan again as root');
  return written.length === 0 ? null
    : guard(`${container.name} wrote files outside of its volumes, which a new task would not have: ${listNames(written, 10)}.`, 'put them into a volume of the service');
}

/** The re-up of a service by a person: as harden does it. Compose 1 never pulls what is there, and has no option that says so. */
export const reUp = ({ service, workingDir, version }: ComposeOwner): string =>
  `in ${workingDir === '' ? 'its directory' : shownWord(workingDir)}: ${isComposeOne(version) ? 'docker-compose up -d --no-deps --no-build' : 'docker compose up -d --no-deps --no-build --pull never'} ${shownWord(service)}`;

/** Where a person finds the files of a project: Compose 1 names them by the directory that it was called in. */
export const filesOf = ({ files, project, workingDir }: ComposeOwner): string => (files.length === 0 ? `the compose file of the project ${project}`
  : listNames(files.map((file) => (file.startsWith('/') || workingDir === '' ? file : `${workingDir.replace(/\/$/, '')}/${file}`))));

/** The same for a container that Compose makes: its files are edited, and its service is made anew from them. */
function carryOutInFiles({ edits, uses = [], risk, note }: Wish, owner: ComposeOwner, { facts, container, policy, ...about }: About): Proposal {
  const edit = composeEdit(facts, container, edits);
  if ('refused' in edit) {
    return guard(`The files of its compose project are left alone: ${edit.refused}.`, `this in ${filesOf(owner)}:\n${linesFor(owner, edits)}\nthen, ${reUp(owner)}`);
  }
  if ('ambiguous' in edit) {
    const lines = edit.ambiguous.map((one) => one.lines.trimEnd()).join('\n');
    return guard(`An edit of ${filesOf(owner)} is left to you: ${[...new Set(edit.ambiguous.map(({ reason }) => reason))].join('; ')}.`,
      `this in the files:\n${lines}\nthen, ${reUp(owner)}`);
  }
  if (edit.files.length === 0) return guard(`The files of its compose project say so already, and ${container.name} is otherwise.`, `see whether this helps, ${reUp(owner)}`);
  // Compose says of every container that its output is attached; of those that read a terminal somebody may be at it.
  for (const member of edit.containers) {
    const spec = valueOf(member.spec);
    const obstacle = spec === undefined ? guard(`${member.name} could not be inspected.`) : stateObstacle(member, facts) ?? (spec.openStdin ? attachedObstacle(member, spec, policy) : null) ?? writableLayerObstacle(member, spec, null);
    if (obstacle !== null) return obstacle;
  }
  const anew = `Compose makes the service ${owner.service} of ${owner.project} anew (${listNames(edit.containers.map(({ name }) => name))}).`;
  return proposed([{
    kind: 'changeComposeService', project: owner.project, service: owner.service, container: container.id, edits,
    impact: 'recreate', risk: risk ?? about.risk, undo: 'recreate', note: note === undefined ? anew : `${note} ${anew}`,
  }], uses);
}

const guard = (explanation: string, needs?: string, asks?: readonly Ask[]): Proposal => defer('guard', explanation, needs, asks);

/** The question for a parameter of one container. */
const askOf = (name: string, key: string, suggested: string, evidence: string): readonly Ask[] => [{ parameter: ['containers', name, key], suggested, evidence }];

/** One that its policy started again runs that long before it counts as at rest: the engine waits up to a minute between two tries. */
const SETTLED_MS = 60_000;

/** Why a container that runs may be one that fails over and over, caught between two ends; null when it is not. */
function restartObstacle({ name, runtime }: ContainerFacts, facts: Facts): Proposal | null {
  const { restarts = 0, startedAt = '' } = valueOf(runtime) ?? {};
  const ran = Date.parse(facts.collectedAt) - Date.parse(startedAt);
  return restarts === 0 || ran >= SETTLED_MS ? null
    : guard(`${name} ended, and its restart policy started it again (${restarts === 1 ? 'once' : `${restarts} times`}) less than a minute ago: it has to work before it is changed.`, `see docker logs ${name}; where it goes on running, plan again in a minute`);
}

/** States in which a container is left alone. */
function stateObstacle(container: ContainerFacts, facts: Facts): Proposal | null {
  const { name, runtime } = container;
  const state = valueOf(runtime)?.state;
  switch (state) {
    case 'running': return restartObstacle(container, facts);
    case 'exited': case 'created': return null;
    case 'paused': return guard(`${name} is paused, and what a change does to it then is not known.`, `docker unpause ${name}, then plan again`);
    case 'restarting': return guard(`${name} restarts over and over: it has to work before it is changed.`, `see docker logs ${name}`);
    case 'removing': case 'dead': return guard(`${name} is being removed.`, 'plan again');
    case undefined: return guard(`The state of ${name} is not known.`, 'plan again');
  }
}

/** Why a new container could not take the place of an old one without a loss; null when it could. */
const recreateObstacle = (container: ContainerFacts, spec: ContainerSpec, facts: Facts, policy: Policy): Proposal | null =>
  ownObstacle(container, spec, facts, policy) ?? dependantsObstacle(container, facts, policy);

function ownObstacle(container: ContainerFacts, spec: ContainerSpec, facts: Facts, policy: Policy): Proposal | null {
  const { name, unmodelled } = container;
  const lost = [...unmodelled, ...inexpressible(spec, 'api', valueOf(facts.engine.version)?.apiVersion ?? '')];
  if (lost.length > 0) return defer('unsupported', `${name} has settings that harden cannot carry over to a new container: ${listNames(lost)}.`, 'recreate it by hand');
  if (spec.autoRemove) return guard(`${name} was started with --rm: it is gone as soon as it stops, with what it wrote.`);
  const attached = attachedObstacle(container, spec, policy);
  if (attached !== null) return attached;
  return imageObstacle(container, spec, facts) ?? writableLayerObstacle(container, spec, policy);
}

/** A tag that was moved on: who is made anew would run another program. */
function imageObstacle({ name }: ContainerFacts, spec: ContainerSpec, facts: Facts): Proposal | null {
  if (imageToCreateFrom(spec, valueOf(facts.images) ?? []) !== spec.image.reference) {
    return guard(`${spec.image.reference} no longer stands for the image that ${name} runs: a new container would be another version of the program.`,
      'decide on the image first (container.image-pinning)');
  }
  return null;
}

function attachedObstacle({ name, runtime }: ContainerFacts, spec: ContainerSpec, policy: Policy): Proposal | null {
  const { state, applied } = valueOf(runtime) ?? {};
  if (state !== 'running' || !(spec.openStdin || applied?.attached === true) || parametersFor(name, policy).detached === true) return null;
  return guard(`Somebody's terminal or service may be attached to ${name} (it was started with -i, or without -d), and would lose it.`,
    `where nobody is: containers: { "${name}": { detached: true } }`, askOf(name, 'detached', 'true', 'It says that nobody is attached'));
}

/** What a container wrote outside of its mounts; a sentence where that is not known. */
function writtenFiles({ name, evidence }: ContainerFacts, spec: ContainerSpec): readonly string[] | string {
  const changes = evidence?.changes;
  if (changes?.status !== 'present') {
    return `What ${name} wrote outside of its volumes is not known${changes?.status === 'unreadable' ? `: ${changes.reason}` : ''}, and a new container would not have it.`;
  }
  return writtenOutside(changes.value, spec);
}

/** What a container wrote outside of its mounts is not in the one that takes its place. `policy` may accept that it is saved; Compose saves nothing (null). */
function writableLayerObstacle(container: ContainerFacts, spec: ContainerSpec, policy: Policy | null): Proposal | null {
  const { name } = container;
  const leaves = writtenFiles(container, spec);
  if (typeof leaves === 'string') return guard(leaves, 'plan again as root');
  if (leaves.length === 0 || (policy !== null && parametersFor(name, policy).writableLayer === 'save')) return null;
  return guard(`${name} wrote files outside of its volumes, which a new container would not have: ${listNames(leaves, 10)}.`,
    policy === null ? 'put them into a volume' : `put them into a volume, or accept that they are saved and not carried over: containers: { "${name}": { writableLayer: save } }`,
    policy === null ? [] : askOf(name, 'writableLayer', 'save', 'They are saved as a tar beside the backups of the run, and the new container does not have them'));
}

/** Containers that live in this one's namespaces, or reach it by a link, are created anew after it: each of them has to be able to. */
function dependantsObstacle(container: ContainerFacts, facts: Facts, policy: Policy): Proposal | null {
  for (const dependant of allDependants(container, facts)) {
    const spec = valueOf(dependant.spec);
    const why = spec === undefined ? guard(`${dependant.name} could not be inspected.`)
      : dependant.owner.kind !== 'none' ? guard(`${dependant.name} belongs to somebody else (${dependant.owner.kind}).`, 'change it there, or let it not depend on this one')
        : stateObstacle(dependant, facts) ?? ownObstacle(dependant, spec, facts, policy);
    if (why !== null && 'defer' in why) {
      return guard(`${dependant.name} depends on ${container.name} (a shared namespace or a link) and would have to be created anew with it. ${why.explanation}`, why.needs, why.asks);
    }
  }
  return null;
}
