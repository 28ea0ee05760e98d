import type { Tool } from './port.ts';

/*
 * What harden may do on a host, as data. The local reader runs no other command than these, the client that scan and plan read an engine
 * with sends nothing but GET, and the one that changes an engine nothing but the requests below; docs/authority.md is made of the same tables, and tests hold what is really done against them.
 */

/** A command, word by word: `<…>` is anything within one word, a word that ends in `...` any number of words. */
interface Command {
  readonly tool: Tool;
  readonly args: readonly string[];
  readonly why: string;
}

/** What scan, plan and verify run to look at a host. `apply` runs them as well. */
export const READING_COMMANDS: readonly Command[] = [
  { tool: 'auditctl', args: ['-v'], why: 'the version of auditd' },
  { tool: 'auditctl', args: ['-s'], why: 'whether the kernel audits, and whether its rules are locked' },
  { tool: 'auditctl', args: ['-l'], why: 'the audit rules in force' },
  { tool: 'getent', args: ['passwd'], why: 'accounts, as the name service knows them' },
  { tool: 'getent', args: ['group'], why: 'groups' },
  { tool: 'getent', args: ['group', 'docker'], why: 'the members of the group docker' },
  { tool: 'getent', args: ['group', '--', '<group>'], why: 'the members of a group, before and after one is taken out (apply)' },
  { tool: 'ls', args: ['-ldL', '--', '<socket>...'], why: 'whether a socket has an access control list' },
  { tool: 'systemctl', args: ['show', '--no-pager', '--property=<names>', '--', '<unit>...'], why: 'the units of the daemon, and which files they are made of' },
  ...(['docker', 'docker-compose'] as const).map((tool): Command => ({
    tool,
    args: ['--host', '<engine>', ...(tool === 'docker' ? ['compose'] : []), '--dry-run', '--ansi', 'never', '--project-directory', '<directory>', '--project-name', '<project>', '<file>...', 'up', '<option>...', '--', '<service>...'],
    why: 'what Compose would do to a project that is to be edited (plan): a rehearsal',
  })),
];

/** What only apply, rollback, recover and gc run. */
export const CHANGING_COMMANDS: Readonly<Record<Tool, string | null>> = {
  auditctl: 'load a rules file where there is no augenrules; add and delete single rules',
  augenrules: 'load the audit rules',
  docker: 'docker compose up, for services whose files were edited',
  'docker-compose': 'the same, where it is a command of its own',
  dockerd: '--validate, from release 23 on, of the new daemon.json with the flags of the running daemon',
  getent: null,
  gpasswd: 'take an account out of a group, and put it back',
  logger: 'leave in syslog who did what',
  ls: null,
  service: 'restart the daemon where an init script runs it',
  sh: '-c with what --restart-command says, and nothing else',
  systemctl: 'daemon-reload, reset-failed, restart of the daemon',
  'systemd-run': 'start the guard of --confirm-within outside of the login',
  'systemd-tmpfiles': null,
};

/** A request to the engine; `{}` is an id or a name. */
export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  readonly path: string;
  readonly why: string;
}

/** What is asked of the engine to look at it. Nothing but GET. */
export const READING_ROUTES: readonly Route[] = [
  { method: 'GET', path: '/version', why: 'its version and the version of its interface' },
  { method: 'GET', path: '/info', why: 'how it is configured' },
  { method: 'GET', path: '/containers/json', why: 'all containers' },
  { method: 'GET', path: '/containers/{}/json', why: 'how each is configured' },
  { method: 'GET', path: '/containers/{}/top', why: 'their processes, of an engine that is elsewhere' },
  { method: 'GET', path: '/containers/{}/changes', why: 'what a container wrote (plan, --deep)' },
  { method: 'GET', path: '/containers/{}/export', why: 'files of one that wrote some (--deep)' },
  { method: 'GET', path: '/containers/{}/archive?path=%2Fetc%2Fpasswd', why: 'the accounts in one that was told to be root although its image is not (plan)' },
  { method: 'GET', path: '/containers/{}/archive?path=%2Fetc%2Fgroup', why: 'their groups' },
  { method: 'GET', path: '/containers/{}/stats', why: 'what a container uses (plan)' },
  { method: 'GET', path: '/exec/{}/json', why: 'sessions of docker exec that are open' },
  { method: 'GET', path: '/events', why: 'the sessions of docker exec that it remembers' },
  { method: 'GET', path: '/images/json', why: 'all images' },
  { method: 'GET', path: '/images/{}/json', why: 'how each is configured' },
  { method: 'GET', path: '/images/{}/history', why: 'how each was built' },
  { method: 'GET', path: '/images/{}/get', why: 'its layers (--deep)' },
  { method: 'GET', path: '/networks', why: 'networks' },
  { method: 'GET', path: '/volumes', why: 'volumes' },
  { method: 'GET', path: '/plugins', why: 'plugins, which have to be back after a restart' },
  { method: 'GET', path: '/swarm', why: 'settings of the swarm, of a manager' },
  { method: 'GET', path: '/nodes', why: 'its nodes' },
  { method: 'GET', path: '/services', why: 'its services' },
  { method: 'GET', path: '/system/df', why: 'how much space is used, where a limit is set' },
];

/** What apply, rollback, recover and gc ask of the engine besides, change by change and on their way. */
export const CHANGING_ROUTES: readonly Route[] = [
  { method: 'GET', path: '/version', why: 'the version of its interface, for what is created' },
  { method: 'GET', path: '/info', why: 'the memory of its host, where a limit is taken away again' },
  { method: 'GET', path: '/containers/json', why: 'who uses an image that is to be removed' },
  { method: 'GET', path: '/containers/{}/json', why: 'a container before, while and after it is changed' },
  { method: 'GET', path: '/containers/{}/changes', why: 'what it wrote, before another takes its place' },
  { method: 'GET', path: '/containers/{}/export', why: 'to keep what it wrote' },
  { method: 'HEAD', path: '/containers/{}/archive', why: 'whether what it left is a socket' },
  { method: 'POST', path: '/containers/create', why: 'the container that takes the place of another' },
  { method: 'POST', path: '/networks/{}/connect', why: 'its further networks' },
  { method: 'POST', path: '/containers/{}/start', why: 'to start it, or the old one again' },
  { method: 'POST', path: '/containers/{}/stop', why: 'to stop the old one' },
  { method: 'POST', path: '/containers/{}/rename', why: 'to swap their names' },
  { method: 'POST', path: '/containers/{}/update', why: 'limits and restart policies of containers that go on running' },
  { method: 'DELETE', path: '/containers/{}', why: 'one that harden made and that was taken back, one that was kept (gc), one that the policy names; never its volumes' },
  { method: 'GET', path: '/images/{}/json', why: 'the image that a name leads to' },
  { method: 'DELETE', path: '/images/{}', why: 'an image that the policy names and nobody uses' },
  { method: 'GET', path: '/services/{}', why: 'a service of a swarm before, while and after it is updated' },
  { method: 'GET', path: '/tasks', why: 'its tasks' },
  { method: 'POST', path: '/services/{}/update', why: 'to update it' },
  { method: 'GET', path: '/swarm', why: 'settings of the swarm' },
  { method: 'GET', path: '/swarm/unlockkey', why: 'the key that an autolocked swarm opens with, for whoever keeps it' },
  { method: 'POST', path: '/swarm/update', why: 'to change the settings' },
];

const wordPattern = (word: string): string => word.split(/<[^>]*>/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^\\0]*');

const patternOf = (args: readonly string[]): RegExp => new RegExp(`^${args.map((word) => (word.endsWith('...') ? '(?:[^\\0]*\\0)*?' : `${wordPattern(word)}\\0`)).join('')}$`);

const PATTERNS = READING_COMMANDS.map(({ tool, args }) => ({ tool, pattern: patternOf(args) }));

/** Whether a command only looks, and is one of those above. */
export const isReadingCommand = (tool: Tool, args: readonly string[]): boolean =>
  !args.some((word) => word.includes('\0')) && PATTERNS.some((known) => known.tool === tool && known.pattern.test(args.map((word) => `${word}\0`).join('')));

/** The route of the table that a request takes: its path without query, unless the table has one, and without the version of the interface, each id as `{}`; null: none. */
export function routeOf(routes: readonly Route[], method: string, url: string): Route | null {
  const whole = url.replace(/^\/v\d+\.\d+(?=\/)/, '');
  const path = whole.replace(/\?.*$/s, '');
  return routes.find((route) => route.method === method && ROUTE_PATTERNS.get(route)?.test(route.path.includes('?') ? whole : path) === true) ?? null;
}

/** A reference of an image has slashes of its own. */
const routePattern = ({ path }: Route): RegExp => new RegExp(`^${path.replace('?', '\\?').replace('{}', path.startsWith('/images/') ? '[^?]+' : '[^/?]+')}$`);

const ROUTE_PATTERNS: ReadonlyMap<Route, RegExp> = new Map([...READING_ROUTES, ...CHANGING_ROUTES].map((route) => [route, routePattern(route)]));
