import { readFile } from 'node:fs/promises';
import { parseConfigFile, positionAt } from './daemon/json-edit.ts';
import { messageOf, UsageError } from './errors.ts';
import { maskJson, maskSecretsInJsonText, maskSecretsInText } from './mask.ts';
import type {
  ComposeFacts, ConfigFile, ContainerFacts, ContainerSpec, DaemonFacts, Facts, ImageFacts, ImageFilesystem, Json, JsonObject, MountSpec, Observed, SwarmFacts,
} from './model.ts';
import { mapObserved, unreadable } from './model.ts';
import { TOOL } from './version.ts';

/** Facts as `harden collect` writes them: the same document, with every secret masked. Values of environment variables all count as secrets. */
export function exportSnapshot(facts: Facts): JsonObject {
  const masked: Facts = {
    ...facts,
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

/** A secret may stand in one word (--token=x) or in the word after its flag (--token x). */
function maskArguments(argv: readonly string[]): string[] {
  return argv.map((word, index) => {
    const name = /^--?([A-Za-z][\w.-]*)$/.exec(argv[index - 1] ?? '')?.[1];
    const alone = maskSecretsInText(word);
    return name === undefined || word.startsWith('-') ? alone : maskSecretsInText(`${name}=${alone}`).slice(name.length + 1);
  });
}

/** Names stay, so that the checks of images find in a snapshot what they find on the host. */
function maskImage(image: ImageFacts): ImageFacts {
  return {
    ...image,
    ...(image.config !== undefined && {
      config: mapObserved(image.config, (config) => ({
        ...config,
        env: config.env.map(maskEnvironment),
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
const maskFilesystem = (files: ImageFilesystem): ImageFilesystem => {
  const masked = <T extends { readonly path: string }>(found: readonly T[]): readonly T[] => found.map((item) => ({ ...item, path: maskSecretsInText(item.path) }));
  return { ...files, setuid: masked(files.setuid), secrets: masked(files.secrets), leftovers: masked(files.leftovers) };
};

const maskSwarm = (swarm: SwarmFacts): SwarmFacts => ({
  ...swarm,
  services: mapObserved(swarm.services, (services) => services.map(({ definition, ...service }) => ({
    ...service, env: service.env.map(maskEnvironment), ...(definition !== undefined && { definition: { ...definition, fields: masking(definition.fields) } }),
  }))),
});

/** The value of a variable that sounds like a secret, all of it, blanks and all; else what looks like one. An empty value stays. */
function maskEnvironment(entry: string): string {
  const [, name = '', value = ''] = /^([^=]*)=(.*)$/su.exec(entry) ?? [];
  return name === '' || value === '' ? entry : `${name}=${Object.values(masking({ [name]: value })).join('')}`;
}

/** An instruction of an image's history: assignments, flags and options with their words. */
const maskCommand = (line: string): string => maskSecretsInText(
  line.replace(/(--?[\w-]*(?:pass|secret|token|key|credential)[\w-]*[= ]|\b\w*(?:PASS|SECRET|TOKEN|KEY|CREDENTIAL)\w*=|\s-u\s*[^\s:]+:)(?=[^\s$])("[^"]*"|'[^']*'|\S+)/giu, '$1***'));

function maskContainer(container: ContainerFacts): ContainerFacts {
  return {
    ...container,
    spec: mapObserved(container.spec, maskSpec),
    // Programs choose what they are called.
    ...(container.processes !== undefined && { processes: mapObserved(container.processes, (names) => names.map(maskSecretsInText)) }),
  };
}

function maskSpec(spec: ContainerSpec): ContainerSpec {
  return {
    ...spec,
    env: spec.env.map((entry) => entry.replace(/=.*/s, '=***')),
    entrypoint: spec.entrypoint && maskArguments(spec.entrypoint),
    command: spec.command && maskArguments(spec.command),
    labels: masking(spec.labels),
    annotations: masking(spec.annotations),
    healthcheck: spec.healthcheck && { ...spec.healthcheck, test: maskArguments(spec.healthcheck.test) },
    log: spec.log && { ...spec.log, options: masking(spec.log.options) },
    mounts: spec.mounts.map((mount): MountSpec => ({ ...mount, options: maskSecretsInText(mount.options), details: maskJson(mount.details) })),
  };
}

/** Parts that facts of schema 1 always have. */
const PARTS = ['host', 'engine', 'daemon', 'files', 'registryCerts', 'audit', 'accounts', 'containers', 'images', 'networks'] as const;

/**
 * Facts from a file that `harden collect` wrote. The file is untrusted: it is held against the shape of the document, not believed.
 * @throws UsageError when it cannot be read or is something else
 */
export async function loadSnapshot(path: string): Promise<Facts> {
  const refuse = (why: string): UsageError => new UsageError(`${path} ${why}.\nA snapshot is what "harden collect -o FILE" writes.`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw refuse(`cannot be read: ${messageOf(error)}`);
  }
  let value: unknown;
  try {
    // A key of that name would become the prototype of what it is copied into.
    value = JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
  } catch (error) {
    const offset = /position (\d+)/.exec(messageOf(error))?.[1];
    throw refuse(`is not JSON (line ${positionAt(text, offset === undefined ? text.length : Number(offset)).line})`);
  }
  if (!isRecord(value) || !isRecord(value['tool'])) throw refuse('is no snapshot');
  const { tool, schemaVersion } = value;
  if (tool['name'] !== TOOL.name) throw refuse(`was not written by ${TOOL.name}`);
  if (typeof schemaVersion === 'number' && schemaVersion > 1) {
    throw new UsageError(`${path} was written by a newer ${TOOL.name} (schema ${schemaVersion}; this one reads schema 1).\nRead it with that version.`);
  }
  const missing = PARTS.filter((part) => !isRecord(value[part]));
  if (schemaVersion !== 1 || missing.length > 0) throw refuse(`is no snapshot: ${missing.length > 0 ? `it lacks ${missing.join(', ')}` : 'it has no schemaVersion'}`);
  if (value['vulnerabilities'] !== undefined && !Array.isArray(value['vulnerabilities'])) throw refuse('is no snapshot: its vulnerabilities are no list');
  return value as unknown as Facts;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
