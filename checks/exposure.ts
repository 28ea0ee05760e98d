import { daemonSetting } from '../src/daemon/settings.ts';
import type { Exposure } from '../src/daemon/listeners.ts';
import { exposureOf } from '../src/daemon/listeners.ts';
import type { Facts, Observed } from '../src/model.ts';
import { present } from '../src/model.ts';
import type { InForce } from './in-force.ts';
import { options } from './in-force.ts';

/** On which TCP addresses the API is, and will be, served. */
export function exposure(facts: Facts): Observed<InForce<Exposure>> {
  const all = options(facts, ['hosts', 'tls', 'tlsverify']);
  if (all.status !== 'present') return all;
  const tlsverify = daemonSetting(facts, 'tlsverify');
  const explicit = tlsverify.status === 'present' && tlsverify.value.next.source !== 'default';
  const { next, now, source } = all.value;
  const later = exposureOf(next.hosts, next.tls === true || next.tlsverify === true || explicit, next.tlsverify === true, facts);
  if (later.status !== 'present') return later;
  return present({
    next: later.value,
    now: now.status === 'present'
      ? exposureOf(now.value.hosts, now.value.tls === true || now.value.tlsverify === true, now.value.tlsverify === true, facts) : now,
    source,
  });
}
