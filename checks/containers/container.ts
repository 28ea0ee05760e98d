import { isKept } from '../../src/container/kept.ts';
import { isSpentTask } from '../../src/container/service.ts';
import type { Check, ContainerFacts, ContainerRuntime, ContainerSpec, Edition, Facts, InForce, Observed, Target, Verdict } from '../../src/model.ts';
import { EDITIONS } from '../../src/model.ts';
import { DAEMON, na, unknown } from '../verdict.ts';

/** A container that exists: dead ones and those that are being removed start no more. */
export interface Container {
  readonly facts: ContainerFacts;
  readonly spec: ContainerSpec;
  readonly runtime: ContainerRuntime;
  readonly target: Target;
}

/** One verdict on each container, stopped ones included, but not on those that harden keeps for an undo, nor on tasks that swarm has ended: they start no more. `na` when there is none, `unknown` for one that could not be inspected. */
export function eachContainer<D>(facts: Facts, judgeContainer: (container: Container) => Verdict<D>): readonly Verdict<D>[] {
  const { containers } = facts;
  if (containers.status === 'unreadable') return [unknown(DAEMON, containers.reason)];
  const verdicts = (containers.status === 'present' ? containers.value : []).flatMap((container): readonly Verdict<D>[] => {
    const { id, name, spec, runtime } = container;
    const target: Target = { kind: 'container', name, id };
    if (spec.status !== 'present') return [unknown(target, spec.status === 'unreadable' ? spec.reason : 'It could not be inspected')];
    if (runtime.status !== 'present') return [unknown(target, runtime.status === 'unreadable' ? runtime.reason : 'Its state is not known')];
    if (runtime.value.state === 'dead' || runtime.value.state === 'removing' || isKept(container) || isSpentTask(container, facts)) return [];
    return [judgeContainer({ facts: container, spec: spec.value, runtime: runtime.value, target })];
  });
  return verdicts.length > 0 ? verdicts : [na(DAEMON, 'There is no container')];
}

/** Whether its processes run now (a paused or restarting one is about to go on). */
export const isUp = ({ state }: ContainerRuntime): boolean => state === 'running' || state === 'paused' || state === 'restarting';

/** Runtimes whose processes are processes of the host; gVisor and Kata have a kernel of their own, of which the host sees nothing. */
const HOST_KERNEL = new Set(['runc', 'crun', 'youki', 'nvidia', 'sysbox-runc', 'io.containerd.runc.v1', 'io.containerd.runc.v2', 'io.containerd.runtime.v1.linux']);

/** Why what the host sees of a container's processes is not what runs in it; null when it is. */
export const ownKernel = ({ runtime }: ContainerSpec): string | null =>
  runtime === null || HOST_KERNEL.has(runtime) ? null : `It runs under ${runtime}, and whether the host sees all that runs in it is not known`;

type Held = Exclude<Observed<InForce>, { status: 'absent' }>;

/** What holds for its first process: undefined where nothing runs or nobody looked, so that only what was declared can be judged. */
export function heldTo({ facts: { inForce }, spec, runtime }: Container): Held | undefined {
  if (inForce === undefined || inForce.status === 'absent' || !isUp(runtime)) return undefined;
  const why = ownKernel(spec);
  return why === null ? inForce : { status: 'unreadable', reason: why };
}

/** The end of a message on a verdict that rests on what was declared. */
export const asDeclared = (container: Container, held: Held | undefined): string =>
  held === undefined && isUp(container.runtime) ? ', as it was declared' : '';

/** The container that "container:REF" names by id or name. */
export const referredTo = (facts: Facts, reference: string): ContainerFacts | undefined =>
  facts.containers.status !== 'present' ? undefined
    : facts.containers.value.find(({ id, name }) => id === reference || name === reference || (reference.length >= 12 && id.startsWith(reference)));

/** Section 5 got a new first recommendation in 1.6.0, and lost one after d1.6: the numbers moved by one each time. */
export function section5(number: number, since: Edition, apart: Check['cis'] = {}): Check['cis'] {
  const moved = EDITIONS.indexOf('1.6.0');
  return {
    ...Object.fromEntries(EDITIONS.flatMap((edition, index) => index < EDITIONS.indexOf(since) ? []
      : [[edition, `5.${index < moved ? number - 1 : number}`]])),
    ...apart,
  };
}
