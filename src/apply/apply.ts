import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { loadedMatches } from '../audit/render.ts';
import { parseAuditList } from '../collect/audit.ts';
import { configAtStart, validateCandidate } from '../daemon/settings.ts';
import { StalePlanError, UsageError } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import { takeBaseline } from '../health.ts';
import { HostError } from '../host/port.ts';
import type { Run, StepRecord } from '../journal.ts';
import { createRun, listRuns } from '../journal.ts';
import { runHeader } from './run-header.ts';
import { acquireLock } from '../lock.ts';
import type { Change, ChangeState, Facts, Finding, JsonObject, Outcomes, Plan, PlanDocument } from '../model.ts';
import { valueOf } from '../model.ts';
import { planDocument } from '../plan.ts';
import type { PlanResult } from '../plan.ts';
import { restartMethod } from '../plan/restart.ts';
import type { Step } from '../steps.ts';
import { describeStep, stepsOf } from '../steps.ts';
import { countStates, verify } from '../verify.ts';
import { addKernelRules, kernelRules } from './kernel-rules.ts';
import type { Session } from './session.ts';
import { awaitHealthy, noteStartedWith, reloadDaemon, restartDaemon } from './daemon.ts';
import type { FileUndo, RunEffects } from './undo.ts';
import { undo } from './undo.ts';

export interface ApplyResult {
  /** 0: all promises hold. 1: something is pending, unmet or regressed. 3: failed and taken back. 4: failed and not wholly taken back. */
  readonly exitCode: 0 | 1 | 3 | 4;
  readonly outcomes: Outcomes;
  /** Why the run failed; null when it did not. */
  readonly failure: string | null;
  /** What could not be taken back, as sentences. */
  readonly leftovers: readonly string[];
}

/** Files that augenrules(8) rewrites on every load. They belong to the run, so that its undo leaves them as they were. */
const COMPILED_RULES = ['/etc/audit/audit.rules', '/etc/audit/audit.rules.prev'];

const sha256 = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');

/** Compares what was shown with what would be done now. A plan is never adapted behind the back of whoever confirmed it. */
export function refuseStale(shown: PlanDocument, fresh: Plan): void {
  const now = new Map(fresh.changes.map((change) => [change.id, change]));
  for (const change of shown.changes) {
    const current = now.get(change.id);
    if (current?.fingerprint === change.fingerprint) continue;
    const was = `What the plan shows:\n${change.diff}`;
    const is = current === undefined ? 'Now no such change would be made.' : `What would be done now:\n${current.diff}`;
    throw new StalePlanError(`${change.target.name} changed since the plan was made. Nothing was done. Plan again.`, `${was}\n${is}`);
  }
  const extra = fresh.changes.find(({ id }) => !shown.changes.some((change) => change.id === id));
  if (extra !== undefined) {
    throw new StalePlanError(`${extra.target.name} would be changed now, and the plan does not show it. Nothing was done. Plan again.`, extra.diff);
  }
}

async function refuseUnfinished(session: Session): Promise<void> {
  const unfinished = (await listRuns(session.stateDir, session.reader)).find(({ closed }) => !closed);
  if (unfinished !== undefined) {
    throw new UsageError(`Run ${unfinished.runId} was not finished (killed, or the machine went down). Undo it first: harden rollback ${unfinished.runId}`);
  }
}

/** Everything that can be known to go wrong is asked before the first byte is written. */
async function preflight(session: Session, facts: Facts, changes: readonly Change[]): Promise<void> {
  const { writer } = session;
  for (const { path, after } of changes) {
    const refusal = after.content === null ? await writer.metadataRefusal(path) : await writer.refusal(path);
    if (refusal !== null) throw new HostError(refusal);
  }
  const config = changes.find(({ kind }) => kind === 'daemon-config');
  if (config?.after.content == null) return;
  const fatal = validateCandidate(config.after.content, facts).filter(({ severity }) => severity === 'fatal');
  if (fatal.length > 0) throw new HostError(`The daemon would not start with the new ${config.path}: ${fatal.map(({ message }) => message).join('; ')}\nNothing was changed.`);
  await validateWithDaemon(session, facts, config.after.content);
}

/** `dockerd --validate` (from 23.0) sees conflicts with flags only when it is given the daemon's own flags. */
async function validateWithDaemon(session: Session, facts: Facts, text: string): Promise<void> {
  const major = Number.parseInt(valueOf(facts.engine.version)?.version ?? '', 10);
  const argv = valueOf(facts.daemon.process)?.argv;
  if (!(major >= 23) || argv === undefined) return;
  const candidate = join(session.stateDir, 'candidate.json');
  await session.writer.replace(candidate, Buffer.from(text), { mode: 0o600, uid: 0, gid: 0 });
  try {
    const flags = withoutConfigFile(argv.slice(1));
    const { code, stderr, stdout } = await session.writer.run('dockerd', ['--validate', '--config-file', candidate, ...flags], { timeoutMs: 30_000 });
    if (code !== 0) throw new HostError(`dockerd refuses the new ${facts.daemon.configPath}: ${(stderr.trim() || stdout.trim()).replaceAll(candidate, facts.daemon.configPath)}\nNothing was changed. Correct what it names, then plan again.`);
  } finally {
    await session.writer.remove(candidate);
  }
}

const withoutConfigFile = (flags: readonly string[]): string[] =>
  flags.filter((flag, index) => !flag.startsWith('--config-file') && flags[index - 1] !== '--config-file');

/** Carries one run through its steps and remembers what to take back. */
class Execution {
  readonly files: FileUndo[] = [];
  systemdReloaded = false;
  audit: RunEffects['audit'] = null;
  daemon: RunEffects['daemon'] = null;
  configWritten: string | null = null;
  readonly session: Session;
  readonly run: Run;
  readonly facts: Facts;
  readonly plan: Plan;
  readonly baseline: HealthBaseline;

  constructor(session: Session, run: Run, facts: Facts, plan: Plan, baseline: HealthBaseline) {
    this.session = session;
    this.run = run;
    this.facts = facts;
    this.plan = plan;
    this.baseline = baseline;
  }

  effects(): RunEffects {
    const { files, systemdReloaded, audit, daemon, configWritten } = this;
    return { files, systemdReloaded, audit, daemon, configWritten, configPath: this.facts.daemon.configPath, startedWith: textAtStart(this.facts), method: restartMethod(this.facts, this.session.restartCommand) };
  }

  /** Intent on disk before the deed, `done` after it. */
  async step(step: Step): Promise<void> {
    this.session.progress(describeStep(step));
    const sequence = await this.run.intent(await this.prepare(step));
    try {
      await this.perform(step);
    } catch (error) {
      await this.run.failed(sequence, error instanceof Error ? error.message : String(error));
      throw error;
    }
    await this.run.done(sequence);
  }

  /** Backs up what the step will change and says in the journal how to take it back. */
  private async prepare(step: Step): Promise<StepRecord> {
    switch (step.kind) {
      case 'replaceBytes': case 'setMetadata': {
        const after = step.kind === 'replaceBytes' ? sha256(step.content) : null;
        const undo = await this.remember(step.path);
        if (step.path === this.facts.daemon.configPath && step.kind === 'replaceBytes') this.configWritten = step.content;
        return { kind: step.kind, change: step.change, path: step.path, ...undo, after: { sha256: after, ...step.metadata } };
      }
      case 'loadAudit': {
        const compiled: JsonObject[] = [];
        for (const path of COMPILED_RULES) compiled.push({ path, ...await this.remember(path) });
        const kernelBefore = await kernelRules(this.session.writer);
        this.audit = { dropIn: step.content, kernelBefore };
        return { kind: step.kind, change: null, path: step.path, compiled, kernelBefore: [...kernelBefore] };
      }
      case 'systemdReload': this.systemdReloaded = true; return { kind: step.kind, change: null };
      case 'reloadDaemon': this.daemon ??= 'reload'; return { kind: step.kind, change: null };
      case 'restartDaemon': this.daemon = 'restart'; return { kind: step.kind, change: null, method: { ...step.method } };
      case 'awaitHealthy': return { kind: step.kind, change: null };
    }
  }

  private async remember(path: string): Promise<{ before: JsonObject | null; made: string[] }> {
    const { writer } = this.session;
    const before = await writer.snapshot(path);
    const made: string[] = [];
    for (let parent = dirname(path); await writer.snapshot(parent) === null; parent = dirname(parent)) made.unshift(parent);
    if (!this.files.some((file) => file.path === path)) this.files.push({ path, before, made });
    return { before: await this.run.backup(before), made };
  }

  private async perform(step: Step): Promise<void> {
    const { session } = this;
    const { writer } = session;
    switch (step.kind) {
      case 'replaceBytes':
        await writer.makeDirectory(dirname(step.path));
        return writer.replace(step.path, Buffer.from(step.content), step.metadata);
      case 'setMetadata': return writer.setMetadata(step.path, step.metadata);
      case 'systemdReload': {
        const { code, stderr } = await writer.run('systemctl', ['daemon-reload']);
        if (code !== 0) throw new HostError(`systemctl daemon-reload failed: ${stderr.trim()}`);
        return;
      }
      case 'loadAudit': return this.loadAudit(step.path, step.content);
      case 'reloadDaemon': return reloadDaemon(session, step.liveRestore);
      case 'restartDaemon': return restartDaemon(session, step.method, valueOf(this.facts.daemon.process)?.pid ?? null);
      case 'awaitHealthy': {
        const survives = this.daemon !== 'restart' || this.plan.restart?.containersSurvive === true;
        await awaitHealthy(session, this.baseline, survives, this.toleratesLoss());
      }
    }
  }

  /** Without the userland proxy a port published on [::] is not there for a container without IPv6; the plan said so. */
  private toleratesLoss(): (host: string) => boolean {
    const turnsProxyOff = this.plan.changes.some(({ because }) => because.some(({ check }) => check === 'daemon.userland-proxy'));
    return (host) => turnsProxyOff && host.includes(':');
  }

  /**
   * The kernel has the last word: what auditctl and augenrules exit with does not prove that a rule is loaded. A rules.d
   * without -D ends the load at the first rule that is there already; one with -D drops rules that only the kernel has.
   */
  private async loadAudit(path: string, dropIn: string): Promise<void> {
    if (valueOf(this.facts.audit.enabled) === 2) return;
    const { writer } = this.session;
    const missing = async (): Promise<string[]> => loadedMatches(dropIn, parseAuditList((await kernelRules(writer)).join('\n')));
    if (this.facts.audit.augenrules) await writer.run('augenrules', ['--load']);
    else await writer.run('auditctl', ['-R', path]);
    await addKernelRules(writer, await missing());
    const now = await kernelRules(writer);
    await addKernelRules(writer, (this.audit?.kernelBefore ?? []).filter((rule) => !now.includes(rule)));
    const [first] = await missing();
    if (first !== undefined) throw new HostError(`The kernel says that it took the audit rule "${first}", but does not list it.`);
  }
}

/** Text of the daemon.json that the running daemon started with; null: none; undefined: nobody knows. */
function textAtStart(facts: Facts): string | null | undefined {
  const config = configAtStart(facts);
  return config.status === 'present' ? config.value.text : config.status === 'absent' ? null : undefined;
}

const states = (plan: Plan, state: ChangeState, reason: string | null): Outcomes['changes'] => plan.changes.map(({ id }) => ({ id, state, reason }));

function judge(plan: Plan, before: readonly Finding[], after: readonly Finding[], runId: string | null, changes: Outcomes['changes'], session: Session): Outcomes {
  const stateOf = new Map(changes.map(({ id, state }) => [id, state]));
  const promises = plan.changes.flatMap((change) => change.promises.map((promise) => ({ promise, change: change.id })));
  const results = verify({
    before,
    after,
    promises: promises.map(({ promise }) => promise),
    stateOf: (promise) => stateOf.get(promises.find((candidate) => candidate.promise === promise)?.change ?? '') ?? 'applied',
  });
  return { schemaVersion: 1, tool: session.tool, runId, planId: plan.id, changes, results, summary: countStates(results) };
}

/**
 * Makes the changes that were shown, all or none of them, and rescans. `replan` recomputes the plan from the same inputs
 * over fresh facts; `shown` is what a person or a saved plan agreed to. Throws StalePlanError, UsageError and HostError
 * before anything is changed; afterwards failures are results.
 */
export async function applyPlan(shown: PlanDocument, session: Session, replan: (facts: Facts) => PlanResult): Promise<ApplyResult> {
  if (shown.changes.length === 0) return nothingToDo(shown, session, replan);
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    await refuseUnfinished(session);
    // Only what is read while the lock is held is sure to be what is changed.
    const facts = await session.collect();
    const { plan, findings } = replan(facts);
    refuseStale(shown, plan);
    await preflight(session, facts, plan.changes);
    const baseline = await takeBaseline(facts, session);
    const run = await createRun(session.stateDir, session.writer, runHeader(session, plan.id, facts), planDocument(plan));
    return await execute(new Execution(session, run, facts, plan, baseline), findings, replan);
  } finally {
    await lock.release();
  }
}

async function nothingToDo(shown: PlanDocument, session: Session, replan: (facts: Facts) => PlanResult): Promise<ApplyResult> {
  const { plan, findings } = replan(await session.collect());
  refuseStale(shown, plan);
  return { exitCode: 0, outcomes: judge(plan, findings, findings, null, [], session), failure: null, leftovers: [] };
}

async function execute(execution: Execution, before: readonly Finding[], replan: (facts: Facts) => PlanResult): Promise<ApplyResult> {
  const { session, run, facts, plan, baseline } = execution;
  let failure: string | null = null;
  let leftovers: string[] = [];
  try {
    for (const step of stepsOf(plan, restartMethod(facts, session.restartCommand))) await execution.step(step);
    // A chmod too moves the time by which the file is known to be the one that the daemon read.
    if (execution.daemon !== 'restart' && execution.files.some(({ path }) => path === facts.daemon.configPath)) {
      await noteStartedWith(session, execution.configWritten ?? valueOf(facts.daemon.config)?.text ?? null, textAtStart(facts));
    }
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
    session.progress(`failed: ${failure}`);
    leftovers = await undo(session, execution.effects(), baseline, true);
  }
  session.progress('scanning again');
  const state: ChangeState = failure === null ? 'applied' : leftovers.length === 0 ? 'reverted' : 'failed';
  const after = await rescan(session, replan);
  const outcomes = judge(plan, before, after ?? before, run.runId, states(plan, state, failure), session);
  const exitCode = failure !== null ? (leftovers.length === 0 ? 3 : 4)
    : after === null || outcomes.summary.pending + outcomes.summary.unmet + outcomes.summary.regressed > 0 ? 1 : 0;
  await run.close({ result: failure === null ? 'applied' : state, exitCode, summary: { ...outcomes.summary }, failure });
  return { exitCode, outcomes, failure, leftovers };
}

/** null when the host cannot be read any more: then nothing is said about it. */
async function rescan(session: Session, replan: (facts: Facts) => PlanResult): Promise<readonly Finding[] | null> {
  try {
    return replan(await session.collect()).findings;
  } catch {
    return null;
  }
}
