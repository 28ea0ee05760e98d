import type { Check } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, isUp, section5 } from './container.ts';

export const check: Check<null> = {
  id: 'container.healthcheck',
  title: 'The container reports its health, and is healthy',
  rationale: 'A process that hangs still runs: only a health check lets a person or an orchestrator see that a container no longer works.',
  evidence: 'inspect: Config.Healthcheck, State.Health.Status',
  passes: 'A check is defined, by the image or for the container, and does not report "unhealthy".',
  section: 'containers',
  severity: 'low',
  level: 1,
  cis: section5(27, 'd1.12'),
  evaluate: (facts) => eachContainer(facts, ({ spec: { healthcheck, image }, runtime, target }) => {
    const [kind] = healthcheck?.test ?? [];
    if (kind === 'NONE') return warn(target, 'The health check of its image is switched off', null);
    // Without an id nobody looked at the image, which may have one.
    if (kind === undefined && image.id === null) return unknown(target, 'It has no health check of its own, and whether its image has one is not known');
    if (kind === undefined) return warn(target, 'It has no health check', null);
    if (!isUp(runtime)) return pass(target, 'It has a health check, and does not run');
    if (runtime.health === 'unhealthy') return warn(target, 'It is unhealthy', null);
    if (runtime.health === 'starting') return pass(target, 'It reports its health, and is starting');
    return runtime.health === 'healthy' ? pass(target, 'It is healthy')
      : unknown(target, 'It has a health check, but the engine does not report its health');
  }),
};
