import { listNames } from '../../src/daemon/containers.ts';
import { isLoopbackRegistry, stringList } from '../../src/daemon/registries.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { judgeInForce, mapInForce, option, RELOAD } from '../in-force.ts';
import { DAEMON, warn } from '../verdict.ts';

export const check: Check<null> = {
  id: 'daemon.insecure-registries',
  title: 'No insecure registry is configured',
  rationale: 'From an insecure registry the daemon takes images over plain HTTP or with any certificate, so whoever sits on the path '
    + 'chooses what runs here.',
  evidence: 'GET /info: RegistryConfig; daemon.json "insecure-registries", --insecure-registry',
  passes: 'Only loopback addresses may be used without a trusted certificate.',
  section: 'daemon',
  severity: 'high',
  level: 1,
  cis: {
    'd1.6': '2.5', 'd1.11': '2.4', 'd1.12': '2.4', 'd1.13': '2.4', 'ce1.1.0': '2.4', '1.2.0': '2.4',
    '1.3.1': '2.5', '1.4.0': '2.5', '1.5.0': '2.5', '1.6.0': '2.5', '1.7.0': '2.5', '1.8.0': '2.5',
  },
  evaluate(facts) {
    const configured = option(facts, 'insecure-registries');
    const exposed = (registries: readonly string[]): string[] => registries.filter((registry) => !isLoopbackRegistry(registry));
    return judgeInForce(mapInForce(configured, stringList), {
      live: mapObserved(facts.engine.info, ({ insecureRegistries }) => insecureRegistries),
      outcome: (registries) => exposed(registries).length > 0 ? 'warn' : 'pass',
      says: (registries) => exposed(registries).length > 0
        ? `Images are taken without a trusted certificate from ${listNames(exposed(registries))}` : 'No registry but loopback ones is '
          + 'insecure',
      waitsFor: RELOAD,
    }).map((verdict) => verdict.pending !== undefined && configured.status === 'present' && configured.value.source === 'default'
      // A reload resets the running list only if the file names one: something is left to write.
      ? warn(DAEMON, 'Insecure registries are still in force, although the configuration names none: a reload does not reset them',
        null) : verdict);
  },
};
