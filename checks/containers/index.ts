import type { Check } from '../../src/model.ts';
import { check as apparmor } from './apparmor.ts';
import { check as bindInterface } from './bind-interface.ts';
import { check as capabilities } from './capabilities.ts';
import { check as cgroupParent } from './cgroup-parent.ts';
import { check as cpuShares } from './cpu-shares.ts';
import { check as defaultBridge } from './default-bridge.ts';
import { check as devices } from './devices.ts';
import { check as dockerSocket } from './docker-socket.ts';
import { execChecks } from './execs.ts';
import { check as healthcheck } from './healthcheck.ts';
import { hostNamespaceChecks } from './host-namespaces.ts';
import { check as hostUserns } from './host-userns.ts';
import { check as imagePinning } from './image-pinning.ts';
import { check as logRotation } from './log-rotation.ts';
import { check as memoryLimit } from './memory-limit.ts';
import { check as mountPropagation } from './mount-propagation.ts';
import { check as neededPorts } from './needed-ports.ts';
import { check as noNewPrivileges } from './no-new-privileges.ts';
import { check as pidsLimit } from './pids-limit.ts';
import { check as privileged } from './privileged.ts';
import { check as privilegedPorts } from './privileged-ports.ts';
import { check as readonlyRootfs } from './readonly-rootfs.ts';
import { check as restartPolicy } from './restart-policy.ts';
import { check as seccomp } from './seccomp.ts';
import { check as selinux } from './selinux.ts';
import { check as sensitiveMounts } from './sensitive-mounts.ts';
import { check as singleProcess } from './single-process.ts';
import { check as sshd } from './sshd.ts';
import { check as swarm } from './swarm.ts';
import { check as ulimits } from './ulimits.ts';

const OWN = 1000;
const place = ({ cis }: Check): number => Number(cis['1.8.0']?.split('.')[1] ?? OWN);

const all: readonly Check[] = [
  swarm, apparmor, selinux, capabilities, privileged, sensitiveMounts, sshd, privilegedPorts, neededPorts, ...hostNamespaceChecks, memoryLimit,
  cpuShares, readonlyRootfs, bindInterface, restartPolicy, devices, ulimits, mountPropagation, seccomp, ...execChecks, cgroupParent,
  noNewPrivileges, healthcheck, imagePinning, pidsLimit, defaultBridge, hostUserns, dockerSocket, logRotation, singleProcess,
];

/** Section 5 of the benchmark in its order; our own, and what only an older edition has, last. */
export const containerChecks: readonly Check[] = all.toSorted((a, b) => place(a) - place(b));
