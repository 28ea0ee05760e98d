import type { Check, ContainerNamespaces, ContainerSpec, Facts, Observed } from '../../src/model.ts';
import { present, unreadable, valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, referredTo, section5 } from './container.ts';

interface Row {
  readonly id: string;
  readonly kind: keyof ContainerNamespaces;
  readonly field: string;
  readonly name: string;
  readonly rationale: string;
  readonly severity: Check['severity'];
  readonly cis: Check['cis'];
}

const ROWS: readonly Row[] = [
  {
    id: 'container.host-network', kind: 'network', field: 'NetworkMode', name: 'network', severity: 'high', cis: section5(10, 'd1.11', { 'd1.6': '5.10' }),
    rationale: 'A process in it can listen on any port of the host, reach services that listen on loopback only, and see all traffic.',
  },
  {
    id: 'container.host-pid', kind: 'pid', field: 'PidMode', name: 'process', severity: 'high', cis: section5(16, 'd1.11', { 'd1.6': '5.16' }),
    rationale: 'A process in it sees all processes of the host, their arguments and environments, and as root can end or trace them.',
  },
  {
    id: 'container.host-ipc', kind: 'ipc', field: 'IpcMode', name: 'IPC', severity: 'medium', cis: section5(17, 'd1.11', { 'd1.6': '5.17' }),
    rationale: 'A process in it can read and change the shared memory, semaphores and message queues of the host\'s processes.',
  },
  {
    id: 'container.host-uts', kind: 'uts', field: 'UTSMode', name: 'UTS', severity: 'low', cis: section5(21, 'd1.11'),
    rationale: 'A process in it with the right to do so changes the name of the host.',
  },
];

/** Whether a namespace is the host's, directly or through other containers that share theirs. */
function isOfHost(facts: Facts, spec: ContainerSpec, kind: Row['kind']): Observed<boolean> {
  let mode = spec.namespaces[kind];
  const seen = new Set<string>();
  for (;;) {
    if (mode === 'host') return present(true);
    if (!mode.startsWith('container:')) return present(false);
    const reference = mode.slice('container:'.length);
    const other = valueOf(referredTo(facts, reference)?.spec);
    if (other === undefined || seen.has(reference)) return unreadable(`it shares the namespace of the container ${reference}, which could not be inspected`);
    seen.add(reference);
    mode = other.namespaces[kind];
  }
}

export const hostNamespaceChecks: readonly Check<null>[] = ROWS.map(({ id, kind, field, name, rationale, severity, cis }) => ({
  id,
  title: `The container does not share the ${name} namespace of the host`,
  rationale,
  evidence: `inspect: HostConfig.${field}, followed through "container:…"`,
  passes: `The ${name} namespace is not the host's, neither directly nor through another container.`,
  section: 'containers',
  severity,
  level: 1,
  cis,
  evaluate: (facts) => eachContainer(facts, ({ spec, target }) => {
    const shared = isOfHost(facts, spec, kind);
    if (shared.status !== 'present') return unknown(target, shared.status === 'unreadable' ? shared.reason : 'The namespace is not known');
    if (!shared.value) return pass(target, `It does not share the ${name} namespace of the host`);
    return warn(target, `It shares the ${name} namespace of the host${spec.namespaces[kind] === 'host' ? '' : `, through ${spec.namespaces[kind]}`}`, null);
  }),
}));
