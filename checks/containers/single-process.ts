import { listNames } from '../../src/daemon/containers.ts';
import type { Check } from '../../src/model.ts';
import { manual, na, pass, unknown, warn } from '../verdict.ts';
import { eachContainer, isUp } from './container.ts';

/** What only starts others and takes their leavings: it is no service of its own. */
const INITS: ReadonlySet<string> = new Set(['docker-init', 'tini', 'dumb-init', 'catatonit', 'sh', 'bash', 'dash', 'ash']);

export const check: Check<null> = {
  id: 'container.single-process',
  title: 'The container runs one service',
  rationale: 'Several services in one container share its rights, limits and fate: none can be restarted, confined or updated without the others.',
  evidence: 'GET /containers/ID/top: names of programs; shells and small init programs are not counted, workers of one program count once',
  passes: 'All of its processes are of one program.',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: { 'd1.6': '5.3' },
  evaluate: (facts) => eachContainer(facts, ({ facts: { processes }, spec, runtime, target }) => {
    if (!isUp(runtime)) return na(target, 'It does not run');
    if (spec.namespaces.pid === 'host') return na(target, 'Its processes are those of the host');
    if (processes === undefined) return manual(target, 'Which programs run in it, docker top shows');
    if (processes.status !== 'present') return unknown(target, processes.status === 'unreadable' ? processes.reason : 'Its processes are not known');
    const programs = [...new Set(processes.value.map((name) => name.split('/').at(-1) ?? ''))].filter((name) => !INITS.has(name));
    return programs.length > 1 ? warn(target, `Several programs run in it: ${listNames(programs)}`, null) : pass(target, 'All of its processes are of one program');
  }),
};
