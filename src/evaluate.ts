import { messageOf } from './errors.ts';
import type {
  Check, CheckResult, Facts, Finding, HostSummary, Outcome, Policy, Remediation, Report, Summary, Target, ToolStamp, Waiver,
} from './model.ts';
import { OUTCOMES, valueOf } from './model.ts';
import { matchesTerm, selectionOf } from './selection.ts';
import type { Subjects } from './targets.ts';
import { matchesSelector, subjectsOf, targetFilter } from './targets.ts';

export interface EvaluateOptions {
  /** Decides which waivers have expired. */
  readonly now: Date;
  /** What the scan took, reading included. */
  readonly durationMs: number;
  readonly tool: ToolStamp;
}

const DAY_MS = 86_400_000;

/** What a check is about when it could not say. */
const CHECK_FAILED: Target = { kind: 'host', name: 'host', id: 'host' };

/** The findings of one check, before waivers. One that fails, or finds nothing to say, is unknown: never a pass. */
function findingsOf(check: Check, facts: Facts, policy: Policy): readonly Finding[] {
  const failed = (message: string): readonly Finding[] => [{ check: check.id, target: CHECK_FAILED, outcome: 'unknown', message: `check failed: ${message}`, detail: undefined }];
  try {
    const verdicts = check.evaluate(facts, policy);
    return verdicts.length === 0 ? failed('it judged nothing') : verdicts.map((verdict) => ({ check: check.id, ...verdict }));
  } catch (error) {
    return failed(messageOf(error));
  }
}

/** Waivers end when their last day is over, in UTC. A date that cannot be read ends a waiver. */
const isInForce = ({ expires }: Waiver, now: Date): boolean =>
  expires === undefined || now.getTime() < Date.parse(`${expires}T00:00:00Z`) + DAY_MS;

/** Verdicts on what was not selected are left out, never the facts that they were made from: na where none is left. */
function selectedOnly(findings: readonly Finding[], isWanted: (target: Target) => boolean): readonly Finding[] {
  const [first] = findings;
  const wanted = findings.filter(({ target }) => isWanted(target));
  if (first === undefined || wanted.length > 0) return wanted;
  const all = `${first.target.kind}s`;
  return [{
    check: first.check, target: { kind: first.target.kind, name: all, id: all }, outcome: 'na', message: `None of the ${all} that it judges was selected`, detail: undefined,
  }];
}

/** Only what warns can be accepted: what could not be read is not known to be a risk that anyone agreed to. */
function withWaiver(finding: Finding, check: Check, policy: Policy, now: Date, subjects: Subjects): Finding {
  if (finding.outcome !== 'warn') return finding;
  const waiver = policy.waivers.find((candidate) =>
    matchesTerm(check, candidate.check, policy.benchmark) && matchesSelector(candidate.target, finding.target, subjects) && isInForce(candidate, now));
  return waiver ? { ...finding, waiver: { reason: waiver.reason, owner: waiver.owner, expires: waiver.expires ?? null } } : finding;
}

const rank = (outcome: Outcome): number => OUTCOMES.indexOf(outcome);

/** The worst finding that is not waived; undefined when all are. */
const worst = (findings: readonly Finding[]): Finding | undefined =>
  findings.filter(({ waiver }) => waiver === undefined).reduce<Finding | undefined>(
    (most, finding) => most === undefined || rank(finding.outcome) < rank(most.outcome) ? finding : most, undefined);

function resultOf(check: Check, findings: readonly Finding[], remediation: Remediation | undefined, policy: Policy): CheckResult {
  const decisive = worst(findings);
  const waived = findings.find(({ waiver }) => waiver !== undefined);
  return {
    check: check.id,
    cis: check.cis[policy.benchmark] ?? null,
    section: check.section,
    title: check.title,
    level: check.level,
    severity: check.severity,
    outcome: decisive?.outcome ?? 'na',
    reason: decisive?.message ?? `waived: ${waived?.waiver?.reason ?? ''}`,
    findings: findings.map(({ target, outcome, message, pending, waiver }) =>
      ({ target, outcome, message, ...(pending ? { pending } : {}), ...(waiver ? { waiver } : {}) })),
    remediation: remediation ? { mode: remediation.mode, impact: remediation.impact, risk: remediation.risk } : { mode: 'none', impact: 'none', risk: 'safe' },
  };
}

/**
 * Each check counts once by its outcome. `waived` counts apart the checks whose warn findings are all waived: they are not WARN,
 * and PASS only for a target that passes by itself.
 */
function summarize(results: readonly CheckResult[]): Summary {
  const count = (outcome: Outcome): number => results.filter((result) => result.outcome === outcome).length;
  const waived = results.filter(({ outcome, findings }) => outcome !== 'warn' && findings.some(({ waiver }) => waiver !== undefined)).length;
  const [pass, warn] = [count('pass'), count('warn')];
  return { pass, warn, na: count('na'), manual: count('manual'), unknown: count('unknown'), waived, score: pass - warn };
}

function summarizeHost({ host, engine, onlyImage }: Facts): HostSummary {
  const info = valueOf(engine.info);
  const version = valueOf(engine.version);
  return {
    hostname: host.hostname,
    os: valueOf(host.os)?.name ?? 'unknown',
    kernel: valueOf(host.kernel) ?? 'unknown',
    engine: {
      endpoint: engine.endpoint,
      local: engine.local.status === 'present',
      version: version?.version ?? 'unknown',
      apiVersion: version?.apiVersion ?? 'unknown',
      rootless: info?.securityOptions.some((option) => option.split(',').includes('name=rootless')) === true,
      storageDriver: info?.storageDriver ?? 'unknown',
    },
    ...(onlyImage !== undefined && { image: onlyImage }),
  };
}

/**
 * Runs the selected checks over the facts. Pure, and never throws: a check that does becomes one `unknown` finding.
 * Results are in the order of `checks`. `findings` are the same verdicts with the details that remediations need.
 */
export function evaluate(
  checks: readonly Check[], remediations: readonly Remediation[], facts: Facts, policy: Policy, { now, durationMs, tool }: EvaluateOptions,
): { readonly report: Report; readonly findings: readonly Finding[] } {
  const fixes = new Map(remediations.map((remediation) => [remediation.check.id, remediation]));
  const isWanted = targetFilter(policy.targets, facts);
  const subjects = subjectsOf(facts);
  const judged = checks.map((check) => ({
    check, findings: selectedOnly(findingsOf(check, facts, policy), isWanted).map((finding) => withWaiver(finding, check, policy, now, subjects)),
  }));
  const results = judged.map(({ check, findings }) => resultOf(check, findings, fixes.get(check.id), policy));
  return {
    report: {
      schemaVersion: 1, tool, benchmark: policy.benchmark, selection: selectionOf(policy), host: summarizeHost(facts), startedAt: facts.collectedAt, durationMs,
      summary: summarize(results), results,
    },
    findings: judged.flatMap(({ findings }) => findings),
  };
}
