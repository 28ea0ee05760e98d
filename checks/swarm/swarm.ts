import type { EngineInfo, Facts, Observed, SwarmFacts, SwarmNodeFacts, Target, Verdict } from '../../src/model.ts';
import { judge, manual, na, unknown } from '../verdict.ts';

export const SWARM: Target = { kind: 'swarm', name: 'swarm', id: 'swarm' };

/** Editions with the recommendations of section 7, and their older numbers. */
export const numbers = (current: string, before: string, first: Record<string, string> = {}): Record<string, string> => ({
  ...first,
  'ce1.1.0': before, '1.2.0': before, '1.3.1': before, '1.4.0': before, '1.5.0': before, '1.6.0': current, '1.7.0': current, '1.8.0': current,
});

/** na without a swarm, unknown where the node cannot say, else what the node is. */
function judgeState<D>(facts: Facts, judgeNode: (info: EngineInfo) => readonly Verdict<D>[]): readonly Verdict<D>[] {
  const silent = unknown(SWARM, 'Whether the engine is in a swarm is not known');
  return judge(SWARM, facts.engine.info, (info) => {
    const { state } = info.swarm;
    if (state === '' || state === 'inactive') return [na(SWARM, 'The engine is in no swarm')];
    if (state !== 'active') return [unknown(SWARM, `The swarm is ${state}: this node says nothing about it`)];
    return judgeNode(info);
  }, () => [silent]);
}

/** What managers know; manual on a worker. */
export const judgeSwarm = <D>(facts: Facts, judgeFacts: (swarm: SwarmFacts) => readonly Verdict<D>[]): readonly Verdict<D>[] =>
  judgeState(facts, (info) => info.swarm.manager ? judgeObserved(facts.swarm, judgeFacts)
    : [manual(SWARM, 'This node is a worker, which knows nothing of the swarm: look at a manager')]);

/** What any node of a swarm knows of itself. */
export const judgeNode = <D>(facts: Facts, judgeFacts: (node: SwarmNodeFacts) => readonly Verdict<D>[]): readonly Verdict<D>[] =>
  judgeState(facts, () => judgeObserved(facts.swarmNode, judgeFacts));

function judgeObserved<T, D>(observed: Observed<T> | undefined, judgeValue: (value: T) => readonly Verdict<D>[]): readonly Verdict<D>[] {
  const silent = unknown(SWARM, 'What the node knows of its swarm was not read');
  return observed === undefined ? [silent] : judge(SWARM, observed, judgeValue, () => [silent]);
}
