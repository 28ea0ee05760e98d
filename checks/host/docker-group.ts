import type { AccountFacts, Check, Target } from '../../src/model.ts';
import { judge, na, pass, unknown, warn } from '../verdict.ts';

/** One account that can reach the engine. */
export interface MemberDetail {
  readonly user: string;
  /** The docker group is the account's primary group, which gpasswd(1) cannot take away. */
  readonly primary: boolean;
  /** Names of the groups with the gid of docker that list it. */
  readonly groups: readonly string[];
}

const GROUP = 'docker';
const account = (name: string): Target => ({ kind: 'account', name, id: name });

/** Listed members and accounts whose primary group it is, of every group that shares its gid. */
function membersOf({ users, groups }: AccountFacts, gid: number): readonly MemberDetail[] {
  const primary = new Set(users.filter((user) => user.gid === gid).map(({ name }) => name));
  const same = groups.filter((group) => group.gid === gid);
  const listed = same.flatMap(({ members }) => members);
  return [...new Set([...listed, ...primary])].filter((user) => user !== 'root').map((user) =>
    ({ user, primary: primary.has(user), groups: same.filter(({ members }) => members.includes(user)).map(({ name }) => name) }));
}

export const check: Check<MemberDetail> = {
  id: 'host.docker-group',
  title: 'Group docker holds only trusted accounts',
  rationale: 'Whoever can reach the API socket can start a privileged container, and is root on the host.',
  evidence: 'group(5) and passwd(5): listed members and accounts whose primary group is docker; policy parameter trustedUsers',
  passes: 'The group has no members, or every member is among trustedUsers.',
  section: 'host',
  severity: 'high',
  level: 1,
  cis: {
    'd1.6': '1.7', 'd1.11': '1.6', 'd1.12': '1.6', 'd1.13': '1.4', 'ce1.1.0': '1.4', '1.2.0': '1.2.2',
    '1.3.1': '1.1.2', '1.4.0': '1.1.2', '1.5.0': '1.1.2', '1.6.0': '1.1.2', '1.7.0': '1.1.2', '1.8.0': '1.1.2',
  },
  evaluate(facts, { parameters: { trustedUsers } }) {
    const group = account(GROUP);
    return judge(group, facts.accounts, (accounts) => {
      const gid = accounts.groups.find(({ name }) => name === GROUP)?.gid;
      if (gid === undefined) return [na(group, `There is no group ${GROUP}`)];
      const members = membersOf(accounts, gid);
      if (members.length === 0) return [pass(group, `The group ${GROUP} has no members`)];
      return members.map((member) => {
        const target = account(member.user);
        if (trustedUsers?.includes(member.user) === true) return pass(target, `${member.user} is in the group ${GROUP}, and trusted`);
        return warn(target, `${member.user} is in the group ${GROUP}${trustedUsers === undefined ? ', and nobody is named as trusted' : ', and not among the trusted users'}`, member);
      });
    }, () => [unknown(group, 'The accounts of the host are not known')]);
  },
};
