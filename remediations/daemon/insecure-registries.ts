import { check } from '../../checks/daemon/insecure-registries.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { isLoopbackRegistry, stringList } from '../../src/daemon/registries.ts';
import { valueOf } from '../../src/model.ts';
import { fromPolicy, nextValue, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Images from these registries can be pulled only with a certificate that this host trusts.',
  impact: 'reload',
  risk: 'behaviour',
  parameters: [{
    name: 'insecureRegistries', description: 'Registries that may stay insecure (they still warn, until waived); the others are removed',
    example: '[]',
  }],
  manual: 'Put the certificate of the registry\'s CA at /etc/docker/certs.d/HOST:PORT/ca.crt, pull once to see that it works, then '
    + 'remove the registry from the list.',
  propose(_, facts, { parameters }) {
    const configured = stringList(nextValue(facts, 'insecure-registries') ?? null);
    const live = valueOf(facts.engine.info)?.insecureRegistries ?? [];
    const inUse = new Set([...configured, ...live].filter((registry) => !isLoopbackRegistry(registry)));
    const allowed = parameters.insecureRegistries;
    if (allowed === undefined) {
      return defer('choice', `Pulls from ${listNames([...inUse])} fail until their certificates are trusted here.`,
        '--set insecureRegistries=[]', [ask('insecureRegistries', '[]', 'Those that may stay insecure')]);
    }
    const removed = [...inUse].filter((registry) => !allowed.includes(registry));
    if (removed.length === 0) {
      return defer('choice', `The policy lets ${listNames([...inUse])} stay insecure.`, 'a trusted certificate in /etc/docker/certs.d, '
        + 'or a waiver');
    }
    // Without the key a reload would keep the running list, so it is written even when it is empty.
    const kept = configured.filter((registry) => isLoopbackRegistry(registry) || allowed.includes(registry));
    return setKeys(facts, { 'insecure-registries': kept }, {
      impact: 'reload', risk: 'behaviour', undo: 'reload', note: `Pulls from ${listNames(removed)} fail until their certificates are `
        + `trusted here.`,
    }, [fromPolicy('insecureRegistries', [...allowed])]);
  },
});
