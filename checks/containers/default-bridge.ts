import type { Check } from '../../src/model.ts';
import { na, pass, warn } from '../verdict.ts';
import { eachContainer, isUp, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.default-bridge',
  title: 'The container is not on the default bridge',
  rationale: 'Everything that names no network meets there, unless icc is off. On a network of their own only those that belong together do.',
  evidence: 'inspect: NetworkSettings.Networks, HostConfig.NetworkMode',
  passes: 'It is on other networks only.',
  section: 'containers',
  severity: 'low',
  level: 2,
  cis: section5(30, 'd1.12'),
  evaluate: (facts) => eachContainer(facts, ({ spec: { namespaces, network }, runtime, target }) => {
    if (namespaces.network.startsWith('container:')) return na(target, 'It uses the network of another container');
    const names = new Set([...Object.keys(network.attachments), ...runtime.networks.map(({ name }) => name)]);
    // A container can be moved while it runs: its first network is then only history. Before a start nothing else tells.
    const byMode = names.size === 0 && !isUp(runtime) && ['', 'default', 'bridge'].includes(namespaces.network);
    return names.has('bridge') || byMode ? warn(target, 'It is on the default bridge', null) : pass(target, 'It is not on the default bridge');
  }),
};
