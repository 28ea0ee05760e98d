import type { Check } from '../src/model.ts';
import { HOST, manual } from './verdict.ts';

/** Recommendations about what people do: nothing on the host proves or disproves them. */
const review = (check: Omit<Check<never>, 'evidence' | 'passes' | 'evaluate' | 'level' | 'severity'>, task: string): Check<never> => ({
  ...check,
  evidence: 'Nothing that could be read on the host proves it',
  passes: 'Never by itself: a person attests it.',
  severity: 'medium',
  level: 1,
  evaluate: () => [manual(HOST, task)],
});

export const hardened = review({
  id: 'host.hardened',
  title: 'The host follows a hardening baseline of its own',
  rationale: 'Containers share the kernel of the host: whoever gets into the host gets into all of them.',
  section: 'host',
  cis: {
    'd1.6': '1.4', 'd1.11': '1.3', 'd1.12': '1.3', 'd1.13': '1.2', 'ce1.1.0': '1.2', '1.2.0': '1.1.1',
    '1.3.1': '1.2.1', '1.4.0': '1.2.1', '1.5.0': '1.2.1', '1.6.0': '1.2.1', '1.7.0': '1.2.1', '1.8.0': '1.2.1',
  },
}, 'Check the host against the benchmark of its distribution, and see that it gets its updates');

const nonessentialServices = review({
  id: 'host.nonessential-services',
  title: 'The host runs nothing that its containers do not need',
  rationale: 'Every service beside the engine is another way into the host.',
  section: 'host',
  cis: { 'd1.6': '1.5', 'd1.11': '1.4', 'd1.12': '1.4' },
}, 'Review the services of the host');

const devTools = review({
  id: 'host.dev-tools',
  title: 'Production hosts hold no development tools',
  rationale: 'Compilers and build tools help whoever breaks in.',
  section: 'host',
  cis: { 'd1.6': '1.3' },
}, 'Review the packages of the host');

const audits = review({
  id: 'operations.audits',
  title: 'Hosts and containers are audited regularly',
  rationale: 'What nobody looks at drifts from what was agreed on.',
  section: 'operations',
  cis: { 'd1.6': '6.1', 'd1.11': '6.1', 'd1.12': '6.1', 'd1.13': '6.1' },
}, 'See that somebody audits this host at set times');

const monitoring = review({
  id: 'operations.monitoring',
  title: 'Containers are monitored',
  rationale: 'An attack shows in load, traffic and restarts before it shows anywhere else.',
  section: 'operations',
  cis: { 'd1.6': '6.2', 'd1.11': '6.2', 'd1.12': '6.2', 'd1.13': '6.2' },
}, 'See that the containers of this host are monitored');

const endpointProtection = review({
  id: 'operations.epp',
  title: 'The host has protection against malicious code',
  rationale: 'Files that containers write are files of the host.',
  section: 'operations',
  cis: { 'd1.6': '6.3' },
}, 'See that the host is protected against malicious code');

const backup = review({
  id: 'operations.backup',
  title: 'Data of containers is backed up',
  rationale: 'Volumes are lost with their host.',
  section: 'operations',
  cis: { 'd1.6': '6.4', 'd1.11': '6.3', 'd1.12': '6.3', 'd1.13': '6.3' },
}, 'See that the volumes of this host are backed up, and that restoring them was tried');

/** Those that no current edition has. */
export const retiredHostReviews: readonly Check<never>[] = [nonessentialServices, devTools];
export const retiredOperationsReviews: readonly Check<never>[] = [audits, monitoring, endpointProtection, backup];
