import type { Check, ContainerFacts, Facts, Target, Verdict } from '../../src/model.ts';
import { isRoot, userTakenAway } from '../../src/container/as-user.ts';
import { valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { always, judgeConfigs } from './images.ts';

const CONTAINERS: Target = { kind: 'container', name: 'containers', id: 'containers' };

const says = (user: string): string => user === '' ? 'No user is set, which is root' : `The user is ${user}`;

/** Containers that were told to be root although their image is not; the others are as their image is. */
function overrides(facts: Facts): readonly Verdict<null>[] {
  if (facts.containers.status !== 'present') {
    return [unknown(CONTAINERS, facts.containers.status === 'unreadable' ? facts.containers.reason : 'The containers of the engine are not known')];
  }
  return facts.containers.value.flatMap((container: ContainerFacts): readonly Verdict<null>[] => {
    const target: Target = { kind: 'container', name: container.name, id: container.id };
    const spec = valueOf(container.spec);
    const state = valueOf(container.runtime)?.state;
    if (state === 'dead' || state === 'removing') return [];
    if (spec === undefined) return [unknown(target, container.spec.status === 'unreadable' ? container.spec.reason : 'The container could not be inspected')];
    const image = userTakenAway(container, facts.images);
    return image === null ? [] : [warn(target, `The container runs as ${spec.user ?? 'root'}, although its image has the user ${image}`, null)];
  });
}

export const check: Check<null> = {
  id: 'image.user',
  title: 'Images set a user other than root',
  rationale: 'A process that is root in its container is one flaw of the kernel or one careless mount away from being root on the host.',
  evidence: 'GET /images/ID/json Config.User: "", root, 0, 00, 0:0 and root:GROUP are root; GET /containers/ID/json Config.User where it differs. '
    + 'An entrypoint that gives up root later is not seen',
  passes: 'Every image has a USER that is not root, and no container overrides that with root.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: always('4.1'),
  aliases: ['CIS-DI-0001'],
  evaluate: (facts) => [
    ...judgeConfigs<null>(facts, ({ user }, target) => [isRoot(user) ? warn(target, says(user), null) : pass(target, says(user))]),
    ...overrides(facts),
  ],
};
