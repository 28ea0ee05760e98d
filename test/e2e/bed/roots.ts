/** The file systems that hosts are made of: debootstrapped Debian roots and a busybox image, built once and cached. */
import { createHash } from 'node:crypto';
import { access, chmod, cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CACHE, REPOSITORY } from './layout.ts';
import { output, run, withLock } from './shell.ts';

/** Debian releases a host can be made of: bookworm has Docker 20.10, trixie has Docker 26.1. */
export type Suite = 'bookworm' | 'trixie';

const PACKAGES = [
  'docker.io', 'iptables', 'auditd', 'ca-certificates', 'procps', 'iproute2', 'systemd', 'systemd-sysv', 'dbus',
  'openssh-server', 'python3', 'sudo', 'strace',
];
// Since trixie docker.io only recommends the client. Its docker-compose is version 2, bookworm's is the Python program.
// Its Ansible is 2.19; the machine that runs the tests has its own, 2.14 on Debian 12. debootstrap does not find what only provides a dependency (of python3-cryptography).
const EXTRA_PACKAGES: Record<Suite, string[]> = { bookworm: [], trixie: ['docker-cli', 'docker-compose', 'ansible-core', 'ansible-lint', 'yamllint', 'python3-cffi-backend'] };

/** What is changed in a fresh root. */
const FILES: { path: string; mode: number; content: string }[] = [
  { path: 'usr/local/bin/harden', mode: 0o755, content: '#!/bin/sh\nexec /usr/local/bin/node /opt/harden/dist/src/cli.js "$@"\n' },
  // Mount points.
  { path: 'opt/harden/.keep', mode: 0o644, content: '' },
  { path: 'usr/local/bin/node', mode: 0o755, content: '' },
  // Every host makes up its own machine id at boot.
  { path: 'etc/machine-id', mode: 0o444, content: '' },
];
// The kernel settings outside /proc/sys/net are the machine's: a host that boots must not change them.
const MASKED_UNITS = ['systemd-sysctl.service'];

/** Read-only mounts that every host gets: the checkout, and the Node that runs the tests with the libraries a Debian root lacks. */
export interface Mount {
  source: string;
  target: string;
}

/** A Debian root and the name of its recipe, which changes when the root has to be built anew. */
export interface Root {
  directory: string;
  recipe: string;
}

/** The cached root of a Debian release; the first call builds it, which takes a minute or two. */
export async function hostRoot(suite: Suite): Promise<Root> {
  const packages = [...PACKAGES, ...EXTRA_PACKAGES[suite]];
  const recipe = `${suite}-${shortHash(JSON.stringify([packages, FILES, MASKED_UNITS]))}`;
  const directory = join(CACHE, 'roots', recipe);
  const root = { directory, recipe };
  if (await exists(directory)) return root;
  await withLock(join(CACHE, 'roots.lock'), async () => {
    if (await exists(directory)) return;
    process.stderr.write(`e2e: building a Debian ${suite} root in ${directory}; this takes a minute or two, once\n`);
    const partial = `${directory}.partial`;
    await rm(partial, { recursive: true, force: true });
    const packageCache = join(CACHE, 'packages');
    await mkdir(packageCache, { recursive: true });
    await mkdir(partial, { recursive: true });
    await run(
      ['debootstrap', '--variant=minbase', `--cache-dir=${packageCache}`, `--include=${packages.join(',')}`, suite, partial],
      { check: true, timeoutMs: 600_000 },
    );
    await finishRoot(partial);
    await rename(partial, directory);
  });
  return root;
}

async function finishRoot(root: string): Promise<void> {
  await rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true });
  await run(['chroot', root, 'apt-get', 'clean'], { check: true });
  for (const { path, mode, content } of FILES) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
    await chmod(file, mode);
  }
  for (const unit of MASKED_UNITS) await symlink('/dev/null', join(root, 'etc/systemd/system', unit));
}

/** What the package ships, with what it runs on. Mounted one by one: the checkout itself may be closed to other users, and hosts have some. */
const SHIPPED = ['dist', 'docs', 'fixtures', 'node_modules', 'package.json', 'schemas'];

/** What a host on this root mounts from the machine that runs the tests. */
export async function hostMounts(root: Root): Promise<Mount[]> {
  const node = realpathSync(process.execPath);
  const mounts = [
    ...SHIPPED.map((name) => ({ source: join(REPOSITORY, name), target: `/opt/harden/${name}` })),
    { source: node, target: '/usr/local/bin/node' },
  ];
  for (const [, library] of (await output(['ldd', node])).matchAll(/=> (\/\S+)/g)) {
    if (library !== undefined && !(await exists(join(root.directory, library)))) {
      mounts.push({ source: realpathSync(library), target: library });
    }
  }
  return mounts;
}

/** A tar of a root in which busybox is every command, for `docker import`: an image without a registry. */
export async function busyboxTar(): Promise<Buffer> {
  const busybox = '/bin/busybox';
  const version = shortHash(await readFile(busybox));
  const tar = join(CACHE, `busybox-${version}.tar`);
  if (!(await exists(tar))) {
    const tree = await mkdtemp(join(CACHE, 'busybox-'));
    for (const directory of ['bin', 'etc', 'root', 'tmp', 'var']) await mkdir(join(tree, directory));
    await chmod(tree, 0o755);
    await chmod(join(tree, 'tmp'), 0o1777);
    await cp(busybox, join(tree, 'bin/busybox'));
    for (const applet of (await output([busybox, '--list'])).split('\n')) {
      if (applet !== 'busybox') await symlink('busybox', join(tree, 'bin', applet));
    }
    await writeFile(join(tree, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
    await writeFile(join(tree, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
    await run(['tar', '--create', '--numeric-owner', `--file=${tree}.tar`, `--directory=${tree}`, '.'], { check: true });
    await rename(`${tree}.tar`, tar);
    await rm(tree, { recursive: true });
  }
  return readFile(tar);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}

function shortHash(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}
