import { secretIn } from './secrets.ts';

/*
 * What files of an image are looked for, by path and by the start of their content. Paths have no leading slash. Contents are looked at and
 * never kept.
 */

/** So much of a file is read, and so much of one that keys and certificates come in, for a key may follow a chain of certificates. */
export const readLength = (path: string): number => (/\.(?:pem|key|crt|ovpn|json|conf|ya?ml)$|(?:^|\/)\.env(?:\.|$)/iu.test(path) ? 64 << 10 : 8 << 10);

/** A whole PEM block from its own line on; sources that only name the marker have no base64 below it. */
const PRIVATE_KEY = /^-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----\r?\n(?:[A-Za-z-]{1,30}: [^\n]{0,200}\n|\r?\n){0,8}[A-Za-z0-9+/=]{16}/mu;
const PUTTY_KEY = /^PuTTY-User-Key-File-\d: /u;

/** By name, and by what the content must look like: an empty or commented one holds no secret. */
const CREDENTIALS: readonly (readonly [path: RegExp, content: RegExp, what: string])[] = [
  [/(?:^|\/)\.?npmrc$/u, /^[^\S\n]*(?:\/\/\S{1,300}:)?_(?:authToken|auth|password)[^\S\n]*=[^\S\n]*(?!\$)[^\s]/mu, 'credentials of npm'],
  [/(?:^|\/)(?:\.docker|kaniko\/\.docker)\/config\.json$|(?:^|\/)\.dockercfg$/u, /"(?:auth|identitytoken|registrytoken|password)"\s{0,20}:\s{0,20}"[^"]/u, 'credentials of a registry'],
  [/(?:^|\/)\.aws\/credentials$/u, /^[^\S\n]*aws_secret_access_key[^\S\n]*=[^\S\n]*\S/imu, 'credentials of AWS'],
  [/(?:^|\/)(?:\.git-credentials|\.config\/git\/credentials)$/u, /:\/\/[^\s@/]{1,300}@/u, 'credentials of git'],
  [/(?:^|\/)\.git\/config$/u, /^[^\S\n]*url[^\S\n]*=[^\S\n]*[a-z]{3,8}:\/\/[^\s:@/]{1,300}:[^\s@/]{1,300}@/mu, 'credentials of git'],
  [/(?:^|\/)[._]netrc$/u, /\bpassword\s{1,20}\S/u, 'passwords of servers'],
  [/(?:^|\/)\.pypirc$/u, /^[^\S\n]*password[^\S\n]*[:=][^\S\n]*\S/mu, 'credentials of a package index'],
  [/(?:^|\/)\.pgpass$/u, /^[^#\n][^:\n]*(?::[^:\n]*){3}:[^\s]/mu, 'a password of a database'],
  [/(?:^|\/)\.my\.cnf$/u, /^[^\S\n]*password[^\S\n]*=[^\S\n]*\S/mu, 'a password of a database'],
  [/(?:^|\/)(?:\.kube\/config|kubeconfig)$|^etc\/kubernetes\/[^/]+\.conf$/u, /^[^\S\n]*(?:- )?(?:client-key-data|token|password):[^\S\n]*\S/mu, 'credentials of Kubernetes'],
  [/(?:^|\/)\.cargo\/credentials(?:\.toml)?$/u, /^[^\S\n]*token[^\S\n]*=[^\S\n]*\S/mu, 'credentials of a package index'],
  [/(?:^|\/)\.gem\/credentials$/u, /^:[^\s:]{1,100}:[^\S\n]*\S/mu, 'credentials of a package index'],
  [/\.json$/u, /"private_key"\s{0,20}:\s{0,20}"-----BEGIN/u, 'a key of a service account'],
];

/** .env, .env.production; not the ones that are there to be copied. */
const ENVIRONMENT_FILE = /(?:^|\/)\.env(?:\.(?!example|sample|template|dist|test)[\w-]+)?$/u;

/** What secret a file holds by its path and the start of its content; null: none that can be seen. */
export function secretFile(path: string, content: string): string | null {
  if (content.includes('PRIVATE KEY') && PRIVATE_KEY.test(content)) return 'a private key';
  if (content.startsWith('PuTTY') && PUTTY_KEY.test(content)) return 'a private key';
  if (/\.(?:p12|pfx)$/iu.test(path) && content.startsWith('0\x82')) return 'a key store';
  if (/\.kdbx$/iu.test(path) && content.startsWith('\x03\xd9\xa2\x9a')) return 'a password store';
  const known = CREDENTIALS.find(([name, looks]) => name.test(path) && looks.test(content));
  if (known !== undefined) return known[2];
  const secret = ENVIRONMENT_FILE.test(path) && content.split('\n').some((line) => secretIn(line.trim().replace(/^export\s+/u, '')) !== null);
  return secret ? 'secrets of an environment file' : null;
}

/** What is left over in an image: caches of package managers, and what nothing needs at run time. */
export interface Leftover {
  readonly kind: 'cache' | 'unneeded';
  /** The directory or file that a person would remove. */
  readonly place: string;
  /** The child of it that this path is or lies in; the place itself for a file. */
  readonly child: string;
}

const CACHES: readonly (readonly [directory: string, except: RegExp])[] = [
  ['var/lib/apt/lists', /^(?:lock|partial|auxfiles)$/u],
  ['var/cache/apt/archives', /^(?:lock|partial)$/u],
  ['var/cache/apt', /^(?!.*\.bin$)/u],
  ['var/cache/apk', /^$/u],
  ['var/cache/dnf', /^$/u],
  ['var/cache/libdnf5', /^$/u],
  ['var/cache/yum', /^$/u],
  ['var/cache/zypp', /^$/u],
  ['var/cache/pacman/pkg', /^$/u],
];

/** Directories of developers and tools, wherever they are, and of temporary files. */
const UNNEEDED_NAMES: ReadonlySet<string> = new Set(['.git', '.svn', '.hg', '.vscode', '.idea', '.cache', '.npm', '.aws', '.azure', '.gcp']);
const TEMPORARY: ReadonlySet<string> = new Set(['tmp', 'var/tmp']);
const UNNEEDED_FILE = /^(?:Dockerfile|Containerfile|(?:docker-)?compose\.ya?ml|\.DS_Store|\.vimrc|\.viminfo|\.(?:bash|ash|zsh|sh|python|mysql|psql)_history)$/u;
/** Trees of libraries bring their own: that is not of whoever built the image. */
const LIBRARY = /(?:^|\/)(?:node_modules|vendor|site-packages|dist-packages|gems)\//u;

/** Whether a path that is no directory is left over, and from what. */
export function leftoverAt(path: string): Leftover | null {
  for (const [directory, except] of CACHES) {
    if (!path.startsWith(`${directory}/`)) continue;
    const [name = ''] = path.slice(directory.length + 1).split('/');
    if (!except.test(name)) return { kind: 'cache', place: directory, child: `${directory}/${name}` };
  }
  if (LIBRARY.test(path)) return null;
  // The outermost one: what is inside goes with it.
  const directory = outermost(path);
  if (directory !== null) {
    const [name = ''] = path.slice(directory.length + 1).split('/');
    return { kind: 'unneeded', place: directory, child: `${directory}/${name}` };
  }
  return UNNEEDED_FILE.test(path.slice(path.lastIndexOf('/') + 1)) ? { kind: 'unneeded', place: path, child: path } : null;
}

function outermost(path: string): string | null {
  for (let start = 0, slash = path.indexOf('/'); slash !== -1; start = slash + 1, slash = path.indexOf('/', start)) {
    const directory = path.slice(0, slash);
    if (UNNEEDED_NAMES.has(path.slice(start, slash)) || TEMPORARY.has(directory)) return directory;
  }
  return null;
}

/** Databases of package managers: how packages are counted in them. null: a format that is only known to be there. */
export const packageDatabase = (path: string): { readonly manager: 'dpkg' | 'apk' | 'rpm'; readonly count: RegExp | 'file' | null } | null => {
  if (path === 'var/lib/dpkg/status') return { manager: 'dpkg', count: /^Status: \S+ \S+ installed$/u };
  if (/^var\/lib\/dpkg\/status\.d\/[^/]+$/u.test(path)) return path.endsWith('.md5sums') ? null : { manager: 'dpkg', count: 'file' };
  if (path === 'lib/apk/db/installed' || path === 'usr/lib/apk/db/installed') return { manager: 'apk', count: /^P:/u };
  if (/^(?:var\/lib|usr\/lib\/sysimage)\/rpm\/(?:rpmdb\.sqlite|Packages(?:\.db)?)$/u.test(path)) return { manager: 'rpm', count: null };
  return null;
};

export const ACCOUNT_FILES: readonly string[] = ['etc/passwd', 'etc/shadow', 'etc/group'];
