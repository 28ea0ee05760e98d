import { at, list, text } from '../../src/collect/json.ts';
import { seccompProfile } from '../../src/daemon/security-options.ts';
import type { Check, Json } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { asDeclared, eachContainer, heldTo, section5 } from './container.ts';

const ALLOWING = new Set(['SCMP_ACT_ALLOW', 'SCMP_ACT_LOG']);

/** True for a profile that keeps no system call from anybody. */
function allowsEverything(profile: string): boolean {
  let parsed: Json;
  try {
    parsed = JSON.parse(profile) as Json;
  } catch {
    return false;
  }
  return ALLOWING.has(text(at(parsed, 'defaultAction'))) && list(at(parsed, 'syscalls')).every((rule) => ALLOWING.has(text(at(rule, 'action'))));
}

export const check: Check<null> = {
  id: 'container.seccomp',
  title: 'A seccomp profile confines the container',
  rationale: 'The profile keeps processes from system calls that containers do not need and through which attackers reach the kernel.',
  evidence: 'inspect: HostConfig.SecurityOpt, HostConfig.Privileged; GET /info: SecurityOptions name=seccomp; /proc/PID/status of its first process: Seccomp',
  passes: 'The engine\'s profile or one of its own is in force; neither the container, nor --privileged, nor the daemon\'s default turns it off.',
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(22, 'd1.11'),
  evaluate(facts) {
    const { info } = facts.engine;
    const usual = info.status === 'present' ? seccompProfile(info.value) : undefined;
    return eachContainer(facts, (container) => {
      const { spec: { security: { seccomp, privileged } }, target } = container;
      const held = heldTo(container);
      if (seccomp === 'unconfined') return warn(target, 'seccomp is switched off for it', null);
      const own = seccomp === null || seccomp === 'builtin' || seccomp === '' ? null : seccomp;
      if (own !== null && allowsEverything(own)) return warn(target, 'Its own seccomp profile allows every system call', null);
      if (privileged && own === null) return warn(target, 'It is privileged, so seccomp is off', null);
      if (held?.status === 'present' && held.value.seccomp === 'off') return warn(target, 'It runs without seccomp, whatever was declared for it', null);
      if (usual === null) return warn(target, 'seccomp is off: the kernel or the engine has none', null);
      if (usual === undefined) return unknown(target, info.status === 'unreadable' ? info.reason : 'The engine does not say whether it uses seccomp');
      if (privileged) return manual(target, 'It is privileged and has a seccomp profile of its own, which not every engine uses then');
      if (own === null && seccomp === null && usual === 'unconfined') return warn(target, 'seccomp is off: the default profile of the daemon is "unconfined"', null);
      if (held?.status === 'unreadable') return unknown(target, `What is in force is not known: ${held.reason}`);
      const end = asDeclared(container, held);
      if (own !== null) return pass(target, `A seccomp profile of its own confines it${end}`);
      return pass(target, usual === 'default' || seccomp !== null ? `The engine's seccomp profile confines it${end}` : `The daemon's seccomp profile ${usual} confines it${end}`);
    });
  },
};
