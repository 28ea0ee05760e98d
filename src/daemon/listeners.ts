import type { Facts, Json, Observed } from '../model.ts';
import { absent, present, unreadable, valueOf } from '../model.ts';

/** How the API is offered beyond unix sockets. */
export interface Exposure {
  /** Addresses, as they are configured. */
  readonly tcp: readonly string[];
  /** Only clients with a certificate of the daemon's CA are let in ("tlsverify"). */
  readonly verified: boolean;
}

/** dockerd reads an address without a scheme as TCP. */
const schemeOf = (host: string): string => /^([a-z0-9]+):\/\//i.exec(host)?.[1]?.toLowerCase() ?? 'tcp';

/** Listen addresses of docker.socket that are no path, abstract socket or vsock (systemd.socket(5)). */
const isTcpListen = (listen: string): boolean => !/^([/@]|vsock:)/.test(listen);

/**
 * What a set of options makes the daemon listen on. With TLS and no host, dockerd listens on TCP alone; `tlsIsSet`: "tls" is
 * true or "tlsverify" has any value, even false. unreadable when systemd hands over the sockets and they are not known.
 */
export function exposureOf(hosts: Json, tlsIsSet: boolean, verified: boolean, facts: Facts): Observed<Exposure> {
  const given = Array.isArray(hosts) ? hosts.filter((host) => typeof host === 'string').map((host) => host.trim()) : [];
  const resolved = (given.length === 0 ? [''] : given).map((host) => host !== '' ? host : tlsIsSet ? 'tcp://localhost:2376' : 'unix://');
  const tcp = resolved.filter((host) => !['unix', 'fd', 'npipe'].includes(schemeOf(host)));
  if (!resolved.some((host) => schemeOf(host) === 'fd')) return present({ tcp, verified });
  const { socketUnit, otherSockets = absent } = facts.daemon;
  if (otherSockets.status === 'unreadable') return otherSockets;
  const others = (valueOf(otherSockets) ?? []).flatMap(({ listen }) => listen);
  const handed = [...socketUnit.status === 'present' ? socketUnit.value.listen : [], ...others].filter(isTcpListen);
  if (socketUnit.status === 'present' || (socketUnit.status === 'absent' && others.length > 0)) return present({ tcp: [...tcp, ...handed], verified });
  return unreadable(socketUnit.status === 'unreadable' ? socketUnit.reason : 'systemd hands the daemon its sockets, but there is no '
    + 'docker.socket to read them from');
}
