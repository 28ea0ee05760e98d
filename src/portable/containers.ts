import { number } from '../collect/json.ts';
import { chosenSpec, exactSpec, surroundingsOf } from '../container/chosen.ts';
import { plainLink } from '../container/from-inspect.ts';
import { healthSeconds } from '../container/health.ts';
import { inexpressible } from '../container/inexpressible.ts';
import { keptName, replacementName } from '../container/kept.ts';
import { updateBody } from '../container/live.ts';
import { SHOWN_IN } from '../container/shown-in.ts';
import { applySpecEdits } from '../container/spec-edit.ts';
import { healthcheckOf } from '../container/to-create.ts';
import { connectCommands, runOptions } from '../container/to-run.ts';
import type { RunOption } from '../container/to-run.ts';
import { listNames } from '../daemon/containers.ts';
import { maskSecretsInText } from '../mask.ts';
import type { Action, ContainerFacts, ContainerSpec, Facts, JsonObject, SpecEdit } from '../model.ts';
import { valueOf } from '../model.ts';
import type { CreateReplacement, Guard, PortableStep, Word } from './model.ts';
import { Refused } from './model.ts';

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;
type StepOf<K extends PortableStep['kind']> = Extract<PortableStep, { kind: K }>;

export function containerOf(facts: Facts, id: string): { readonly container: ContainerFacts; readonly spec: ContainerSpec } {
  const container = valueOf(facts.containers)?.find((candidate) => candidate.id === id);
  const spec = valueOf(container?.spec);
  if (container === undefined || spec === undefined) throw new Refused(`The container ${id.slice(0, 12)} is not known as a whole.`);
  return { container, spec };
}

/** Seconds until the health check of a container must have passed; 0: it has none. */
export const healthSecondsOf = ({ healthcheck }: ContainerSpec): number =>
  healthcheck === null || (healthcheck.test[0] ?? 'NONE') === 'NONE' ? 0 : Math.ceil(healthSeconds(healthcheckOf(healthcheck)));

const restartOf = ({ restart: { name, maximumRetryCount } }: ContainerSpec): string => (name === 'on-failure' && maximumRetryCount > 0 ? `${name}:${maximumRetryCount}` : name);

const UPDATE_FLAGS: Readonly<Record<string, string>> = { Memory: '--memory', MemorySwap: '--memory-swap', CpuShares: '--cpu-shares', PidsLimit: '--pids-limit' };

/** The arguments of `docker update` that stand for a body of POST /containers/ID/update. */
function updateFlags(body: JsonObject, { restart }: ContainerSpec): string[] {
  return Object.entries(body).flatMap(([field, value]) => {
    if (field === 'RestartPolicy') return ['--restart', restart.name === 'on-failure' && restart.maximumRetryCount > 0 ? `on-failure:${restart.maximumRetryCount}` : restart.name];
    const flag = Object.hasOwn(UPDATE_FLAGS, field) ? UPDATE_FLAGS[field] : undefined;
    if (flag === undefined) throw new Refused(`\`docker update\` has no option for ${field}.`);
    return [flag, String(number(value))];
  });
}

/** What inspect says of the fields that `docker update` changes, one a line; a pointer that is nil and a number that means "not set" look the same. */
const LIVE_FORMATS: Readonly<Record<string, (spec: ContainerSpec) => readonly [format: string, value: string]>> = {
  'resources.memory': ({ resources: { memory } }) => ['{{.HostConfig.Memory}}', String(memory ?? 0)],
  'resources.memorySwap': ({ resources: { memorySwap } }) => ['{{.HostConfig.MemorySwap}}', String(memorySwap ?? 0)],
  'resources.cpuShares': ({ resources: { cpuShares } }) => ['{{.HostConfig.CpuShares}}', String(cpuShares ?? 0)],
  'resources.pidsLimit': ({ resources: { pidsLimit } }) => ['{{with json .HostConfig.PidsLimit}}{{if or (eq . "null") (eq . "-1")}}0{{else}}{{.}}{{end}}{{end}}', String(pidsLimit ?? 0)],
  restart: ({ restart: { name, maximumRetryCount } }) => ['{{or .HostConfig.RestartPolicy.Name "no"}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}', `${name}:${maximumRetryCount}`],
};

function liveState(paths: readonly string[], spec: ContainerSpec): { readonly format: string; readonly value: string } {
  const parts = paths.map((path) => {
    const part = Object.hasOwn(LIVE_FORMATS, path) ? LIVE_FORMATS[path]?.(spec) : undefined;
    if (part === undefined) throw new Refused(`\`docker update\` has no option for ${path}.`);
    return part;
  });
  return { format: parts.map(([format]) => format).join(' '), value: parts.map(([, value]) => value).join(' ') };
}

export function updateContainer({ container: id, name, edits }: Of<'updateContainer'>, facts: Facts): StepOf<'updateContainer'> {
  const { spec } = containerOf(facts, id);
  const after = applySpecEdits(spec, edits);
  const memory = edits.some(({ path }) => path === 'resources.memory' || path === 'resources.memorySwap');
  // The engine derives the limit of memory and swap from that of memory: both are looked at.
  const paths = [...new Set([...(memory ? ['resources.memory', 'resources.memorySwap'] : []), ...edits.map(({ path }) => path)])];
  const now = liveState(paths, spec);
  const then = liveState(paths, after);
  const body = updateBody(after, edits, 0);
  const back = updateBody(spec, edits, valueOf(facts.engine.info)?.memoryBytes ?? 0);
  const flags = updateFlags(back, spec);
  const both = memory ? { ...after, resources: { ...after.resources, memorySwap: Number(body['MemorySwap']) } } : after;
  return {
    kind: 'updateContainer', container: id, name,
    update: updateFlags(body, after),
    // With cgroups v1, runc up to 1.1 does not raise the limit of memory in the request that lifts the one of memory and swap.
    undo: back['MemorySwap'] === -1 ? [['--memory', String(number(back['Memory'])), '--memory-swap', String(2 * number(back['Memory']))], flags] : [flags],
    state: { format: now.format, before: [now.value], after: [...new Set([then.value, liveState(paths, both).value])] },
  };
}

/** A text as a string of Go's templates. */
function goString(text: string): string {
  if (/[\p{Cc}\p{Cs}]/u.test(text)) throw new Refused(`${JSON.stringify(text)} has characters that no template of \`docker inspect\` can hold.`);
  return JSON.stringify(text);
}

/** What an option's value is read from, so that it does not travel; null: it is no place for secrets, and stands as it is. */
function readFrom(container: string, [flag, value = '']: RunOption): Word | null {
  const read = (format: string): Word => ({ container, format });
  const keyed = (field: string): Word => {
    const name = value.slice(0, value.indexOf('='));
    return read(`{{printf "%s=%s" ${goString(name)} (index ${field} ${goString(name)})}}`);
  };
  switch (flag) {
    case '--log-opt': return keyed('.HostConfig.LogConfig.Config');
    case '--annotation': return keyed('.HostConfig.Annotations');
    case '--sysctl': return keyed('.HostConfig.Sysctls');
    case '--storage-opt': return keyed('.HostConfig.StorageOpt');
    case '--health-cmd': return read('{{index .Config.Healthcheck.Test 1}}');
    case '--entrypoint': return value === '' ? null : read('{{index .Config.Entrypoint 0}}');
    default: return null;
  }
}

/** The words of one option. What an edit puts there is the plan's own, and stands as it is. */
function wordsOf(container: string, option: RunOption, isOld: boolean): Word[] {
  const [flag, value] = option;
  if (value === undefined) return [flag];
  const word = isOld ? readFrom(container, option) : null;
  if (word !== null) return [flag, word];
  if (maskSecretsInText(`${flag}=${value}`) !== `${flag}=${value}` || maskSecretsInText(value) !== value || value.includes('***')) {
    throw new Refused(`A secret may stand in its ${flag}, and that does not travel.`);
  }
  return [flag, value];
}

/** What a client reads of a file of env or labels, line by line. */
function requireLines(what: string, entries: readonly string[]): void {
  const bad = entries.filter((entry) => /[\n\r\0]/u.test(entry) || !entry.includes('=') || /^[#\s\uFEFF]|^[^=]*\s[^=]*=/u.test(entry)).map((entry) => entry.split('=')[0] ?? '');
  if (bad.length > 0) throw new Refused(`Its ${what} ${listNames(bad.map((name) => JSON.stringify(name)))} cannot be handed to another container by \`docker create\` without a shell seeing it.`);
}

/** A link to a container that was replaced: it has given its name away by then. */
function relinked(spec: ContainerSpec, follows: Of<'createReplacement'>['follows']): ContainerSpec {
  const names = new Map(follows.map(({ container, name }) => [keptName(container), name]));
  const links = spec.network.links.map(plainLink).map((link) => link.replace(/^[^:]+/u, (target) => names.get(target) ?? target));
  return { ...spec, network: { ...spec.network, links } };
}

/** Fields of the answer of `docker inspect`, each with a format that says it in lines of its own, name first, so that order does not count. */
const SAME: readonly (readonly [path: string, format: string])[] = [
  ['Image', 'Image {{.Image}}{{println}}'],
  ...['Domainname', 'User', 'Tty', 'OpenStdin', 'StdinOnce', 'Cmd', 'Healthcheck', 'Image', 'WorkingDir', 'Entrypoint', 'Labels', 'StopSignal', 'StopTimeout', 'ExposedPorts']
    .map((field) => [`Config.${field}`, `Config.${field} {{json .Config.${field}}}{{println}}`] as const),
  ['Config.Env', '{{range .Config.Env}}Config.Env {{json .}}{{println}}{{end}}'],
  ...[
    'LogConfig', 'PortBindings', 'AutoRemove', 'VolumesFrom', 'CgroupnsMode', 'Dns', 'DnsOptions', 'DnsSearch', 'ExtraHosts', 'GroupAdd',
    'NetworkMode', 'IpcMode', 'OomScoreAdj', 'PidMode', 'Privileged', 'PublishAllPorts', 'ReadonlyRootfs', 'StorageOpt', 'Tmpfs', 'UTSMode', 'UsernsMode', 'ShmSize', 'Sysctls', 'Runtime', 'CpuShares',
    'Memory', 'MemorySwap', 'MemoryReservation', 'MemorySwappiness', 'NanoCpus', 'CgroupParent', 'BlkioWeight', 'CpuPeriod', 'CpuQuota', 'CpusetCpus', 'CpusetMems', 'Devices', 'DeviceCgroupRules',
    'OomKillDisable', 'PidsLimit', 'MaskedPaths', 'ReadonlyPaths', 'Init',
  ].map((field) => [`HostConfig.${field}`, `HostConfig.${field} {{json .HostConfig.${field}}}{{println}}`] as const),
  ...['CapAdd', 'CapDrop', 'SecurityOpt'].map((field) => [`HostConfig.${field}`, `{{range .HostConfig.${field}}}HostConfig.${field} {{println .}}{{end}}`] as const),
  ['HostConfig.Ulimits', '{{range .HostConfig.Ulimits}}HostConfig.Ulimits {{println .Name .Soft .Hard}}{{end}}'],
  ['Mounts', '{{range .Mounts}}Mounts {{println .Type .Name .Destination .RW (json .Source)}}{{end}}'],
  ['Networks', '{{range $name, $network := .NetworkSettings.Networks}}Networks {{json $name}}{{println}}{{end}}'],
];

/** A field that edits change shows otherwise, with all that is below it or above it. */
const touches = (path: string, roots: readonly string[]): boolean => roots.some((root) => path === root || path.startsWith(`${root}.`) || root.startsWith(`${path}.`) || root.startsWith(`${path}[`));

export function createReplacement({ container: id, name, edits, follows }: Of<'createReplacement'>, facts: Facts): CreateReplacement {
  const apiVersion = valueOf(facts.engine.version)?.apiVersion ?? '';
  const { container, spec } = containerOf(facts, id);
  const surroundings = surroundingsOf(facts, spec);
  const now = exactSpec(spec, surroundings);
  const image = surroundings.image;
  if (image === undefined) throw new Refused(`What the image of ${name} says is not known.`);
  const wanted = relinked(applySpecEdits(now, edits), follows);
  // What the image says needs no words; with them, its entrypoint would be another one of inspect.
  const { entrypoint, command, healthcheck } = chosenSpec(wanted, surroundings);
  if (command === null ? false : command.length === 0 && image.command.length > 0 && entrypoint === null) throw new Refused('It has its image\'s entrypoint without the image\'s command, which no line of `docker create` says.');
  const said: ContainerSpec = { ...wanted, name: replacementName(id), entrypoint, command, healthcheck, env: [], labels: {} };
  const lost = [...container.unmodelled, ...inexpressible({ ...said, env: wanted.env, labels: wanted.labels }, 'run', apiVersion)];
  if (lost.length > 0) throw new Refused(`It has settings that no line of \`docker create\` says: ${listNames(lost)}.`);
  if ((entrypoint?.length ?? 0) > 1) throw new Refused('Its entrypoint has several words, which --entrypoint does not take.');
  if (wanted.openStdin && !wanted.stdinOnce) throw new Refused('It keeps its standard input open without a client, which `docker create` does not say.');
  requireLines('environment variable', wanted.env);
  requireLines('label', Object.entries(wanted.labels).map(([key, value]) => `${key}=${value}`));
  const before = new Set(runOptions({ ...now, healthcheck: chosenSpec(now, surroundings).healthcheck }, apiVersion).map((option) => JSON.stringify(option)));
  const networks = valueOf(container.runtime)?.networks.map((network) => network.name);
  const state = valueOf(container.runtime)?.state;
  if (networks === undefined || state === undefined) throw new Refused(`The state of ${name} is not known.`);
  const words: Word[] = [
    // Nobody is attached to it, as with `docker run --detach`.
    '--attach', 'stderr', '--pull', 'never',
    ...runOptions(said, apiVersion).flatMap((option) => wordsOf(id, option, before.has(JSON.stringify(option)))),
    '--', wanted.image.reference,
    ...(command ?? []).map((_, index): Word => ({ container: id, format: `{{index .Config.Cmd ${index}}}` })),
  ];
  const roots = edits.flatMap(({ path }) => SHOWN_IN[path]);
  return {
    kind: 'createReplacement', container: id, name, replacement: replacementName(id), kept: keptName(id), words,
    env: wanted.env.length, labels: Object.keys(wanted.labels).length,
    connect: connectCommands({ ...wanted, name: replacementName(id) }, apiVersion).map((command) => command.slice(3)),
    guards: guardsOf({ container, spec, networks, state, image: wanted.image.reference }),
    same: SAME.filter(([path]) => !touches(path, roots)).map(([, format]) => format).join(''),
  };
}

function guardsOf({ container: { id, name }, spec, networks, state, image }: {
  readonly container: ContainerFacts; readonly spec: ContainerSpec; readonly networks: readonly string[]; readonly state: string; readonly image: string;
}): Guard[] {
  const changed = `The container ${name} was changed since the plan was made`;
  const live = liveState(Object.keys(LIVE_FORMATS), spec);
  const of = { of: 'container', subject: id, otherwise: changed } as const;
  return [
    { ...of, format: '{{.Name}}', expected: [`/${name}`], otherwise: `The container ${name} has another name now` },
    { ...of, format: '{{.State.Status}}', expected: [state], otherwise: `The container ${name} is no longer ${state}` },
    { ...of, format: live.format, expected: [live.value] },
    { ...of, format: '{{range $name, $network := .NetworkSettings.Networks}}{{json $name}}{{end}}', expected: [[...networks].sort().map((network) => JSON.stringify(network)).join('')] },
    ...(spec.image.id === null ? [] : [{
      of: 'image', subject: image, format: '{{.Id}}', expected: [spec.image.id],
      otherwise: `${image} is no longer the image that ${name} was made of`,
    } as const]),
  ];
}

/** Steps of containers that need no more than what the action says. */
export function plainStep(action: Of<'retireContainer' | 'stopContainer' | 'swapContainers' | 'startReplacement'>, facts: Facts, edits: readonly SpecEdit[]): PortableStep {
  const { container, name } = action;
  const about = { container, name };
  switch (action.kind) {
    case 'retireContainer': return { kind: 'retireContainer', ...about, restart: restartOf(containerOf(facts, container).spec) };
    case 'stopContainer': return { kind: 'stopContainer', ...about };
    case 'swapContainers': return { kind: 'swapContainers', ...about, replacement: replacementName(container), kept: keptName(container) };
    case 'startReplacement': return { kind: 'startReplacement', ...about, watchSeconds: action.watchSeconds, healthSeconds: healthSecondsOf(applySpecEdits(containerOf(facts, container).spec, edits)) };
  }
}

