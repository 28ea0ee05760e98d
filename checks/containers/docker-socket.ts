import { listNames } from '../../src/daemon/containers.ts';
import type { Check, Facts } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import { eachContainer, section5 } from './container.ts';
import { cleanPath, hostMounts, isWithin } from './mounts.ts';
import type { MountDetail } from './sensitive-mounts.ts';

/** Who can talk to one of them controls all containers, and through them the host. */
const SOCKETS = [
  '/run/docker.sock', '/run/containerd/containerd.sock', '/run/docker/containerd/containerd.sock', '/run/podman/podman.sock', '/run/crio/crio.sock',
  '/run/cri-dockerd.sock',
];
/** A socket that is somewhere else is still called so. */
const SOCKET_NAME = /\/(?:docker|containerd|podman|crio|cri-dockerd)\.sock$/u;

function socketsOf(facts: Facts): readonly string[] {
  const { endpoint } = facts.engine;
  const listened = (valueOf(facts.daemon.socketUnit)?.listen ?? []).filter((path) => path.startsWith('/'));
  const own = endpoint.startsWith('unix://') ? [endpoint.slice('unix://'.length)] : [];
  return [...new Set([...SOCKETS, ...[...own, ...listened].map(cleanPath)])];
}

export const check: Check<MountDetail> = {
  id: 'container.docker-socket',
  title: 'No socket of a container engine is mounted',
  rationale: 'Who can talk to the engine can start a container with the whole host in it. A read-only mount is no protection: it keeps the '
    + 'socket from being replaced, not from being used.',
  evidence: 'inspect: HostConfig.Binds, HostConfig.Mounts, and Mounts for what other containers pass on',
  passes: 'Neither a socket of Docker, containerd, Podman or CRI-O nor a directory above one is mounted, read-only ones included.',
  section: 'containers',
  severity: 'high',
  level: 1,
  cis: section5(32, 'd1.12'),
  evaluate(facts) {
    const sockets = socketsOf(facts);
    return eachContainer(facts, (container) => {
      const { target } = container;
      const mounts = hostMounts(container);
      if (mounts.status !== 'present') return unknown(target, mounts.status === 'unreadable' ? mounts.reason : 'Its mounts are not known');
      const exposing = mounts.value.flatMap((mount) => {
        if (SOCKET_NAME.test(mount.source) || sockets.includes(mount.source)) return [{ ...mount, says: mount.source }];
        const inside = sockets.find((socket) => isWithin(socket, mount.source));
        return inside === undefined ? [] : [{ ...mount, says: `${mount.source}, in which is ${inside}` }];
      });
      return exposing.length > 0 ? warn(target, `It can talk to a container engine: mounted is ${listNames(exposing.map(({ says, readOnly }) => `${says}${readOnly ? ' (read-only)' : ''}`))}`,
        { targets: exposing.map((mount) => mount.target) })
        : pass(target, 'No socket of a container engine is mounted');
    });
  },
};
