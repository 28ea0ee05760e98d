import { check } from '../../checks/daemon/iptables.ts';
import { fromPolicy, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'The daemon writes iptables rules of its own, which isolate networks and forward published ports.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{ name: 'iptables', description: 'Let the daemon manage iptables where that is switched off', example: 'true' }],
  manual: 'Find out who switched it off: a firewall that replaces all rules (firewalld, nftables.service, a configuration manager) has '
    + 'to keep the '
    + 'chains DOCKER, DOCKER-USER and DOCKER-ISOLATION-*. Put rules of your own for containers into DOCKER-USER.',
  propose: (_, facts, { parameters }) => parameters.iptables !== true
    ? defer('choice', 'Somebody switched this off, probably for a firewall of their own: its rules and the daemon\'s would meet.',
      '--set iptables=true', [ask('iptables', 'true')])
    : setKeys(facts, { iptables: true }, {
      impact: 'restart', risk: 'behaviour', undo: 'restart', note: 'Published ports become reachable from outside, ahead of the rules in '
        + 'INPUT.',
    }, [fromPolicy('iptables', true)]),
});
