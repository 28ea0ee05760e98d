import { check as authzPlugin } from './authz-plugin.ts';
import { check as baseDeviceSize } from './base-device-size.ts';
import { check as cgroupParent } from './cgroup-parent.ts';
import { check as defaultUlimits } from './default-ulimits.ts';
import { check as experimental } from './experimental.ts';
import { check as icc } from './icc.ts';
import { check as insecureRegistries } from './insecure-registries.ts';
import { check as iptables } from './iptables.ts';
import { check as legacyRegistry } from './legacy-registry.ts';
import { check as liveRestore } from './live-restore.ts';
import { check as logLevel } from './log-level.ts';
import { check as lxc } from './lxc.ts';
import { check as noNewPrivileges } from './no-new-privileges.ts';
import { check as noTcp } from './no-tcp.ts';
import { check as registryMirror } from './registry-mirror.ts';
import { check as remoteLogging } from './remote-logging.ts';
import { check as rootless } from './rootless.ts';
import { check as seccompProfile } from './seccomp-profile.ts';
import { check as storageAufs } from './storage-aufs.ts';
import { check as storageDevicemapper } from './storage-devicemapper.ts';
import { check as tls } from './tls.ts';
import { check as userlandProxy } from './userland-proxy.ts';
import { check as usernsRemap } from './userns-remap.ts';
import type { Check } from '../../src/model.ts';

/** Section 2, in the order of the newest edition; retired recommendations last. */
export const daemonChecks: readonly Check[] = [
  rootless, icc, logLevel, iptables, insecureRegistries, storageAufs, storageDevicemapper, tls,
  defaultUlimits, usernsRemap, cgroupParent, baseDeviceSize, authzPlugin, remoteLogging, noNewPrivileges,
  liveRestore, userlandProxy, seccompProfile, experimental, legacyRegistry, lxc, registryMirror, noTcp,
];
