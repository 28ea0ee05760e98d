import { bareCommand, commandsOf, isShell } from './shell.ts';

/** What one call of a package manager does. */
export interface PackageCall {
  readonly manager: string;
  readonly does: 'update' | 'install' | 'other';
  /** Its first operand: "dist-upgrade". */
  readonly subcommand: string;
  /** Its words that begin with a dash, values left out. */
  readonly options: readonly string[];
  /** Operands of an install. */
  readonly packages: readonly string[];
}

interface Manager {
  /** Subcommands that fetch the index and nothing else. */
  readonly update: readonly string[];
  readonly install: readonly string[];
  /** Options whose value is a word of its own. */
  readonly valued: readonly string[];
}

const APT: Manager = {
  update: ['update'], install: ['install', 'upgrade', 'dist-upgrade', 'full-upgrade', 'build-dep', 'satisfy'],
  valued: ['-o', '--option', '-t', '--target-release', '--default-release', '-c', '--config-file', '-a', '--host-architecture'],
};
const DNF: Manager = {
  update: ['makecache', 'check-update'], install: ['install', 'update', 'upgrade', 'groupinstall', 'localinstall', 'reinstall', 'distro-sync'],
  valued: ['-c', '--config', '--enablerepo', '--disablerepo', '--setopt', '--repo', '--installroot', '--releasever', '-x', '--exclude'],
};
const PIP: Manager = { update: [], install: ['install'], valued: ['-r', '--requirement', '-c', '--constraint', '-i', '--index-url', '--extra-index-url', '-t', '--target', '-e', '--editable', '--prefix', '-f', '--find-links', '--trusted-host', '--root'] };
const MANAGERS: Readonly<Record<string, Manager>> = {
  'apt-get': APT, apt: APT, aptitude: APT,
  apk: { update: ['update'], install: ['add', 'upgrade', 'fix'], valued: ['-t', '--virtual', '-X', '--repository', '-p', '--root', '--arch', '--keys-dir', '--repositories-file', '--wait', '--cache-max-age'] },
  yum: DNF, dnf: DNF, dnf5: DNF, microdnf: DNF, tdnf: DNF,
  zypper: { update: ['refresh', 'ref'], install: ['install', 'in', 'update', 'up', 'dist-upgrade', 'dup', 'patch'], valued: ['-r', '--repo', '--from', '-t', '--type', '-R', '--root'] },
  pip: PIP, pip3: PIP,
  gem: { update: [], install: ['install'], valued: ['-i', '--install-dir', '-n', '--bindir', '-s', '--source', '--platform'] },
};

function callOf(words: readonly string[]): PackageCall | null {
  const [tool = '', ...given] = bareCommand(words);
  const args = /^python\d?(?:\.\d+)?$/u.test(tool) && given[0] === '-m' ? given.slice(1) : [tool, ...given];
  const [name = '', ...rest] = args;
  const manager = Object.hasOwn(MANAGERS, name) ? MANAGERS[name] : undefined;
  if (manager === undefined) return null;
  const operands: string[] = [];
  let pinned = false;
  for (let i = 0; i < rest.length; i += 1) {
    const word = rest[i] ?? '';
    if (name === 'gem' && /^(?:-v|--version)/u.test(word)) {
      pinned = true;
      if (!word.includes('=') && word.length <= '--version'.length) i += 1;
    } else if (manager.valued.includes(word)) i += 1;
    else if (/^\d*(?:[<>]|&>)/u.test(word)) { if (/[<>]$/u.test(word)) i += 1; } else if (!word.startsWith('-')) operands.push(word);
  }
  const [subcommand = '', ...packages] = operands;
  const call = { manager: name, subcommand, options: rest.filter((word) => word.startsWith('-')) };
  if (manager.update.includes(subcommand)) return { ...call, does: 'update', packages: [] };
  if (!manager.install.includes(subcommand)) return { ...call, does: 'other', packages: [] };
  return { ...call, does: 'install', packages: pinned ? [] : packages };
}

/** Calls of package managers in a shell line, in order. */
const packageCalls = (line: string): readonly PackageCall[] => commandsOf(line).flatMap(({ words }) => callOf(words) ?? []);

/** Managers that share an index. */
const family = (manager: string): string => MANAGERS[manager] === APT ? 'apt' : MANAGERS[manager] === DNF ? 'dnf' : manager;

/** The manager whose index a line fetches without installing from it afterwards: the layer is cached, and later installs use an old index. */
export function updateAlone(line: string): string | null {
  const calls = packageCalls(line);
  return calls.find((call, index) => call.does === 'update'
    && !calls.slice(index + 1).some((later) => later.does === 'install' && family(later.manager) === family(call.manager)))?.manager ?? null;
}

/** The call of apt with which a line lets packages be removed and replaced at will, as in a new release: "apt-get dist-upgrade". */
export function distUpgrade(line: string): string | null {
  const call = packageCalls(line).find(({ manager, subcommand }) => family(manager) === 'apt' && (subcommand === 'dist-upgrade' || subcommand === 'full-upgrade'));
  return call === undefined ? null : `${call.manager} ${call.subcommand}`;
}

/** Operands of rm that take apk's cache away. */
const APK_CACHE = /^\/var\/cache(?:\/(?:\*|apk(?:\/\*?)?)?)?$/u;

/** Whether a line leaves what apk fetched in the layer: neither --no-cache, nor removed by the same line. */
export function keepsApkCache(line: string): boolean {
  let kept = false;
  for (const { words } of commandsOf(line)) {
    const call = callOf(words);
    if (call?.manager === 'apk' && call.does !== 'other' && !call.options.includes('--no-cache')) kept = true;
    const [tool, ...operands] = bareCommand(words);
    if (tool === 'rm' && operands.some((operand) => APK_CACHE.test(operand))) kept = false;
  }
  return kept;
}

/** How a line has to do with sudo; null: not at all. */
export function sudoIn(line: string): 'uses' | 'installs' | null {
  const uses = commandsOf(line).some(({ words }) => {
    const bare = bareCommand(words);
    return bare[0] === 'sudo' || words.slice(0, words.length - bare.length).includes('sudo');
  });
  if (uses) return 'uses';
  return packageCalls(line).some(({ packages }) => packages.some((name) => /^sudo(?:[=~<>].*)?$/u.test(name))) ? 'installs' : null;
}

const PINNED: readonly (readonly [managers: readonly string[], pinned: RegExp])[] = [
  [['apt-get', 'apt', 'aptitude'], /=/u],
  [['apk'], /[=~]/u],
  [['yum', 'dnf', 'dnf5', 'microdnf', 'tdnf'], /-\d[^-]*(?:-[^-]+)?$|^@/u],
  [['zypper'], /=/u],
  [['pip', 'pip3'], /===?|@\s*\S|\.whl$/u],
  [['gem'], /:\d/u],
];

/** Packages that a line installs without saying which version; local files, and what only a variable names, are not counted. */
export const unpinnedPackages = (line: string): readonly string[] => packageCalls(line).flatMap(({ manager, does, packages }) => {
  const pinned = PINNED.find(([managers]) => managers.includes(manager))?.[1];
  return does !== 'install' || pinned === undefined ? []
    : packages.filter((name) => !/[$`*]|^[./]|:\/\/|^\d*[<>]/u.test(name) && /^[A-Za-z\d]/u.test(name) && !pinned.test(name));
});

const DOWNLOADERS: ReadonlySet<string> = new Set(['curl', 'wget', 'fetch', 'aria2c']);
const INTERPRETERS = /^(?:python\d?(?:\.\d+)?|perl|ruby|node|php)$/u;

/** Switches that turn verification off: by tool ("" for any), and what each lets through. */
const SWITCHES: readonly (readonly [tool: RegExp, word: RegExp, what: string])[] = [
  [/^(?:apt|apt-get|aptitude)$/u, /^--allow-unauthenticated$|^--force-yes$|^--allow-insecure-repositories$/u, 'apt without signatures'],
  [/^(?:apt|apt-get|aptitude)$/u, /(?:AllowUnauthenticated|AllowInsecureRepositories|AllowWeakRepositories)\s*=\s*["']?(?:true|1|yes)/iu, 'apt without signatures'],
  [/^(?:yum|dnf5?|microdnf|tdnf|zypper)$/u, /^--nogpgcheck$|^--no-gpg-checks?$|gpgcheck=(?:0|false)/u, 'packages without signatures'],
  [/^rpm$/u, /^--nosignature$|^--nodigest$/u, 'packages without signatures'],
  [/^apk$/u, /^--allow-untrusted$/u, 'packages without signatures'],
  [/^pip3?$/u, /^--trusted-host(?:=|$)/u, 'pip without checking certificates'],
  [/^wget$/u, /^--no-check-certificate$/u, 'a download without checking certificates'],
  [/^curl$/u, /^--insecure$|^-[A-Za-z]*k[A-Za-z]*$/u, 'a download without checking certificates'],
  [/^git$/u, /^http\.sslverify=(?:false|0)$/iu, 'git without checking certificates'],
  [/^npm$/u, /^--strict-ssl=false$/u, 'npm without checking certificates'],
];
const ANYWHERE: readonly (readonly [text: RegExp, what: string])[] = [
  [/(?:sh|bash|source|eval|\.)\s+(?:-\w+\s+)*["']?(?:<\(|\$\()\s*(?:curl|wget)\b/u, 'a download that a shell runs'],
  [/\[\s*(?:[\w=,-]+\s+)*trusted=yes/u, 'an apt source that is trusted without signatures'],
  [/\bNODE_TLS_REJECT_UNAUTHORIZED=["']?0|\bGIT_SSL_NO_VERIFY=["']?(?:1|true)|\bPYTHONHTTPSVERIFY=["']?0/u, 'a download without checking certificates'],
  [/\bnpm\s+config\s+set\s+strict-ssl[\s=]+false/u, 'npm without checking certificates'],
  [/\bgpgcheck\s*=\s*0\b/u, 'packages without signatures'],
];

/** What a line installs or runs without knowing whose it is; empty: nothing that can be seen. */
export function unverified(line: string): readonly string[] {
  const found = new Set(ANYWHERE.filter(([text]) => text.test(line)).map(([, what]) => what));
  let downloading = false;
  for (const { words, piped } of commandsOf(line)) {
    const [tool = '', ...args] = bareCommand(words);
    const runs = isShell(tool) || (INTERPRETERS.test(tool) && args.every((word) => word === '-'));
    if (piped && downloading && runs) found.add('a download that a shell runs');
    downloading = DOWNLOADERS.has(tool) || (piped && downloading);
    for (const [name, word, what] of SWITCHES) if (name.test(tool) && args.some((arg) => word.test(arg))) found.add(what);
  }
  return [...found];
}
