import { at, list, number, text } from '../collect/json.ts';
import { upArguments } from '../compose/call.ts';
import { projectEdit, projectMembers } from '../compose/container.ts';
import { changedFields, editService } from '../container/service.ts';
import { applySpecEdits } from '../container/spec-edit.ts';
import { maskSecretsInYamlText } from '../mask.ts';
import type { Action, ComposeProjectChange, Facts, FileStat, Json, JsonObject } from '../model.ts';
import { statOf, valueOf } from '../model.ts';
import { containerOf, healthSecondsOf } from './containers.ts';
import { digestOf, requireWhole } from './files.ts';
import type { ComposeStep, PortableStep } from './model.ts';
import { Refused } from './model.ts';
import { splicesBetween } from './splices.ts';

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;
type StepOf<K extends PortableStep['kind']> = Extract<PortableStep, { kind: K }>;

export function groupStep({ group, user }: Of<'removeGroupMember'>, facts: Facts): StepOf<'removeGroupMember'> {
  const members = valueOf(facts.accounts)?.groups.find(({ name }) => name === group)?.members ?? [];
  return { kind: 'removeGroupMember', group, user, members: [...members] };
}

export function composeStep(action: ComposeProjectChange, facts: Facts): ComposeStep {
  const { project: { project }, tool, endpoint, services, others } = action;
  const wishes = services.flatMap(({ edits, containers: [first] }) => (first === undefined ? [] : [{ container: containerOf(facts, first.id).container, edits }]));
  const edit = projectEdit(facts, wishes);
  if (!('files' in edit)) throw new Refused(`The files of the compose project ${project} are not known${'refused' in edit ? `: ${edit.refused}` : ''}.`);
  const files = edit.files.map(({ path, before, after }): ComposeStep['files'][number] => {
    const stat: FileStat | undefined = valueOf(statOf(facts, path));
    if (stat === undefined) throw new Refused(`Mode and owner of ${path} are not known.`);
    requireWhole(path, before, false);
    return {
      kind: 'changeFile', change: `compose:${project}`, path, before: digestOf(Buffer.from(before), stat), after: digestOf(Buffer.from(after), stat),
      splices: splicesBetween(before, after, maskSecretsInYamlText), wayBack: null,
    };
  });
  const counted = (some: typeof services) => some.map(({ name, containers }) => ({ name, containers: containers.length }));
  const call = (step: 'make' | 'start', of: Parameters<typeof upArguments>[3], dryRun: boolean): string[] => [tool, ...upArguments(tool, endpoint, action.project, of, { step, dryRun })];
  const all = [...counted(services), ...others];
  const running = services.filter(({ start }) => start);
  const names = services.map(({ name }) => name);
  return {
    kind: 'changeComposeProject', project, files,
    rehearse: call('make', all, true), make: call('make', all, false), start: running.length > 0 ? call('start', counted(running), false) : null,
    containers: services.flatMap(({ containers, start, edits }) => containers.map(({ id, name }) =>
      ({ container: id, name, start, healthSeconds: healthSecondsOf(applySpecEdits(containerOf(facts, id).spec, edits)) }))),
    others: projectMembers(facts, project).filter(({ service }) => !names.includes(service)).map(({ name }) => name),
    watchSeconds: action.watchSeconds,
  };
}

/** How one field of a service's definition is shown by `docker service inspect` and said by `docker service update`. */
interface ServiceField {
  /** Makes lines that begin with a word of their own: docker sorts mounts, so that the order of all lines says nothing. */
  readonly format: string;
  /** The lines that the format makes of a value. */
  readonly shown: (value: Json) => readonly string[];
  readonly options: (before: Json, after: Json) => string[];
}

const TEMPLATE = '.Spec.TaskTemplate';
const limit = (field: string, option: string, worth: (value: number) => string = String): ServiceField => ({
  format: `{{with ${TEMPLATE}.Resources}}{{with .Limits}}{{if .${field}}}${field} {{.${field}}}{{println}}{{end}}{{end}}{{end}}`,
  shown: (value) => (value === null || value === 0 ? [] : [`${field} ${number(value)}`]),
  options: (_, after) => [option, worth(number(after))],
});
const items = (value: Json): string[] => list(value).map((item) => text(item));
const bare = (name: string): string => name.toUpperCase().replace(/^CAP_/u, '');
const capabilities = (field: string, added: string, removed: string): ServiceField => ({
  format: `{{range ${TEMPLATE}.ContainerSpec.${field}}}${field} {{.}}{{println}}{{end}}`,
  shown: (value) => items(value).map((name) => `${field} ${name}`),
  options: (before, after) => [
    ...items(after).filter((name) => !items(before).includes(name)).flatMap((name) => [added, bare(name)]),
    ...items(before).filter((name) => !items(after).includes(name)).flatMap((name) => [removed, bare(name)]),
  ],
});
const NANO = 1e9;

const SERVICE_FIELDS: Readonly<Record<string, ServiceField>> = {
  'Resources.Limits.MemoryBytes': limit('MemoryBytes', '--limit-memory'),
  'Resources.Limits.Pids': limit('Pids', '--limit-pids'),
  'Resources.Limits.NanoCPUs': limit('NanoCPUs', '--limit-cpu', (value) => (value / NANO).toFixed(9).replace(/\.?0+$/u, '')),
  'ContainerSpec.ReadOnly': {
    format: `ReadOnly {{${TEMPLATE}.ContainerSpec.ReadOnly}}{{println}}`, shown: (value) => [`ReadOnly ${String(value === true)}`], options: (_, after) => [`--read-only=${String(after === true)}`],
  },
  'ContainerSpec.User': { format: `User {{${TEMPLATE}.ContainerSpec.User}}{{println}}`, shown: (value) => [`User ${text(value)}`], options: (_, after) => ['--user', text(after)] },
  'ContainerSpec.Init': {
    format: `{{with ${TEMPLATE}.ContainerSpec.Init}}Init {{.}}{{println}}{{end}}`, shown: (value) => (value === null ? [] : [`Init ${String(value === true)}`]), options: (_, after) => [`--init=${String(after === true)}`],
  },
  'ContainerSpec.CapabilityAdd': capabilities('CapabilityAdd', '--cap-add', '--cap-drop'),
  'ContainerSpec.CapabilityDrop': capabilities('CapabilityDrop', '--cap-drop', '--cap-add'),
  'ContainerSpec.Mounts': {
    format: `{{range ${TEMPLATE}.ContainerSpec.Mounts}}Mount {{.Target}}{{println}}{{end}}`,
    shown: (value) => list(value).map((mount) => `Mount ${text(at(mount, 'Target'))}`),
    options: (before, after) => list(after).slice(list(before).length).flatMap((mount) => ['--mount-add', tmpfs(mount)]),
  },
};

function tmpfs(mount: Json): string {
  const target = text(at(mount, 'Target'));
  const [size, mode] = [number(at(mount, 'TmpfsOptions', 'SizeBytes')), number(at(mount, 'TmpfsOptions', 'Mode'))];
  if (text(at(mount, 'Type')) !== 'tmpfs' || /[",\s]/u.test(target)) throw new Refused(`\`docker service update\` is not asked for a mount at ${target}.`);
  return ['type=tmpfs', `target=${target}`, ...(size > 0 ? [`tmpfs-size=${size}`] : []), ...(mode > 0 ? [`tmpfs-mode=${mode.toString(8)}`] : [])].join(',');
}

const same = (a: Json, b: Json): boolean => JSON.stringify(a) === JSON.stringify(b);

export function serviceStep({ service: id, name, edits, watchSeconds }: Of<'updateService'>, facts: Facts): StepOf<'updateService'> {
  const swarm = facts.swarm === undefined ? undefined : valueOf(facts.swarm);
  const before = valueOf(swarm?.services)?.find((candidate) => candidate.id === id)?.definition?.fields;
  if (before === undefined) throw new Refused(`The definition of the service ${name} is not known.`);
  const edited = editService(before, edits, valueOf(facts.engine.version)?.apiVersion ?? '');
  if ('refused' in edited) throw new Refused(`A service ${edited.refused}.`);
  const value = (fields: JsonObject, field: string): Json => fields[field] ?? null;
  const fields = changedFields(before, edited.fields).map((field) => {
    const known = Object.hasOwn(SERVICE_FIELDS, field) ? SERVICE_FIELDS[field] : undefined;
    const [was, will] = [value(before, field), value(edited.fields, field)];
    const takesAway = field === 'ContainerSpec.Mounts' && list(was).some((mount, index) => !same(mount, list(will)[index] ?? null));
    if (known === undefined || takesAway) throw new Refused(`\`docker service update\` cannot say ${field} as it is meant.`);
    return { known, was, will };
  });
  const shown = (of: (field: (typeof fields)[number]) => Json): string => fields.flatMap((field) => field.known.shown(of(field))).map((line) => Buffer.from(line)).sort((a, b) => Buffer.compare(a, b)).join('\n');
  return {
    kind: 'updateService', service: id, name, watchSeconds,
    // The image is sent as it stands: nobody asks a registry what it means by now.
    update: ['--no-resolve-image', ...fields.flatMap(({ known, was, will }) => known.options(was, will))],
    state: { format: fields.map(({ known }) => known.format).join(''), before: [shown(({ was }) => was)], after: [shown(({ will }) => will)] },
  };
}
