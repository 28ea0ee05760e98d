import { texts } from '../../collect/json.ts';
import { HostError } from '../../host/port.ts';
import type { Action } from '../../model.ts';
import type { Executor } from '../actions.ts';
import type { Session } from '../session.ts';

type RemoveGroupMember = Extract<Action, { kind: 'removeGroupMember' }>;

/** Members that group(5) lists. */
async function membersOf(group: string, { reader }: Session): Promise<readonly string[]> {
  const [answer] = await reader.observe([{ kind: 'tool', tool: 'getent', args: ['group', '--', group] }]);
  if (answer.status !== 'present') throw new HostError(`The group ${group} cannot be looked up: ${answer.status === 'absent' ? 'there is no getent(1) here' : answer.reason}.`);
  if (answer.value.code !== 0) throw new HostError(`There is no group ${group} any more. Plan again.`);
  return (answer.value.stdout.trim().split(':')[3] ?? '').split(',').filter((member) => member !== '');
}

/** gpasswd(1) keeps /etc/group and /etc/gshadow alike, under the lock that every other tool takes. */
async function edit([flag, value]: readonly [flag: '--add' | '--delete' | '--members', value: string], { group, user }: RemoveGroupMember, { writer }: Session): Promise<void> {
  const { code, stderr } = await writer.run('gpasswd', [`${flag}=${value}`, '--', group]);
  if (code !== 0) throw new HostError(`gpasswd ${flag} ${user} ${group} failed: ${stderr.trim()}. Where the account comes from a directory service, change it there.`);
}

export const removeGroupMember: Executor<RemoveGroupMember> = {
  async before({ group, user }, session) {
    const members = await membersOf(group, session);
    if (!members.includes(user)) throw new HostError(`${user} is no longer in the group ${group}. Plan again.`);
    return { members: [...members] };
  },
  async perform(action, _before, session) {
    await edit(['--delete', action.user], action, session);
    if ((await membersOf(action.group, session)).includes(action.user)) {
      throw new HostError(`${action.user} is still in the group ${action.group}: not only /etc/group lists its members. Change it where the account comes from.`);
    }
  },
  async undo(action, { members }, session) {
    const now = await membersOf(action.group, session);
    if (now.includes(action.user)) return;
    const before = texts(members);
    // The file comes back as it was, unless somebody changed the list meanwhile.
    const same = before.length === now.length + 1 && now.every((member) => before.includes(member));
    await edit(same ? ['--members', before.join(',')] : ['--add', action.user], action, session);
  },
  touched: () => Promise.resolve(null),
};
