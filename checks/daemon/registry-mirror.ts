import { listNames } from '../../src/daemon/containers.ts';
import { stringList } from '../../src/daemon/registries.ts';
import type { Check } from '../../src/model.ts';
import { mapObserved } from '../../src/model.ts';
import { judgeInForce, mapInForce, option, RELOAD } from '../in-force.ts';

/** The daemon reports mirrors with a final slash. */
const canonical = (mirror: string): string => mirror.replace(/\/+$/, '');

export const check: Check<null> = {
  id: 'daemon.registry-mirror',
  title: 'Images are pulled through a mirror of one\'s own',
  rationale: 'A mirror keeps pulls working when the public registry does not, and is the place where images can be held back. Whether a '
    + 'site wants one is its choice.',
  evidence: 'GET /info: RegistryConfig.Mirrors; daemon.json "registry-mirrors", --registry-mirror',
  passes: 'A mirror is in use and will be after the next start; when the policy names mirrors, all of them.',
  section: 'daemon',
  severity: 'low',
  level: 1,
  cis: { 'd1.6': '2.6' },
  evaluate(facts, { parameters }) {
    const wanted = (parameters.registryMirrors ?? []).map(canonical);
    const missing = (mirrors: readonly string[]): readonly string[] => wanted.filter((mirror) => !mirrors.includes(mirror));
    return judgeInForce(mapInForce(option(facts, 'registry-mirrors'), (value) => stringList(value).map(canonical)), {
      live: mapObserved(facts.engine.info, ({ registryMirrors }) => registryMirrors.map(canonical)),
      outcome: (mirrors) => missing(mirrors).length > 0 ? 'warn' : mirrors.length === 0 ? 'manual' : 'pass',
      says: (mirrors) => missing(mirrors).length > 0 ? `Images are not pulled through ${listNames(missing(mirrors))}, which the policy `
        + `names`
        : mirrors.length === 0 ? 'No registry mirror is configured, and the policy names none' : `Images are pulled through `
          + listNames(mirrors),
      waitsFor: RELOAD,
    });
  },
};
