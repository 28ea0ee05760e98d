import { check } from '../../checks/daemon/registry-mirror.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { stringList } from '../../src/daemon/registries.ts';
import { fromPolicy, nextValue, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

/** dockerd takes scheme, host and port alone; with anything else it does not start. */
const MIRROR = /^https?:\/\/[A-Za-z0-9.-]+(:\d+)?\/?$|^https?:\/\/\[[0-9a-f:]+\](:\d+)?\/?$/i;

const QUESTION = ask('registryMirrors', null, 'A list, e.g. ["https://mirror.example"]');

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Images of Docker Hub are pulled through the mirror, and from the Hub itself where the mirror does not answer.',
  impact: 'reload',
  risk: 'behaviour',
  parameters: [{ name: 'registryMirrors', description: 'Mirrors to pull through', example: '["https://mirror.example"]' }],
  propose(_, facts, { parameters: { registryMirrors } }) {
    const wanted = registryMirrors ?? [];
    if (wanted.length === 0) return defer('choice', 'Which mirror to trust is for you to say.', '--set registryMirrors=[https://MIRROR]', [QUESTION]);
    const refused = wanted.filter((mirror) => !MIRROR.test(mirror));
    if (refused.length > 0) {
      return defer('guard', `The daemon does not start with ${listNames(refused)}: a mirror is a scheme, a host and a port.`,
        'correct registryMirrors', [QUESTION]);
    }
    const configured = stringList(nextValue(facts, 'registry-mirrors') ?? null);
    const canonical = (mirror: string): string => mirror.replace(/\/$/, '');
    const added = wanted.filter((mirror) => !configured.map(canonical).includes(canonical(mirror)));
    return setKeys(facts, { 'registry-mirrors': [...configured, ...added] }, { impact: 'reload', risk: 'behaviour', undo: 'reload' },
      [fromPolicy('registryMirrors', [...wanted])]);
  },
});
