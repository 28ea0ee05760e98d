import type { Change } from '../model.ts';

/** How each kind of change is carried out by the script, and by the playbook, which has the script's library; for docs/equivalence.md. */
export interface Equivalence {
  readonly kind: Change['kind'];
  readonly script: string;
  /** The end-to-end test that holds script and playbook to the end state of `apply` on real hosts: `equivalence` on three of them, the others on one host, one after the other. */
  readonly compared: 'equivalence' | 'audit-equivalence' | 'script';
}

/** Who makes a plan: what `apply` leaves, the others have to leave. */
export const EXECUTOR_NAMES = ['apply', 'script', 'playbook'] as const;

export const EQUIVALENCE: readonly Equivalence[] = [
  { kind: 'daemon-config', script: 'splices between digests; validated where `dockerd --validate` is; reloaded, restarted, watched', compared: 'equivalence' },
  { kind: 'daemon-flags', script: 'splices between digests, with the daemon\'s restart', compared: 'equivalence' },
  { kind: 'audit-rules', script: 'splices, or a new file; `augenrules --load` or `auditctl -R`; the kernel\'s list has the last word', compared: 'audit-equivalence' },
  { kind: 'run-directories', script: 'a new file, or splices', compared: 'audit-equivalence' },
  { kind: 'unit-drop-in', script: 'a new file, or splices; `systemctl daemon-reload`', compared: 'script' },
  { kind: 'metadata', script: 'chown and chmod', compared: 'equivalence' },
  { kind: 'group-members', script: 'gpasswd', compared: 'equivalence' },
  { kind: 'container', script: '`docker update`; or `docker create` beside the old one, swapped in, started and watched', compared: 'equivalence' },
  { kind: 'compose-project', script: 'rehearsed, splices, `docker compose up`, watched', compared: 'equivalence' },
  { kind: 'service', script: '`docker service update`, watched, `docker service rollback`; fields without an option are left to apply', compared: 'script' },
  { kind: 'swarm-settings', script: '`docker swarm update`', compared: 'script' },
  { kind: 'removed-containers', script: '`docker rm`, for good', compared: 'script' },
  { kind: 'removed-images', script: '`docker image rm`, for good', compared: 'script' },
];
