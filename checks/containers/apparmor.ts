import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { na, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, isUp, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.apparmor',
  title: 'An AppArmor profile confines the container where the kernel has AppArmor',
  rationale: 'The profile keeps a process that is root in its container from files of /proc and /sys and from mounts that lead to the host.',
  evidence: 'inspect: AppArmorProfile, HostConfig.SecurityOpt, HostConfig.Privileged; the active LSMs of the kernel; GET /info: SecurityOptions',
  passes: 'A profile other than "unconfined" is in force, or will be at the first start.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(2, 'd1.6'),
  evaluate(facts) {
    const { host: { lsm }, engine: { info } } = facts;
    return eachContainer(facts, ({ spec: { security }, runtime, target }) => {
      // The engine reports AppArmor only where the kernel has it.
      const engineHasIt = info.status === 'present' ? hasSecurityOption(info.value, 'apparmor') : undefined;
      const supported = lsm.status === 'present' ? lsm.value.includes('apparmor') : engineHasIt === true ? true : undefined;
      if (supported === undefined) return unknown(target, lsm.status === 'unreadable' ? lsm.reason : 'The security modules of the kernel are not known');
      if (!supported) return na(target, 'The kernel has no AppArmor');
      if (security.apparmor === 'unconfined') return warn(target, 'AppArmor is switched off for it', null);
      const inForce = runtime.applied?.apparmor;
      if (security.privileged && security.apparmor === null && (inForce ?? '') === '') {
        return warn(target, 'It is privileged, so no AppArmor profile confines it', null);
      }
      if (inForce === 'unconfined') return warn(target, 'It is not confined by AppArmor', null);
      if (inForce !== undefined && inForce !== '') return pass(target, `The AppArmor profile ${inForce} confines it`);
      if (engineHasIt === false) return warn(target, 'The kernel has AppArmor, but the engine does not use it', null);
      if (inForce === undefined) return unknown(target, 'The AppArmor profile in force was not recorded');
      if (isUp(runtime)) return warn(target, 'It runs without an AppArmor profile', null);
      if (engineHasIt === undefined) return unknown(target, 'Whether the engine uses AppArmor is not known');
      return pass(target, `It will start with the AppArmor profile ${security.apparmor ?? 'docker-default'}`);
    });
  },
};
