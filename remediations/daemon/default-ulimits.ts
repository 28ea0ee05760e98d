import { check } from '../../checks/daemon/default-ulimits.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { parseUlimit, unusableUlimits } from '../../src/daemon/ulimits.ts';
import { fromPolicy, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

const QUESTION = ask('defaultUlimits', '{ nofile: "65536:524288" }', 'It is what suits most; nothing was measured');

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Every container that sets no ulimit of its own gets these limits when it next starts.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'defaultUlimits', description: 'Limits by name, as "SOFT:HARD" or one number',
    example: '{ nofile: "65536:524288" }' }],
  propose(_, facts, { parameters: { defaultUlimits } }) {
    const wanted = Object.entries(defaultUlimits ?? {});
    if (wanted.length === 0) {
      return defer('choice', 'A limit below what a container uses makes it fail; 65536 open files (524288 at most) suit most.',
        '--set defaultUlimits.nofile=65536:524288', [QUESTION]);
    }
    const limits = wanted.map(([name, text]) => ({ name, ...parseUlimit(String(text)) ?? { soft: Number.NaN, hard: Number.NaN } }));
    const unusable = unusableUlimits(limits);
    if (unusable.length > 0) return defer('choice', `No container would start with the policy's limit ${listNames(unusable)}.`,
      'correct defaultUlimits', [QUESTION]);
    const shown = listNames(limits.map(({ name, soft, hard }) => `${name} ${soft}:${hard}`));
    const perUser = limits.some(({ name }) => name === 'nproc')
      ? ' nproc counts the processes of a user id on the whole host, not of a container.' : '';
    const value = Object.fromEntries(limits.map(({ name, soft, hard }) => [name, { Name: name, Soft: soft, Hard: hard }]));
    return setKeys(facts, { 'default-ulimits': value }, {
      impact: 'restart', risk: 'behaviour', undo: 'restart', note: `Limits: ${shown}.${perUser}`,
    }, [fromPolicy('defaultUlimits', { ...defaultUlimits })]);
  },
});
