import type { Remediation } from '../../src/model.ts';
import { defer } from '../remedy.ts';
import { remediation as authzPlugin } from './authz-plugin.ts';
import { remediation as baseDeviceSize } from './base-device-size.ts';
import { remediation as cgroupParent } from './cgroup-parent.ts';
import { remediation as defaultUlimits } from './default-ulimits.ts';
import { remediation as experimental } from './experimental.ts';
import { remediation as icc } from './icc.ts';
import { remediation as insecureRegistries } from './insecure-registries.ts';
import { remediation as iptables } from './iptables.ts';
import { remediation as legacyRegistry } from './legacy-registry.ts';
import { remediation as liveRestore } from './live-restore.ts';
import { remediation as logLevel } from './log-level.ts';
import { remediation as lxc } from './lxc.ts';
import { remediation as noNewPrivileges } from './no-new-privileges.ts';
import { remediation as noTcp } from './no-tcp.ts';
import { remediation as registryMirror } from './registry-mirror.ts';
import { remediation as remoteLogging } from './remote-logging.ts';
import { remediation as rootless } from './rootless.ts';
import { remediation as seccompProfile } from './seccomp-profile.ts';
import { remediation as storageAufs } from './storage-aufs.ts';
import { remediation as storageDevicemapper } from './storage-devicemapper.ts';
import { remediation as tls } from './tls.ts';
import { remediation as userlandProxy } from './userland-proxy.ts';
import { remediation as usernsRemap } from './userns-remap.ts';

/** What is configured already needs no edit: the finding says what it waits for. */
const unlessPending = (remediation: Remediation): Remediation => ({
  ...remediation,
  propose: (finding, facts, policy) => finding.pending === undefined
    ? remediation.propose(finding, facts, policy)
    : defer('pending', 'It is configured, but not in force yet.', finding.pending.waitsFor),
});

const all: readonly Remediation[] = [
  rootless, icc, logLevel, iptables, insecureRegistries, storageAufs, storageDevicemapper, tls,
  defaultUlimits, usernsRemap, cgroupParent, baseDeviceSize, authzPlugin, remoteLogging, noNewPrivileges,
  liveRestore, userlandProxy, seccompProfile, experimental, legacyRegistry, lxc, registryMirror, noTcp,
];

/** In the order of daemonChecks. */
export const daemonRemediations: readonly Remediation[] = all.map(unlessPending);
