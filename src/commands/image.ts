import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { checks } from '../../checks/index.ts';
import { ofOneImage } from '../../checks/images/index.ts';
import { parseArchiveImage, parseImages, parseInfo } from '../collect/engine-api.ts';
import { isExpected, messageOf, UsageError } from '../errors.ts';
import { connectEngine } from '../host/engine.ts';
import { freeBytesAt, lookInside, readArchiveAt } from '../image/look-inside.ts';
import type { Check, Facts, ImageFacts, Policy } from '../model.ts';
import { absent, present, unreadable } from '../model.ts';
import type { PolicyFlags } from '../policy.ts';
import { defaultPolicy, loadPolicy } from '../policy.ts';
import { selectChecks } from '../selection.ts';
import { TOOL } from '../version.ts';
import type { Context, WhereOptions } from './context.ts';
import type { Look } from './look.ts';

/** One image alone, by reference through an engine or from a file without one: nothing of a host is asked. */
export async function lookAtImage(image: string, where: WhereOptions, flags: PolicyFlags, context: Context): Promise<Look> {
  if (where.facts !== undefined) throw new UsageError('--facts reads a snapshot and --image an image; give one of them');
  if (flags.include !== undefined || flags.excludeName !== undefined || flags.label !== undefined) throw new UsageError('--include, --exclude-name and --label choose among many, and --image names one image; leave them out');
  const loaded = await loadPolicy({ flags, cwd: context.cwd, euid: context.euid });
  // What a policy chooses among the containers and images of a host is not about an image that was named.
  const policy = { ...loaded.policy, targets: defaultPolicy.targets };
  const selected = selectedForImage(policy, flags);
  const start = context.now().getTime();
  const deep = where.deep === true;
  const scans = where.vulnerabilities === undefined ? null : await readScans(where.vulnerabilities);
  const archive = await archivePath(image, context.cwd);
  const { images, endpoint } = archive === null ? await fromEngine(image, deep, where, context) : { images: await fromArchive(image, archive, deep, context), endpoint: '' };
  context.progress('');
  const facts = factsOf(image, endpoint, images, context.now());
  return { policy, selected, facts: scans === null ? facts : scans.withScans(facts, scans.read, context), durationMs: context.now().getTime() - start };
}

async function readScans(paths: readonly string[]) {
  const reports = await import('./vulnerabilities.ts');
  return { ...reports, read: await reports.readScans(paths) };
}

/**
 * Of the selected checks those that are about images. A policy may select others, too; on the command line that is a mistake.
 * @throws UsageError
 */
function selectedForImage(policy: Policy, { check: named = [] }: PolicyFlags): readonly Check[] {
  for (const term of named) {
    const { selected } = selectChecks(checks, { ...policy, include: [term], exclude: [], level: 2 });
    if (!selected.some((check) => ofOneImage.includes(check))) {
      throw new UsageError(`--check ${term} is not about images, and --image looks at nothing else\nChoose among ${ofOneImage.map(({ id }) => id).join(', ')}.`);
    }
  }
  const selected = selectChecks(checks, policy).selected.filter((check) => ofOneImage.includes(check));
  if (selected.length === 0) throw new UsageError('nothing is left to check: the selection leaves no check of images, and --image looks at nothing else\nName some with --check image.');
  return selected;
}

/** A file, an OCI layout, or what can only be meant as a path; null: a reference. */
async function archivePath(image: string, cwd: string): Promise<string | null> {
  const path = resolve(cwd, image);
  const found = await stat(path).catch(() => null);
  const isPath = /^\.{0,2}\/|\.(?:tar|tgz)$|\.tar\.\w+$/u.test(image);
  if (found === null) {
    if (isPath) throw new UsageError(`--image ${image}: there is no such file\nGive the name of an image, or the path of what \`docker save -o FILE IMAGE\` wrote.`);
    return null;
  }
  // A directory that only happens to be called like an image is none.
  if (found.isDirectory() && !isPath && await stat(join(path, 'oci-layout')).catch(() => null) === null) return null;
  return path;
}

async function fromArchive(image: string, path: string, deep: boolean, context: Context): Promise<readonly ImageFacts[]> {
  try {
    return (await readArchiveAt(path, deep, (text) => context.progress(text))).map(parseArchiveImage);
  } catch (error) {
    if (!isExpected(error)) throw error;
    throw new UsageError(`--image ${image}: ${messageOf(error)}\nIt takes what \`docker save -o FILE IMAGE\` writes, an OCI archive or an OCI layout directory; make it again if it was damaged.`, { cause: error });
  }
}

async function fromEngine(
  image: string, deep: boolean, { dockerHost }: WhereOptions, context: Context,
): Promise<{ readonly images: readonly ImageFacts[]; readonly endpoint: string }> {
  const engine = await connectEngine({ dockerHost });
  try {
    const found = await engine.image(image);
    if (found === undefined) throw new UsageError(`--image ${image}: the engine at ${engine.endpoint.url} has no such image\nPull it first, or give the path of what \`docker save -o FILE IMAGE\` wrote.`);
    const images = parseImages([found]);
    // Where the engine would write its copy: a proxy that only lets images through does not say, and the engine may be another host's.
    const root = async (): Promise<string | undefined> => (engine.endpoint.socketPath === null ? undefined : engine.info().then((info) => parseInfo(info).dockerRootDir, () => undefined));
    const seen = deep ? await lookInside(engine, images, { progress: (text) => context.progress(text), freeBytes: async () => freeBytesAt(await root()) }) : images;
    if (seen.length === 0) throw new UsageError(`--image ${image}: the image vanished while it was read`);
    return { images: seen, endpoint: engine.endpoint.url };
  } finally {
    engine.close();
  }
}

function factsOf(image: string, endpoint: string, images: readonly ImageFacts[], now: Date): Facts {
  const unknown = unreadable('--image looks at one image and at nothing else');
  return {
    schemaVersion: 1, tool: TOOL, collectedAt: now.toISOString(), onlyImage: image,
    host: { hostname: '', os: unknown, kernel: unknown, architecture: '', lsm: unknown, serviceManager: unknown, euid: -1, mounts: unknown, globalIpv6: unknown, tmpfiles: unknown },
    engine: { endpoint, local: unknown, version: unknown, info: unknown },
    daemon: { configPath: '', config: unknown, process: unknown, unit: unknown, socketUnit: unknown, environmentFiles: {} },
    files: {}, registryCerts: unknown, audit: { version: unknown, enabled: unknown, loaded: unknown, persistent: unknown, augenrules: false }, accounts: unknown,
    // Of containers there are none to judge: their image alone is meant.
    containers: present([]), images: present(images), networks: unknown, volumes: unknown, swarm: absent, swarmNode: absent, contentTrust: unknown,
  };
}
