import { findNodeAtLocation, parseTree } from 'jsonc-parser';
import { parseConfigFile, positionAt } from './daemon/json-edit.ts';
import { messageOf, UsageError } from './errors.ts';
import { maskArguments, maskEnvironment, maskJson, maskSecretsInJsonText, maskSecretsInText } from './mask.ts';
import type {
  ComposeFacts, ConfigFile, ContainerFacts, ContainerSpec, DaemonFacts, Facts, ImageFacts, ImageFilesystem, Json, JsonObject, MountSpec, Observed, SwarmFacts,
} from './model.ts';
import { mapObserved, unreadable, valueOf } from './model.ts';
import { readUntrusted } from './untrusted-file.ts';
import { TOOL } from './version.ts';

/** Facts as `harden collect` writes them: the same document, with every secret masked. Values of environment variables all count as secrets. */
export function exportSnapshot(facts: Facts): JsonObject {
  const without = maskedFiles(facts);
  const masked: Facts = {
    ...facts,
    ...(without.length > 0 && { masked: without }),
    engine: { ...facts.engine, endpoint: maskSecretsInText(facts.engine.endpoint), info: mapObserved(facts.engine.info, masking) },
    daemon: maskDaemon(facts.daemon),
    ...(facts.managed !== undefined && { managed: maskTexts(facts.managed) }),
    containers: mapObserved(facts.containers, (containers) => containers.map(maskContainer)),
    images: mapObserved(facts.images, (images) => images.map(maskImage)),
    ...(facts.swarm !== undefined && { swarm: mapObserved(facts.swarm, maskSwarm) }),
    ...(facts.compose !== undefined && { compose: mapObserved(facts.compose, (projects) => projects.map(withoutTexts)) }),
    networks: mapObserved(facts.networks, (networks) => networks.map((network) => ({ ...network, options: masking(network.options) }))),
  };
  return JSON.parse(JSON.stringify(masked)) as JsonObject;
}

/** Paths of the files of which a snapshot has another text than they have. */
function maskedFiles({ daemon, managed, masked }: Facts): string[] {
  const texts: (readonly [path: string, text: string | undefined])[] = [
    ...(valueOf(daemon.unit)?.sources ?? []).map(({ path, text }) => [path, text] as const),
    ...[...Object.entries(daemon.environmentFiles), ...Object.entries(managed ?? {})].map(([path, text]) => [path, valueOf(text)] as const),
  ];
  const config = valueOf(daemon.config)?.text ?? '';
  return [...new Set([
    ...(masked ?? []), ...(maskSecretsInJsonText(config) === config ? [] : [daemon.configPath]),
    ...texts.flatMap(([path, text]) => (text === undefined || maskSecretsInText(text) === text ? [] : [path])),
  ])];
}

/** Compose files hold secrets in many forms, and whoever has the snapshot needs none of them. */
const withoutTexts = (project: ComposeFacts): ComposeFacts => ({
  ...project, texts: Object.fromEntries(Object.keys(project.texts).map((path) => [path, unreadable('snapshots do not keep the texts of compose files')])),
});

/** By names and looks; the shape stays, because only strings and numbers under a secret's name change, and to strings. */
const masking = <T extends object>(value: T): T => maskJson(value as unknown as Json) as unknown as T;

const maskTexts = (texts: Readonly<Record<string, Observed<string>>>): Record<string, Observed<string>> =>
  Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, mapObserved(text, maskSecretsInText)]));

function maskDaemon(daemon: DaemonFacts): DaemonFacts {
  return {
    ...daemon,
    config: mapObserved(daemon.config, maskConfig),
    ...(daemon.startedWith !== undefined && { startedWith: mapObserved(daemon.startedWith, maskConfig) }),
    process: mapObserved(daemon.process, (process) => ({ ...process, argv: maskArguments(process.argv) })),
    unit: mapObserved(daemon.unit, (unit) => ({ ...unit, sources: unit.sources.map(({ path, text }) => ({ path, text: maskSecretsInText(text) })) })),
    environmentFiles: maskTexts(daemon.environmentFiles),
  };
}

function maskConfig({ text, bom, parsed }: ConfigFile): ConfigFile {
  const masked = maskSecretsInJsonText(text);
  return { text: masked, bom, parsed: parsed.ok ? parseConfigFile(masked).parsed : parsed };
}

/** Names stay, so that the checks of images find in a snapshot what they find on the host. */
function maskImage(image: ImageFacts): ImageFacts {
  return {
    ...image,
    ...(image.config !== undefined && {
      config: mapObserved(image.config, (config) => ({
        ...config,
        env: config.env.map(maskSecretVariable),
        labels: masking(config.labels),
        entrypoint: maskArguments(config.entrypoint),
        command: maskArguments(config.command),
        healthcheck: config.healthcheck && { ...config.healthcheck, test: maskArguments(config.healthcheck.test) },
      })),
    }),
    ...(image.history !== undefined && {
      history: mapObserved(image.history, (entries) => entries.map((entry) => ({ ...entry, createdBy: maskCommand(entry.createdBy), comment: maskSecretsInText(entry.comment) }))),
    }),
    ...(image.filesystem !== undefined && { filesystem: mapObserved(image.filesystem, maskFilesystem) }),
  };
}

/** Contents are never kept; a path may still be made of a secret. */
const maskPaths = <T extends { readonly path: string }>(found: readonly T[]): readonly T[] => found.map((item) => ({ ...item, path: maskSecretsInText(item.path) }));
const maskFilesystem = (files: ImageFilesystem): ImageFilesystem => ({ ...files, setuid: maskPaths(files.setuid), secrets: maskPaths(files.secrets), leftovers: maskPaths(files.leftovers) });

const maskSwarm = (swarm: SwarmFacts): SwarmFacts => ({
  ...swarm,
  services: mapObserved(swarm.services, (services) => services.map(({ definition, ...service }) => ({
    ...service, env: service.env.map(maskEnvironment), ...(definition !== undefined && { definition: { ...definition, fields: masking(definition.fields) } }),
  }))),
});

/** The value of a variable that sounds like a secret, all of it, blanks and all; else what looks like one. An empty value stays. */
function maskSecretVariable(entry: string): string {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/su.exec(entry) ?? [];
  return name === '' || value === '' ? entry : `${name}=${Object.values(masking({ [name]: value })).join('')}`;
}

/** An instruction of an image's history: assignments, flags and options with their words. */
const maskCommand = (line: string): string => maskSecretsInText(
  line.replace(/(--?[\w-]*(?:pass|secret|token|key|credential)[\w-]*(?:[= ]|["'],?\s+)|\b\w*(?:PASS|SECRET|TOKEN|KEY|CREDENTIAL)\w*=|\s-u\s*[^\s:]+:)(?=[^\s$])("[^"]*"|'[^']*'|\S+)/giu, '$1***'));

function maskContainer(container: ContainerFacts): ContainerFacts {
  return {
    ...container,
    spec: mapObserved(container.spec, maskSpec),
    // Programs choose what they are called.
    ...(container.processes !== undefined && { processes: mapObserved(container.processes, (names) => names.map(maskSecretsInText)) }),
    ...(container.added !== undefined && { added: mapObserved(container.added, (files) => ({ ...files, setuid: maskPaths(files.setuid), secrets: maskPaths(files.secrets) })) }),
  };
}

function maskSpec(spec: ContainerSpec): ContainerSpec {
  return {
    ...spec,
    env: spec.env.map(maskEnvironment),
    entrypoint: spec.entrypoint && maskArguments(spec.entrypoint),
    command: spec.command && maskArguments(spec.command),
    labels: masking(spec.labels),
    annotations: masking(spec.annotations),
    healthcheck: spec.healthcheck && { ...spec.healthcheck, test: maskArguments(spec.healthcheck.test) },
    log: spec.log && { ...spec.log, options: masking(spec.log.options) },
    mounts: spec.mounts.map((mount): MountSpec => ({ ...mount, options: maskSecretsInText(mount.options), details: maskJson(mount.details) })),
  };
}

/** More than the facts of any host are nested; a recursive reader takes some thousands. */
const MAX_DEPTH = 100;

/**
 * Facts from a file that `harden collect` wrote. The file is untrusted: it is held against the shape of the document, field by field.
 * @throws UsageError when it cannot be read or is something else, with line, column and reason
 */
export async function loadSnapshot(path: string): Promise<Facts> {
  return snapshotFrom(await readUntrusted(path), path);
}

/** Facts from the text of a snapshot; `source` names it in errors. */
export async function snapshotFrom(text: string, source: string): Promise<Facts> {
  const refuse = (why: string): UsageError => new UsageError(`${source} ${why}\nA snapshot is what "harden collect -o FILE" writes.`);
  const value = parsedJson(text, refuse);
  if (!isRecord(value) || !isRecord(value['tool'])) throw refuse('is no snapshot.');
  const { tool, schemaVersion } = value;
  if (tool['name'] !== TOOL.name) throw refuse(`was not written by ${TOOL.name}.`);
  const newer = typeof schemaVersion === 'number' && schemaVersion > 1 ? `schema ${schemaVersion}; this one reads schema 1`
    : typeof tool['version'] === 'string' && isNewer(tool['version'], TOOL.version) ? `${clipped(tool['version'])}; this is ${TOOL.version}` : null;
  if (newer !== null) throw new UsageError(`${source} was written by a newer ${TOOL.name} (${newer}).\nRead it with that version.`);
  if (schemaVersion !== 1) throw refuse('is no snapshot: it has no schemaVersion.');
  const { factsDocument } = await import('./facts-schema.ts');
  const { data, error } = factsDocument.safeParse(value);
  if (data !== undefined) return reread(data);
  const [issue] = error.issues;
  const at = issue?.path.filter((step) => typeof step !== 'symbol') ?? [];
  const { line, column } = positionOf(text, at);
  throw refuse(`is no snapshot: line ${line}, column ${column}: ${clipped(at.join('.'))}: ${issue?.message ?? ''}.`);
}

/** Without members named __proto__, which would become the prototype of what they are copied into. */
function parsedJson(text: string, refuse: (why: string) => UsageError): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
  } catch (error) {
    if (error instanceof RangeError) throw refuse('is nested too deeply.');
    const { parsed } = parseConfigFile(text);
    throw refuse(parsed.ok ? `is not JSON: ${messageOf(error)}.` : `is not JSON: line ${parsed.line}, column ${parsed.column}: ${parsed.error}.`);
  }
  if (isDeeper(value, MAX_DEPTH)) throw refuse('is nested too deeply.');
  return value;
}

const isDeeper = (value: unknown, levels: number): boolean =>
  typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1)));

/** Where a value stands, or the innermost thing around it that is there. */
function positionOf(text: string, path: readonly (string | number)[]): { readonly line: number; readonly column: number } {
  const root = parseTree(text);
  const lengths = [...path.keys(), path.length].reverse();
  const node = root && lengths.map((length) => findNodeAtLocation(root, path.slice(0, length))).find((found) => found !== undefined);
  return positionAt(text, node?.offset ?? 0);
}

/** Versions as in 1.2.3, with or without something behind them. */
function isNewer(version: string, than: string): boolean {
  const numbers = (text: string): number[] => (/^\d+\.\d+\.\d+/.exec(text)?.[0] ?? '').split('.').map(Number);
  const own = numbers(than);
  const difference = numbers(version).map((part, index) => part - (own[index] ?? 0)).find((part) => part !== 0);
  return difference !== undefined && difference > 0;
}

const clipped = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

/** What stands twice in a document must be the same: of daemon.json the text counts. */
function reread(facts: Facts): Facts {
  const again = (config: Observed<ConfigFile>): Observed<ConfigFile> => mapObserved(config, ({ text, bom }) => ({ ...parseConfigFile(text), text, bom }));
  const { daemon } = facts;
  return { ...facts, daemon: { ...daemon, config: again(daemon.config), ...(daemon.startedWith !== undefined && { startedWith: again(daemon.startedWith) }) } };
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
