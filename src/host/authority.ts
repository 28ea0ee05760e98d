import type { Tool } from './port.ts';

/*
 * What harden may do on a host, as data. The local reader runs no other command than these, and the client that scan and plan read an engine
 * with sends nothing but GET; docs/authority.md is made of the same tables, and tests hold what is really done against them.
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
  readonly path: string;
  readonly why: string;
}

/** What is asked of the engine to look at it. Nothing but GET. */
export const READING_ROUTES: readonly Route[] = [
  { path: '/version', why: 'its version and the version of its interface' },
  { path: '/info', why: 'how it is configured' },
  { path: '/containers/json', why: 'all containers' },
  { path: '/containers/{}/json', why: 'how each is configured' },
  { path: '/containers/{}/top', why: 'their processes, of an engine that is elsewhere' },
  { path: '/containers/{}/changes', why: 'what a container wrote (plan, --deep)' },
  { path: '/containers/{}/export', why: 'files of one that wrote some (--deep)' },
  { path: '/containers/{}/stats', why: 'what a container uses (plan)' },
  { path: '/exec/{}/json', why: 'sessions of docker exec that are open' },
  { path: '/events', why: 'the sessions of docker exec that it remembers' },
  { path: '/images/json', why: 'all images' },
  { path: '/images/{}/json', why: 'how each is configured' },
  { path: '/images/{}/history', why: 'how each was built' },
  { path: '/images/{}/get', why: 'its layers (--deep)' },
  { path: '/networks', why: 'networks' },
  { path: '/volumes', why: 'volumes' },
  { path: '/plugins', why: 'plugins, which have to be back after a restart' },
  { path: '/swarm', why: 'settings of the swarm, of a manager' },
  { path: '/nodes', why: 'its nodes' },
  { path: '/services', why: 'its services' },
  { path: '/system/df', why: 'how much space is used, where a limit is set' },
];

const wordPattern = (word: string): string => word.split(/<[^>]*>/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^\\0]*');

const patternOf = (args: readonly string[]): RegExp => new RegExp(`^${args.map((word) => (word.endsWith('...') ? '(?:[^\\0]*\\0)*?' : `${wordPattern(word)}\\0`)).join('')}$`);

const PATTERNS = READING_COMMANDS.map(({ tool, args }) => ({ tool, pattern: patternOf(args) }));

/** Whether a command only looks, and is one of those above. */
export const isReadingCommand = (tool: Tool, args: readonly string[]): boolean =>
  !args.some((word) => word.includes('\0')) && PATTERNS.some((known) => known.tool === tool && known.pattern.test(args.map((word) => `${word}\0`).join('')));

/** The route that a request takes: its path without query, without the version of the interface, each id as `{}`; null: none of those above. */
export function readingRouteOf(url: string): string | null {
  const path = url.replace(/\?.*$/s, '').replace(/^\/v\d+\.\d+(?=\/)/, '');
  // A reference of an image has slashes of its own.
  return READING_ROUTES.find((route) => route.path === path)?.path
    ?? READING_ROUTES.find((route) => route.path.includes('{}') && new RegExp(`^${route.path.replace('{}', '[^?]+')}$`).test(path))?.path ?? null;
}
