import type { ImageAccounts, ImageFilesystem, ImageLeftover, Observed } from '../model.ts';
import { absent, present, unreadable } from '../model.ts';
import type { AccountRow, LayerSummary } from './layer.ts';

/** What a path of a layer is shown as: from the root, bytes that are no UTF-8 replaced. */
const shown = (path: string): string => `/${Buffer.from(path, 'latin1').toString('utf8')}`;

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}

/**
 * Whether a layer above removed or replaced what a layer has at a path. `merges`: the path may be a directory, which one in a layer
 * above does not replace.
 */
function isHidden(layers: readonly LayerSummary[], path: string, from: number, merges = false): boolean {
  const parents = parentsOf(path);
  return layers.slice(from + 1).some((layer) =>
    layer.has('whiteout', path) || layer.has('file', path) || (!merges && layer.has('directory', path)) || layer.has('opaque', '')
    || parents.some((parent) => layer.has('whiteout', parent) || layer.has('opaque', parent) || layer.has('file', parent)));
}

/** The uppermost version of a file, unless it was removed. */
function current<T>(layers: readonly LayerSummary[], path: string, read: (layer: LayerSummary) => T | undefined): T | undefined {
  const at = layers.findLastIndex((layer) => read(layer) !== undefined);
  const layer = layers[at];
  return layer === undefined || isHidden(layers, path, at) ? undefined : read(layer);
}

/** The file system of an image from its layers, lowest first: what is there in the end, and what lower layers still hold. */
export function combineLayers(layers: readonly LayerSummary[], platform: string | null): ImageFilesystem {
  return {
    layers: layers.length,
    platform,
    setuid: layers.flatMap((layer, at) => [...layer.setuid].filter(([path]) => !isHidden(layers, path, at)).map(([path, file]) => ({ path: shown(path), ...file }))),
    secrets: layers.flatMap((layer, at) => [...layer.secrets].map(([path, what]) => ({ path: shown(path), what, layer: at + 1, removed: isHidden(layers, path, at) }))),
    leftovers: leftoversOf(layers),
    accounts: accountsOf(layers),
    packages: packagesOf(layers),
  };
}

function leftoversOf(layers: readonly LayerSummary[]): readonly ImageLeftover[] {
  const found = new Map<string, { kind: ImageLeftover['kind']; path: string; files: number; layer: number; removed: boolean }>();
  for (const [at, layer] of layers.entries()) {
    for (const { kind, place, child, files } of layer.leftovers.values()) {
      const key = `${at} ${place}`;
      const entry = found.get(key) ?? { kind, path: shown(place), files: 0, layer: at + 1, removed: true };
      entry.files += files;
      entry.removed &&= isHidden(layers, child, at, true);
      found.set(key, entry);
    }
  }
  return [...found.values()];
}

function accountsOf(layers: readonly LayerSummary[]): Observed<ImageAccounts> {
  // Where the directory is a link, the files that count are elsewhere.
  if (layers.some((layer) => layer.has('file', 'etc'))) return unreadable('/etc of the image is no directory');
  const read = (path: string): readonly AccountRow[] | string | undefined => current(layers, path, ({ accounts }) => accounts.get(path));
  const [passwd, shadow, group] = [read('etc/passwd'), read('etc/shadow'), read('etc/group')];
  const broken = [passwd, shadow, group].find((file) => typeof file === 'string');
  if (typeof broken === 'string') return unreadable(broken);
  if (passwd === undefined && shadow === undefined && group === undefined) return absent;
  const rows = (file: typeof passwd): readonly AccountRow[] => (typeof file === 'object' ? file : []);
  return present({
    duplicates: [
      ...sharing(rows(passwd), 'id', 'uid'), ...sharing(rows(passwd), 'name', 'user'), ...sharing(rows(group), 'id', 'gid'), ...sharing(rows(group), 'name', 'group'),
    ],
    emptyPasswords: [
      ...rows(passwd).filter(({ empty }) => empty).map(({ name }) => ({ name: text(name), file: '/etc/passwd' })),
      ...rows(shadow).filter(({ empty }) => empty).map(({ name }) => ({ name: text(name), file: '/etc/shadow' })),
    ],
  });
}

const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString('utf8');

/** What more than one row has. Numbers are compared as numbers: 00 is 0. */
function sharing(rows: readonly AccountRow[], by: 'id' | 'name', kind: ImageAccounts['duplicates'][number]['kind']): ImageAccounts['duplicates'] {
  const groups = new Map<string, string[]>();
  for (const row of rows) {
    const value = by === 'id' && /^\d+$/u.test(row.id) ? String(Number(row.id)) : row[by];
    if (value !== '') groups.set(value, [...(groups.get(value) ?? []), text(row.name)]);
  }
  return [...groups].filter(([, names]) => names.length > 1).map(([value, names]) => ({ kind, value: text(value), names }));
}

function packagesOf(layers: readonly LayerSummary[]): ImageFilesystem['packages'] {
  const counts = new Map<'dpkg' | 'apk' | 'rpm', number | null>();
  for (const path of new Set(layers.flatMap(({ packages }) => [...packages.keys()]))) {
    const found = current(layers, path, ({ packages }) => packages.get(path));
    if (found === undefined) continue;
    const before = counts.get(found.manager);
    counts.set(found.manager, before === null || found.count === null ? null : (before ?? 0) + found.count);
  }
  return [...counts].map(([manager, count]) => ({ manager, count }));
}
