import { defaultBridge, releaseOfDefaultBridge } from '../../src/daemon/containers.ts';
import { daemonSetting } from '../../src/daemon/settings.ts';
import type { Check, Facts, Json, NetworkFacts, Observed, Verdict } from '../../src/model.ts';
import { absent, mapObserved, present, unreadable } from '../../src/model.ts';
import { judgeInForce, mapInForce, options } from '../in-force.ts';
import { DAEMON, manual, pass, unknown } from '../verdict.ts';

type Traffic = 'open' | 'blocked' | 'no bridge';

const ENABLE_ICC = 'com.docker.network.bridge.enable_icc';

const SAYS: Readonly<Record<Traffic, string>> = {
  open: 'Containers on the default bridge can reach each other',
  blocked: 'Containers on the default bridge cannot reach each other',
  'no bridge': 'There is no default bridge',
};

const configured = ({ icc, bridge }: Readonly<Record<'icc' | 'bridge', Json>>): Traffic => {
  if (bridge === 'none') return 'no bridge';
  return icc === false ? 'blocked' : 'open';
};

function live(bridge: Observed<NetworkFacts>): Observed<Traffic> {
  if (bridge.status === 'absent') return present('no bridge');
  if (bridge.status === 'unreadable') return bridge;
  const enabled = bridge.value.options[ENABLE_ICC];
  if (enabled === 'true') return present('open');
  return enabled === 'false' ? present('blocked') : unreadable(`the network "bridge" does not say ${ENABLE_ICC}`);
}

/** Traffic is blocked by iptables rules; over IPv6 only if the daemon manages ip6tables. */
function overIpv6(facts: Facts, bridge: Observed<NetworkFacts>, verdict: Verdict<null>): Verdict<null> {
  if (verdict.outcome !== 'pass' || bridge.status !== 'present' || !bridge.value.ipv6) return verdict;
  const ip6tables = daemonSetting(facts, 'ip6tables');
  const inForce = ip6tables.status === 'present'
    ? mapObserved(ip6tables.value.now, (now) => now === true && ip6tables.value.next.value === true) : absent;
  if (inForce.status !== 'present') {
    return unknown(DAEMON, 'Traffic over IPv4 is blocked, but the default bridge has IPv6 and whether the daemon manages ip6tables is '
      + 'not known');
  }
  return inForce.value ? pass(DAEMON, verdict.message)
    : manual(DAEMON, 'Traffic over IPv4 is blocked, but the default bridge has IPv6 and the daemon does not manage ip6tables: another '
      + 'firewall has to block it');
}

export const check: Check<null> = {
  id: 'daemon.icc',
  title: 'Containers on the default bridge cannot reach each other',
  rationale: 'Every container that names no network joins the default bridge; one that is broken into can attack all the others there, '
    + 'on any port. Those that belong together share a network of their own.',
  evidence: `GET /networks: ${ENABLE_ICC} of "bridge"; daemon.json "icc", --icc`,
  passes: 'The running default bridge blocks traffic between containers, and so does the one that the next daemon start makes.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.6': '2.2', 'd1.11': '2.1', 'd1.12': '2.1', 'd1.13': '2.1', 'ce1.1.0': '2.1', '1.2.0': '2.1',
    '1.3.1': '2.2', '1.4.0': '2.2', '1.5.0': '2.2', '1.6.0': '2.2', '1.7.0': '2.2', '1.8.0': '2.2',
  },
  evaluate(facts) {
    const bridge = defaultBridge(facts);
    return judgeInForce<Traffic>(mapInForce(options(facts, ['icc', 'bridge']), configured), {
      live: live(bridge),
      outcome: (traffic) => traffic === 'open' ? 'warn' : traffic === 'blocked' ? 'pass' : 'na',
      says: (traffic) => SAYS[traffic],
      waitsFor: releaseOfDefaultBridge(facts),
    }).map((verdict) => overIpv6(facts, bridge, verdict));
  },
};
