import { listNames } from '../../src/daemon/containers.ts';
import { daemonSetting } from '../../src/daemon/settings.ts';
import { ulimitsOf } from '../../src/daemon/ulimits.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

interface Limit {
  readonly name: string;
  readonly soft: number;
  readonly hard: number;
}

const height = (value: number): number => value < 0 ? Infinity : value;
const isLooser = (a: Limit, b: Limit): boolean => height(a.soft) > height(b.soft) || height(a.hard) > height(b.hard);
const limitName = ({ name, soft, hard }: Limit): string => `${name}=${soft}:${hard}`;

export const check: Check<null> = {
  id: 'container.ulimits',
  title: 'The container does not loosen the default ulimits',
  rationale: 'The daemon\'s defaults are what the host can bear. A container that sets its own goes beyond them unseen.',
  evidence: 'inspect: HostConfig.Ulimits; daemon.json "default-ulimits"',
  passes: 'It has no ulimits of its own, or none is above the daemon\'s default of the same name.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(19, 'd1.11', { 'd1.6': '5.19' }),
  evaluate(facts) {
    const setting = daemonSetting(facts, 'default-ulimits');
    const now = setting.status === 'present' ? setting.value.now : setting;
    const defaults = mapObserved(now, ulimitsOf);
    return eachContainer(facts, ({ spec: { resources: { ulimits } }, target }) => {
      if (ulimits.length === 0) return pass(target, 'It has no ulimits of its own');
      const unlimited = ulimits.filter(({ soft, hard }) => soft < 0 || hard < 0);
      if (defaults.status === 'unreadable') return unknown(target, defaults.reason);
      const known = defaults.status === 'present' ? defaults.value : [];
      const defaultOf = (limit: Limit): Limit | undefined => known.find(({ name }) => name === limit.name);
      const looser = ulimits.filter((limit) => {
        const usual = defaultOf(limit);
        return usual === undefined ? unlimited.includes(limit) : isLooser(limit, usual);
      });
      if (looser.length > 0) return warn(target, `Its own ulimits are looser than the defaults: ${listNames(looser.map(limitName))}`, null);
      const unmatched = ulimits.filter((limit) => defaultOf(limit) === undefined);
      return unmatched.length > 0 ? manual(target, `It has ulimits of its own, for which the daemon has no default: ${listNames(unmatched.map(limitName))}`)
        : pass(target, 'Its ulimits are at most the daemon\'s defaults');
    });
  },
};
