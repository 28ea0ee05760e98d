import { listNames } from '../../src/daemon/containers.ts';
import { daemonSetting } from '../../src/daemon/settings.ts';
import { ulimitsOf } from '../../src/daemon/ulimits.ts';
import type { Check, Verdict } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { manual, pass, pendingWarn, unknown, warn } from '../verdict.ts';
import { eachContainer, heldTo, section5 } from './container.ts';

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
  evidence: 'inspect: HostConfig.Ulimits; daemon.json "default-ulimits"; /proc/PID/limits of its first process',
  passes: 'It has no ulimits of its own, or none is above the daemon\'s default of the same name; where it runs, no default is exceeded.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(19, 'd1.11', { 'd1.6': '5.19' }),
  evaluate(facts) {
    const setting = daemonSetting(facts, 'default-ulimits');
    const now = setting.status === 'present' ? setting.value.now : setting;
    const defaults = mapObserved(now, ulimitsOf);
    return eachContainer(facts, (container) => {
      const { spec: { resources: { ulimits } }, target } = container;
      const held = heldTo(container);
      // What it was started with holds until its next start; a daemon that starts meanwhile writes its new defaults into what inspect shows of
      // it (seen in 20.10 and 26.1). A process may raise a soft limit itself.
      const outgrown = (held?.status === 'present' ? held.value.ulimits : []).filter(({ name, hard }) => {
        const usual = [...ulimits, ...(defaults.status === 'present' ? defaults.value : [])].find((limit) => limit.name === name);
        return usual !== undefined && !Number.isNaN(usual.hard) && height(hard) > height(usual.hard);
      });
      const passing = (message: string): Verdict<null> =>
        outgrown.length > 0 ? pendingWarn(target, `It was started before its ulimits were what they are, and has looser ones: ${listNames(outgrown.map(limitName))}`, null, 'a restart of the container')
          : held?.status === 'unreadable' && !(ulimits.length === 0 && defaults.status === 'present' && defaults.value.length === 0) ? unknown(target, `What is in force is not known: ${held.reason}`)
          : defaults.status === 'unreadable' && held !== undefined ? unknown(target, defaults.reason)
          : pass(target, message);
      if (ulimits.length === 0) return passing('It has no ulimits of its own');
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
        : passing('Its ulimits are at most the daemon\'s defaults');
    });
  },
};
