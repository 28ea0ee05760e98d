import { check } from '../../checks/daemon/authz-plugin.ts';
import { defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'manual',
  effect: 'A plugin is asked about every API call; while it does not answer, every call is refused.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'authorizationPlugins', description: 'Plugins that must be in use for the check to pass',
    example: '[opa-docker-authz]' }],
  manual: 'Install a plugin and enable it (docker plugin install NAME; docker plugin ls shows ENABLED true), write '
    + '"authorization-plugins": ["NAME"] into daemon.json, and '
    + 'restart the daemon. Never reload a daemon with a plugin that does not answer: it exits.',
  propose: (_finding, _facts, { parameters: { authorizationPlugins: [name] = [] } }) => defer('manual',
    'It needs a plugin, and a daemon that names one which does not answer stops; whether one would answer cannot be seen beforehand.',
    `install and enable ${name ?? 'a plugin'}, write "authorization-plugins": ["${name ?? 'NAME'}"] into daemon.json, restart the daemon`),
});
