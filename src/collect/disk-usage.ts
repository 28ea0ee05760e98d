import type { DiskUsage, Json, Observed } from '../model.ts';
import { present, unreadable } from '../model.ts';
import { at, flag, list, text } from './json.ts';

/** Bytes; the engine writes -1 for what it did not measure. */
const sizeAt = (raw: Json, ...path: readonly string[]): number | null => {
  const size = at(raw, ...path);
  return typeof size === 'number' && size >= 0 ? size : null;
};

/** GET /system/df. Containers that wrote nothing have no SizeRw; engines leave out whole parts as null where there is nothing in them. */
export function parseDiskUsage(raw: Json): Observed<DiskUsage> {
  const layers = sizeAt(raw, 'LayersSize');
  const images = list(at(raw, 'Images')).map((image) => ({ id: text(at(image, 'Id')), size: sizeAt(image, 'Size'), shared: sizeAt(image, 'SharedSize') }));
  const unmeasured = images.find(({ size }) => size === null);
  if (layers === null || unmeasured !== undefined || !Array.isArray(at(raw, 'Containers') ?? [])) {
    return unreadable(`the engine does not tell ${layers === null ? 'how much space its layers take' : `the size of ${unmeasured?.id ?? 'its containers'}`}`);
  }
  return present({
    layers,
    images: images.map(({ id, size, shared }) => ({ id, size: size ?? 0, shared })),
    containers: list(at(raw, 'Containers')).map((container) => ({ id: text(at(container, 'Id')), written: at(container, 'SizeRw') === undefined ? 0 : sizeAt(container, 'SizeRw') })),
    buildCache: list(at(raw, 'BuildCache')).filter((record) => !flag(at(record, 'InUse')) && !flag(at(record, 'Shared'))).reduce<number>((sum, record) => sum + (sizeAt(record, 'Size') ?? 0), 0),
  });
}
