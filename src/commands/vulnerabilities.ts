import { scansIn, ADVICE } from '../collect/vulnerabilities.ts';
import { UsageError } from '../errors.ts';
import { isScanOf } from '../image/scans.ts';
import type { Facts, Json, VulnerabilityScan } from '../model.ts';
import { valueOf } from '../model.ts';
import { escapeLine } from '../render/escape.ts';
import type { Context } from './context.ts';
import { readJson } from './documents.ts';

/** A scan and the file that it was read from. */
interface ReadScan {
  readonly path: string;
  readonly scan: VulnerabilityScan;
}

/**
 * The scans of report files.
 * @throws UsageError naming the file, what is wrong with it, and how to write one
 */
export async function readScans(paths: readonly string[]): Promise<readonly ReadScan[]> {
  const scans: ReadScan[] = [];
  for (const path of paths) {
    for (const scan of scansIn(await readReport(path), path)) scans.push({ path, scan });
  }
  return scans;
}

async function readReport(path: string): Promise<Json> {
  try {
    return await readJson(path) as Json;
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${error.message.split('\n')[0] ?? ''}\n${ADVICE}`, { cause: error }) : error;
  }
}

/** Facts with the scans of their images; a scan of no image here is left out, and said so. */
export function withScans(facts: Facts, scans: readonly ReadScan[], context: Context): Facts {
  const images = valueOf(facts.images);
  const ofImages = scans.filter(({ path, scan }) => {
    if (images === undefined || images.some((image) => isScanOf(scan, image))) return true;
    context.err(`harden: ${escapeLine(path)} is of another image (${scan.imageId ?? scan.digests[0] ?? ''}), which is not on this host: it is left out\n`);
    return false;
  });
  return { ...facts, vulnerabilities: [...facts.vulnerabilities ?? [], ...ofImages.map(({ scan }) => scan)] };
}
