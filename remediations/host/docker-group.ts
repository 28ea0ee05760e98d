import { check } from '../../checks/host/docker-group.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { ask, defer, edits, remedy } from '../remedy.ts';

export const dockerGroup = remedy(check, {
  mode: 'choice',
  effect: 'The account can no longer reach the engine; sessions that are open keep the group until they end.',
  impact: 'none',
  risk: 'behaviour',
  parameters: [{ name: 'trustedUsers', description: 'Accounts that may be in the group docker: they are root on this host. Once it is set, the others are taken out of the group', example: '[deploy]' }],
  manual: '`gpasswd -d USER docker`, or, where docker is the primary group, `usermod -g GROUP USER`; the account logs in again.',
  propose({ detail: { user, primary, groups } }, _facts, { parameters: { trustedUsers } }) {
    const trust = `name ${user} in the parameter trustedUsers (--trusted-users)`;
    if (primary) {
      return defer('manual', `docker is the primary group of ${user}: which one is to be that instead is for a person to say.`, `either ${trust}, or run: usermod -g GROUP ${user}`);
    }
    if (trustedUsers === undefined) {
      return defer('choice', `Whether ${user} may be root on this host is not for harden to decide.`,
        `name all accounts that may be root in the parameter trustedUsers (--trusted-users): harden takes the others out of the group; or run: gpasswd -d ${user} docker`,
        [ask('trustedUsers', null, 'A list of all accounts that may be root on this host, as in [deploy]; [] for none: the others are taken out of the group')]);
    }
    return edits(
      groups.map((group) => ({ kind: 'removeGroupMember', group, user, impact: 'none', risk: 'behaviour', undo: 'none', note: `${user} is not among the trusted users.` })),
      [{ name: 'trustedUsers', value: [...trustedUsers], source: 'policy', evidence: `${user} is a member of ${listNames(groups)}` }],
    );
  },
});
