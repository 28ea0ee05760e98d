import { listNames } from './daemon/containers.ts';
import { sha256 } from './digest.ts';
import { evaluate } from './evaluate.ts';
import { globMatches } from './glob.ts';
import type {
  Change, Check, Deferred, Facts, Finding, JsonObject, ParameterUse, Plan, PlanDocument, Policy, Promised, ProposedEdit, Remediation, Report, Target, ToolStamp,
} from './model.ts';
import { findingKey, impactExceeds, isObjectEdit, riskExceeds, sameTarget } from './model.ts';
import { maskJson } from './mask.ts';
import { buildChanges, findConflicts, pathOf, textOf } from './plan/changes.ts';
import { adviseDockerfiles } from './plan/dockerfile.ts';
import type { GivenDockerfile } from './plan/dockerfile.ts';
import type { PlannedEdit } from './plan/planned.ts';
import { predict } from './plan/predict.ts';
import type { RestartMethod } from './plan/restart.ts';
import { lockedByRestart, lostByRestart, restartForecast, UNLOCK_STEPS } from './plan/restart.ts';
import { untrustedDirectory } from './plan/trust.ts';

export interface PlanRequest {
  readonly facts: Facts;
  readonly policy: Policy;
  readonly checks: readonly Check[];
  readonly remediations: readonly Remediation[];
  readonly tool: ToolStamp;
  readonly now: Date;
  /** null: nothing that harden knows restarts this daemon, so changes that need it are deferred. */
  readonly restart: RestartMethod | null;
  /** Ids of changes that a person picked; null: all. */
  readonly picks?: readonly string[] | null;
  /** Dockerfiles of images, on which the plan gives advice. */
  readonly dockerfiles?: readonly GivenDockerfile[];
}

export interface PlanResult {
  readonly plan: Plan;
  readonly report: Report;
  readonly findings: readonly Finding[];
  /** The facts as they will be, for whoever wants to look further ahead. */
  readonly predicted: Facts;
}

/** How often what one change makes applicable is planned with it. */
const MAX_ROUNDS = 3;

const isOpen = (finding: Finding): boolean => finding.outcome === 'warn' && finding.waiver === undefined;

type UsedParameter = Plan['inputs']['parameters'][number];

interface Draft {
  readonly planned: PlannedEdit[];
  readonly deferred: Map<string, Deferred>;
  readonly parameters: UsedParameter[];
}

const deferral = (finding: Finding, reason: Deferred['reason'], explanation: string, needs: string | null, asks?: Deferred['asks']): Deferred =>
  ({ check: finding.check, target: finding.target, reason, explanation, needs, ...(asks === undefined ? {} : { asks }) });

/** The ceiling flags that would let these edits in; null when they are within it. */
function ceilingNeeded(edits: readonly ProposedEdit[], policy: Policy): string | null {
  const needs: string[] = [];
  const impact = edits.map((edit) => edit.impact).filter((value) => impactExceeds(value, policy.maxImpact)).sort((a, b) => impactExceeds(a, b) ? -1 : 1)[0];
  const risk = edits.map((edit) => edit.risk).filter((value) => riskExceeds(value, policy.maxRisk)).sort((a, b) => riskExceeds(a, b) ? -1 : 1)[0];
  if (impact !== undefined) needs.push(`--max-impact ${impact}`);
  if (risk !== undefined) needs.push(`--max-risk ${risk}`);
  return needs.length > 0 ? needs.join(' ') : null;
}

/** Why an edit within the ceilings still cannot be planned on this host; null when it can. */
function obstacle(edit: ProposedEdit, request: PlanRequest): Pick<Deferred, 'reason' | 'explanation' | 'needs'> | null {
  const { facts, restart } = request;
  if (facts.engine.local.status !== 'present') {
    return { reason: 'owner', explanation: `The engine at ${facts.engine.endpoint} is not proven to be this host's, so nothing is changed from here.`, needs: 'run harden on the engine\'s own host, as root' };
  }
  if (edit.impact === 'restart' && restart === null) {
    return { reason: 'guard', explanation: 'Neither systemd nor a service script runs this daemon, so harden does not know how to restart it.', needs: '--restart-command CMD' };
  }
  const lost = edit.impact === 'restart' ? lostByRestart(facts) : [];
  if (lost.length > 0) {
    return {
      reason: 'guard', explanation: `It needs a restart of the daemon, which would remove what was started with --rm and still runs: ${listNames(lost)}.`,
      needs: 'let them end, stop them, or start them without --rm',
    };
  }
  const locked = edit.impact === 'restart' ? lockedByRestart(facts) : null;
  if (locked !== null) return { reason: 'guard', explanation: `It needs a restart of the daemon, after which ${locked}.`, needs: UNLOCK_STEPS };
  if (isObjectEdit(edit)) return null;
  const path = pathOf(edit);
  const redirected = untrustedDirectory(facts, path);
  // A restart would read a file that somebody else may have put there, and could not be preceded by live-restore.
  const untrusted = redirected ?? (edit.impact === 'restart' ? untrustedDirectory(facts, facts.daemon.configPath) : null);
  if (untrusted !== null) {
    const { directory, why } = untrusted;
    return {
      reason: 'guard',
      explanation: `${directory} ${why}, who could exchange ${redirected === null ? facts.daemon.configPath : path} ${redirected === null ? 'before the daemon reads it' : 'while it is changed'}.`,
      needs: `correct owner and mode of ${directory}, then plan again`,
    };
  }
  if (edit.kind === 'setMode' || edit.kind === 'setOwner') return null;
  if (facts.masked?.includes(path) === true) {
    return {
      reason: 'guard', explanation: `${path} holds secrets, which the snapshot does not have: what would be written cannot be said without them.`,
      needs: 'run harden on the host itself, or keep the secrets in files of their own',
    };
  }
  const text = textOf(facts, path);
  return text.status === 'unreadable' ? { reason: 'guard', explanation: `${path} cannot be read: ${text.reason}.`, needs: null } : null;
}

type Decision = { readonly defer: Pick<Deferred, 'reason' | 'explanation' | 'needs' | 'asks'> } | { readonly remediation: Remediation; readonly edits: readonly ProposedEdit[]; readonly parameters: readonly ParameterUse[] };

/** What is to be done about one open finding, as far as it can be said without the others. */
function decide(finding: Finding, seen: Facts, request: PlanRequest): Decision {
  const { policy, remediations } = request;
  const remediation = remediations.find(({ check }) => check.id === finding.check);
  if (remediation === undefined) return { defer: { reason: 'unsupported', explanation: 'harden has no remediation for this check.', needs: null } };
  const proposal = remediation.propose(finding, seen, policy);
  if ('defer' in proposal) return { defer: { reason: proposal.defer, explanation: proposal.explanation, needs: proposal.needs ?? null, ...(proposal.asks === undefined ? {} : { asks: proposal.asks }) } };
  const needs = ceilingNeeded(proposal.edits, policy);
  if (needs !== null) {
    const notes = proposal.edits.flatMap(({ note }) => note === undefined ? [] : [note]);
    return { defer: { reason: 'ceiling', explanation: [remediation.effect, ...new Set(notes)].join(' '), needs } };
  }
  for (const edit of proposal.edits) {
    const defer = obstacle(edit, request);
    if (defer !== null) return { defer };
  }
  return { remediation, ...proposal };
}

function consider(finding: Finding, seen: Facts, request: PlanRequest, draft: Draft): void {
  const decision = decide(finding, seen, request);
  if ('defer' in decision) {
    const { reason, explanation, needs, asks } = decision.defer;
    draft.deferred.set(findingKey(finding), deferral(finding, reason, explanation, needs, asks));
    return;
  }
  const { remediation, edits, parameters } = decision;
  draft.planned.push(...edits.map((edit) => ({ finding, remediation, edit })));
  draft.parameters.push(...parameters.map((use) => ({ ...withSource(use, finding.target, request.policy), check: finding.check, target: finding.target })));
}

/** A value of the policy that came from a question says so, with what was said there. */
function withSource(use: ParameterUse, target: Target, { asked = [] }: Policy): ParameterUse {
  const question = use.source !== 'policy' ? undefined : asked.find(({ parameter: [head = '', ...path] }) => head === 'containers'
    ? globMatches(path[0] ?? '', target.name) && use.name === `container.${path[1] ?? ''}` : use.name === head || use.name.startsWith(`${head}.${path[0] ?? ''}`));
  return question === undefined ? use : { ...use, source: 'asked', evidence: question.evidence === '' ? 'asked' : `asked; ${question.evidence}` };
}

/** Takes both sides of every contradiction out of the draft. */
function deferConflicts(draft: Draft, facts: Facts): void {
  for (const { finding, other, about } of findConflicts(draft.planned, facts)) {
    draft.deferred.set(findingKey(finding), deferral(finding, 'conflict', `${finding.check} and ${other.check} want different values for ${about}.`, 'choose one with --exclude'));
  }
  drop(draft, (item) => draft.deferred.has(findingKey(item.finding)));
}

function drop(draft: Draft, unwanted: (item: PlannedEdit) => boolean): void {
  draft.planned.splice(0, draft.planned.length, ...draft.planned.filter((item) => !unwanted(item)));
}

/** Leaves out changes that nobody picked, and what cannot stand without them. */
function applyPicks(changes: readonly Change[], picks: readonly string[] | null): Change[] {
  if (picks === null) return [...changes];
  const picked = new Set(picks);
  return changes.filter(({ id, requires }) => picked.has(id) && requires.every((required) => picked.has(required)));
}

function withPromises(change: Change, after: readonly Finding[]): Change {
  const promises = change.because.flatMap(({ check, target }): Promised[] => {
    const finding = after.find((candidate) => candidate.check === check && sameTarget(candidate.target, target));
    // A target that is gone, or to which the check no longer applies, warns no more.
    if (finding === undefined || finding.outcome === 'pass' || finding.outcome === 'na') return [{ check, target, expect: 'pass', waitsFor: null }];
    return finding.pending === undefined ? [] : [{ check, target, expect: 'pending', waitsFor: finding.pending.waitsFor }];
  });
  return { ...change, promises };
}

/**
 * Decides what to change. Pure: the same request gives the same plan.
 * Edits are filtered by selection, ceiling and picks before they are merged, so that a costly key never holds back a cheap one
 * in the same file; then the checks are evaluated over the predicted facts, and what became applicable is planned too.
 * Every open warn finding of the host ends in some change's `because` or in `deferred`.
 */
export function makePlan(request: PlanRequest): PlanResult {
  const { facts, policy, checks, remediations, tool, now } = request;
  const judge = (seen: Facts): ReturnType<typeof evaluate> => evaluate(checks, remediations, seen, policy, { now, durationMs: 0, tool });
  const { report, findings } = judge(facts);
  const open = findings.filter(isOpen);
  const draft: Draft = { planned: [], deferred: new Map(), parameters: [] };
  const considered = new Set<string>();

  let toConsider: readonly Finding[] = open;
  let seen = facts;
  let changes: Change[] = [];
  let predicted = facts;
  let after = findings;
  for (let round = 0; round < MAX_ROUNDS && toConsider.length > 0; round += 1) {
    for (const finding of toConsider) {
      considered.add(findingKey(finding));
      consider(finding, seen, request, draft);
    }
    deferConflicts(draft, facts);
    changes = applyPicks(buildChanges(draft.planned, facts, policy), request.picks ?? null);
    predicted = predict(facts, changes);
    after = judge(predicted).findings;
    seen = predicted;
    toConsider = after.filter((finding) => isOpen(finding) && finding.pending === undefined && !considered.has(findingKey(finding)));
  }

  changes = changes.map((change) => withPromises(change, after));
  const handled = new Set(changes.flatMap(({ because }) => because.map(findingKey)));
  const left = open.filter((finding) => !handled.has(findingKey(finding))).map((finding) => draft.deferred.get(findingKey(finding)) ?? unhandled(finding, draft, request.picks ?? null));
  const { advice, deferred } = adviseDockerfiles(left, request.dockerfiles ?? [], policy.parameters);
  const promises = checks.map(({ id }) => id).filter((id) => {
    const of = (list: readonly Finding[]): readonly Finding[] => list.filter(({ check, waiver }) => check === id && waiver === undefined);
    return of(findings).some(isOpen) && of(after).every(({ outcome }) => outcome === 'pass' || outcome === 'na');
  });
  const id = sha256(JSON.stringify([report.host, now.toISOString(), changes.map(({ fingerprint }) => fingerprint)])).slice(0, 12);
  const plan: Plan = {
    schemaVersion: 1,
    tool,
    id,
    createdAt: now.toISOString(),
    benchmark: policy.benchmark,
    host: report.host,
    inputs: {
      selection: report.selection,
      maxImpact: policy.maxImpact,
      maxRisk: policy.maxRisk,
      picks: request.picks ?? null,
      parameters: draft.parameters,
      policyParameters: maskJson(policy.parameters as JsonObject) as JsonObject,
    },
    changes,
    promises,
    deferred,
    advice,
    restart: restartForecast(changes, facts, predicted),
    summary: { warns: open.length, fixable: open.filter((finding) => handled.has(findingKey(finding))).length, changes: changes.length, deferred: deferred.length },
  };
  return { plan, report, findings, predicted };
}

/** A finding whose edits made no change: nobody picked it, or all of it is done and something else is awaited. */
function unhandled(finding: Finding, draft: Draft, picks: readonly string[] | null): Deferred {
  if (finding.pending !== undefined) return deferral(finding, 'pending', 'Done, but not in force yet.', finding.pending.waitsFor);
  return draft.planned.some((item) => findingKey(item.finding) === findingKey(finding))
    ? picks === null ? deferral(finding, 'guard', 'Its edits change nothing, or cannot be made together with those of other findings.', `plan it alone: -c ${finding.check}`)
      : deferral(finding, 'choice', 'Not picked.', 'pick its change')
    : deferral(finding, 'unsupported', 'harden found no change for it.', null);
}

/** The plan as it is printed and saved: without the states, which may hold secrets, and without what makes it happen. */
export function planDocument(plan: Plan): PlanDocument {
  return {
    ...plan,
    changes: plan.changes.map(({ id, kind, target, title, impact, risk, undo, effect, because, promises, requires, diff, premises, fingerprint }) =>
      ({ id, kind, target, title, impact, risk, undo, effect, because, promises, requires, diff, ...(premises !== undefined && { premises }), fingerprint })),
  };
}
