import { listNames } from '../../src/daemon/containers.ts';
import { stringList } from '../../src/daemon/registries.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { judgeInForce, mapInForce, option, RELOAD } from '../in-force.ts';

export const check: Check<null> = {
  id: 'daemon.authz-plugin',
  title: 'An authorization plugin decides who may do what with the API',
  rationale: 'Without one, whoever may connect may do everything. A plugin can let a client list containers and still refuse it a '
    + 'privileged one.',
  evidence: 'GET /info: Plugins.Authorization; daemon.json "authorization-plugins", --authorization-plugin',
  passes: 'The running daemon asks a plugin and its next start will; when the policy names plugins, all of them.',
  section: 'daemon',
  severity: 'medium',
  level: 2,
  cis: {
    'd1.11': '2.11', 'd1.12': '2.11', 'd1.13': '2.11', 'ce1.1.0': '2.11', '1.2.0': '2.11', '1.3.1': '2.12',
    '1.4.0': '2.12', '1.5.0': '2.12', '1.6.0': '2.12', '1.7.0': '2.12', '1.8.0': '2.13',
  },
  evaluate(facts, { parameters }) {
    const wanted = parameters.authorizationPlugins ?? [];
    const missing = (plugins: readonly string[]): readonly string[] => wanted.filter((name) => !plugins.includes(name));
    return judgeInForce(mapInForce(option(facts, 'authorization-plugins'), stringList), {
      live: mapObserved(facts.engine.info, ({ authorizationPlugins }) => authorizationPlugins),
      outcome: (plugins) => plugins.length === 0 || missing(plugins).length > 0 ? 'warn' : 'pass',
      says: (plugins) => plugins.length === 0 ? 'No authorization plugin guards the API'
        : missing(plugins).length > 0 ? `The authorization plugin ${listNames(missing(plugins))} that the policy names is not in use`
        : `API calls are authorized by ${listNames(plugins)}`,
      waitsFor: RELOAD,
    });
  },
};
