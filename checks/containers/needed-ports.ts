import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { manual, na, pass, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { portName, publishedPorts } from './ports.ts';

export const check: Check<null> = {
  id: 'container.needed-ports',
  title: 'Only ports that are needed are published',
  rationale: 'Each published port is a way in from outside. Publishing all opens whatever the image exposes, today and after its next update.',
  evidence: 'inspect: HostConfig.PublishAllPorts, NetworkSettings.Ports, HostConfig.PortBindings',
  passes: 'No port is published. Which of those that are published by name are needed, only a person can say.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(9, 'd1.11', { 'd1.6': '5.9' }),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { spec, target } = container;
    const published = publishedPorts(container);
    if ('none' in published) return na(target, published.none);
    if (spec.network.publishAll) {
      return warn(target, spec.network.exposed.length === 0 ? 'All ports that its image exposes are published'
        : `All exposed ports are published: ${listNames(spec.network.exposed)}`, null);
    }
    return published.ports.length === 0 ? pass(target, 'It publishes no port')
      : manual(target, `Published are ${listNames(published.ports.map(portName))}: see whether all are needed`);
  }),
};
