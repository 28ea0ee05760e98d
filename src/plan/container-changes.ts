import { chosenSpec, exactSpec, gains, surroundingsOf } from '../container/chosen.ts';
import { allDependants, sharedNamespaces } from '../container/dependants.ts';
import { areLive } from '../container/live.ts';
import { parametersFor } from '../container/parameters.ts';
import { applySpecEdits } from '../container/spec-edit.ts';
import { optionChanges } from '../container/to-run.ts';
import { writtenOutside } from '../container/written.ts';
import type { Action, ContainerFacts, ContainerSpec, Facts, Json, Policy, SpecEdit } from '../model.ts';
import { valueOf } from '../model.ts';
import type { Described, EditOf } from './planned.ts';
import { containerPremises } from './premises.ts';

/** How long a new container is watched after its start, where nobody says otherwise. */
export const WATCH_SECONDS = 10;

const isRunning = (container: ContainerFacts): boolean => valueOf(container.runtime)?.state === 'running';

/** One container of a change, with what is to become of it. */
interface Part {
  readonly container: ContainerFacts;
  readonly spec: ContainerSpec;
  readonly edits: readonly SpecEdit[];
}

/**
 * What the daemon gives every new container, whatever is asked for: made part of the change, so that it is seen and proven like the rest.
 */
function daemonGains({ spec, edits }: Part, facts: Facts): readonly SpecEdit[] {
  const surroundings = surroundingsOf(facts, spec);
  const after = applySpecEdits(exactSpec(spec, surroundings), edits);
  const gained = gains(after, surroundings.defaults);
  const options = gained.filter(({ path }) => path.startsWith('HostConfig.LogConfig.Config'));
  const log = { driver: surroundings.defaults.logDriver ?? after.log?.driver ?? '', options: { ...surroundings.defaults.logOptions, ...after.log?.options } };
  return [
    ...(options.length > 0 ? [{ op: 'set', path: 'log', value: log as unknown as Json } as const] : []),
    ...(gained.some(({ path }) => path === 'NoNewPrivileges') ? [{ op: 'set', path: 'security.noNewPrivileges', value: true } as const] : []),
  ];
}

/** The policy accepts that a new container does not have what the old one wrote outside of its mounts: then that is saved. */
const savesLayer = ({ container, spec }: Part, policy: Policy): boolean => parametersFor(container.name, policy).writableLayer === 'save'
  && container.evidence?.changes.status === 'present' && writtenOutside(container.evidence.changes.value, spec).length > 0;

/**
 * The steps that put new containers in the place of old ones, each after those that it depends on. Nothing is stopped before the first
 * new one exists; those that depend on it can only be created once it has the name and runs. Each loses its restart policy only then: the
 * new one is made from what the old one is at that moment.
 */
function replaceActions(parts: readonly Part[], policy: Policy): Action[] {
  const about = ({ container: { id, name } }: Part): { container: string; name: string } => ({ container: id, name });
  const create = (part: Part, follows: readonly Part[]): Action => ({ kind: 'createReplacement', ...about(part), edits: part.edits, follows: follows.map(about) });
  const retire = (part: Part): Action => ({ kind: 'retireContainer', ...about(part) });
  const takePlace = (part: Part): Action[] => [
    { kind: 'swapContainers', ...about(part) },
    ...(isRunning(part.container) ? [{ kind: 'startReplacement', ...about(part), watchSeconds: parametersFor(part.container.name, policy).watchSeconds ?? WATCH_SECONDS } as const] : []),
  ];
  const [first, ...dependants] = parts;
  return first === undefined ? [] : [
    ...parts.filter((part) => savesLayer(part, policy)).map((part): Action => ({ kind: 'saveLayer', ...about(part) })),
    create(first, []),
    retire(first),
    ...[...parts].reverse().filter(({ container }) => isRunning(container)).map((part): Action => ({ kind: 'stopContainer', ...about(part) })),
    ...takePlace(first),
    ...dependants.flatMap((part, index) => [create(part, parts.slice(0, index + 1)), retire(part), ...takePlace(part)]),
  ];
}

/** The options of `docker run` that come and go, secrets masked. */
function optionDiff({ container, spec, edits }: Part, facts: Facts, several: boolean): string {
  const surroundings = surroundingsOf(facts, spec);
  const names = new Map((valueOf(facts.containers) ?? []).map(({ id, name }) => [id, name]));
  const exact = exactSpec(spec, surroundings);
  const [before, after] = [exact, applySpecEdits(exact, edits)].map((one) => chosenSpec(one, surroundings, names));
  if (before === undefined || after === undefined) return '';
  const { removed, added } = optionChanges(before, after, valueOf(facts.engine.version)?.apiVersion ?? '');
  const head = several ? [`docker run … ${container.name}`] : [];
  return [...head, ...removed.map((option) => `- ${option}`), ...added.map((option) => `+ ${option}`)].map((line) => `${line}\n`).join('');
}

/**
 * The change of one container, or of one with those that depend on it: edits that the engine makes while a container runs are made so,
 * unless it is created anew anyway; whoever lives in the namespaces of one that is, or is linked to it, is created anew after it.
 */
export function containerChange(wishes: readonly EditOf<'changeContainer'>[], facts: Facts, policy: Policy): Described | null {
  const containers = valueOf(facts.containers) ?? [];
  const editsOf = (id: string): readonly SpecEdit[] => wishes.filter(({ container }) => container === id).flatMap(({ edits }) => edits);
  const isNew = ({ id }: ContainerFacts): boolean => !areLive(editsOf(id));
  const wished = containers.filter(({ id }) => wishes.some(({ container }) => container === id));
  const renewed = wished.filter(isNew).flatMap((container) => [container, ...allDependants(container, facts)]);
  // Of a container that stands there twice, the last place is after all that it depends on.
  const order = renewed.filter((container, index) => renewed.lastIndexOf(container) === index);
  const partOf = (container: ContainerFacts): Part[] => {
    const spec = valueOf(container.spec);
    if (spec === undefined) return [];
    const follow = order.flatMap((provider) => sharedNamespaces(spec, provider).map((path): SpecEdit => ({ op: 'set', path, value: `container:${provider.name}` })));
    const part = { container, spec, edits: [...editsOf(container.id), ...follow] };
    return [order.includes(container) ? { ...part, edits: [...part.edits, ...daemonGains(part, facts)] } : part];
  };
  const changed = (part: Part): boolean => JSON.stringify(applySpecEdits(part.spec, part.edits)) !== JSON.stringify(part.spec);
  const live = wished.filter((container) => !order.includes(container)).flatMap(partOf).filter(changed);
  const anew = order.flatMap(partOf);
  const parts = [...anew, ...live];
  const [first] = parts;
  if (first === undefined || (live.length === 0 && !anew.some(changed))) return null;
  const { id, name } = first.container;
  const saved = anew.filter((part) => savesLayer(part, policy)).map((part) => `${part.container.name}-layer.tar`);
  const others = anew.slice(1).map((part) => part.container.name);
  return {
    id: `container:${name}`,
    kind: 'container',
    target: { kind: 'container', name, id },
    title: anew.length === 0 ? 'Changed while it runs'
      : `Created anew, the old one kept beside it${others.length === 0 ? '' : `, and with it what depends on it: ${others.join(', ')}`}${saved.length === 0 ? '' : `; what it wrote is not carried over, but saved among the backups of the run: ${saved.join(', ')}`}`,
    actions: [
      ...live.map(({ container, edits }): Action => ({ kind: 'updateContainer', container: container.id, name: container.name, edits })),
      ...replaceActions(anew, policy),
    ],
    diff: parts.map((part) => optionDiff(part, facts, parts.length > 1)).join(''),
    premises: containerPremises(parts.map(({ container }) => container), facts),
    before: null,
  };
}
