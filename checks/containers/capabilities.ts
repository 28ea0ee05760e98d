import { listNames } from '../../src/daemon/containers.ts';
import type { Check, ContainerSecurity } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, heldTo, section5 } from './container.ts';

/** What the engine grants when nothing is chosen (moby, oci/caps). */
export const DEFAULT_CAPABILITIES = [
  'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE', 'NET_RAW', 'SETFCAP', 'SETGID', 'SETPCAP',
  'SETUID', 'SYS_CHROOT',
] as const;
const ALL = 'ALL';

/** The capabilities that the engine makes of the choices; "ALL" stands for those that are not named (moby, caps.TweakCapabilities). */
function granted({ privileged, capAdd, capDrop }: ContainerSecurity): readonly string[] {
  if (privileged) return [ALL];
  // Added ones win over dropped ones, except that ALL leaves out what is dropped by name.
  if (capAdd.includes(ALL)) return [ALL, ...[...DEFAULT_CAPABILITIES, ...capAdd].filter((name) => name !== ALL && !capDrop.includes(name))];
  const kept = capDrop.includes(ALL) ? [] : DEFAULT_CAPABILITIES.filter((name) => !capDrop.includes(name));
  return [...new Set([...kept, ...capAdd])];
}

export const check: Check<null> = {
  id: 'container.capabilities',
  title: 'The container has no more capabilities than it needs',
  rationale: 'Each capability is a part of root\'s power over the kernel. NET_RAW, which the engine grants by default, lets a process forge '
    + 'packets of its neighbours.',
  evidence: 'inspect: HostConfig.CapAdd, HostConfig.CapDrop, HostConfig.Privileged; /proc/PID/status of its first process: CapBnd',
  passes: 'Nothing beyond the engine\'s default set is added, and NET_RAW is dropped; where it runs, the kernel holds it to that.',
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(4, 'd1.11', { 'd1.6': '5.4' }),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { spec: { security }, target } = container;
    const has = granted(security);
    if (security.privileged) return warn(target, 'It is privileged and so has all capabilities', null);
    if (has.includes(ALL)) return warn(target, `All capabilities are added${security.capDrop.length === 0 ? '' : `, except ${listNames(security.capDrop)}`}`, null);
    const beyond = has.filter((name) => name === 'NET_RAW' || !DEFAULT_CAPABILITIES.some((known) => known === name));
    if (beyond.length === 0) {
      const held = heldTo(container);
      if (held?.status === 'unreadable') return unknown(target, `What is in force is not known: ${held.reason}`);
      const more = held?.status === 'present' ? held.value.capabilities.filter((name) => !has.includes(name)) : [];
      if (more.length > 0) return warn(target, `It runs with capabilities that were not declared for it: ${listNames(more)}`, null);
      return pass(target, has.length === 0 ? 'It has no capability' : `Of the default capabilities it keeps ${has.length}, without NET_RAW`);
    }
    const added = beyond.filter((name) => security.capAdd.includes(name));
    return warn(target, added.length === 0 ? 'It keeps the capability NET_RAW, which the engine grants by default'
      : `It has the added ${added.length === 1 ? 'capability' : 'capabilities'} ${listNames(added)}${added.length < beyond.length ? ', and keeps NET_RAW' : ''}`, null);
  }),
};
