import { check as apparmorCheck } from '../../checks/containers/apparmor.ts';
import { check as capabilitiesCheck } from '../../checks/containers/capabilities.ts';
import { check as cgroupParentCheck } from '../../checks/containers/cgroup-parent.ts';
import { check as devicesCheck } from '../../checks/containers/devices.ts';
import { hostNamespaceChecks } from '../../checks/containers/host-namespaces.ts';
import { check as hostUsernsCheck } from '../../checks/containers/host-userns.ts';
import { check as noNewPrivilegesCheck } from '../../checks/containers/no-new-privileges.ts';
import { check as privilegedCheck } from '../../checks/containers/privileged.ts';
import { check as seccompCheck } from '../../checks/containers/seccomp.ts';
import { check as selinuxCheck } from '../../checks/containers/selinux.ts';
import * as fixes from './fixes.ts';
import type { ContainerRemediation, Steps } from './steps.ts';
import { containerRemedy } from './steps.ts';

const CONFINED = { name: 'container.confined', description: 'Take away seccomp=unconfined, apparmor=unconfined and label=disable', example: 'true' };

const apparmor = containerRemedy(apparmorCheck, {
  fix: fixes.confined('security.apparmor'),
  mode: 'choice',
  parameters: [CONFINED],
  effect: 'Its processes are kept from what the profile does not allow.',
  steps: {
    run: 'without --privileged and --security-opt apparmor=unconfined, so that docker-default is used',
    compose: 'remove privileged and "apparmor:unconfined" from security_opt', service: null,
  },
  because: 'What the container does that the profile forbids, only a trial shows (aa-complain, then the kernel\'s log).',
});

const selinux = containerRemedy(selinuxCheck, {
  fix: fixes.labelled,
  mode: 'choice',
  parameters: [CONFINED],
  effect: 'Its processes reach only files that carry their label: mounts of the host need :z or :Z.',
  steps: {
    run: 'without --privileged and --security-opt label=disable, after "selinux-enabled": true is in force in the daemon',
    compose: 'remove privileged and "label:disable" from security_opt, and give bind mounts :z or :Z', service: null,
  },
  because: 'Which files of the host have to be labelled anew, only the audit log of a trial in permissive mode shows.',
});

const capabilities = containerRemedy(capabilitiesCheck, {
  fix: fixes.capabilities,
  mode: 'auto',
  parameters: [{ name: 'container.capabilities', description: 'What it keeps when all are dropped', example: '[CHOWN, SETUID, SETGID, NET_BIND_SERVICE]' }],
  effect: 'What needs a capability that is gone fails with "operation not permitted".',
  steps: { run: 'with --cap-drop ALL and a --cap-add for each capability that it needs', compose: 'cap_drop: [ALL] and cap_add with what it needs', service: '--cap-drop ALL --cap-add NEEDED' },
  because: 'Which capabilities it uses cannot be seen from what it has; often NET_BIND_SERVICE, CHOWN, SETUID and SETGID are enough.',
});

const privileged = containerRemedy(privilegedCheck, {
  effect: 'It loses all devices and capabilities that are not granted one by one.',
  steps: { run: 'without --privileged, with the --cap-add and --device that it needs', compose: 'privileged: false, with cap_add and devices for what it needs', service: null },
  because: 'What it needs of the host\'s power cannot be seen from outside.',
});

const NAMESPACES: Readonly<Record<string, Pick<Parameters<typeof containerRemedy>[1], 'effect' | 'because'> & { readonly steps: Steps; readonly kind: 'network' | 'pid' | 'ipc' | 'uts' }>> = {
  'container.host-network': {
    kind: 'network',
    effect: 'It gets an address of its own; what it listens on has to be published, and services on the host\'s loopback are out of its reach.',
    steps: { run: 'with --network NAME and a -p for each port that it serves, instead of --network host', compose: 'networks and ports instead of network_mode: host', service: '--network-rm host --network-add NAME' },
    because: 'Which ports and which services of the host it needs, only its owner knows.',
  },
  'container.host-pid': {
    kind: 'pid',
    effect: 'It no longer sees the processes of the host.',
    steps: { run: 'without --pid host', compose: 'remove pid: host', service: null },
    because: 'Monitoring agents need the host\'s processes: waive those.',
  },
  'container.host-ipc': {
    kind: 'ipc',
    effect: 'It no longer shares memory with processes of the host.',
    steps: { run: 'without --ipc host (--shm-size where it needs more than 64 MiB, --ipc container:NAME to share with another container)', compose: 'remove ipc: host (shm_size where it needs more)', service: null },
    because: 'With whom it shares memory, only its owner knows.',
  },
  'container.host-uts': {
    kind: 'uts',
    effect: 'It has a hostname of its own.',
    steps: { run: 'without --uts host (--hostname NAME where it needs one)', compose: 'remove uts: host (hostname where it needs one)', service: null },
    because: 'Whether it relies on the name of the host, only its owner knows.',
  },
};

const hostNamespaces = hostNamespaceChecks.flatMap((check) => {
  const advice = NAMESPACES[check.id];
  return advice === undefined ? [] : [containerRemedy(check, {
    ...advice,
    fix: fixes.privateNamespace(advice.kind),
    mode: 'choice',
    parameters: [
      { name: 'container.privateNamespaces', description: 'Namespaces of the host that it gives up', example: `[${advice.kind}]` },
      ...(advice.kind === 'network' ? [
        { name: 'container.network', description: 'The network that it moves to', example: 'backend' },
        { name: 'container.publish', description: 'The ports that it publishes then, as for docker run -p; [] for none', example: '["127.0.0.1:8080:80"]' },
      ] : []),
    ],
    steps: { ...advice.steps, run: `${advice.steps.run}; where it uses the namespace of another container, change that one` },
  })];
});

const devices = containerRemedy(devicesCheck, {
  fix: fixes.withoutDevices,
  mode: 'choice',
  parameters: [
    { name: 'container.withoutDevices', description: 'Devices that are taken away', example: '[/dev/fuse]' },
    { name: 'container.withoutMounts', description: 'Mount points in it that are taken away, where devices are mounted', example: '[/dev/bus]' },
  ],
  effect: 'It no longer reaches the devices.',
  steps: { run: 'without --device, --gpus and --device-cgroup-rule, or with fewer permissions than rwm', compose: 'remove devices, device_cgroup_rules and deploy.resources.reservations.devices, or narrow them', service: null },
  because: 'Which devices it needs, only its owner knows; waive those that it does.',
});

const seccomp = containerRemedy(seccompCheck, {
  fix: fixes.confined('security.seccomp'),
  mode: 'choice',
  parameters: [CONFINED],
  effect: 'System calls that the profile does not allow fail.',
  steps: { run: 'without --privileged and --security-opt seccomp=unconfined', compose: 'remove privileged and "seccomp:unconfined" from security_opt', service: null },
  because: 'Which system calls it makes, only a trial shows. Where the daemon\'s default is "unconfined", change that first (daemon.seccomp-profile).',
});

const cgroupParent = containerRemedy(cgroupParentCheck, {
  fix: fixes.defaultCgroup,
  mode: 'choice',
  parameters: [{ name: 'container.defaultCgroup', description: 'Take it out of the cgroup that somebody chose', example: 'true' }],
  effect: 'It comes under the limits of the default cgroup.',
  steps: { run: 'without --cgroup-parent', compose: 'remove cgroup_parent', service: null },
  because: 'Somebody chose this cgroup: where that is meant, approve of it with the parameter cgroupParent.',
});

const noNewPrivileges = containerRemedy(noNewPrivilegesCheck, {
  fix: fixes.noNewPrivileges,
  mode: 'auto',
  parameters: [{ name: 'container.noNewPrivileges', description: 'Switch it on where somebody switched it off', example: 'true' }],
  effect: 'Setuid programs in it, such as sudo and ping, no longer give more rights.',
  steps: { run: 'with --security-opt no-new-privileges', compose: 'security_opt: [no-new-privileges:true]', service: null },
  because: 'Whether it uses setuid programs, only a trial shows. A service gets it from the daemon\'s no-new-privileges.',
});

const hostUserns = containerRemedy(hostUsernsCheck, {
  fix: fixes.privateNamespace('userns'),
  mode: 'choice',
  parameters: [{ name: 'container.privateNamespaces', description: 'Namespaces of the host that it gives up', example: '[userns]' }],
  effect: 'Its users become users without rights on the host; files that it shares with the host change their owners.',
  steps: { run: 'without --userns host', compose: 'remove userns_mode: host', service: null },
  because: 'A privileged container and one on the host\'s network need the host\'s user namespace: change that first.',
});

/** What keeps a container apart from the host and its kernel. */
export const isolationRemediations: readonly ContainerRemediation[] = [
  apparmor, selinux, capabilities, privileged, ...hostNamespaces, devices, seccomp, cgroupParent, noNewPrivileges, hostUserns,
];
