import type { Change } from '../model.ts';

/** How each kind of change is carried out by each executor, for docs/equivalence.md. */
export interface Equivalence {
  readonly kind: Change['kind'];
  readonly script: string;
  /** What holds it to the end state of `apply`: the end-to-end test that compares hosts, or "unit" where only what is written is tested. */
  readonly test: 'equivalence' | 'unit';
}

export const EQUIVALENCE: readonly Equivalence[] = [
  { kind: 'daemon-config', script: 'splices between digests; validated where `dockerd --validate` is; reloaded, restarted, watched', test: 'equivalence' },
  { kind: 'daemon-flags', script: 'splices between digests, with the daemon\'s restart', test: 'equivalence' },
  { kind: 'audit-rules', script: 'splices, or a new file; `augenrules --load` or `auditctl -R`; the kernel\'s list has the last word', test: 'unit' },
  { kind: 'run-directories', script: 'a new file, or splices', test: 'unit' },
  { kind: 'unit-drop-in', script: 'a new file, or splices; `systemctl daemon-reload`', test: 'unit' },
  { kind: 'metadata', script: 'chown and chmod', test: 'equivalence' },
  { kind: 'group-members', script: 'gpasswd', test: 'equivalence' },
  { kind: 'container', script: '`docker update`; or `docker create` beside the old one, swapped in, started and watched', test: 'equivalence' },
  { kind: 'compose-project', script: 'rehearsed, splices, `docker compose up`, watched', test: 'equivalence' },
  { kind: 'service', script: '`docker service update`, watched, `docker service rollback`; fields without an option are left to apply', test: 'unit' },
  { kind: 'swarm-settings', script: '`docker swarm update`', test: 'unit' },
  { kind: 'removed-containers', script: '`docker rm`, for good', test: 'unit' },
  { kind: 'removed-images', script: '`docker image rm`, for good', test: 'unit' },
];
