import { isDeepStrictEqual } from 'node:util';
import { parametersFor } from '../../src/container/parameters.ts';
import { applySpecEdits } from '../../src/container/spec-edit.ts';
import type {
  Ask, Check, ContainerFacts, ContainerParameters, ContainerSpec, Facts, Impact, ParameterSpec, ParameterUse, Policy, Proposal, Remediation, Risk, SpecEdit,
} from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { serviceOfTask } from '../../src/container/service.ts';
import { carryOut, filesOf, reUp } from './carry-out.ts';
import { shownWord } from '../../src/quote.ts';
import { defer } from '../remedy.ts';

/** How one setting of a container is changed, for a person; each where it applies. */
export interface Steps {
  /** Completes "create it again …": "with --read-only". */
  readonly run: string;
  /** What to write for the service in a compose file: "read_only: true". */
  readonly compose: string;
  /** Options of `docker service update`; null: the setting is changed otherwise, as `compose` says, or services do not have it. */
  readonly service: string | null;
  /** Options of `docker update`, where the engine changes it while the container runs. */
  readonly live?: string;
}

interface Advice<D> {
  /** What a person notices of it. */
  readonly effect: string;
  /** "recreate" unless said otherwise. */
  readonly impact?: Impact;
  readonly risk?: Risk;
  readonly steps: Steps;
  /** What of the steps depends on what was found. */
  readonly found?: (detail: D) => Partial<Steps>;
  /** Why a person has to see to it, where harden makes no change. */
  readonly because: string;
  /** auto: made from what is seen; choice: once a parameter says so. Without it harden makes no change. */
  readonly fix?: Fix<D>;
  readonly mode?: 'auto' | 'choice';
  readonly parameters?: readonly ParameterSpec[];
}

/** What would make a container compliant, before anybody asks how it is carried out. */
export type Fixing =
  | { readonly edits: readonly SpecEdit[]; readonly uses?: readonly ParameterUse[]; readonly risk?: Risk; readonly note?: string }
  /** A parameter has to say it first: `needs` names it, with a value worth considering. */
  | { readonly choice: string; readonly needs: string; readonly asks?: readonly Ask[] }
  /** It would break something that can be seen. */
  | { readonly guard: string; readonly needs: string; readonly asks?: readonly Ask[] }
  /** Only the steps help here. */
  | 'manual';

export interface FixContext<D> {
  readonly facts: Facts;
  readonly policy: Policy;
  /** What the policy says for this container. */
  readonly chosen: ContainerParameters;
  readonly container: ContainerFacts;
  readonly spec: ContainerSpec;
  readonly detail: D;
}
type Fix<D> = (context: FixContext<D>) => Fixing;

/** A remediation that says what it would edit, whoever carries it out: the engine, or whoever writes a compose file or a docker run line. */
export interface ContainerRemediation<D = unknown> extends Remediation<D> {
  /** Missing where only the steps help. */
  fix?(context: FixContext<D>): Fixing;
}

const WHOSE = { nomad: 'the Nomad job', portainer: 'the stack in Portainer', systemd: 'the unit', podman: 'the compose project of Podman' } as const;

function byHandSteps({ run, compose, service, live }: Steps, container: ContainerFacts | undefined, name: string, because: string): Proposal {
  const owner = container?.owner ?? { kind: 'none' };
  switch (owner.kind) {
    case 'none': {
      const recreate = `keep what "docker inspect ${shownWord(name)}" shows, then create it again ${run}`;
      return defer('manual', because, live === undefined ? recreate : `docker update ${live} ${shownWord(name)}; where it is created by a script, also ${run} there`);
    }
    case 'compose':
      return defer('manual', `${because} Compose manages it: a change that is not in its file is lost with the next "up".`,
        `in ${filesOf(owner)}, below services: ${owner.service}: ${compose}; then, ${reUp(owner)}`);
    case 'swarm':
      return defer('manual', `${because} Swarm makes its tasks anew from the service.`, service === null
        ? `in the definition of the service ${owner.service}: ${compose}; then deploy it again` : `docker service update ${service} ${shownWord(owner.service)}`);
    case 'kubernetes':
      return defer('owner', `${because} Kubernetes would undo a change made here.`,
        `change what makes the pod ${owner.pod} of the namespace ${owner.namespace}; for Docker this is ${compose}`);
    case 'nomad':
    case 'portainer':
    case 'systemd':
    case 'podman':
      return defer('owner', `${because} Whoever manages it would undo a change made here.`, `change ${WHOSE[owner.kind]} ${owner.name}; for Docker this is ${compose}`);
  }
}

const named = (facts: Facts, id: string): ContainerFacts | undefined => valueOf(facts.containers)?.find((container) => container.id === id);

/** The remediation of a check of containers: a change where there is a fix and the container is nobody else's, otherwise the exact steps where it was defined. */
export const containerRemedy = <D>(check: Check<D>, { effect, impact = 'recreate', risk = 'behaviour', steps, found, because, fix, mode, parameters = [] }: Advice<D>): ContainerRemediation<D> => ({
  check,
  ...(fix === undefined ? {} : { fix }),
  mode: fix === undefined ? 'manual' : mode ?? 'choice',
  effect,
  impact,
  risk,
  parameters,
  manual: [
    steps.live === undefined ? `docker run: create the container again ${steps.run}.` : `docker update ${steps.live} CONTAINER; docker run: ${steps.run}.`,
    `Compose: ${steps.compose}; then docker compose up -d --no-deps --no-build --pull never SERVICE.`,
    steps.service === null ? 'Swarm: change the definition of the service, or run the container outside the swarm.' : `Swarm: docker service update ${steps.service} SERVICE.`,
    'A container of Kubernetes, Nomad, Portainer or a systemd unit is changed there.',
  ].join(' '),
  propose: ({ target, detail }, facts, policy) => {
    const container = named(facts, target.id);
    const byHand = byHandSteps({ ...steps, ...found?.(detail) }, container, target.name, because);
    const spec = valueOf(container?.spec);
    if (fix === undefined || container === undefined || spec === undefined) return byHand;
    const fixing = fix({ facts, policy, chosen: parametersFor(container.name, policy), container, spec, detail });
    if (fixing === 'manual') return byHand;
    if ('choice' in fixing) return container.owner.kind === 'none' || serviceOfTask(container, facts) !== null || (container.owner.kind === 'compose' && facts.compose !== undefined) ? defer('choice', fixing.choice, fixing.needs, fixing.asks) : byHand;
    if ('guard' in fixing) return defer('guard', fixing.guard, fixing.needs, fixing.asks);
    // What is configured already, and does not help, is for a person to look at.
    if (isDeepStrictEqual(applySpecEdits(spec, fixing.edits), spec)) return byHand;
    return carryOut(fixing, { facts, container, spec, policy, risk, byHand });
  },
});
