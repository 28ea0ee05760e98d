import type { Change } from '../model.ts';

/** How each kind of change is carried out by each executor, for docs/equivalence.md. */
export interface Equivalence {
  readonly kind: Change['kind'];
  readonly script: string;
  /** Whether the end-to-end test that compares hosts holds it to the end state of `apply`. */
  readonly compared: boolean;
  /** Another test holds it to that, on one host: the script, back again, then `apply`. */
  readonly inTurn?: true;
}

export const EQUIVALENCE: readonly Equivalence[] = [
  { kind: 'daemon-config', script: 'splices between digests; validated where `dockerd --validate` is; reloaded, restarted, watched', compared: true },
  { kind: 'daemon-flags', script: 'splices between digests, with the daemon\'s restart', compared: true },
  { kind: 'audit-rules', script: 'splices, or a new file; `augenrules --load` or `auditctl -R`; the kernel\'s list has the last word', compared: false },
  { kind: 'run-directories', script: 'a new file, or splices', compared: false },
  { kind: 'unit-drop-in', script: 'a new file, or splices; `systemctl daemon-reload`', compared: false, inTurn: true },
  { kind: 'metadata', script: 'chown and chmod', compared: true },
  { kind: 'group-members', script: 'gpasswd', compared: true },
  { kind: 'container', script: '`docker update`; or `docker create` beside the old one, swapped in, started and watched', compared: true },
  { kind: 'compose-project', script: 'rehearsed, splices, `docker compose up`, watched', compared: true },
  { kind: 'service', script: '`docker service update`, watched, `docker service rollback`; fields without an option are left to apply', compared: false, inTurn: true },
  { kind: 'swarm-settings', script: '`docker swarm update`', compared: false, inTurn: true },
  { kind: 'removed-containers', script: '`docker rm`, for good', compared: false, inTurn: true },
  { kind: 'removed-images', script: '`docker image rm`, for good', compared: false, inTurn: true },
];
