/**
 * The test bed: real Docker hosts on this machine, made without an image registry and without touching what else runs
 * here. `bed.systemdHost` gives a host that boots systemd; `bed.auditHost` one on which kernel audit rules can be
 * loaded. Both need root; `skipReason` says why a machine cannot have them.
 */
import { findAuditHost, listAuditHosts, upAuditHost, type AuditHost, type AuditHostOptions } from './bed/audit-host.ts';
import { stopEngine } from './bed/engine.ts';
import { currentRun, isRunAlive } from './bed/runs.ts';
import { findSystemdHost, listSystemdHosts, upSystemdHost, type SystemdHost, type SystemdHostOptions } from './bed/systemd-host.ts';

import { skipReason, type HostKind } from './bed/requirements.ts';

export { skipReason, type HostKind };
export type { Suite } from './bed/roots.ts';
export type { TestHost } from './bed/test-host.ts';
export type { AuditHost, SystemdHost };

/** The title of a suite that needs hosts of a kind: says why, where `describe.skipIf(skipReason(kind))` skips it. */
export function titled(title: string, kind: HostKind): string {
  const reason = skipReason(kind);
  return reason === null ? title : `${title} [skipped: ${reason}]`;
}

/** A host that exists, whoever made it: `run` is "hand" or names a test run. */
export interface HostEntry {
  name: string;
  kind: HostKind;
  run: string;
  state: string;
}

export const bed = {
  /** Boots a systemd host (a few seconds; the first one of a Debian release a minute or two). */
  systemdHost: (options: SystemdHostOptions): Promise<SystemdHost> => upSystemdHost(options),

  /** Makes the machine's one audit host; waits while another exists. */
  auditHost: (options: AuditHostOptions): Promise<AuditHost> => upAuditHost(options),

  /** All hosts that exist. */
  async list(): Promise<HostEntry[]> {
    const systemd = (await listSystemdHosts()).map(({ container, run, state }) => ({ name: container, kind: 'systemd' as const, run, state }));
    const audit = (await listAuditHosts()).map(({ name, run, alive }) => ({ name, kind: 'audit' as const, run, state: alive ? 'Up' : 'Killed' }));
    return [...systemd, ...audit];
  },

  /** A host that exists, by the name that `list` gives it. */
  async find(name: string): Promise<SystemdHost | AuditHost | undefined> {
    return (await findSystemdHost(name)) ?? findAuditHost(name);
  },

  /** Stops the outer engine if no host is left in it, unless somebody else started it and is still at it. */
  stopEngine,

  /** Removes the hosts of this test run that its tests did not, and those of runs that were killed; then stops the engine. */
  async cleanUp(): Promise<void> {
    for (const { name, run } of await bed.list()) {
      if (run === currentRun() || !isRunAlive(run)) await (await bed.find(name))?.down();
    }
    await bed.stopEngine();
  },
};
