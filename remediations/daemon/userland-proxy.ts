import { check } from '../../checks/daemon/userland-proxy.ts';
import { containersThat, listNames } from '../../src/daemon/containers.ts';
import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Facts, Risk } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { nextValue, setKeys } from '../daemon-keys.ts';
import { defer, remedy } from '../remedy.ts';

const isIpv6 = (ip: string): boolean => ip.includes(':');

/** Only the proxy carries IPv6 clients to a container without an IPv6 address. */
function whoLosesIpv6(facts: Facts): { readonly risk: Risk; readonly note?: string } {
  const { globalIpv6 } = facts.host;
  if (globalIpv6.status === 'present' && !globalIpv6.value) return { risk: 'safe' };
  const affected = containersThat(facts, ({ network }, { ports, networks }) => networks.every(({ ip6 }) => ip6 === '')
    && (ports.length > 0 ? ports.some(({ ip }) => isIpv6(ip))
      : network.publishAll || network.ports.some(({ ip }) => ip === '' || isIpv6(ip))));
  if (affected.status !== 'present') return { risk: 'behaviour', note: 'Which containers publish ports over IPv6 could not be read.' };
  if (affected.value.length === 0) return { risk: 'safe' };
  const reached = globalIpv6.status === 'present' ? 'This host has IPv6' : 'Whether this host has IPv6 could not be read';
  return { risk: 'behaviour', note: `${reached}: the published ports of ${listNames(affected.value)} are no longer reached over it.` };
}

export const remediation = remedy(check, {
  mode: 'auto',
  effect: 'The kernel alone forwards published ports.',
  impact: 'restart',
  risk: 'safe',
  parameters: [],
  propose(_, facts) {
    if (nextValue(facts, 'iptables') === false) {
      return defer('guard', 'The daemon does not manage iptables, so only the proxy forwards published ports.', 'turn "iptables" on first');
    }
    const info = valueOf(facts.engine.info);
    if (info !== undefined && hasSecurityOption(info, 'rootless')) {
      return defer('guard', 'A rootless daemon tells RootlessKit through its proxy which ports to open.', 'a waiver');
    }
    return setKeys(facts, { 'userland-proxy': false }, { impact: 'restart', undo: 'restart', ...whoLosesIpv6(facts) });
  },
});
