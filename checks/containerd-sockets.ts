import { CONTAINERD_SOCKETS } from '../src/collect/paths.ts';
import { containerdFlag } from '../src/collect/daemon.ts';
import type { Facts, Observed } from '../src/model.ts';
import { mapObserved, present } from '../src/model.ts';

const withoutVar = (path: string): string => path.startsWith('/var/run/') ? path.slice('/var'.length) : path;

/** Where a containerd that the daemon uses may listen: the usual places, and what the running daemon was told. */
export function containerdSockets({ daemon: { process } }: Facts): Observed<readonly string[]> {
  if (process.status === 'absent') return present(CONTAINERD_SOCKETS);
  return mapObserved(process, ({ argv }) => {
    const told = containerdFlag(argv);
    return told === undefined || CONTAINERD_SOCKETS.some((path) => withoutVar(path) === withoutVar(told)) ? CONTAINERD_SOCKETS : [...CONTAINERD_SOCKETS, told];
  });
}
