import type { Container } from './container.ts';
import { isUp } from './container.ts';

/** A port of the host that leads into a container. */
export interface PublishedPort {
  /** "" leaves the address to the engine. */
  readonly ip: string;
  /** First and last port of the host; 0 leaves it to the engine. */
  readonly from: number;
  readonly to: number;
  readonly containerPort: number;
  readonly protocol: string;
}

/** What is published now, and what the next start publishes; why nothing is, when the network is not the container's own. */
export function publishedPorts({ spec, runtime }: Container): { readonly ports: readonly PublishedPort[] } | { readonly none: string } {
  const { network } = spec.namespaces;
  if (network === 'host') return { none: 'It uses the network of the host, where nothing is published: whatever listens is open' };
  if (network.startsWith('container:')) return { none: 'It uses the network of another container, which publishes the ports' };
  const chosen = spec.network.ports.map(({ ip, hostPort, containerPort, protocol }): PublishedPort => {
    const [from = 0, to = from] = hostPort.split('-').map((text) => Number(text) || 0);
    return { ip, from, to, containerPort, protocol };
  });
  if (!isUp(runtime)) return { ports: chosen };
  const inForce = runtime.ports.map(({ ip, hostPort, containerPort, protocol }): PublishedPort => ({ ip, from: hostPort, to: hostPort, containerPort, protocol }));
  const isInForce = (port: PublishedPort): boolean => inForce.some(({ containerPort, protocol }) => containerPort === port.containerPort && protocol === port.protocol);
  // Before the network is up, and on an internal one, nothing is in force.
  return { ports: [...inForce, ...chosen.filter((port) => !isInForce(port))] };
}

/** "0.0.0.0:80-81→8080/tcp", without what is left to the engine. */
export const portName = ({ ip, from, to, containerPort, protocol }: PublishedPort): string =>
  `${ip === '' ? '' : `${ip.includes(':') ? `[${ip}]` : ip}:`}${from === 0 ? '' : from === to ? from : `${from}-${to}`}→${containerPort}/${protocol}`;
