import { check } from '../../checks/daemon/userns-remap.ts';
import { listNames } from '../../src/daemon/containers.ts';
import { isObject } from '../../src/daemon/json-edit.ts';
import type { Facts } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { fromPolicy, nextValue, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

/** What would be out of sight after the data root has moved; null when nothing is there. */
function hidden(facts: Facts): string | null {
  const counts = [
    ['containers', valueOf(facts.containers)?.length],
    ['images', valueOf(facts.images)?.length],
    ['volumes', valueOf(facts.volumes)?.length],
  ] as const;
  const unread = counts.find(([, count]) => count === undefined);
  if (unread !== undefined) return `the ${unread[0]} of this host, which could not be listed`;
  const some = counts.filter(([, count]) => count !== 0).map(([name, count = 0]) => `${count} ${count === 1 ? name.slice(0, -1) : name}`);
  return some.length === 0 ? null : listNames(some);
}

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Users of containers become users without rights on the host; the daemon gets a new, empty data root.',
  impact: 'data',
  risk: 'behaviour',
  parameters: [{ name: 'usernsRemap', description: 'The user whose subordinate ids are used, on a host that has no containers, images '
    + 'and volumes yet', example: 'default' }],
  manual: 'Save what is needed (docker save, a copy of each volume, the definitions of the containers); stop all containers; write '
    + '"userns-remap": "default" into daemon.json; '
    + 'restart the daemon; load the images and volumes into the new data root (owners of files shift by the first subordinate id); '
    + 'create the containers again, those that '
    + 'need the host\'s network or pid namespace or are privileged with --userns=host. Removing the key brings the old data root back.',
  propose(_, facts, { parameters: { usernsRemap } }) {
    const lost = hidden(facts);
    if (lost !== null) {
      return defer('manual', `The daemon would start with an empty data root: out of sight would be ${lost}.`,
        'migrate as in "harden explain daemon.userns-remap"');
    }
    const features = nextValue(facts, 'features');
    if (isObject(features) && features['containerd-snapshotter'] === true) {
      return defer('guard', 'The containerd image store is switched on, and excludes remapping.',
        'remove "containerd-snapshotter" from "features"');
    }
    return usernsRemap === undefined
      ? defer('choice', 'This host is empty, so remapping costs nothing now; later it hides all data.',
        '--set usernsRemap=default --max-impact data', [ask('usernsRemap', 'default', 'It is the user that the engine makes for this')])
      : setKeys(facts, { 'userns-remap': usernsRemap }, {
        impact: 'data', risk: 'behaviour', undo: 'data', note: 'Containers with --privileged, --network host or --pid host then need '
          + '--userns=host.',
      }, [fromPolicy('usernsRemap', usernsRemap)]);
  },
});
