import { basename } from 'node:path/posix';
import type { ReadRequest, ReadResult, ToolResult } from '../host/port.ts';
import type { AuditFacts, AuditRule, AuditSource, Observed } from '../model.ts';
import { present, unreadable } from '../model.ts';

const RULES_D = '/etc/audit/rules.d';
const AUDIT_RULES = '/etc/audit/audit.rules';

/** First round of what auditd needs. Results go to `parseAudit` in this order. */
export const auditRequests = [
  { kind: 'tool', tool: 'auditctl', args: ['-v'] },
  { kind: 'tool', tool: 'auditctl', args: ['-s'] },
  { kind: 'tool', tool: 'auditctl', args: ['-l'] },
  { kind: 'list', path: RULES_D, depth: 1 },
  { kind: 'text', path: AUDIT_RULES },
  { kind: 'stat', path: '/sbin/augenrules' },
  { kind: 'stat', path: '/usr/sbin/augenrules' },
] as const satisfies readonly ReadRequest[];

type Answers<R extends readonly ReadRequest[]> = { readonly [K in keyof R]: Observed<ReadResult<R[K]>> };
/** The answers to `auditRequests`. */
type AuditResults = Answers<typeof auditRequests>;

/**
 * Paths that the audit checks look at on every host, and the directory aliases that make two spellings one path. What depends
 * on the engine (its data root and the directories of `layerDirectories`, its socket, its units) is not among them.
 */
export const auditStatPaths: readonly string[] = [
  '/lib', '/var/run',
  '/usr/bin/dockerd', '/usr/sbin/dockerd', '/run/containerd', '/run/containerd/containerd.sock', '/var/lib/docker',
  '/etc/docker', '/etc/docker/daemon.json', '/etc/default/docker', '/etc/containerd', '/etc/containerd/config.toml',
  '/etc/systemd/system/docker.service', '/usr/lib/systemd/system/docker.service', '/lib/systemd/system/docker.service',
  '/run/docker.sock', '/var/run/docker.sock', '/var/run/docker/containerd/containerd.sock',
  '/usr/bin/containerd', '/usr/bin/containerd-shim', '/usr/bin/containerd-shim-runc-v1', '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/runc', '/usr/sbin/runc',
  '/etc/sysconfig', '/etc/sysconfig/docker', '/etc/sysconfig/docker-network', '/etc/sysconfig/docker-registry', '/etc/sysconfig/docker-storage',
  '/etc/systemd/system/docker-registry.service', '/usr/lib/systemd/system/docker-registry.service', '/lib/systemd/system/docker-registry.service',
];

/** Directories of a data root that hold image layers and volumes; below them everything that containers write would be recorded. */
export const layerDirectories = (dockerRootDir: string, storageDriver: string): readonly string[] =>
  [...new Set([storageDriver, 'rootfs', 'volumes'])].map((name) => `${dockerRootDir.replace(/\/+$/, '')}/${name}`);

/** The parents of all paths that persistent rules watch: a rule whose parent is missing ends the load. Worth a stat each. */
export const auditParentPaths = (audit: AuditFacts): readonly string[] =>
  audit.persistent.status !== 'present' ? [] : [...new Set(audit.persistent.value.filter(({ match }) => match !== 'any')
    .flatMap(({ path, match }) => match === 'dir' ? [path, parentOf(path)] : [parentOf(path)]))].sort();

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '/';

/** Second round: the texts of rules.d that augenrules(8) reads, in its order. */
export function auditFileRequests(listed: Observed<readonly string[]>): readonly { readonly kind: 'text'; readonly path: string }[] {
  return listed.status !== 'present' ? [] : listed.value
    .filter((path) => /^[^.\s][^\s]*\.rules$/.test(basename(path)))
    .sort((a, b) => compareVersions(basename(a), basename(b)))
    .map((path) => ({ kind: 'text', path }));
}

/** The facts from both rounds; `texts` answers `auditFileRequests` of the listing, in its order. */
export function parseAudit(results: AuditResults, texts: readonly Observed<string>[]): AuditFacts {
  const [version, status, list, listed, auditRules, ...augenrules] = results;
  const { augenrules: fromRulesD, ...persistent } = parsePersistent(listed, auditRules, texts, augenrules.some((stat) => stat.status === 'present'));
  return {
    version: ofTool(version, 'auditctl -v', (text) => /version\s+(\S+)/.exec(text)?.[1]),
    enabled: ofTool(status, 'auditctl -s', (text) => ({ 0: 0, 1: 1, 2: 2 } as const)[/\benabled[ =]([012])\b/.exec(text)?.[1] ?? '']),
    loaded: ofTool(list, 'auditctl -l', (text) => /^(?:No rules|-)/m.test(text) ? parseAuditList(text) : undefined),
    augenrules: fromRulesD,
    ...persistent,
  };
}

/** A tool's answer, or why it is none: auditctl says "Operation not permitted" inside a container and "must be root" to others. */
function ofTool<T>(result: Observed<ToolResult>, command: string, parse: (stdout: string) => T | undefined): Observed<T> {
  if (result.status !== 'present') return result;
  const { code, stdout, stderr } = result.value;
  const said = (stderr.trim() || stdout.trim()).split('\n')[0] ?? '';
  if (code !== 0) return unreadable(`${command} failed${said === '' ? ` with exit code ${code}` : `: ${said}`}`);
  const value = parse(stdout);
  return value === undefined ? unreadable(`${command} gave no answer that can be read${said === '' ? '' : `: ${said}`}`) : present(value);
}

/** Rules as `auditctl -l` prints them, in its order: the kernel's lists one after the other, each in the order of evaluation. */
export const parseAuditList = (text: string): AuditRule[] =>
  text.split('\n').map((line) => parseListed(line.trim())).filter((rule) => rule !== null);

/** The listing writes a path or key with spaces as it is, so a watch is cut at its options and not at its spaces. */
function parseListed(line: string): AuditRule | null {
  const watch = /^-w (?<path>\/.*?) -p (?<perms>[rwxa]+)(?: -k (?<key>.*))?$/.exec(line)?.groups;
  if (watch === undefined) return parseRule(line);
  return {
    text: line, action: 'always', list: 'exit', match: 'watch', path: cleanPath(watch['path'] ?? ''), perms: orderPerms(watch['perms'] ?? ''),
    arch: null, syscalls: null, key: watch['key'] ?? null, filters: [],
  };
}

interface Persistent {
  readonly persistent: Observed<readonly AuditRule[]>;
  readonly augenrules: boolean;
  readonly stop?: NonNullable<AuditFacts['stop']>;
  readonly continuesFrom?: AuditSource;
  readonly bootEnabled?: 0 | 1 | 2;
}

function parsePersistent(
  listed: Observed<readonly string[]>, auditRules: Observed<string>, texts: readonly Observed<string>[], augenrules: boolean,
): Persistent {
  const handWritten = auditRules.status === 'present' && !auditRules.value.includes('automatically generated from') && /^\s*-[awA]\s/m.test(auditRules.value);
  if (!augenrules || listed.status === 'absent' || handWritten) {
    if (auditRules.status !== 'present') return { persistent: auditRules, augenrules: augenrules && listed.status !== 'absent' };
    return { ...loadOrder([{ path: AUDIT_RULES, text: auditRules.value }], 'as written'), augenrules: false };
  }
  if (listed.status === 'unreadable') return { persistent: listed, augenrules };
  const files: { path: string; text: string }[] = [];
  for (const [index, { path }] of auditFileRequests(listed).entries()) {
    const text = texts[index];
    if (text?.status !== 'present') {
      if (text?.status === 'absent') continue;
      return { persistent: unreadable(`${path}: ${text?.reason ?? 'was not read'}`), augenrules };
    }
    files.push({ path, text: text.value });
  }
  return { ...loadOrder(files, 'augenrules'), augenrules };
}

/** The rules of one drop-in, each with its line. Lines that are no rule are left out. */
export const parseRulesText = (path: string, text: string): AuditRule[] => text.split('\n').flatMap((line, index) => {
  const rule = parseRule(line);
  return rule === null ? [] : [{ ...rule, source: { path, line: index + 1 } }];
});

/**
 * The order in which auditctl -R meets the lines. augenrules concatenates the files (a file without a final newline glues its
 * last line to the next file's first one) and moves a bare -D to the front and the last -e to the end.
 */
function loadOrder(files: readonly { readonly path: string; readonly text: string }[], mode: 'augenrules' | 'as written'): Omit<Persistent, 'augenrules'> {
  let rules: AuditRule[] = [];
  let stop: Persistent['stop'];
  let continuesFrom: AuditSource | undefined;
  let bootEnabled: Persistent['bootEnabled'];
  const identities = new Set<string>();
  for (const { text, source, gluedTo } of joinLines(files)) {
    const words = splitWords(text);
    const [option = '', value = ''] = words;
    if (option === '' || option.startsWith('#')) continue;
    if (option === '-D' && words.length === 1) {
      if (mode === 'as written') { rules = []; identities.clear(); }
      continue;
    }
    if (option === '-D' && value === '-k') {
      rules = rules.filter(({ key }) => key !== words[2]);
      continue;
    }
    if (option === '-e') {
      bootEnabled = ({ 0: 0, 1: 1, 2: 2 } as const)[value] ?? bootEnabled;
      continue;
    }
    if (option === '-c' || option === '-i') {
      continuesFrom ??= source;
      continue;
    }
    const stops = (reason: string): void => {
      if (continuesFrom === undefined) stop ??= { source, reason, ...(gluedTo === undefined ? {} : { gluedTo }) };
    };
    if (option === '-W' || option === '-d') {
      const gone = parseRule(option === '-W' ? text.replace('-W', '-w') : text.replace('-d', '-a'));
      if (gone !== null) rules = rules.filter((rule) => identity(rule) !== identity(gone));
      continue;
    }
    const problem = syntaxProblem(words);
    if (problem !== null) {
      stops(problem);
      continue;
    }
    const parsed = parseRule(text);
    if (parsed === null) continue;
    if (identities.has(identity(parsed))) {
      stops('the same rule stands earlier (Rule exists)');
      continue;
    }
    identities.add(identity(parsed));
    if (option === '-A') rules.unshift({ ...parsed, source });
    else rules.push({ ...parsed, source });
  }
  return {
    persistent: present(rules),
    ...(stop === undefined ? {} : { stop }), ...(continuesFrom === undefined ? {} : { continuesFrom }), ...(bootEnabled === undefined ? {} : { bootEnabled }),
  };
}

interface Line {
  text: string;
  readonly source: AuditSource;
  gluedTo?: string;
}

function joinLines(files: readonly { readonly path: string; readonly text: string }[]): Line[] {
  const lines: Line[] = [];
  for (const { path, text } of files) {
    // What follows the last newline of a file: the next file's first line is written right behind it.
    const glued = lines.at(-1);
    text.split('\n').forEach((part, index) => {
      if (index === 0 && glued !== undefined && glued.text !== '') {
        glued.text += part;
        if (part !== '') glued.gluedTo ??= path;
      } else lines.push({ text: part, source: { path, line: index + 1 } });
    });
  }
  return lines;
}

/** auditctl knows no quotes: words end at spaces (not at tabs), and a backslash takes a space into the word. */
const splitWords = (line: string): string[] =>
  (line.match(/(?:\\ |[^ ])+/g) ?? []).map((word) => word.replaceAll('\\ ', ' '));

/** Options of auditctl(8) that take a value. */
const WITH_VALUE = new Set(['-a', '-A', '-w', '-p', '-k', '-F', '-S', '-C', '-q', '-b', '-f', '-r', '-m', '-t']);

/** Why auditctl cannot read a line, as far as that is certain without asking the host; null when it can or may. */
function syntaxProblem(words: readonly string[]): string | null {
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (!word.startsWith('-')) return `"${word}" stands where an option belongs (a line glued to another, quotes, or a tab)`;
    if (word.startsWith('--')) return null;
    if (!WITH_VALUE.has(word)) continue;
    const value = words[index + 1];
    if (value === undefined) return `${word} lacks its value`;
    if (word === '-w' && !value.startsWith('/')) return `the path of -w must start with "/"`;
    if (word === '-w' && index > 0) return '-w stands inside another rule (a line glued to another)';
    index += 1;
  }
  return null;
}

const PERMS = 'rwxa';
const orderPerms = (letters: string): string => PERMS.split('').filter((letter) => letters.toLowerCase().includes(letter)).join('');

/** One path, whatever the number of slashes; auditctl takes a trailing one away. */
const cleanPath = (path: string): string => path === '/' ? path : path.replace(/\/+$/, '');

const ARCHES: Readonly<Record<string, string>> = {
  x86_64: 'b64', aarch64: 'b64', s390x: 'b64', ppc64: 'b64', ppc64le: 'b64', riscv64: 'b64', loongarch64: 'b64',
  i386: 'b32', i486: 'b32', i586: 'b32', i686: 'b32', arm: 'b32', armeb: 'b32', armv5tejl: 'b32', armv7l: 'b32', s390: 'b32', ppc: 'b32',
};
/** __AUDIT_ARCH_64BIT of linux/audit.h. */
const ARCH_64BIT = 0x80000000;

function archOf(value: string): string {
  const number = /^0x[0-9a-f]+$/i.test(value) ? Number.parseInt(value, 16) : null;
  if (number !== null) return number >= ARCH_64BIT ? 'b64' : 'b32';
  return ARCHES[value] ?? value;
}

/** One line of a rules file; null for what is no rule on a path and keeps nothing from being recorded. */
function parseRule(text: string): AuditRule | null {
  const words = splitWords(text);
  let action: AuditRule['action'] | null = null;
  let list = 'exit';
  let match: AuditRule['match'] = 'any';
  let path = '';
  let perms: string | null = null;
  let arch: string | null = null;
  let syscalls: string[] | null = null;
  const keys: string[] = [];
  const filters: string[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const [option = '', inline] = /^(-[aAwpkFSC])(.+)$/.exec(words[index] ?? '')?.slice(1) ?? [words[index]];
    if (!WITH_VALUE.has(option)) continue;
    if (inline === undefined) index += 1;
    const value = inline ?? words[index] ?? '';
    switch (option) {
      case '-a': case '-A':
        for (const part of value.split(',')) {
          if (part === 'always' || part === 'never' || part === 'possible') action = part;
          else list = part;
        }
        break;
      case '-w': action = 'always'; match = 'watch'; path = cleanPath(value); break;
      case '-p': perms = value; break;
      case '-k': keys.push(value); break;
      case '-S': if (value !== 'all') syscalls = [...(syscalls ?? []), ...value.split(',')]; break;
      case '-C': filters.push(value); break;
      case '-F': {
        const [, field = '', operator = '', operand = ''] = /^([a-z_0-9]+)(!=|>=|<=|&=|=|>|<|&)(.*)$/.exec(value) ?? [];
        if (operator !== '=') filters.push(value);
        else if (field === 'path' || field === 'dir') { match = field; path = cleanPath(operand); }
        else if (field === 'perm') perms = operand;
        else if (field === 'key') keys.push(operand);
        else if (field === 'arch') arch = archOf(operand);
        else filters.push(value);
        break;
      }
      default: break;
    }
  }
  const silences = (action === 'never' && (list === 'exit' || list === 'task' || list === 'filesystem')) || list === 'exclude';
  if (action === null || (match === 'any' && !silences)) return null;
  return { text: text.trim(), action, list, match, path, perms: perms === null ? PERMS : orderPerms(perms), arch, syscalls, key: keys.length === 0 ? null : keys.join(' -k '), filters };
}

/** Whether a rule says which kinds of access it is about; one on a path that does not is another rule than one that names all four. */
const namesPerms = ({ text }: AuditRule): boolean => /(?:^|\s)(?:-w|-p)|\bperm=/.test(text);

/** True for what auditctl -l prints as a watch, whatever its action and whether it was written with -w, path= or dir=. */
export const printsAsWatch = (rule: AuditRule): boolean =>
  rule.match === 'watch' ? rule.filters.length === 0
    : rule.match !== 'any' && rule.list === 'exit' && rule.arch === null && rule.syscalls === null && rule.filters.length === 0 && namesPerms(rule);

/** Equal for two rules that auditctl prints as one watch. */
export const watchText = ({ path, perms, key }: AuditRule): string => JSON.stringify([path, perms, key]);

/** Equal for rules of which the kernel takes only one. -w on a directory is dir=, on anything else path=: which one it is cannot be seen here. */
const identity = (rule: AuditRule): string => JSON.stringify([
  rule.action, rule.list, rule.match === 'any' ? rule.text : '', rule.path, namesPerms(rule) ? rule.perms : '', rule.arch,
  rule.syscalls === null ? null : [...rule.syscalls].sort(), rule.key, rule.filters,
]);

/** Where a rule file stands in the order of augenrules: `ls -v` of its names. */
export const compareSources = (a: AuditSource, b: AuditSource): number => compareVersions(basename(a.path), basename(b.path)) || a.line - b.line;

/** The order of `ls -v` (coreutils filevercmp): numbers by value, letters before other characters, "~" before everything, suffixes last. */
function compareVersions(a: string, b: string): number {
  const stem = (name: string): string => name.replace(/(?:\.[A-Za-z~][A-Za-z0-9~]*)+$/, '');
  return compareParts(stem(a), stem(b)) || compareParts(a, b);
}

function compareParts(a: string, b: string): number {
  const parts = (text: string): string[] => text.match(/\d+|\D+/g) ?? [];
  const weigh = (char: string | undefined): number =>
    char === undefined ? 0 : char === '~' ? -1 : /[A-Za-z]/.test(char) ? char.charCodeAt(0) : char.charCodeAt(0) + 256;
  let [left, right] = [parts(a), parts(b)];
  if (/^\d/.test(left[0] ?? '')) left = ['', ...left];
  if (/^\d/.test(right[0] ?? '')) right = ['', ...right];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const [one = '', other = ''] = [left[index], right[index]];
    if (index % 2 === 1) {
      const difference = Number(one || 0) - Number(other || 0);
      if (difference !== 0) return difference;
      continue;
    }
    for (let at = 0; at < Math.max(one.length, other.length); at += 1) {
      const difference = weigh(one[at]) - weigh(other[at]);
      if (difference !== 0) return difference;
    }
  }
  return 0;
}
