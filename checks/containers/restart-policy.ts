import type { Check } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

const MOST_RETRIES = 5;

export const check: Check<null> = {
  id: 'container.restart-policy',
  title: 'The container is not restarted without end',
  rationale: 'A container that fails and is restarted for ever uses up the host, hides that it fails, and gives an attacker endless attempts.',
  evidence: 'inspect: HostConfig.RestartPolicy',
  passes: `The policy is "no", or "on-failure" with at most ${MOST_RETRIES} retries.`,
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(15, 'd1.11', { 'd1.6': '5.15' }),
  evaluate: (facts) => eachContainer(facts, ({ facts: { owner, unmodelled }, spec: { restart: { name, maximumRetryCount } }, target }) => {
    if (unmodelled.includes('HostConfig.RestartPolicy.Name')) return unknown(target, 'Its restart policy is of a kind that harden does not know');
    if (name === 'always' || name === 'unless-stopped') return warn(target, `It is restarted without end: its policy is "${name}"`, null);
    if (name === 'on-failure' && (maximumRetryCount < 1 || maximumRetryCount > MOST_RETRIES)) {
      return warn(target, `It is restarted ${maximumRetryCount < 1 ? 'without end' : `up to ${maximumRetryCount} times`} when it fails`, null);
    }
    if (name === 'on-failure') return pass(target, `It is restarted at most ${maximumRetryCount} ${maximumRetryCount === 1 ? 'time' : 'times'} when it fails`);
    if (owner.kind === 'swarm') return manual(target, `Swarm starts its tasks again as the service ${owner.service} says: see its restart condition and attempts`);
    if (owner.kind === 'kubernetes' || owner.kind === 'nomad') return manual(target, 'Its orchestrator starts it again by a policy of its own');
    return pass(target, 'It is not restarted');
  }),
};
