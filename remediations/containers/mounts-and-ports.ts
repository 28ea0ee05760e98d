import { check as bindInterfaceCheck } from '../../checks/containers/bind-interface.ts';
import { check as defaultBridgeCheck } from '../../checks/containers/default-bridge.ts';
import { check as dockerSocketCheck } from '../../checks/containers/docker-socket.ts';
import { check as mountPropagationCheck } from '../../checks/containers/mount-propagation.ts';
import { check as neededPortsCheck } from '../../checks/containers/needed-ports.ts';
import { check as privilegedPortsCheck } from '../../checks/containers/privileged-ports.ts';
import type { MountDetail } from '../../checks/containers/sensitive-mounts.ts';
import { check as sensitiveMountsCheck } from '../../checks/containers/sensitive-mounts.ts';
import { listNames } from '../../src/daemon/containers.ts';
import * as fixes from './fixes.ts';
import type { ContainerRemediation, Steps } from './steps.ts';
import { containerRemedy } from './steps.ts';

const without = ({ targets }: MountDetail): Partial<Steps> => ({
  run: `without what is mounted at ${listNames(targets)}`,
  compose: `remove what volumes mounts at ${listNames(targets)}`,
});

const sensitiveMounts = containerRemedy(sensitiveMountsCheck, {
  fix: fixes.withoutMounts,
  mode: 'choice',
  parameters: [{ name: 'container.withoutMounts', description: 'Mount points in it that are taken away', example: '[/var/run/docker.sock]' }],
  effect: 'The files of the host are gone from the container.',
  steps: { run: 'without the mounts, or with single files in place of directories', compose: 'remove them from volumes', service: '--mount-rm TARGET' },
  found: without,
  because: 'What the container does with these files, only its owner knows; a copy, a volume or a config often serves as well.',
});

const dockerSocket = containerRemedy(dockerSocketCheck, {
  fix: fixes.withoutMounts,
  mode: 'choice',
  parameters: [{ name: 'container.withoutMounts', description: 'Mount points in it that are taken away', example: '[/var/run/docker.sock]' }],
  effect: 'It can no longer list, start or stop containers.',
  steps: { run: 'without the socket; through a proxy that lets only the needed requests pass, where it needs any', compose: 'remove it from volumes', service: '--mount-rm TARGET' },
  found: without,
  because: 'What it asks the engine for, only its owner knows; read-only does not help.',
});

const mountPropagation = containerRemedy(mountPropagationCheck, {
  fix: fixes.slavePropagation,
  mode: 'auto',
  effect: 'What it mounts is no longer seen on the host.',
  steps: { run: 'with rslave or rprivate in place of shared and rshared', compose: 'bind: { propagation: rslave } in volumes', service: '--mount-rm TARGET --mount-add type=bind,src=SOURCE,dst=TARGET,bind-propagation=rslave' },
  found: ({ targets }) => ({ run: `with rslave or rprivate in place of shared and rshared at ${listNames(targets)}` }),
  because: 'Storage plugins mount for others through it: waive those.',
});

const privilegedPorts = containerRemedy(privilegedPortsCheck, {
  fix: fixes.hostPorts,
  mode: 'choice',
  parameters: [{ name: 'container.hostPorts', description: 'By ports of the host below 1024: the port that takes the place of each, or none', example: '{ 80: 8080, 22: none }' }],
  effect: 'Clients have to use the new port.',
  steps: { run: 'with -p HOST_PORT:PORT and a HOST_PORT from 1024 on', compose: 'ports with a host port from 1024 on', service: '--publish-rm PORT --publish-add published=HOST_PORT,target=PORT' },
  because: 'Clients rely on the port; a front end that serves 80 or 443 is to be waived.',
});

const neededPorts = containerRemedy(neededPortsCheck, {
  effect: 'Ports that are not named can no longer be reached from outside.',
  steps: { run: 'without -P (--publish-all), with a -p for each port that is needed', compose: 'ports with those that are needed', service: '--publish-add published=HOST_PORT,target=PORT' },
  because: 'Which ports are needed, only its owner knows.',
});

const bindInterface = containerRemedy(bindInterfaceCheck, {
  fix: fixes.publishAddress,
  mode: 'choice',
  parameters: [{ name: 'container.publishAddress', description: 'The address of the host on which its ports are published', example: '127.0.0.1' }],
  effect: 'The port can be reached at the chosen address only.',
  steps: {
    run: 'with -p ADDRESS:HOST_PORT:PORT, 127.0.0.1 where only this host uses it', compose: 'ports: ["ADDRESS:HOST_PORT:PORT"]', service: null,
  },
  because: 'Where its clients are, only its owner knows. Ports of a service in ingress mode cannot be bound to one address.',
});

const defaultBridge = containerRemedy(defaultBridgeCheck, {
  fix: fixes.ownNetwork,
  mode: 'choice',
  parameters: [{ name: 'container.network', description: 'The network that it moves to', example: 'backend' }],
  effect: 'It loses containers that stay on the default bridge, and finds those of its new network by name; published ports are gone for a moment.',
  steps: {
    run: 'with --network NAME, after docker network create NAME', compose: 'remove network_mode: bridge: the project then has a network of its own', service: null,
  },
  because: 'Which containers it has to reach, only its owner knows. While it runs: docker network connect NAME CONTAINER, then docker network disconnect bridge CONTAINER.',
});

/** What of the host a container reaches, and who reaches it. */
export const mountAndPortRemediations: readonly ContainerRemediation[] = [
  sensitiveMounts, dockerSocket, mountPropagation, privilegedPorts, neededPorts, bindInterface, defaultBridge,
];
