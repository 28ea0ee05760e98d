import type { ContainerRemediation, Fixing } from '../remediations/containers/steps.ts';
import { parametersFor } from './container/parameters.ts';
import { applySpecEdits } from './container/spec-edit.ts';
import { evaluate } from './evaluate.ts';
import type { Check, ContainerFacts, ContainerSpec, Deferred, EngineInfo, Facts, Finding, Observed, Owner, Policy, Remediation, SpecEdit, Target } from './model.ts';
import { absent, present, unreadable, valueOf } from './model.ts';
import { TOOL } from './version.ts';

/** One container that a text defines: a `docker run` line or a service of a compose file. */
export interface Definition {
  /** Unique among those that are judged together. */
  readonly id: string;
  /** What a person calls it. */
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly owner: Owner;
}

/** A finding that edits of the definition put right. */
export interface Fix {
  readonly check: string;
  readonly message: string;
  readonly note: string;
  readonly edits: readonly SpecEdit[];
}

/** What is wrong with one definition, and what of it is put right. */
export interface Advice {
  readonly target: Target;
  readonly fixes: readonly Fix[];
  readonly deferred: readonly Deferred[];
  /** Checks that nobody can answer without an engine, an image or files that are not read. */
  readonly unknown: readonly { readonly check: string; readonly message: string }[];
}

const NOTHING = 'no engine is asked, only the text is read';
const unseen = unreadable(NOTHING);

/** An engine as it comes from its package, with nothing set. Nobody has seen one: what it makes pass stays unknown, what it makes warn is put right. */
const STOCK: EngineInfo = {
  id: '', name: '', storageDriver: 'overlay2', dockerRootDir: '/var/lib/docker', loggingDriver: 'json-file', cgroupDriver: 'systemd', cgroupVersion: '2',
  securityOptions: ['name=seccomp,profile=builtin'], liveRestore: false, debug: false, experimental: false, insecureRegistries: [], registryMirrors: [],
  authorizationPlugins: [], swarm: { state: 'inactive', manager: false }, containers: 0, containersRunning: 0, images: 0, memoryBytes: 0, cpus: 0,
};
const STARTED = '2000-01-01T00:00:00Z';

const containerOf = ({ id, name, spec, owner }: Definition, logDriver: string | null): ContainerFacts => ({
  id, name, owner, unmodelled: [],
  spec: present(spec.log !== null && spec.log.driver !== '' ? spec : {
    ...spec, log: logDriver === null ? null : { driver: logDriver, options: spec.log?.options ?? {} },
  }),
  runtime: present({ state: 'created', pid: 0, startedAt: '', health: 'none', ports: [], networks: [] }),
});

/** The facts about definitions that no engine has: what only a host could tell is unreadable, or that of a stock engine. */
function factsFor(definitions: readonly Definition[], stock: boolean): Facts {
  const known = <T>(value: T): Observed<T> => (stock ? present(value) : unseen);
  const missing: Observed<never> = stock ? absent : unseen;
  return {
    schemaVersion: 1, tool: TOOL, collectedAt: STARTED,
    host: {
      hostname: '', os: unseen, kernel: unseen, architecture: '', lsm: unseen, serviceManager: unseen, euid: -1, mounts: unseen, globalIpv6: unseen, tmpfiles: unseen,
    },
    engine: { endpoint: '', local: unseen, version: unseen, info: known(STOCK) },
    daemon: {
      configPath: '/etc/docker/daemon.json', config: missing, ...(stock && { startedWith: absent }),
      process: known({ pid: 1, uid: 0, argv: ['dockerd'], startedAt: STARTED }), unit: missing, socketUnit: missing, environmentFiles: {},
    },
    files: {}, registryCerts: unseen,
    audit: { version: unseen, enabled: unseen, loaded: unseen, persistent: unseen, augenrules: false },
    accounts: unseen,
    containers: present(definitions.map((definition) => containerOf(definition, stock ? STOCK.loggingDriver : null))),
    images: unseen, networks: known([]),
  };
}

/** Of the checks those that a container's definition can answer. */
export const definitionChecks = (checks: readonly Check[]): readonly Check[] => checks.filter(({ id }) => id.startsWith('container.'));

const ALLOWED: readonly Finding['outcome'][] = ['warn', 'unknown'];

function judge(definitions: readonly Definition[], checks: readonly Check[], remediations: readonly Remediation[], policy: Policy, now: Date): readonly Finding[] {
  const [read, assumed] = [false, true].map((stock) => evaluate(checks, remediations, factsFor(definitions, stock), policy, { now, durationMs: 0, tool: TOOL }).findings);
  const key = ({ check, target }: Finding): string => `${check}\0${target.id}`;
  const stock = new Map((assumed ?? []).map((finding) => [key(finding), finding]));
  return (read ?? []).map((finding) => {
    const other = stock.get(key(finding));
    return finding.outcome === 'unknown' && other?.outcome === 'warn' && finding.waiver === undefined ? { ...other, message: `${other.message}, unless the daemon's settings say otherwise` } : finding;
  }).filter(({ outcome, waiver }) => ALLOWED.includes(outcome) && waiver === undefined);
}

export interface RewriteRequest {
  readonly definitions: readonly Definition[];
  readonly checks: readonly Check[];
  readonly remediations: readonly ContainerRemediation[];
  readonly policy: Policy;
  readonly now: Date;
}

/** What to change in definitions, and why the rest stays. A fix counts only if its check no longer warns of the edited definition. */
export function advise({ definitions, checks, remediations, policy, now }: RewriteRequest): readonly Advice[] {
  const facts = factsFor(definitions, false);
  // A fix may ask what the engine makes of a setting that nobody chose.
  const containers = new Map((valueOf(factsFor(definitions, true).containers) ?? []).map((container) => [container.id, container]));
  const findings = judge(definitions, checks, remediations, policy, now);
  const byCheck = new Map(remediations.map((remediation) => [remediation.check.id, remediation]));

  const fixingOf = (finding: Finding, definition: Definition, remediation: ContainerRemediation | undefined): Fixing => {
    const container = containers.get(definition.id);
    const spec = container === undefined ? undefined : valueOf(container.spec);
    if (remediation?.fix === undefined || container === undefined || spec === undefined) return 'manual';
    return remediation.fix({ facts, policy, chosen: parametersFor(definition.name, policy), container, spec, detail: finding.detail });
  };
  return definitions.map((definition) => {
    const own = findings.filter(({ target }) => target.id === definition.id);
    const fixes: Fix[] = [];
    const deferred: Deferred[] = [];
    for (const finding of own.filter(({ outcome }) => outcome === 'warn')) {
      const remediation = byCheck.get(finding.check);
      const fixing = fixingOf(finding, definition, remediation);
      if (typeof fixing === 'object' && 'edits' in fixing && helps(definition, fixing.edits, finding.check, checks, remediations, policy, now)) {
        fixes.push({ check: finding.check, message: finding.message, note: fixing.note ?? remediation?.effect ?? '', edits: fixing.edits });
      } else deferred.push(deferral(finding, fixing, remediation, policy));
    }
    return {
      target: { kind: 'container', name: definition.name, id: definition.id },
      fixes,
      deferred,
      unknown: own.filter(({ outcome }) => outcome === 'unknown').map(({ check, message }) => ({ check, message })),
    };
  });
}

function helps(definition: Definition, edits: readonly SpecEdit[], check: string, checks: readonly Check[], remediations: readonly Remediation[], policy: Policy, now: Date): boolean {
  const edited = { ...definition, spec: applySpecEdits(definition.spec, edits) };
  return edits.length > 0 && !judge([edited], checks.filter(({ id }) => id === check), remediations, policy, now).some(({ outcome }) => outcome === 'warn');
}

function deferral({ check, target, message }: Finding, fixing: Fixing, remediation: Remediation | undefined, policy: Policy): Deferred {
  if (typeof fixing === 'object' && 'choice' in fixing) return { check, target, reason: 'choice', explanation: `${message}. ${fixing.choice}`, needs: fixing.needs };
  if (typeof fixing === 'object' && 'guard' in fixing) return { check, target, reason: 'guard', explanation: `${message}. ${fixing.guard}`, needs: fixing.needs };
  const effect = remediation?.effect ?? '';
  const why = fixing === 'manual' ? 'Whether it has to be so, only its owner knows.' : 'What was chosen for it does not put it right.';
  return {
    check, target, reason: 'manual', explanation: `${message}. ${why}${effect === '' ? '' : ` With the fix, ${effect.charAt(0).toLowerCase()}${effect.slice(1)}`}`,
    needs: `harden explain ${check}${policy.benchmark === '1.8.0' ? '' : ` --benchmark ${policy.benchmark}`}`,
  };
}
