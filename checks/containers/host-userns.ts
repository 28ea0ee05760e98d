import { hasSecurityOption } from '../../src/daemon/security-options.ts';
import type { Check } from '../../src/model.ts';
import { na, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.host-userns',
  title: 'The container does not leave the remapped user namespace',
  rationale: 'Where the daemon remaps users, a container that opts out has the host\'s root as its root.',
  evidence: 'inspect: HostConfig.UsernsMode; GET /info: SecurityOptions name=userns or name=rootless',
  passes: 'The daemon remaps users or is rootless, and the container does not opt out.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(31, 'd1.12'),
  evaluate(facts) {
    const { info } = facts.engine;
    return eachContainer(facts, ({ spec: { namespaces: { userns } }, target }) => {
      const rootless = info.status === 'present' && hasSecurityOption(info.value, 'rootless');
      if (rootless) return pass(target, 'The daemon is rootless: all containers are in its user namespace');
      const remapped = info.status === 'present' && hasSecurityOption(info.value, 'userns');
      if (userns === 'host') {
        return warn(target, remapped ? 'It opts out of user namespace remapping: its root is the host\'s'
          : 'It asks for the user namespace of the host, and would leave a remapped one', null);
      }
      if (info.status !== 'present') return unknown(target, info.status === 'unreadable' ? info.reason : 'Whether users are remapped is not known');
      return remapped ? pass(target, 'Its users are remapped')
        : na(target, 'Users are not remapped, so every container is in the user namespace of the host (daemon.userns-remap)');
    });
  },
};
