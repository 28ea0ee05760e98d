import { unusableUlimits, ulimitsOf } from '../../src/daemon/ulimits.ts';
import { listNames } from '../../src/daemon/containers.ts';
import type { Check, Json, Parameters } from '../../src/model.ts';
import { judgeInForce, option } from '../in-force.ts';

/** What is wrong with a value of "default-ulimits"; null when nothing is. */
function fault(value: Json, wanted: Parameters['defaultUlimits']): string | null {
  const limits = ulimitsOf(value);
  if (limits.length === 0) return 'Containers have the limits of dockerd itself: no default ulimit is set';
  const unusable = unusableUlimits(limits);
  if (unusable.length > 0) {
    return `No container can be started with the default ulimit ${listNames(unusable)}: it needs a known Name, `
      + 'and Soft at most Hard';
  }
  const differing = Object.entries(wanted ?? {}).flatMap(([name, limit]) => {
    const [soft, hard = soft] = String(limit).split(':').map(Number);
    const is = limits.find((candidate) => candidate.name === name);
    return is?.soft === soft && is?.hard === hard ? [] : [name];
  });
  return differing.length > 0 ? `Default ulimits differ from the policy's: ${listNames(differing)}` : null;
}

export const check: Check<null> = {
  id: 'daemon.default-ulimits',
  title: 'Default ulimits of containers are chosen',
  rationale: 'Without them containers inherit the limits of dockerd, which are usually none: one can use up the file handles of the host.',
  evidence: 'daemon.json "default-ulimits", --default-ulimit',
  passes: 'At least one usable limit is set, and those that the policy names have its values.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: {
    'd1.6': '2.10', 'd1.11': '2.7', 'd1.12': '2.7', 'd1.13': '2.7', 'ce1.1.0': '2.7', '1.2.0': '2.7',
    '1.3.1': '2.8', '1.4.0': '2.8', '1.5.0': '2.8', '1.6.0': '2.8', '1.7.0': '2.8', '1.8.0': '2.9',
  },
  evaluate: (facts, { parameters }) => judgeInForce(option(facts, 'default-ulimits'), {
    outcome: (value) => fault(value, parameters.defaultUlimits) === null ? 'pass' : 'warn',
    says: (value) => fault(value, parameters.defaultUlimits)
      ?? `Default ulimits are set: ${listNames(ulimitsOf(value).map(({ name, soft, hard }) => `${name}=${soft}:${hard}`))}`,
  }),
};
