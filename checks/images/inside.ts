import { listNames } from '../../src/daemon/containers.ts';
import type { AddedFiles, Check, Facts, ImageAccounts, ImageFilesystem, Observed, Policy, Target, Verdict } from '../../src/model.ts';
import { mapObserved, present } from '../../src/model.ts';
import { octal } from '../../src/octal.ts';
import { eachContainer } from '../containers/container.ts';
import { DAEMON, manual, na, pass, unknown, warn } from '../verdict.ts';
import { always, IMAGES, judgeImages, judgePart, matchesPattern, sinceD112 } from './images.ts';

/*
 * Checks of what is in the files of images, and some of them of what containers added to those: they are judged where somebody looked inside, and are
 * a task for a person elsewhere.
 */

type JudgeFiles = (filesystem: ImageFilesystem, target: Target, policy: Policy) => readonly Verdict<null>[];

const LOOK = 'run with --deep, and harden looks inside';

/** What a container added to its image: only what is wrong gets a message of its own. */
type Wrong = (added: AddedFiles, policy: Policy) => Observed<string | null>;

const judgeImagesAndContainers = (task: string, judgeFiles: JudgeFiles, wrong: Wrong) => {
  const ofImages = judgeFilesystems(task, judgeFiles);
  return (facts: Facts, policy: Policy): readonly Verdict<null>[] => [...ofImages(facts, policy), ...judgeAdded(facts, (added) => wrong(added, policy))];
};

/** Nothing is said of containers where nobody looked inside anything: what is said of their images stands for both. */
function judgeAdded({ containers, ...facts }: Facts, wrong: (added: AddedFiles) => Observed<string | null>): readonly Verdict<null>[] {
  const images = facts.images.status === 'present' ? facts.images.value : [];
  const looked = containers.status === 'present' ? containers.value.some(({ added }) => added !== undefined) : images.some(({ filesystem }) => filesystem !== undefined);
  if (!looked) return [];
  if (containers.status === 'absent') return [unknown(DAEMON, 'The containers of the engine are not known')];
  return eachContainer({ ...facts, containers }, ({ target, facts: { added } }) => {
    if (added === undefined) return manual(target, `Nobody looked at what it changed; ${LOOK}`);
    if (added.status !== 'present') return unknown(target, added.status === 'unreadable' ? added.reason : 'What it changed is not known');
    const { changed } = added.value;
    const found = wrong(added.value);
    if (found.status === 'unreadable') return unknown(target, `In what it changed: ${found.reason}`);
    if (found.status === 'present' && found.value !== null) return warn(target, found.value, null);
    return pass(target, changed === 0 ? 'It changed no file of its image' : `Nothing of the kind is in what it changed (${changed} ${changed === 1 ? 'path' : 'paths'}) that its image has not, too`);
  });
}

const accountsAdded = (message: (accounts: ImageAccounts) => string | null): Wrong => ({ accounts }) => mapObserved(accounts, message);

const judgeFilesystems = (task: string, judgeFiles: JudgeFiles) => (facts: Facts, policy: Policy): readonly Verdict<null>[] => {
  const images = facts.images.status === 'present' ? facts.images.value : [];
  if (images.length > 0 && images.every(({ filesystem }) => filesystem === undefined)) {
    return [manual(IMAGES, `${images.length} ${images.length === 1 ? 'image' : 'images'}: ${task}; ${LOOK}`)];
  }
  return judgeImages<null>(facts, ({ filesystem }, target) => filesystem === undefined ? [manual(target, `Nobody looked inside: ${task}; ${LOOK}`)]
    : judgePart(target, filesystem, 'The file system', (files) => judgeFiles(files, target, policy)));
};

const judgeAccounts = (judgeThem: (accounts: ImageAccounts, target: Target) => readonly Verdict<null>[]): JudgeFiles => ({ accounts }, target) => {
  switch (accounts.status) {
    case 'present': return judgeThem(accounts.value, target);
    case 'absent': return [na(target, 'It has no accounts: neither passwd, shadow nor group is in it')];
    case 'unreadable': return [unknown(target, accounts.reason)];
  }
};

const accepted = (patterns: readonly string[] | undefined, path: string): boolean => patterns?.some((pattern) => matchesPattern(pattern, path)) === true;

/** "layer 2 of 5", and that a layer above does not help. */
const inLayer = ({ layer, removed }: { readonly layer: number; readonly removed: boolean }, layers: number): string =>
  `layer ${layer} of ${layers}${removed ? ', removed later, but still in the image' : ''}`;

/** null: none. */
const withoutPassword = ({ emptyPasswords }: ImageAccounts): string | null =>
  emptyPasswords.length === 0 ? null : `No password is asked of ${listNames(emptyPasswords.map(({ name, file }) => `${name} (${file})`))}`;

/** null: none. */
const shared = ({ duplicates }: ImageAccounts): string | null => duplicates.length === 0 ? null
  : listNames(duplicates.map(({ kind, value, names }) => `${kind} ${value} stands for ${names.length} entries (${listNames([...new Set(names)])})`));

export const setuid: Check<null> = {
  id: 'image.setuid',
  title: 'Images hold no setuid or setgid files that they do not need',
  rationale: 'A setuid program makes its caller another user: a flaw in one makes any process in the container root.',
  evidence: 'With --deep: modes of regular files in the layers of the image, as a container sees them, hard links included, and of files that containers added or changed; policy parameter images.setuidFiles',
  passes: 'No file of any image has the setuid or setgid bit, and no container added one, apart from those that images.setuidFiles accepts.',
  section: 'images',
  severity: 'medium',
  level: 2,
  cis: sinceD112('4.8'),
  aliases: ['CIS-DI-0008'],
  evaluate: judgeImagesAndContainers('review their setuid and setgid files', ({ setuid: files }, target, { parameters: { images } }) => {
    const open = files.filter(({ path }) => !accepted(images?.setuidFiles, path));
    if (open.length > 0) return [warn(target, `It has ${listNames(open.map(({ path, mode }) => `${path} (${octal(mode)})`))}`, null)];
    return [pass(target, files.length === 0 ? 'It has no setuid or setgid file' : 'images.setuidFiles accepts all its setuid and setgid files')];
  }, ({ setuid: files }, { parameters: { images } }) => {
    const open = files.filter(({ path }) => !accepted(images?.setuidFiles, path));
    return present(open.length === 0 ? null : `It added or changed ${listNames(open.map(({ path, mode }) => `${path} (${octal(mode)})`))}`);
  }),
};

export const minimal: Check<null> = {
  id: 'image.minimal',
  title: 'Images hold no packages that they do not need',
  rationale: 'Every package is one more that can have a flaw, and a shell or a compiler is a tool for whoever gets in.',
  evidence: 'With --deep: packages in the databases of dpkg and apk (of rpm only that it is there); policy parameter images.maxPackages. Which ones an image needs, only its owner knows',
  passes: 'No image has more packages than images.maxPackages.',
  section: 'images',
  severity: 'low',
  level: 1,
  cis: always('4.3'),
  aliases: ['CIS-DI-0003'],
  evaluate: judgeFilesystems('review which packages they need', ({ packages }, target, { parameters: { images } }) => {
    const limit = images?.maxPackages;
    const known = packages.filter(({ count }) => count !== null);
    const total = known.reduce((sum, { count }) => sum + (count ?? 0), 0);
    const says = packages.length === 0 ? 'It has no database of packages' : `It has ${listNames(packages.map(({ manager, count }) => `${count ?? 'an unknown number of'} packages of ${manager}`))}`;
    if (limit !== undefined && total > limit) return [warn(target, `${says}; ${limit} are allowed`, null)];
    if (limit === undefined || known.length < packages.length) return [manual(target, `${says}: review which it needs`)];
    return [pass(target, says)];
  }),
};

export const secretFiles: Check<null> = {
  id: 'image.secret-files',
  title: 'Images hold no private keys and no credential files',
  rationale: 'Whoever can pull an image reads every file of every layer; a file that a later layer removes is still there.',
  evidence: 'With --deep: the first 8 KiB of every file in every layer (64 KiB of .pem, .key and the like): private keys by their content, files of credentials (.npmrc, .docker/config.json, '
    + '.aws/credentials, .git-credentials, .netrc, .env, …) by name and content; the same of every file that a container added or changed. Values are never kept; policy parameter images.publicFiles',
  passes: 'No layer of any image holds such a file, and no container wrote one, apart from those that images.publicFiles accepts.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: {},
  evaluate: judgeImagesAndContainers('look for private keys and credentials in their files', ({ secrets, layers }, target, { parameters: { images } }) => {
    const open = secrets.filter(({ path }) => !accepted(images?.publicFiles, path));
    if (open.length > 0) return [warn(target, `It holds ${listNames(open.map((found) => `${found.what} at ${found.path} (${inLayer(found, layers)})`))}`, null)];
    return [pass(target, secrets.length === 0 ? 'No private key and no credential file was found in its layers' : 'images.publicFiles accepts all that looks like a key or credentials')];
  }, ({ secrets }, { parameters: { images } }) => {
    const open = secrets.filter(({ path }) => !accepted(images?.publicFiles, path));
    return present(open.length === 0 ? null : `It wrote ${listNames(open.map(({ what, path }) => `${what} at ${path}`))}`);
  }),
};

export const emptyPassword: Check<null> = {
  id: 'image.empty-password',
  title: 'No account in an image has an empty password',
  rationale: 'Any process in the container, and anyone whom a login service lets in, can become such a user without a password.',
  evidence: 'With --deep: the second field of each line of /etc/passwd and /etc/shadow, of images and where containers changed them',
  passes: 'No account of any image has an empty password field, and no container added one.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: {},
  aliases: ['DKL-LI-0001'],
  evaluate: judgeImagesAndContainers('see that no account in them has an empty password', judgeAccounts((accounts, target) => {
    const message = withoutPassword(accounts);
    return [message === null ? pass(target, 'No account has an empty password') : warn(target, message, null)];
  }), accountsAdded(withoutPassword)),
};

export const uniqueAccounts: Check<null> = {
  id: 'image.unique-accounts',
  title: 'Users and groups of images have names and numbers of their own',
  rationale: 'Two users with one number are one user to the kernel: one is given what was meant for the other, and a second 0 is a second root.',
  evidence: 'With --deep: names and numbers in /etc/passwd and /etc/group, of images and where containers changed them',
  passes: 'No two users and no two groups of an image share a number or a name, and no container made them.',
  section: 'images',
  severity: 'medium',
  level: 1,
  cis: {},
  aliases: ['DKL-LI-0002'],
  evaluate: judgeImagesAndContainers('see that no users in them share a number', judgeAccounts((accounts, target) => {
    const message = shared(accounts);
    return [message === null ? pass(target, 'All users and groups have numbers and names of their own') : warn(target, message, null)];
  }), accountsAdded(shared)),
};

export const packageCache: Check<null> = {
  id: 'image.package-cache',
  title: 'Package managers leave no caches in images',
  rationale: 'Indexes and archives of packages make an image larger and serve nobody: the next build needs fresh ones.',
  evidence: 'With --deep: files below /var/lib/apt/lists, /var/cache/apt, /var/cache/apk, dnf, yum, zypp and pacman, in every layer',
  passes: 'No layer of any image holds files of such a cache.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  aliases: ['DKL-DI-0005'],
  evaluate: judgeFilesystems('see that package managers left no caches in them', ({ leftovers, layers }, target) => {
    const caches = leftovers.filter(({ kind }) => kind === 'cache');
    return [caches.length === 0 ? pass(target, 'No cache of a package manager is in its layers')
      : warn(target, `It carries ${listNames(caches.map((found) => `${found.path} (${found.files} ${found.files === 1 ? 'file' : 'files'}, ${inLayer(found, layers)})`))}`, null)];
  }),
};

export const unneededFiles: Check<null> = {
  id: 'image.unneeded-files',
  title: 'Images hold no files that only their build or their authors needed',
  rationale: 'Repositories, histories of shells, editor settings and temporary files tell about whoever built the image, and may hold what was never meant to leave.',
  evidence: 'With --deep: Dockerfile, Compose files, .git, .svn, .vscode, .idea, .cache, .npm, .aws, .azure, .gcp, histories of shells, contents of /tmp and /var/tmp, as a container sees them; '
    + 'trees of libraries (node_modules, vendor, site-packages, …) are left out',
  passes: 'A container of any image sees no such file.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  aliases: ['DKL-LI-0003'],
  evaluate: judgeFilesystems('see that nothing of their build is left in them', ({ leftovers }, target) => {
    const paths = [...new Set(leftovers.filter(({ kind, removed }) => kind === 'unneeded' && !removed).map(({ path }) => path))];
    return [paths.length === 0 ? pass(target, 'Nothing of its build was found in it') : warn(target, `It has ${listNames(paths)}`, null)];
  }),
};
