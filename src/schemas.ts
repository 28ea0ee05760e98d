import { z } from 'zod';
import { parsePublish } from './container/run-values.ts';
import { factsDocument } from './facts-schema.ts';
import type { RunSummary } from './journal.ts';
import type {
  CheckResult, ContainerParameters, Finding, GcDocument, HostSummary, Outcomes, Parameters, PlanDocument, Report, Target, ToolStamp, Waiver,
} from './model.ts';
import type { RewriteDocument } from './render/rewrite.ts';
import { DEFER_REASONS, EDITIONS, FILE_CHANGE_KINDS, FLAW_SEVERITIES, IMPACTS, OBJECT_CHANGE_KINDS, OUTCOMES, PREMISE_KINDS, RISKS } from './model.ts';
import type { DockerBenchDocument } from './render/docker-bench.ts';
import { namePattern } from './targets.ts';

/** Schemas of what users write and of every document that harden writes. Loaded only where one is read or checked. */

/** Text that ends up in a configuration file or a flag: one line, not empty. */
const line = z.string().regex(/^[^\p{Cc}\u2028\u2029]+$/u, 'must be text on one line, not empty, without control characters');
const absolutePath = line.regex(/^\//, 'must be an absolute path');
const json = z.json();
const jsonObject = z.record(z.string(), json);

/** getrlimit(2) resources by the names that dockerd knows (go-units, ulimit.go). */
const ULIMITS = [
  'core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack',
] as const;

const isLimitPair = (text: string): boolean => {
  const [soft = NaN, hard = NaN] = text.split(':').map(Number);
  return hard === -1 || (soft !== -1 && soft <= hard);
};

const NOT_A_LIMIT = 'must be a number, or "SOFT:HARD" with SOFT not above HARD (-1: unlimited)';
const ulimit = z.union(
  [z.int(NOT_A_LIMIT).min(-1, NOT_A_LIMIT), z.string().regex(/^(-1|\d+):(-1|\d+)$/, NOT_A_LIMIT).refine(isLimitPair, NOT_A_LIMIT)],
  NOT_A_LIMIT,
);

const days = z.int('must be a whole number of days').min(1, 'must be at least one day');
const anyDays = z.int('must be a whole number of days').min(0, 'must be 0 or more days');
const hours = z.int('must be a whole number of hours').min(1, 'must be at least one hour');

const SIZE = /^\d+(\.\d+)?[bkmg]?$/i;
const duration = line.regex(/^(\d+(\.\d+)?(h|m|s|ms|us))+$/, 'must be a time as in 30s or 1m30s');
const isPublished = (text: string): boolean => {
  try {
    return parsePublish(text).length > 0;
  } catch {
    return false;
  }
};

const containerParameters = z.strictObject({
  memory: z.union([z.int().min(6 * 1024 * 1024, 'must be at least 6 MiB: the engine takes no less'), line.regex(SIZE, 'must be a size as in 512m')]).exactOptional(),
  memoryOvercommit: z.literal(true).exactOptional(),
  pidsLimit: z.int().min(1).exactOptional(),
  cpuShares: z.int().min(2, 'must be from 2 to 262144').max(262144, 'must be from 2 to 262144')
    .refine((shares) => shares !== 1024, 'must not be 1024: that is what every container has without a choice').exactOptional(),
  user: line.exactOptional(),
  tmpfs: z.array(absolutePath).exactOptional(),
  capabilities: z.array(line.regex(/^(CAP_)?[A-Z_]+$/i, 'must be the name of a capability as in NET_BIND_SERVICE')).exactOptional(),
  healthcheck: z.strictObject({
    test: z.union([line, z.array(z.string()).min(2)]), interval: duration.exactOptional(), timeout: duration.exactOptional(), startPeriod: duration.exactOptional(),
    retries: z.int().min(1).exactOptional(),
  }).exactOptional(),
  restart: line.regex(/^(no|on-failure:[1-5])$/, 'must be "no", or "on-failure:COUNT" with a COUNT from 1 to 5').exactOptional(),
  publishAddress: z.union([z.ipv4(), z.ipv6()], 'must be an address of this host').exactOptional(),
  hostPorts: z.record(z.string().regex(/^(?:[1-9]\d{0,2}|10[01]\d|102[0-3])$/, 'must be a port below 1024'), z.union([z.int().min(1024).max(65535), z.literal('none')], 'must be a port from 1024 to 65535, or none')).exactOptional(),
  publish: z.array(line.refine(isPublished, 'must be as for docker run -p: 127.0.0.1:8080:80')).exactOptional(),
  pinImage: z.literal(true).exactOptional(),
  network: line.regex(/^(?!(?:host|none|bridge|default)$)[A-Za-z0-9][A-Za-z0-9_.-]*$/, 'must be the name of a user-defined network').exactOptional(),
  ulimits: z.partialRecord(z.enum(ULIMITS), ulimit).exactOptional(),
  privateNamespaces: z.array(z.enum(['network', 'pid', 'ipc', 'uts', 'userns'])).exactOptional(),
  withoutMounts: z.array(absolutePath).exactOptional(),
  withoutDevices: z.array(absolutePath).exactOptional(),
  confined: z.literal(true).exactOptional(),
  noNewPrivileges: z.literal(true).exactOptional(),
  log: z.strictObject({ maxSize: line.regex(/^\d+[kmg]$/, 'must be a size as in 50m'), maxFile: z.int().min(1) }).exactOptional(),
  defaultCgroup: z.literal(true).exactOptional(),
  writableLayer: z.literal('save').exactOptional(),
  detached: z.literal(true).exactOptional(),
  watchSeconds: z.int().min(1).max(3600).exactOptional(),
}) satisfies z.ZodType<ContainerParameters>;

/** Every choice that a remediation needs; one schema for harden.yaml and --set. */
const parameters = z.strictObject({
  trustedUsers: z.array(line).exactOptional(),
  logDriver: z.strictObject({
    driver: line,
    options: z.record(z.string(), z.string('must be text: the daemon takes log options as strings, so write numbers in quotes')).exactOptional(),
  }).exactOptional(),
  defaultUlimits: z.partialRecord(z.enum(ULIMITS), ulimit).exactOptional(),
  authorizationPlugins: z.array(line).exactOptional(),
  cgroupParent: line.exactOptional(),
  seccompProfile: absolutePath.exactOptional(),
  insecureRegistries: z.array(line).exactOptional(),
  iptables: z.boolean().exactOptional(),
  experimental: z.boolean().exactOptional(),
  usernsRemap: line.regex(/^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?$/, 'must be "default", or USER or USER:GROUP as userns-remap takes it').exactOptional(),
  registryMirrors: z.array(line).exactOptional(),
  audit: z.strictObject({
    dataRoot: z.enum(['all', 'except-layers']).exactOptional(),
    runContainerd: z.boolean().exactOptional(),
    style: z.enum(['watch', 'syscall']).exactOptional(),
  }).exactOptional(),
  engine: z.strictObject({
    supportedReleases: z.array(line.regex(/^\d+\.\d+$/, 'must be a release line as in "20.10"')).exactOptional(),
  }).exactOptional(),
  images: z.strictObject({
    trustedSources: z.array(line).exactOptional(),
    maxAgeDays: days.exactOptional(),
    publicNames: z.array(line).exactOptional(),
    maxScanAgeDays: days.exactOptional(),
    fixSeverity: z.enum(FLAW_SEVERITIES).exactOptional(),
    user: line.regex(/^(?!(?:root|0+)(?::|$))[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$/, 'must be USER or USER:GROUP, and not root').exactOptional(),
    healthcheck: line.regex(/^(?!.*[\\`]\s*$)\s*\S/, 'must be a command on one line that does not end with \\ or `').exactOptional(),
    maxPackages: z.int('must be a whole number of packages').min(0, 'must be 0 or more').exactOptional(),
    setuidFiles: z.array(line).exactOptional(),
    publicFiles: z.array(line).exactOptional(),
  }).exactOptional(),
  operations: z.strictObject({
    unusedImageDays: anyDays.exactOptional(), stoppedContainerDays: anyDays.exactOptional(), execWindowHours: hours.exactOptional(),
    maxReclaimable: z.union([z.int().min(0), line.regex(SIZE)], 'must be a size as in 20g').exactOptional(),
    removeUnusedImages: z.array(line).exactOptional(), removeStoppedContainers: z.array(line).exactOptional(),
  }).exactOptional(),
  swarm: z.strictObject({
    managers: z.int().min(1).exactOptional(), certificateDays: days.exactOptional(), rootCaDays: days.exactOptional(), unlockKeyFile: absolutePath.exactOptional(),
  }).exactOptional(),
  container: containerParameters.exactOptional(),
  containers: z.record(line, containerParameters).exactOptional(),
}) satisfies z.ZodType<Parameters>;

const NOT_A_DATE = 'must be a date as in 2027-03-31';
const isDate = (text: string): boolean => {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
};

const NOT_A_NAME = 'must be a name with * and ?, or /EXPRESSION/ in RE2 syntax';
const isNamePattern = (text: string): boolean => {
  try {
    namePattern(text);
    return true;
  } catch {
    return false;
  }
};
const names = z.array(line.refine(isNamePattern, NOT_A_NAME));
const labels = z.array(line);

const waiver = z.strictObject({
  check: line,
  target: line
    .regex(/^((host|daemon|file|unit|audit|account|container|image|network|swarm):|(label|image|project|service)=)./, 'must be KIND:GLOB, or label=, image=, project= or service= with a value')
    .exactOptional(),
  reason: line,
  owner: line,
  expires: z.string().regex(/^\d{4}-\d\d-\d\d$/, NOT_A_DATE).refine(isDate, NOT_A_DATE).exactOptional(),
}) satisfies z.ZodType<Waiver>;

/** harden.yaml. A section whose entries are all commented out reads as null, and is as good as left out. */
export const policyFile = z.strictObject({
  benchmark: z.string().exactOptional(),
  level: z.literal([1, 2]).exactOptional(),
  include: z.array(line).nullable().exactOptional(),
  exclude: z.array(line).nullable().exactOptional(),
  targets: z.strictObject({ include: names.exactOptional(), exclude: names.exactOptional(), labels: labels.exactOptional() }).nullable().exactOptional(),
  maxImpact: z.enum(IMPACTS).exactOptional(),
  maxRisk: z.enum(RISKS).exactOptional(),
  parameters: parameters.nullable().exactOptional(),
  waivers: z.array(waiver).nullable().exactOptional(),
  history: z.strictObject({
    keep: z.int('must be a whole number of runs').min(1, 'must be at least one run').exactOptional(), maxAgeDays: days.exactOptional(),
  }).nullable().exactOptional(),
});

const impact = z.enum(IMPACTS);
const risk = z.enum(RISKS);
const outcome = z.enum(OUTCOMES);
const edition = z.enum(EDITIONS);
const time = z.iso.datetime();

const tool = z.object({ name: z.literal('harden'), version: z.string() }) satisfies z.ZodType<ToolStamp>;
const target = z.object({
  kind: z.enum(['host', 'daemon', 'file', 'unit', 'audit', 'account', 'container', 'image', 'network', 'swarm']),
  name: z.string(),
  id: z.string(),
}) satisfies z.ZodType<Target>;
const host = z.object({
  hostname: z.string(),
  os: z.string(),
  kernel: z.string(),
  engine: z.object({
    endpoint: z.string(), local: z.boolean(), version: z.string(), apiVersion: z.string(), rootless: z.boolean(), storageDriver: z.string(),
  }),
  image: z.string().exactOptional(),
}) satisfies z.ZodType<HostSummary>;
const document = { schemaVersion: z.literal(1), tool };

const finding = z.object({
  target,
  outcome,
  message: z.string(),
  pending: z.object({ waitsFor: z.string() }).exactOptional(),
  waiver: z.object({ reason: z.string(), owner: z.string(), expires: z.string().nullable() }).exactOptional(),
}) satisfies z.ZodType<Omit<Finding, 'check' | 'detail'>>;

const section = z.enum(['host', 'daemon', 'files', 'images', 'containers', 'operations', 'swarm']);
const severity = z.enum(['high', 'medium', 'low']);
const level = z.literal([1, 2]);
const mode = z.enum(['auto', 'choice', 'manual', 'none']);

const ALL_TARGETS = { include: [], exclude: [], labels: [] };
/** Documents of an older harden say nothing of targets, or of a selection: all were judged. */
const selection = z.object({
  include: z.array(z.string()),
  exclude: z.array(z.string()),
  level,
  targets: z.object({ include: names, exclude: names, labels }).default(ALL_TARGETS),
});

const checkResult = z.object({
  check: z.string(),
  cis: z.string().nullable(),
  section,
  title: z.string(),
  level,
  severity,
  outcome,
  reason: z.string(),
  findings: z.array(finding),
  remediation: z.object({ mode, impact, risk }),
}) satisfies z.ZodType<CheckResult>;

/** `harden scan --format json`. */
export const scanDocument = z.object({
  ...document,
  benchmark: edition,
  selection: selection.default({ include: [], exclude: [], level: 2, targets: ALL_TARGETS }),
  host,
  startedAt: time,
  durationMs: z.number(),
  summary: z.object({
    pass: z.int(), warn: z.int(), na: z.int(), manual: z.int(), unknown: z.int(), waived: z.int(), score: z.int(),
  }),
  results: z.array(checkResult),
}) satisfies z.ZodType<Report>;

const reference = { check: z.string(), target };

/** `harden plan -o FILE`, `harden plan --format json`. */
export const planDocument = z.object({
  ...document,
  id: z.string(),
  createdAt: time,
  benchmark: edition,
  host,
  inputs: z.object({
    selection,
    maxImpact: impact,
    maxRisk: risk,
    picks: z.array(z.string()).nullable(),
    parameters: z.array(z.object({
      ...reference, name: z.string(), value: json, source: z.enum(['policy', 'asked', 'evidence', 'default']), evidence: z.string(),
    })),
    policyParameters: jsonObject,
  }),
  changes: z.array(z.object({
    id: z.string(),
    kind: z.enum([...FILE_CHANGE_KINDS, ...OBJECT_CHANGE_KINDS]),
    target,
    title: z.string(),
    impact,
    risk,
    undo: z.enum([...IMPACTS, 'impossible']),
    effect: z.string(),
    because: z.array(z.object(reference)),
    promises: z.array(z.object({ ...reference, expect: z.enum(['pass', 'pending']), waitsFor: z.string().nullable() })),
    requires: z.array(z.string()),
    diff: z.string(),
    premises: z.array(z.object({ kind: z.enum(PREMISE_KINDS), name: z.string(), lines: z.array(z.string()) })).exactOptional(),
    fingerprint: z.string(),
  })),
  promises: z.array(z.string()),
  deferred: z.array(z.object({
    ...reference, reason: z.enum(DEFER_REASONS), explanation: z.string(), needs: z.string().nullable(),
    asks: z.array(z.object({ parameter: z.array(z.string()), suggested: z.string().nullable(), evidence: z.string() })).exactOptional(),
  })),
  advice: z.array(z.object({ check: z.array(z.string()), target, path: z.string(), diff: z.string(), notes: z.array(z.string()) })).exactOptional(),
  restart: z.object({
    containersSurvive: z.boolean(),
    stops: z.array(z.object({ name: z.string(), restartPolicy: z.string(), startedByHarden: z.boolean() })),
    ports: z.array(z.object({ container: z.string(), port: z.int() })).exactOptional(),
    plugins: z.array(z.string()).exactOptional(),
  }).nullable(),
  summary: z.object({ warns: z.int(), fixable: z.int(), changes: z.int(), deferred: z.int() }),
}) satisfies z.ZodType<PlanDocument>;

/** `harden apply --format json`, `harden verify --format json`. */
const outcomesDocument = z.object({
  ...document,
  runId: z.string().nullable(),
  planId: z.string().nullable(),
  changes: z.array(z.object({ id: z.string(), state: z.enum(['applied', 'skipped', 'failed', 'reverted']), reason: z.string().nullable() })),
  results: z.array(z.object({
    ...reference,
    before: outcome.nullable(),
    after: outcome.nullable(),
    state: z.enum(['fixed', 'pending', 'unmet', 'failed', 'reverted', 'regressed', 'unchanged']),
    reason: z.string(),
  })),
  summary: z.object({
    fixed: z.int(), pending: z.int(), unmet: z.int(), failed: z.int(), reverted: z.int(), regressed: z.int(), unchanged: z.int(),
  }),
}) satisfies z.ZodType<Outcomes>;

const catalogueEntry = {
  check: z.string(),
  cis: z.string().nullable(),
  aliases: z.array(z.string()),
  section,
  title: z.string(),
  level,
  severity,
  remediation: z.object({ mode, impact, risk }),
};

/** `harden list checks|remediations --format json`. */
const listDocument = z.object({ ...document, benchmark: edition, checks: z.array(z.object(catalogueEntry)) });

/** `harden list checks --checklist NAME --format json`. */
const checklistDocument = z.object({
  ...document,
  benchmark: edition,
  checklist: z.string(),
  title: z.string(),
  lists: z.array(z.object({
    id: z.string(),
    title: z.string(),
    boxes: z.array(z.object({ text: z.string(), checks: z.array(z.object(catalogueEntry)), manual: z.string().nullable() })),
  })),
});

/** `harden explain CHECK --format json`. */
const explainDocument = z.object({
  ...document,
  ...catalogueEntry,
  benchmark: edition,
  editions: z.partialRecord(edition, z.string()),
  rationale: z.string(),
  evidence: z.string(),
  passes: z.string(),
  effect: z.string().nullable(),
  parameters: z.array(z.object({ name: z.string(), description: z.string(), example: z.string() })),
  manual: z.string().nullable(),
});

/** `harden scan --format docker-bench`. */
const dockerBenchDocument = z.object({
  dockerbenchsecurity: z.literal('1.6.0'),
  start: z.int(),
  tests: z.array(z.object({
    id: z.string().regex(/^[1-7]$/),
    desc: z.string(),
    results: z.array(z.object({
      id: z.string().regex(/^[1-7](\.\d+)+$/),
      desc: z.string(),
      result: z.enum(['PASS', 'WARN', 'INFO', 'NOTE']),
      details: z.string().exactOptional(),
      items: z.array(z.string()).exactOptional(),
      remediation: z.string().exactOptional(),
      'remediation-impact': z.string().exactOptional(),
    })),
  })),
  checks: z.int(),
  score: z.int(),
  end: z.int(),
}) satisfies z.ZodType<DockerBenchDocument>;

/** `harden history --format json`. */
const historyDocument = z.object({
  ...document,
  runs: z.array(z.object({
    runId: z.string(),
    planId: z.string().nullable(),
    createdAt: z.string().nullable(),
    closed: z.boolean(),
    result: jsonObject.nullable(),
    rolledBackBy: z.string().nullable(),
    user: z.object({ uid: z.int(), loginuid: z.int().nullable(), sudoUser: z.string().nullable() }).nullable(),
    ticket: z.string().nullable(),
    confirmation: z.object({ within: z.int(), by: z.string(), confirmedAt: z.string().nullable(), notReverted: z.string().nullable() }).nullable(),
    unreadable: z.string().nullable(),
  })),
}) satisfies z.ZodType<Document & { runs: RunSummary[] }>;

const removed = { since: z.string(), state: z.enum(['removed', 'kept', 'failed']), reason: z.string().nullable() };

/** `harden gc --format json`. */
const gcDocument = z.object({
  ...document,
  olderThanDays: z.int(),
  containers: z.array(z.object({ ...removed, target, replaced: z.string().nullable() })),
  layers: z.array(z.object({ ...removed, runId: z.string(), container: z.string(), path: z.string() })),
  runs: z.array(z.object({ ...removed, runId: z.string(), planId: z.string().nullable(), undoable: z.boolean() })),
}) satisfies z.ZodType<GcDocument>;

/** `harden rewrite --format json`. */
const rewriteDocument = z.object({
  ...document,
  benchmark: edition,
  files: z.array(z.object({
    file: z.string(),
    changed: z.boolean(),
    diff: z.string(),
    containers: z.array(z.object({
      target,
      fixed: z.array(z.object({ check: z.string(), message: z.string(), effect: z.string() })),
      deferred: z.array(z.object({ ...reference, reason: z.enum(DEFER_REASONS), explanation: z.string(), needs: z.string().nullable() })),
      unknown: z.array(z.object({ check: z.string(), message: z.string() })),
      unseen: z.array(z.string()),
    })),
  })),
  summary: z.object({ files: z.int(), changed: z.int(), fixed: z.int(), deferred: z.int() }),
}) satisfies z.ZodType<RewriteDocument>;

export { parameters as policyParameters };

interface Document {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
}

/** What ships as schemas/NAME.schema.json. */
const SHIPPED = {
  scan: { schema: scanDocument, title: 'harden scan --format json' },
  snapshot: { schema: factsDocument, title: 'harden collect -o FILE' },
  plan: { schema: planDocument, title: 'harden plan -o FILE, harden plan --format json' },
  outcomes: { schema: outcomesDocument, title: 'harden apply --format json, harden verify --format json' },
  'docker-bench': { schema: dockerBenchDocument, title: 'harden scan --format docker-bench' },
  history: { schema: historyDocument, title: 'harden history --format json' },
  gc: { schema: gcDocument, title: 'harden gc --format json' },
  rewrite: { schema: rewriteDocument, title: 'harden rewrite --format json' },
  list: { schema: listDocument, title: 'harden list --format json' },
  checklist: { schema: checklistDocument, title: 'harden list checks --checklist NAME --format json' },
  explain: { schema: explainDocument, title: 'harden explain --format json' },
  policy: { schema: policyFile, title: 'harden.yaml' },
} as const;

export type SchemaName = keyof typeof SHIPPED;
export const SCHEMA_NAMES = Object.keys(SHIPPED) as SchemaName[];

/**
 * A JSON Schema (draft 2020-12). Documents may grow, so the schema of one allows properties that it does not know, unless it is
 * `closed`; the policy's never does.
 */
export function jsonSchema(name: SchemaName, closed = false): object {
  const { schema, title } = SHIPPED[name];
  return { ...z.toJSONSchema(schema, { io: closed ? 'output' : 'input' }), title };
}
