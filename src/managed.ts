/** Files that harden writes as a whole, under names of its own, so that nobody else's text is ever mixed with ours. */

/** Sorts after a distribution's 10-… and before 99-finalize (augenrules(8) loads in version order). */
export const AUDIT_DROP_IN = '/etc/audit/rules.d/50-docker-harden.rules';

/** tmpfiles.d(5): directories below /run that must exist before auditd loads its rules. */
export const TMPFILES_DROP_IN = '/etc/tmpfiles.d/docker-harden.conf';

/** systemd.unit(5): a drop-in below /etc sorts with the others by its file name, whatever directory they are in. */
export const unitDropInPath = (unit: string): string => `/etc/systemd/system/${unit}.d/zz-docker-harden.conf`;

/** Every managed path that a collector reads whole. */
export const MANAGED_PATHS: readonly string[] = [
  AUDIT_DROP_IN, TMPFILES_DROP_IN, unitDropInPath('docker.service'), unitDropInPath('docker.socket'),
];
