/** The cgroup hierarchies of the machine: v1 with one mount per controller, or v2. */
import { readdirSync, readFileSync } from 'node:fs';
import { readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const CGROUP_ROOT = '/sys/fs/cgroup';

/** The mount points of all cgroup hierarchies. */
export function cgroupMounts(): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path === CGROUP_ROOT || path.startsWith(`${CGROUP_ROOT}/`));
}

/** Lets what is frozen in cgroups with one of these names run on. */
export async function thawCgroups(names: readonly string[]): Promise<void> {
  const wanted = new Set(names);
  for (const mount of cgroupMounts()) {
    const directories = await readdir(mount, { withFileTypes: true, recursive: true }).catch(() => []);
    for (const { name, parentPath } of directories.filter((entry) => entry.isDirectory() && wanted.has(entry.name))) {
      // One of the two is there, of v1 only in the hierarchy of the freezer.
      await writeFile(join(parentPath, name, 'freezer.state'), 'THAWED').catch(() => undefined);
      await writeFile(join(parentPath, name, 'cgroup.freeze'), '0').catch(() => undefined);
    }
  }
}

/**
 * Removes the empty cgroups with one of these names, wherever they are. An engine that is killed leaves those of its
 * containers behind, and they are the machine's, not the host's.
 */
export async function removeCgroups(names: readonly string[]): Promise<void> {
  const wanted = new Set(names);
  for (const mount of cgroupMounts()) await visit(mount, false);

  async function visit(directory: string, remove: boolean): Promise<void> {
    for (const entry of await readdir(directory, { withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory()) await visit(join(directory, entry.name), remove || wanted.has(entry.name));
    }
    // Busy means that somebody else uses it; gone, that somebody else removed it.
    if (remove) await rmdir(directory).catch(() => undefined);
  }
}

/** The ids of all containers whose state an engine keeps in this data root (also below a userns-remap directory). */
export function containerIds(dataRoot: string): string[] {
  return readdirSync(dataRoot, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && /^(containers|\d+\.\d+)$/.test(entry.name))
    .flatMap(({ name }) => (name === 'containers' ? readdirSync(join(dataRoot, name)) : containerIds(join(dataRoot, name))));
}
