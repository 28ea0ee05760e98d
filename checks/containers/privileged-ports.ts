import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { na, pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { portName, publishedPorts } from './ports.ts';

const FIRST_UNPRIVILEGED = 1024;

export const check: Check<null> = {
  id: 'container.privileged-ports',
  title: 'No port of the host below 1024 is published',
  rationale: 'Clients trust that only root listens there, and services of the host want those ports: a container that takes one stands in for them.',
  evidence: 'inspect: NetworkSettings.Ports, HostConfig.PortBindings',
  passes: 'Every published port of the host is 1024 or above. A front end that needs 80 or 443 is to be waived.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(8, 'd1.11', { 'd1.6': '5.8' }),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const published = publishedPorts(container);
    if ('none' in published) return na(container.target, published.none);
    const low = published.ports.filter(({ from }) => from > 0 && from < FIRST_UNPRIVILEGED);
    return low.length > 0 ? warn(container.target, `Published on privileged ports: ${listNames(low.map(portName))}`, null)
      : pass(container.target, published.ports.length === 0 ? 'It publishes no port' : 'No privileged port is published');
  }),
};
