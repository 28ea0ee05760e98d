import { listNames } from '../../src/daemon/containers.ts';
import type { Check, Facts, Observed } from '../../src/model.ts';
import { mapObserved, present } from '../../src/model.ts';
import { na, pass, unknown, warn } from '../verdict.ts';
import type { Container } from './container.ts';
import { eachContainer, section5 } from './container.ts';
import { portName, publishedPorts } from './ports.ts';

const HOST_BINDING = 'com.docker.network.bridge.host_binding_ipv4';

/** 0.0.0.0, :: and its other spellings. */
export const isWildcard = (ip: string): boolean => /^\[?(?:0+(?:\.0+){0,3}|[0:]*::?[0:]*|[0:]*:(?:ffff:)?0+(?:\.0+){3})\]?$/u.test(ip);

/** Whether each network that the container joins binds ports for which no address is chosen to one of its own. */
function boundByNetwork(facts: Facts, { spec }: Container): Observed<boolean> {
  const joined = Object.keys(spec.network.attachments);
  if (joined.length === 0) return present(false);
  return mapObserved(facts.networks, (networks) => joined.every((name) => {
    const options = networks.find((network) => network.name === name)?.options ?? {};
    const address = Object.hasOwn(options, HOST_BINDING) ? options[HOST_BINDING] ?? '' : '';
    return address !== '' && !isWildcard(address);
  }));
}

export const check: Check<null> = {
  id: 'container.bind-interface',
  title: 'Published ports are bound to a chosen address of the host',
  rationale: 'A port that is published on every address is open to every network that the host is in, also where nobody meant to offer it.',
  evidence: 'inspect: NetworkSettings.Ports, HostConfig.PortBindings; GET /networks: host_binding_ipv4',
  passes: 'No port is published on 0.0.0.0 or [::].',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(14, 'd1.11', { 'd1.6': '5.14' }),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { target } = container;
    const published = publishedPorts(container);
    if ('none' in published) return na(target, published.none);
    const open = published.ports.filter(({ ip }) => ip !== '' && isWildcard(ip));
    if (open.length > 0) return warn(target, `Published on every address of the host: ${listNames(open.map(portName))}`, null);
    const unchosen = published.ports.filter(({ ip }) => ip === '');
    if (unchosen.length > 0) {
      const bound = boundByNetwork(facts, container);
      if (bound.status !== 'present') return unknown(target, bound.status === 'unreadable' ? bound.reason : 'The networks of the engine are not known');
      if (!bound.value) return warn(target, `At its next start published on every address of the host: ${listNames(unchosen.map(portName))}`, null);
    }
    return pass(target, published.ports.length === 0 ? 'It publishes no port' : 'Its ports are published on chosen addresses');
  }),
};
