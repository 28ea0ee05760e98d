import { check } from '../../checks/host/docker-group.ts';
import { defer, remedy } from '../remedy.ts';

export const dockerGroup = remedy(check, {
  mode: 'choice',
  effect: 'The account can no longer reach the engine; sessions that are open keep the group until they end.',
  impact: 'none',
  risk: 'behaviour',
  parameters: [{ name: 'trustedUsers', description: 'Accounts that may be in the group docker: they are root on this host', example: '[deploy]' }],
  manual: '`gpasswd -d USER docker`, or, where docker is the primary group, `usermod -g GROUP USER`; the account logs in again.',
  propose({ detail: { user, primary } }, _facts, { parameters: { trustedUsers } }) {
    const step = primary ? `usermod -g GROUP ${user}` : `gpasswd -d ${user} docker`;
    const trust = `name ${user} in the parameter trustedUsers (--trusted-users)`;
    return defer('choice', `Whether ${user} may be root on this host is not for harden to decide${trustedUsers === undefined ? '' : ', and the trusted users do not include this account'}.`,
      `either ${trust}, or run: ${step}`);
  },
});
