import { check } from '../../checks/daemon/seccomp-profile.ts';
import { seccompProfile } from '../../src/daemon/security-options.ts';
import { valueOf } from '../../src/model.ts';
import { setKeys } from '../daemon-keys.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Containers are confined by the engine\'s own seccomp profile when they next start.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'seccompProfile', description: 'Path of a profile that you have reviewed and approve of as the default',
    example: '/etc/docker/seccomp.json' }],
  manual: 'For a profile of your own: put the file in place first (the daemon does not start without it), write "seccomp-profile": '
    + '"PATH" into daemon.json, and restart the daemon.',
  propose(_, facts, { parameters: { seccompProfile: approved } }) {
    const info = valueOf(facts.engine.info);
    if (info !== undefined && seccompProfile(info) === null) {
      return defer('unsupported', 'The kernel has no seccomp, or the engine was built without it.', 'a kernel with CONFIG_SECCOMP_FILTER');
    }
    if (approved !== undefined) {
      return defer('manual', `The policy approves of ${approved}; the daemon does not start when that file is missing, so harden does `
        + `not name it.`,
        `see that ${approved} is there, write "seccomp-profile": "${approved}" into daemon.json, restart the daemon`);
    }
    return setKeys(facts, { 'seccomp-profile': null }, {
      impact: 'restart', risk: 'behaviour', undo: 'restart', note: 'A container that needs a system call beyond the profile fails at its '
        + 'next start.',
    }, [{ name: 'seccompProfile', value: null, source: 'default', evidence: 'the engine\'s own profile' }]);
  },
});
