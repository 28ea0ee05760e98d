import { normalProfile, seccompProfile } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { present } from '../../src/model.ts';
import { judgeInForce, mapInForce, option } from '../in-force.ts';
import { DAEMON, warn } from '../verdict.ts';

export const check: Check<null> = {
  id: 'daemon.seccomp-profile',
  title: 'The default seccomp profile is the engine\'s, or one that the policy approves of',
  rationale: 'The profile keeps containers from system calls that they do not need and attackers do. Any other default needs a reason '
    + 'and a review.',
  evidence: 'GET /info: SecurityOptions name=seccomp; daemon.json "seccomp-profile", --seccomp-profile',
  passes: 'The profile in force and that of the next start are the built-in one or the policy\'s seccompProfile.',
  section: 'daemon',
  severity: 'high',
  level: 2,
  cis: {
    'd1.13': '2.20', 'ce1.1.0': '2.16', '1.2.0': '2.15', '1.3.1': '2.17', '1.4.0': '2.17',
    '1.5.0': '2.17', '1.6.0': '2.17', '1.7.0': '2.17', '1.8.0': '2.18',
  },
  evaluate(facts, { parameters }) {
    const { info } = facts.engine;
    const profile = info.status === 'present' ? seccompProfile(info.value) : undefined;
    if (profile === null) return [warn(DAEMON, 'Containers are not confined: the kernel or the engine has no seccomp', null)];
    return judgeInForce(mapInForce(option(facts, 'seccomp-profile'), (value) => normalProfile(typeof value === 'string' ? value : '')), {
      live: info.status === 'present' ? present(profile ?? '') : info,
      outcome: (used) => used === 'default' || used === parameters.seccompProfile ? 'pass' : used === 'unconfined' ? 'warn' : 'manual',
      says: (used) => used === 'default' ? 'The default seccomp profile is the engine\'s'
        : used === 'unconfined' ? 'Containers are not confined by seccomp: the default profile is "unconfined"'
        : used === parameters.seccompProfile ? `The default seccomp profile is ${used}, which the policy approves of`
        : `The default seccomp profile is ${used}: review it, then approve of it with the parameter seccompProfile`,
    });
  },
};
