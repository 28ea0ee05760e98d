import { compareSources, printsAsWatch, watchText } from '../collect/audit.ts';
import { TMPFILES_DROP_IN } from '../managed.ts';
import type { AuditFacts, AuditRule, AuditSource, Facts } from '../model.ts';
import { statOf, valueOf } from '../model.ts';

/** What must be recorded: writes and attribute changes of a path, for programs their execution too; for a directory, of all below it. */
export interface AuditSubject {
  readonly path: string;
  readonly type: 'file' | 'directory';
  readonly perms: 'wa' | 'wax';
  /** Layers and volumes below the path may be left out. */
  readonly exceptLayers?: boolean;
}

/**
 * `covered`: loaded, and loaded again at boot. `disabled`: that, but auditing is off. `loaded-only`: lost at the next boot or load.
 * `file-only`: written, not in the kernel. `partial`: some accesses are recorded. `suppressed`: an earlier rule keeps them from being recorded.
 * `no-auditd`: nothing here can load rules.
 */
export type CoverageState = 'covered' | 'disabled' | 'loaded-only' | 'file-only' | 'partial' | 'suppressed' | 'none' | 'no-auditd' | 'unknown';

interface Coverage {
  readonly state: CoverageState;
  /** One sentence without a final period. */
  readonly reason: string;
  /** What it takes for rules that are written to be in force; completes "waits for …". */
  readonly waitsFor: string | null;
}

/** Architectures whose kernels also run 32-bit programs with system calls of their own: a rule for one of the two sees half. */
const TWO_ARCHES = new Set(['x86_64', 'aarch64', 's390x']);
const ONE_ARCH_32 = /^(?:i[3-6]86|arm|ppc$|s390$)/;
export const archesOf = (architecture: string): readonly string[] =>
  TWO_ARCHES.has(architecture) ? ['b64', 'b32'] : ONE_ARCH_32.test(architecture) ? ['b32'] : ['b64'];

/** Directories below /run that exist before auditd loads its rules on every systemd host. */
const EARLY_RUN = ['/run', '/run/lock', '/run/log', '/run/systemd', '/run/udev', '/run/user'];

/** What is below a data root that holds layers and volumes, also under userns-remap's UID.GID directory. */
const LAYERS = /^(?:\d+\.\d+\/)?(?:overlay2?|aufs|btrfs|devicemapper|fuse-overlayfs|vfs|zfs|rootfs|volumes)(?:\/|$)/;

const isBelow = (path: string, directory: string): boolean => directory === '/' ? path !== '/' : path.startsWith(`${directory}/`);
const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/'))) || '/';

/**
 * A path with its directories resolved and its last name as it is: the kernel follows symbolic links on the way to a watched name,
 * but a rule on a link watches the link (auditctl(8); tried on Linux 6.18).
 */
export function resolvePath(facts: Facts, path: string): string {
  const directories = parentOf(path);
  const resolved = resolveDirectory(facts, directories);
  return path === '/' ? path : `${resolved === '/' ? '' : resolved}${path.slice(path.lastIndexOf('/'))}`;
}

function resolveDirectory(facts: Facts, directory: string): string {
  for (let prefix = directory; prefix !== '/' && prefix !== ''; prefix = parentOf(prefix)) {
    const stat = valueOf(statOf(facts, prefix));
    if (stat?.type === 'directory') return stat.realPath + directory.slice(prefix.length);
  }
  return directory;
}

/** Where a path that exists really ends, its own symbolic link followed. */
export const realPathOf = (facts: Facts, path: string): string => valueOf(statOf(facts, path))?.realPath ?? resolvePath(facts, path);

/** Calls of each kind of access, as far as every kernel with auditing has them; auditctl 4 writes a perm= as such a list. */
const CALLS = {
  w: ['openat', 'openat2', 'mkdirat', 'mknodat', 'unlinkat', 'renameat', 'renameat2', 'linkat', 'symlinkat', 'truncate', 'ftruncate', 'fallocate'],
  a: ['fchmod', 'fchmodat', 'fchown', 'fchownat', 'setxattr', 'lsetxattr', 'fsetxattr', 'removexattr', 'lremovexattr', 'fremovexattr', 'linkat'],
  x: ['execve'],
  r: ['openat', 'openat2', 'readlinkat'],
} as const;
/** Calls that architectures from before the …at family have as well. */
const OLD_CALLS = {
  w: ['open', 'creat', 'mkdir', 'rmdir', 'mknod', 'unlink', 'rename', 'link', 'symlink'],
  a: ['chmod', 'chown', 'lchown', 'link'],
  x: [],
  r: ['open', 'readlink'],
} as const;
const RARE_CALLS = ['execveat', 'fchmodat2', 'bind', 'acct', 'swapon', 'quotactl', 'quotactl_fd', 'setxattrat', 'removexattrat', 'file_setattr'];
const FILE_CALLS = new Set<string>([...Object.values(CALLS).flat(), ...Object.values(OLD_CALLS).flat(), ...RARE_CALLS]);

type Letter = keyof typeof CALLS;

/** Whether a list of system calls leaves out none by which this kind of access can happen. */
export function namesAllCalls(syscalls: readonly string[] | null, letter: string, architecture: string, arch: string): boolean {
  if (syscalls === null) return true;
  const kind = letter as Letter;
  const onlyNew = arch === 'b64' && ['aarch64', 'riscv64', 'loongarch64'].includes(architecture);
  return [...CALLS[kind], ...(onlyNew ? [] : OLD_CALLS[kind])].every((call) => syscalls.includes(call));
}

/** How the path of a rule lies to the subject. `inode`: the directory alone. `below`: a part of the subject. */
type Relation = 'exact' | 'above' | 'inode' | 'below' | 'apart';

function relationOf(facts: Facts, rule: AuditRule, subject: AuditSubject): Relation {
  if (rule.match === 'any') return 'exact';
  const path = resolvePath(facts, rule.path);
  const real = realPathOf(facts, subject.path);
  if (path === real) return rule.match === 'path' && subject.type === 'directory' ? 'inode' : 'exact';
  if (rule.match !== 'path' && isBelow(real, path)) return 'above';
  return subject.type === 'directory' && isBelow(path, real) ? 'below' : 'apart';
}

const place = (rule: AuditRule): string => rule.source === undefined ? `"${rule.text}"` : `"${rule.text}" (${rule.source.path}:${rule.source.line})`;

/** The mount point at which a recursive rule ends before it reaches all of the subject; null when there is none; undefined when mounts are unknown. */
function mountBetween(facts: Facts, rule: AuditRule, subject: AuditSubject): string | null | undefined {
  const mounts = valueOf(facts.host.mounts);
  const real = realPathOf(facts, subject.path);
  const rulePath = rule.match === 'any' ? real : resolvePath(facts, rule.path);
  if (mounts === undefined) return rulePath === real && subject.type === 'file' ? null : undefined;
  const between = mounts.map(({ mountPoint }) => mountPoint).filter((mount) => isBelow(mount, rulePath) && (mount === real || isBelow(real, mount)));
  const within = subject.type === 'file' || subject.exceptLayers === true ? [] : mounts.map(({ mountPoint }) => mountPoint).filter((mount) => isBelow(mount, real));
  return [...between, ...within][0] ?? null;
}

/** Exclude rules hide records of one type; only the record of the call and those of its paths are evidence here. */
const hidesEvidence = (rule: AuditRule): boolean => {
  const types = rule.filters.filter((filter) => filter.startsWith('msgtype='));
  return types.length === 0 || types.some((type) => /^msgtype=(?:SYSCALL|PATH|1300|1302)$/.test(type));
};
const IGNORED_FILE_SYSTEMS = /^fstype=(?:tracefs|debugfs|0x74726163|0x64626720)$/i;

/** Whether a rule can keep an access to the subject from being recorded. */
function silences(rule: AuditRule, letter: string): boolean {
  if (rule.list === 'exclude') return hidesEvidence(rule);
  if (rule.action !== 'never') return false;
  if (rule.list === 'filesystem') return !rule.filters.some((filter) => IGNORED_FILE_SYSTEMS.test(filter));
  if (rule.list === 'task') return true;
  const calls = letter === 'x' ? ['execve', 'execveat'] : null;
  return rule.syscalls === null || rule.syscalls.some((call) => calls === null ? FILE_CALLS.has(call) && !call.startsWith('execve') : calls.includes(call));
}

type Verdict =
  | { readonly kind: 'full' | 'none' }
  | { readonly kind: 'partial' | 'suppressed' | 'unknown'; readonly reason: string };

/**
 * What a list of rules records of a subject. The earliest rule that matches an access decides about it (kernel/auditsc.c; tried), so
 * every combination of architecture and kind of access is followed through the list until a rule takes it.
 */
function judgeRules(facts: Facts, rules: readonly AuditRule[], subject: AuditSubject): Verdict {
  // Task, exclude and filesystem rules act wherever they stand.
  const ordered = [...rules.filter(({ list }) => list !== 'exit'), ...rules.filter(({ list }) => list === 'exit')]
    .map((rule) => ({ rule, relation: relationOf(facts, rule, subject) })).filter(({ relation }) => relation !== 'apart');
  let cells = 0;
  let full = 0;
  let unknown: string | null = null;
  let suppressed: string | null = null;
  /** A `never` that takes some accesses away counts whatever follows; a rule that records too little does not when a later one records the rest. */
  let quieted: string | null = null;
  let lacking: string | null = null;
  for (const arch of archesOf(facts.host.architecture)) {
    for (const letter of subject.perms) {
      cells += 1;
      for (const { rule, relation } of ordered) {
        if ((rule.arch !== null && rule.arch !== arch) || !rule.perms.includes(letter)) continue;
        if (silences(rule, letter)) {
          if (relation === 'below' && subject.exceptLayers === true && isLayer(facts, rule, subject)) continue;
          if (relation !== 'below' && relation !== 'inode' && takesAll(rule)) {
            suppressed ??= `${place(rule)} comes first and keeps it from being recorded`;
            break;
          }
          quieted ??= `${place(rule)} keeps some accesses from being recorded`;
          continue;
        }
        if (rule.action !== 'always' || rule.list !== 'exit' || relation === 'below') continue;
        const lack = lackOf(facts, rule, relation, subject, letter, arch);
        if (lack === null) {
          full += 1;
          break;
        }
        if (lack === undefined) unknown ??= 'the mounts of this host could not be read, so it is not known how far rules on directories reach';
        else lacking ??= lack;
      }
    }
  }
  if (suppressed !== null) return { kind: 'suppressed', reason: suppressed };
  if (full === cells) return quieted === null ? { kind: 'full' } : { kind: 'partial', reason: quieted };
  if (unknown !== null) return { kind: 'unknown', reason: unknown };
  const reason = lacking ?? (full > 0 ? missing(rules, facts, subject) : null);
  return reason === null ? { kind: 'none' } : { kind: 'partial', reason };
}

const isLayer = (facts: Facts, rule: AuditRule, subject: AuditSubject): boolean =>
  LAYERS.test(resolvePath(facts, rule.path).slice(realPathOf(facts, subject.path).length + 1));

/** True for a rule without conditions; the type of message of an exclude rule is none. */
const takesAll = (rule: AuditRule): boolean => rule.syscalls === null && rule.filters.every((filter) => filter.startsWith('msgtype='));

/** Which architecture or kind of access no rule takes. */
function missing(rules: readonly AuditRule[], facts: Facts, subject: AuditSubject): string {
  const mine = rules.filter((rule) => rule.action === 'always' && ['exact', 'above'].includes(relationOf(facts, rule, subject)));
  const perms = subject.perms.split('').filter((letter) => !mine.some((rule) => rule.perms.includes(letter)));
  if (perms.length > 0) return `the rules on it leave out ${perms.map((letter) => ({ w: 'writes', a: 'attribute changes', x: 'execution' })[letter] ?? letter).join(' and ')}`;
  const arches = archesOf(facts.host.architecture).filter((arch) => !mine.some((rule) => rule.arch === null || rule.arch === arch));
  return arches.length > 0 ? `the rules on it leave out ${arches.join(', ')} programs` : 'the rules on it leave out some accesses';
}

/** What keeps one rule from recording all accesses of one kind; null: nothing; undefined: not known. */
function lackOf(facts: Facts, rule: AuditRule, relation: Relation, subject: AuditSubject, letter: string, arch: string): string | null | undefined {
  if (relation === 'inode') return `${place(rule)} watches the directory itself, not what is in it`;
  if (rule.filters.length > 0) return `${place(rule)} is narrowed by ${rule.filters.join(', ')}`;
  if (!namesAllCalls(rule.syscalls, letter, facts.host.architecture, arch)) return `${place(rule)} is narrowed to some system calls`;
  const mount = mountBetween(facts, rule, subject);
  return typeof mount === 'string' ? `${place(rule)} ends at the mount point ${mount}` : mount;
}

function byWatchText(rules: readonly AuditRule[]): ReadonlyMap<string, readonly AuditRule[]> {
  const groups = new Map<string, AuditRule[]>();
  for (const rule of rules) groups.set(watchText(rule), [...(groups.get(watchText(rule)) ?? []), rule]);
  return groups;
}

/**
 * The kernel's rules with what their files say about them: auditctl -l prints `never` and one-inode rules as the same "-w …" as a
 * real watch. `doubtful` are those that no file explains, or that are listed more often than files hold them.
 */
function explainLoaded(loaded: readonly AuditRule[], persistent: readonly AuditRule[]): { rules: readonly AuditRule[]; doubtful: ReadonlySet<AuditRule> } {
  const explanations = byWatchText(persistent.filter(printsAsWatch));
  const listed = byWatchText(loaded.filter(({ match }) => match === 'watch'));
  const doubtful = new Set<AuditRule>();
  const rules = loaded.map((rule) => {
    if (rule.match !== 'watch') return rule;
    const sources = explanations.get(watchText(rule)) ?? [];
    const same = listed.get(watchText(rule)) ?? [];
    const source = sources[same.indexOf(rule)];
    const explained = source === undefined ? rule : { ...rule, match: source.match, action: source.action };
    if (sources.length < same.length) doubtful.add(explained);
    return explained;
  });
  return { rules, doubtful };
}

function judgeLoaded(facts: Facts, subject: AuditSubject, loaded: readonly AuditRule[], persistent: readonly AuditRule[]): Verdict & { readonly doubtful: boolean } {
  const { rules, doubtful } = explainLoaded(loaded, persistent);
  const asListed = judgeRules(facts, rules, subject);
  const certain = judgeRules(facts, rules.filter((rule) => !doubtful.has(rule)), subject);
  if (certain.kind !== 'full') return { ...asListed, doubtful: asListed.kind === 'full' };
  // A rule without a key that no file explains may be a suppression: people give watches keys.
  const worst = judgeRules(facts, rules.map((rule) => doubtful.has(rule) && rule.key === null ? { ...rule, action: 'never' as const } : rule), subject);
  const suspect = [...doubtful].find((rule) => rule.key === null && relationOf(facts, rule, subject) !== 'apart');
  return worst.kind === 'full' || suspect === undefined ? { kind: 'full', doubtful: false }
    : { kind: 'unknown', doubtful: true, reason: `auditctl -l prints "${suspect.text}" for a watch and for a suppression alike, and no file says which it is` };
}

/** Directories below /run that our tmpfiles.d drop-in makes before auditd loads its rules. */
const bootDirectories = (facts: Facts): readonly string[] =>
  [...(valueOf(facts.managed?.[TMPFILES_DROP_IN]) ?? '').matchAll(/^d (\/run\/\S+)/gm)].map(([, path]) => path ?? '');

/** Why a rule cannot be loaded at boot; null when nothing speaks against it. */
function bootProblem(facts: Facts, rule: AuditRule): string | null {
  if (rule.match === 'any') return null;
  const needed = rule.match === 'dir' ? rule.path : parentOf(rule.path);
  if (statOf(facts, needed)?.status === 'absent') return `${needed} does not exist`;
  const real = realPathOf(facts, needed);
  return isBelow(real, '/run') && !EARLY_RUN.some((early) => real === early || (early !== '/run' && isBelow(real, early))) && !bootDirectories(facts).includes(real)
    ? `${needed} does not exist yet when rules are loaded at boot` : null;
}

/** The line at which loading the persistent rules ends, and why; null when all are reached. */
export function loadStop(facts: Facts): NonNullable<AuditFacts['stop']> | null {
  const { stop, continuesFrom } = facts.audit;
  const fatal = (source: AuditSource): boolean => continuesFrom === undefined || compareSources(source, continuesFrom) < 0;
  const broken = (valueOf(facts.audit.persistent) ?? []).flatMap((rule) => {
    const reason = rule.source === undefined || !fatal(rule.source) ? null : bootProblem(facts, rule);
    return reason === null || rule.source === undefined ? [] : [{ source: rule.source, reason }];
  });
  return [...(stop === undefined ? [] : [stop]), ...broken].sort((a, b) => compareSources(a.source, b.source))[0] ?? null;
}

/** The persistent rules that really get loaded at boot. */
const bootRules = (facts: Facts, persistent: readonly AuditRule[]): readonly AuditRule[] => {
  const stop = loadStop(facts);
  return persistent.filter((rule) =>
    (stop === null || rule.source === undefined || compareSources(rule.source, stop.source) < 0) && bootProblem(facts, rule) === null);
};

export const stopText = ({ source, reason }: NonNullable<AuditFacts['stop']>): string => `loading ends at ${source.path}:${source.line}: ${reason}`;

/**
 * Whether accesses to a path are recorded, now and after the next boot. Kernel rules and rule files are judged apart; only where both
 * cover the subject, and auditing is on, it is `covered`.
 */
export function coverage(facts: Facts, subject: AuditSubject): Coverage {
  const { audit } = facts;
  const of = (state: CoverageState, reason: string, waitsFor: string | null = null): Coverage => ({ state, reason, waitsFor });
  if (audit.version.status === 'absent') {
    return facts.host.euid === 0 ? of('no-auditd', 'auditd is not installed (there is no auditctl), so nothing here loads audit rules')
      : of('unknown', 'there is no auditctl for this user, and only root can see audit rules');
  }
  const { enabled, loaded, persistent } = audit;
  if (enabled.status !== 'present') return of('unknown', enabled.status === 'unreadable' ? enabled.reason : 'auditctl -s gave no answer');
  if (loaded.status !== 'present') return of('unknown', loaded.status === 'unreadable' ? loaded.reason : 'auditctl -l gave no answer');
  if (persistent.status === 'unreadable') return of('unknown', `the rule files could not be read: ${persistent.reason}`);

  const written = persistent.status === 'present' ? persistent.value : [];
  const kernel = judgeLoaded(facts, subject, loaded.value, written);
  const boot = judgeRules(facts, bootRules(facts, written), subject);
  const files = judgeRules(facts, written, subject);
  const stop = loadStop(facts);
  for (const verdict of [kernel, boot]) if (verdict.kind === 'unknown') return of('unknown', verdict.reason);

  if (kernel.kind === 'full' && !kernel.doubtful && boot.kind === 'full') {
    if (audit.bootEnabled === 0) return of('loaded-only', 'it is audited now, but the last -e of the rule files switches auditing off at boot');
    return enabled.value === 0 ? of('disabled', 'rules for it are loaded, but auditing is off (enabled 0)', 'auditing to be switched on (start auditd, or auditctl -e 1)')
      : of('covered', 'an audit rule records it, now and after a reboot');
  }
  if (kernel.kind === 'full' && boot.kind !== 'full') {
    if (files.kind === 'full' && stop !== null) return of('loaded-only', `it is audited until the next boot, when ${stopText(stop)}`);
    return of('loaded-only', 'reason' in boot ? `a loaded rule records it, but after the next boot ${boot.reason}`
      : 'a loaded rule records it, but no rule file holds one, so it is lost at the next boot');
  }
  if (boot.kind === 'full') {
    return enabled.value === 2 ? of('file-only', 'a rule for it is written, but the kernel keeps its rules until a reboot (enabled 2)', 'a reboot')
      : of('file-only', `a rule for it is written, but the kernel does not have it${kernel.doubtful ? ' for certain (rules listed that no file explains)' : ''}`, 'the rules to be loaded (augenrules --load)');
  }
  if (files.kind === 'full' && stop !== null) return of('file-only', `a rule for it is written, but ${stopText(stop)}`);
  for (const kind of ['suppressed', 'partial'] as const) {
    for (const verdict of [kernel, boot]) if (verdict.kind === kind) return of(kind, verdict.reason);
  }
  return of('none', 'no audit rule records it');
}
