import type { Check, EngineInfo, Facts, MountPoint, Observed, Target } from '../../src/model.ts';
import { statOf, valueOf } from '../../src/model.ts';
import { judge, manual, pass, unknown, warn } from '../verdict.ts';

/** Where containers are kept. */
export interface PartitionDetail {
  readonly dataRoot: string;
}

/** With userns-remap the engine reports DATA/UID.GID (moby, daemon/daemon_unix.go). */
const dataRootOf = ({ dockerRootDir, securityOptions }: EngineInfo): string =>
  securityOptions.some((option) => option.split(',').includes('name=userns')) ? dockerRootDir.replace(/\/\d+\.\d+$/u, '') : dockerRootDir;

/** The name that the engine reports for its containerd image store on overlay; the graph driver is called overlay2. */
const CONTAINERD_SNAPSHOTTER = 'overlayfs';
const CONTAINERD_ROOT = '/var/lib/containerd';

const TARGET = (path: string): Target => ({ kind: 'file', name: path, id: path });

/** Whether a path is where another file system than that of / is mounted: a bind mount of / shares its space. */
function isSeparate(path: string, mounts: readonly MountPoint[]): boolean {
  const last = (mountPoint: string): MountPoint | undefined => mounts.findLast((mount) => mount.mountPoint === mountPoint);
  const own = last(path);
  const root = last('/');
  return own !== undefined && path !== '/' && !(own.source === root?.source && own.fsType === root.fsType && own.source.startsWith('/'));
}

function realPath(facts: Facts, path: string): Observed<string> {
  const stat = statOf(facts, path);
  if (stat?.status === 'unreadable') return stat;
  return { status: 'present', value: valueOf(stat)?.realPath ?? path };
}

export const check: Check<PartitionDetail> = {
  id: 'host.partition',
  title: 'Data root of Docker has a file system of its own',
  rationale: 'Images, containers and logs that fill the file system of the host stop everything else on it.',
  evidence: 'GET /info DockerRootDir (its parent with userns-remap), /proc/self/mountinfo',
  passes: 'A file system other than that of / is mounted at the data root.',
  section: 'host',
  severity: 'medium',
  level: 1,
  cis: {
    'd1.6': '1.1', 'd1.11': '1.1', 'd1.12': '1.1', 'd1.13': '1.1', 'ce1.1.0': '1.1', '1.2.0': '1.2.1',
    '1.3.1': '1.1.1', '1.4.0': '1.1.1', '1.5.0': '1.1.1', '1.6.0': '1.1.1', '1.7.0': '1.1.1', '1.8.0': '1.1.1',
  },
  evaluate(facts) {
    const nowhere = TARGET('data root');
    return judge(nowhere, facts.engine.info, (info) => {
      const dataRoot = dataRootOf(info);
      const target = TARGET(dataRoot);
      const noMounts = unknown(target, 'The mounts of the host are not known');
      return judge(target, realPath(facts, dataRoot), (path) => judge(target, facts.host.mounts, (mounts) => {
        if (!isSeparate(path, mounts)) return [warn(target, `${dataRoot} is on a file system that it shares with other parts of the host`, { dataRoot })];
        if (info.storageDriver === CONTAINERD_SNAPSHOTTER && !isSeparate(CONTAINERD_ROOT, mounts)) {
          return [manual(target, `${dataRoot} has a file system of its own, but images are kept below containerd's root, which has none at ${CONTAINERD_ROOT}`)];
        }
        return [pass(target, `${dataRoot} has a file system of its own`)];
      }, () => [noMounts]), () => [noMounts]);
    }, () => [unknown(nowhere, 'The engine says nothing about its data root')]);
  },
};
