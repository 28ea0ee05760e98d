import { directoriesAbove } from '../collect/paths.ts';
import type { ComposeFacts, ContainerFacts, Facts, FileStat, Owner, SpecEdit } from '../model.ts';
import { statOf, valueOf } from '../model.ts';
import { upArguments } from './call.ts';
import type { ComposeTool, UpService } from './call.ts';
import { ComposeError } from './document.ts';
import { editServices } from './edit.ts';
import type { ServiceEdit } from './edit.ts';
import { parseProject } from './project.ts';
import type { ComposeText } from './project.ts';
import { writerDoubt } from './trust.ts';

type ComposeOwner = Extract<Owner, { kind: 'compose' }>;
type Left = Extract<ServiceEdit, { ambiguous: unknown }> | {
  /** Nothing is to be edited: a sentence without its full stop. */
  readonly refused: string;
};

/** A service that is made anew, with all its containers. */
export interface RenewedService {
  readonly name: string;
  readonly edits: readonly SpecEdit[];
  /** They run, and shall run again. */
  readonly start: boolean;
  readonly containers: readonly ContainerFacts[];
}

/** What edits of containers mean for the files of their project. */
export type ProjectEdit = Left | {
  readonly project: ComposeFacts;
  readonly files: Extract<ServiceEdit, { files: unknown }>['files'];
  readonly services: readonly RenewedService[];
  /** Those that stay as they are. */
  readonly others: readonly UpService[];
  readonly tool: ComposeTool;
};

/** What an edit of a container means for the files of its project, and the calls that bring it into force, once more after an undo. */
export type ComposeEdit = Left | (Pick<Extract<ServiceEdit, { files: unknown }>, 'files'> & {
  readonly tool: ComposeTool; readonly up: readonly (readonly string[])[]; readonly containers: readonly ContainerFacts[];
});

/**
 * Edits of compose-managed containers, one of each service, as edits of the files of their project. Refused where a re-up would do more than
 * that: where `up` would already make another container of one, where others hold on to it, where somebody else can write what Compose reads.
 */
export function projectEdit(facts: Facts, wishes: readonly { readonly container: ContainerFacts; readonly edits: readonly SpecEdit[] }[]): ProjectEdit {
  const services: RenewedService[] = [];
  let project: ComposeFacts | undefined;
  for (const { container: { owner }, edits } of wishes) {
    if (owner.kind !== 'compose') return { refused: 'it is not managed by Docker Compose' };
    if (owner.oneOff === true) return { refused: `it was made by \`compose run\`: no \`up\` of the project ${owner.project} makes it again` };
    project = valueOf(facts.compose)?.find(({ project: name }) => name === owner.project);
    if (project === undefined) return { refused: `the files of its compose project ${owner.project} were not looked at` };
    const containers = membersOf(facts, owner);
    const why = unready(facts, project, containers);
    if (why !== null) return { refused: why };
    services.push({ name: owner.service, edits, containers, start: containers.some((member) => valueOf(member.runtime)?.state === 'running') });
  }
  if (project?.rehearsal.status !== 'present') return { refused: 'Docker Compose was not asked' };
  const known = Object.entries(project.texts).flatMap(([path, text]) => (text.status === 'present' ? [{ path, text: text.value }] : []));
  if (project.files.some((file) => !known.some(({ path }) => path === file))) return { refused: 'the texts of its compose files are not known' };
  const damaged = known.find(({ text }) => text.includes('\ufffd'));
  if (damaged !== undefined) return { refused: `${damaged.path} is not UTF-8 text` };
  const edited = editTexts(project, known, services);
  return 'files' in edited ? { project, files: edited.files, services, others: othersOf(facts, project.project, services), tool: project.rehearsal.value.tool } : edited;
}

/** The files of a project with the edits of its services; `known` are their texts, and those of files that `extends` names. */
export function editTexts(
  { workingDir, project, files }: Pick<ComposeFacts, 'workingDir' | 'project' | 'files'>, known: readonly ComposeText[], services: readonly Pick<RenewedService, 'name' | 'edits'>[],
): ServiceEdit | Left {
  return parsed(() => editServices(parseProject(files.flatMap((path) => known.filter((one) => one.path === path)), {
    directory: workingDir, name: project, related: known.filter(({ path }) => !files.includes(path)),
  }), services));
}

/** Edits of one compose-managed container: `projectEdit` of it alone, with the call that makes its service anew. */
export function composeEdit(facts: Facts, container: ContainerFacts, edits: readonly SpecEdit[]): ComposeEdit {
  const edit = projectEdit(facts, [{ container, edits }]);
  if (!('files' in edit)) return edit;
  const [service] = edit.services;
  if (service === undefined) return { refused: 'it is not managed by Docker Compose' };
  const { name, containers, start } = service;
  const these = [{ name, containers: containers.length }];
  const call = (step: 'make' | 'start', of: readonly UpService[]): readonly string[] => upArguments(edit.tool, facts.engine.endpoint, edit.project, of, { step });
  return { files: edit.files, tool: edit.tool, containers, up: [call('make', [...these, ...edit.others]), ...(start ? [call('start', these)] : [])] };
}

/** The containers of a project that `up` is about. */
export const projectMembers = (facts: Pick<Facts, 'containers'>, project: string): readonly { readonly name: string; readonly service: string }[] =>
  (valueOf(facts.containers) ?? []).flatMap(({ name, owner }) => (owner.kind === 'compose' && owner.oneOff !== true && owner.project === project ? [{ name, service: owner.service }] : []));

function othersOf(facts: Facts, project: string, renewed: readonly { readonly name: string }[]): readonly UpService[] {
  const names = projectMembers(facts, project).map(({ service }) => service);
  return [...new Set(names)].filter((name) => !renewed.some((service) => service.name === name)).sort()
    .map((name) => ({ name, containers: names.filter((one) => one === name).length }));
}

function parsed<T>(read: () => T): T | { readonly refused: string } {
  try {
    return read();
  } catch (error) {
    if (error instanceof ComposeError) return { refused: error.message };
    throw error;
  }
}

/** The containers of a service, which a re-up makes anew together. */
const membersOf = (facts: Facts, { project, service }: ComposeOwner): readonly ContainerFacts[] =>
  (valueOf(facts.containers) ?? []).filter(({ owner }) => owner.kind === 'compose' && owner.oneOff !== true && owner.project === project && owner.service === service);

function unready(facts: Facts, project: ComposeFacts, members: readonly ContainerFacts[]): string | null {
  const { rehearsal, project: name } = project;
  if (rehearsal.status === 'unreadable') return `what \`up\` would do to its compose project ${name} is not known: ${rehearsal.reason}`;
  if (rehearsal.status === 'absent') return `Docker Compose is not installed here, and ${name} is a project of it`;
  // Made just now and not started: Compose waits for what it depends on, and would find neither it nor that any more.
  const waiting = projectMembers(facts, name).find((member) => isWaiting(facts, member.name));
  if (waiting !== undefined) {
    return `${waiting.name} of its compose project ${name} was made a moment ago and never started, as it is while somebody's \`up\` is under way. Plan again when that has ended`;
  }
  // What a service depends on is looked at by `up` as well.
  const stale = [...members, ...projectMembers(facts, name)].find((member) => !rehearsal.value.unchanged.includes(member.name));
  if (stale !== undefined) {
    return `with the files of ${name} as they are, \`up\` would already make another container of ${stale.name}: an edit, a variable or an image that somebody else changed is not in force yet. Run \`up\` for it, or take that back, first`;
  }
  const states = new Set(members.map(({ runtime }) => valueOf(runtime)?.state));
  const [state] = states;
  if (states.size > 1 || state === undefined || !['running', 'exited', 'created'].includes(state)) return `the containers of the service are ${[...states].map((one) => one ?? 'in a state that is not known').join(' and ')}`;
  return distrustedReads(facts, project) ?? dependants(facts, members) ?? restartedWith(facts, members);
}

/** For how long an `up` may well wait for what a container depends on. What stays unstarted after that is meant to. */
const UP_WAITS_MS = 10 * 60_000;

function isWaiting(facts: Facts, name: string): boolean {
  const runtime = valueOf(valueOf(facts.containers)?.find((container) => container.name === name)?.runtime);
  return runtime?.state === 'created' && Date.parse(facts.collectedAt) - Date.parse(runtime.createdAt ?? facts.collectedAt) < UP_WAITS_MS;
}

/** What Compose reads besides its files: variables decide what they say. */
function distrustedReads(facts: Facts, { reads, texts, files }: ComposeFacts): string | null {
  for (const path of [...reads, ...Object.keys(texts).filter((text) => !files.includes(text))]) {
    for (const one of [path, ...directoriesAbove(path)]) {
      const stat: FileStat | undefined = valueOf(statOf(facts, one));
      const why = stat === undefined ? null : writerDoubt(stat, facts.host.euid);
      if (why !== null) return `${one} ${why}`;
    }
  }
  return null;
}

/** `depends_on` with `restart: true`: Compose makes such a service anew as well, and would leave it stopped. */
function restartedWith(facts: Facts, members: readonly ContainerFacts[]): string | null {
  for (const { name, owner, spec } of valueOf(facts.containers) ?? []) {
    const dependencies = (valueOf(spec)?.labels['com.docker.compose.depends_on'] ?? '').split(',').map((one) => one.split(':'));
    const restarted = members.some(({ owner: of }) => owner.kind === 'compose' && of.kind === 'compose' && of.project === owner.project
      && dependencies.some(([service, , restart]) => service === of.service && restart === 'true'));
    if (restarted) return `the container ${name} is made anew with it (depends_on with restart: true)`;
  }
  return null;
}

/** Containers that live in one of these: a re-up of these alone leaves them in a container that is gone. */
function dependants(facts: Facts, members: readonly ContainerFacts[]): string | null {
  const ids = new Set(members.flatMap(({ id, name }) => [id, name]));
  for (const other of valueOf(facts.containers) ?? []) {
    const spec = members.includes(other) ? undefined : valueOf(other.spec);
    if (spec === undefined) continue;
    const references = [
      ...Object.values(spec.namespaces).flatMap((mode: string) => (mode.startsWith('container:') ? [mode.slice('container:'.length)] : [])),
      ...spec.volumesFrom.map((from) => from.split(':')[0] ?? ''), ...spec.network.links.map((link) => (link.split(':')[0] ?? '').replace(/^\//, '')),
    ];
    if (references.some((reference) => reference !== '' && [...ids].some((id) => id === reference || (reference.length >= 12 && id.startsWith(reference))))) {
      return `the container ${other.name} shares a namespace or volumes with it, or is linked to it, and would be left behind`;
    }
  }
  return null;
}
