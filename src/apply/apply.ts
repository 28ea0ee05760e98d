import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { loadedMatches } from '../audit/render.ts';
import { parseAuditList } from '../collect/audit.ts';
import { serviceNames } from '../container/service.ts';
import { configAtStart, validateCandidate } from '../daemon/settings.ts';
import type { WayBack } from '../daemon/way-back.ts';
import { wayBack } from '../daemon/way-back.ts';
import { sha256 } from '../digest.ts';
import { messageOf, StalePlanError } from '../errors.ts';
import type { HealthBaseline } from '../health.ts';
import { takeBaseline } from '../health.ts';
import { HostError, type FileSnapshot } from '../host/port.ts';
import type { Run, StepRecord } from '../journal.ts';
import { createRun, readRun } from '../journal.ts';
import { refuseUnconfirmed } from './confirm.ts';
import { refuseIrreversible, startGuard } from './guard.ts';
import { refuseUnfinished } from './recover.ts';
import { DEFAULT_RETENTION, pruneRuns } from './retention.ts';
import { runHeader } from './run-header.ts';
import { acquireLock } from '../lock.ts';
import { maskSecretsInText } from '../mask.ts';
import type { Change, ChangeDocument, ChangeState, Facts, Finding, JsonObject, Outcomes, Plan, PlanDocument, Retention } from '../model.ts';
import { isFileChange, valueOf } from '../model.ts';
import { planDocument } from '../plan.ts';
import type { PlanResult } from '../plan.ts';
import { brokenPremises } from '../plan/premises.ts';
import type { RestartMethod } from '../plan/restart.ts';
import { restartMethod } from '../plan/restart.ts';
import type { Step } from '../steps.ts';
import { describeStep, transactionsOf } from '../steps.ts';
import { countStates, verify } from '../verify.ts';
import type { PerformedAction } from './actions.ts';
import { beforeAction, performAction } from './actions.ts';
import { addKernelRules, kernelRules } from './kernel-rules.ts';
import type { Session } from './session.ts';
import type { Restarted } from './daemon.ts';
import { awaitHealthy, noteStartedWith, reloadDaemon, requireSteady, restartDaemon } from './daemon.ts';
import type { FileUndo, RunEffects } from './undo.ts';
import { undo } from './undo.ts';

export interface ApplyResult {
  /** 0: all promises hold. 1: something is pending, unmet or regressed. 3: failed and taken back. 4: failed and not wholly taken back. */
  readonly exitCode: 0 | 1 | 3 | 4;
  readonly outcomes: Outcomes;
  /** Why the run failed; null when it did not. */
  readonly failure: string | null;
  /** The signal that stopped the run; what it had done was then taken back, or was complete already. */
  readonly interrupted: string | null;
  /** What could not be taken back, as sentences. */
  readonly leftovers: readonly string[];
  /** What went wrong beside the changes: a journal that could not be closed, a host that could not be read again. */
  readonly remarks: readonly string[];
  /** Until when the run has to be confirmed, ISO 8601 UTC; null: it stays. */
  readonly confirmBy: string | null;
}

/** What the operator asked for beside the changes. */
interface ApplyTerms {
  /** Seconds after the end within which the run has to be confirmed, or a guard undoes it; null: it stays. */
  readonly confirmWithin: number | null;
  /** How long the journals of runs are kept. */
  readonly retention: Retention;
}

const NO_TERMS: ApplyTerms = { confirmWithin: null, retention: DEFAULT_RETENTION };

class Interrupted extends Error {
  readonly signal: string;

  constructor(signal: string) {
    super(`interrupted by ${signal}`);
    this.signal = signal;
  }
}

/** Files that augenrules(8) rewrites on every load. They belong to the run, so that its undo leaves them as they were. */
const COMPILED_RULES = ['/etc/audit/audit.rules', '/etc/audit/audit.rules.prev'];


/** What a person reads of a change to know what it does and costs: it must be true, or the plan was edited, or costs more by now. */
const SHOWN = ['kind', 'target', 'title', 'impact', 'risk', 'undo', 'requires', 'diff'] as const;

const shownField = (value: string | object): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** Why a change is not what it was when it was shown: by the premises that do not hold any more, where one is known. */
function staleChange(shown: ChangeDocument, current: Change | undefined, facts: Facts): StalePlanError {
  const broken = brokenPremises(shown.premises ?? [], facts);
  const names = broken.length > 0 ? broken.map(({ name }) => name).join(', ') : shown.target.name;
  const becomes = current === undefined ? [`What the plan shows:\n${shown.diff}`, 'Now no such change would be made.']
    : current.diff !== shown.diff ? [`What the plan shows:\n${shown.diff}`, `What would be done now:\n${current.diff}`]
      : broken.length > 0 ? [] : [`What would be done reads the same, to something else than the plan saw:\n${current.diff}`];
  return new StalePlanError(`${names} changed since the plan was made. Nothing was done. Plan again.`, [...broken.map(({ name, diff }) => `${name}:\n${diff}`), ...becomes].join('\n'));
}

/** Compares what was shown with what would be done now, by the facts as they are now. A plan is never adapted behind the back of whoever confirmed it. */
export function refuseStale(shown: PlanDocument, fresh: Plan, facts: Facts): void {
  const now = new Map(fresh.changes.map((change) => [change.id, change]));
  for (const change of shown.changes) {
    const current = now.get(change.id);
    if (current?.fingerprint === change.fingerprint) {
      const differs = SHOWN.filter((field) => !isDeepStrictEqual(current[field], change[field]));
      if (differs.length === 0) continue;
      throw new StalePlanError(
        `The plan shows another ${differs.join(', ')} of ${change.id} than what would be done. Nothing was done. Plan again.`,
        `What the plan shows:\n${differs.map((field) => shownField(change[field])).join('\n')}\nWhat would be done now:\n${differs.map((field) => shownField(current[field])).join('\n')}`,
      );
    }
    throw staleChange(change, current, facts);
  }
  const extra = fresh.changes.find(({ id }) => !shown.changes.some((change) => change.id === id));
  if (extra !== undefined) {
    throw new StalePlanError(`${extra.target.name} would be changed now, and the plan does not show it. Nothing was done. Plan again.`, extra.diff);
  }
  const expected = new Set(shown.restart?.stops.map(({ name }) => name));
  const stops = (fresh.restart?.stops ?? []).map(({ name }) => name).filter((name) => !expected.has(name));
  if (stops.length > 0) {
    throw new StalePlanError('The restart of the daemon would stop other containers now than the plan shows. Nothing was done. Plan again.', `Not in the plan: ${stops.join(', ')}`);
  }
}

/** Everything that can be known to go wrong is asked before the first byte is written. */
async function preflight(session: Session, facts: Facts, all: readonly Change[]): Promise<void> {
  const { writer } = session;
  const changes = all.filter(isFileChange);
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
  await session.writer.removeLeftovers(candidate);
  await session.writer.replace(candidate, Buffer.from(text), { mode: 0o600, uid: 0, gid: 0 });
  try {
    const flags = withoutConfigFile(argv.slice(1));
    const { code, stderr, stdout } = await session.writer.run('dockerd', ['--validate', '--config-file', candidate, ...flags], { timeoutMs: 30_000 });
    if (code !== 0) throw new HostError(`dockerd refuses the new ${facts.daemon.configPath}: ${withoutValues(stderr.trim() || stdout.trim()).replaceAll(candidate, facts.daemon.configPath)}\nNothing was changed. Correct what it names, then plan again.`);
  } finally {
    await session.writer.remove(candidate);
  }
}

/** dockerd prints both values of a key that is a flag too, as Go prints maps: "(from flag: …, from file: map[splunk-token:…])". */
const withoutValues = (text: string): string => maskSecretsInText(text.replace(/\(from flag: .*\)/g, '(values not shown)'));

const withoutConfigFile = (flags: readonly string[]): string[] =>
  flags.filter((flag, index) => !flag.startsWith('--config-file') && flags[index - 1] !== '--config-file');

/** Carries one run through its steps and remembers what to take back. */
class Execution {
  files: FileUndo[] = [];
  /** Numbers of the steps of the transaction that is under way, as the journal has them. */
  begun: number[] = [];
  systemdReloaded = false;
  audit: RunEffects['audit'] = null;
  daemon: RunEffects['daemon'] = null;
  configWritten: string | null = null;
  /** Of the transaction that is under way. */
  actions: PerformedAction[] = [];
  private reconfigured = false;
  private known: Facts;
  private restarted: Restarted | null = null;
  private wayBack: WayBack = { explicit: {}, keepContainers: false };
  readonly session: Session;
  readonly run: Run;
  readonly facts: Facts;
  readonly plan: Plan;
  readonly baseline: HealthBaseline;

  constructor(session: Session, run: Run, facts: Facts, plan: Plan, baseline: HealthBaseline) {
    this.session = session;
    this.run = run;
    this.facts = facts;
    this.known = facts;
    this.plan = plan;
    this.baseline = baseline;
  }

  /** What the transaction that is under way has done so far. */
  effects(): RunEffects {
    const { files, systemdReloaded, audit, daemon, wayBack: way, actions } = this;
    return {
      files, systemdReloaded, audit, daemon, wayBack: way, configPath: this.facts.daemon.configPath, startedWith: textAtStart(this.facts), method: this.method(), alsoStart: [], actions,
    };
  }

  /** Facts with the configuration that the daemon has by now: what it gives to new containers depends on it. */
  private async current(): Promise<Facts> {
    if (this.reconfigured) this.known = await this.session.collect();
    this.reconfigured = false;
    return this.known;
  }

  /** What is in stays: whatever fails from here on takes back only what comes after. */
  keep(): void {
    this.files = [];
    this.systemdReloaded = false;
    this.audit = null;
    this.daemon = null;
    this.actions = [];
    this.begun = [];
  }

  method(): RestartMethod | null {
    return restartMethod(this.facts, this.session.restartCommand);
  }

  /** Intent on disk before the deed, `done` after it. */
  async step(step: Step): Promise<void> {
    this.session.progress(describeStep(step));
    const sequence = await this.run.intent(await this.prepare(step));
    this.begun.push(sequence);
    try {
      await this.perform(step);
    } catch (error) {
      // A journal that cannot be written either must not hide why the step failed.
      await this.run.failed(sequence, messageOf(error)).catch(() => undefined);
      throw error;
    }
    await this.run.done(sequence);
  }

  /** Says in the journal that the transaction that is under way was taken back wholly, so that a rollback of the run leaves it alone. */
  async noteReverted(): Promise<void> {
    for (const sequence of this.begun) await this.run.reverted(sequence);
  }

  /** Backs up what the step will change and says in the journal how to take it back. */
  private async prepare(step: Step): Promise<StepRecord> {
    switch (step.kind) {
      case 'replaceBytes': case 'setMetadata': {
        const after = step.kind === 'replaceBytes' ? sha256(step.content) : null;
        const { snapshot, ...undo } = await this.remember(step.path);
        this.refuseChanged(step.change, snapshot);
        const record = { kind: step.kind, change: step.change, path: step.path, ...undo, after: { sha256: after, ...step.metadata } };
        if (step.path !== this.facts.daemon.configPath || step.kind !== 'replaceBytes') return record;
        this.configWritten = step.content;
        this.wayBack = wayBack(snapshot?.content?.toString('utf8') ?? '', step.content);
        return { ...record, wayBack: { ...this.wayBack } };
      }
      case 'loadAudit': {
        const compiled: JsonObject[] = [];
        for (const path of COMPILED_RULES) {
          const { before, made } = await this.remember(path);
          compiled.push({ path, before, made });
        }
        const kernelBefore = await kernelRules(this.session.writer);
        this.audit = { dropIn: step.content, kernelBefore };
        return { kind: step.kind, change: null, path: step.path, compiled, dropIn: step.content, kernelBefore: [...kernelBefore] };
      }
      case 'systemdReload': this.systemdReloaded = true; return { kind: step.kind, change: null };
      case 'reloadDaemon': this.daemon ??= 'reload'; this.reconfigured = true; return { kind: step.kind, change: null, ...this.forRollback() };
      case 'restartDaemon': this.daemon = 'restart'; this.reconfigured = true; return { kind: step.kind, change: null, ...this.forRollback() };
      case 'awaitHealthy': return { kind: step.kind, change: null };
      case 'act': {
        const before = await beforeAction(step.action, this.session, this.run);
        this.actions.push({ action: step.action, before });
        return { kind: step.kind, change: step.change, action: step.action as unknown as JsonObject, before };
      }
    }
  }

  /** What a rollback cannot ask an engine that is down: how it is restarted, and what ran. */
  private forRollback(): JsonObject {
    const method = this.method();
    return { method: method === null ? null : { ...method }, running: this.baseline.containers.map(({ id, name, startedAt }) => ({ id, name, startedAt })) };
  }

  /** What was shown is what is replaced: whoever wrote the file since the look at the host must not lose that. */
  private refuseChanged(id: string, now: FileSnapshot | null): void {
    const change = this.plan.changes.filter(isFileChange).find((candidate) => candidate.id === id);
    const planned = change?.before;
    const same = planned == null || now === null ? planned == null && now === null
      : planned.mode === now.mode && planned.uid === now.uid && planned.gid === now.gid
        && (planned.content === null || now.content?.equals(Buffer.from((planned.bom ? '\uFEFF' : '') + planned.content)) === true);
    if (!same) throw new HostError(`${change?.path ?? id} was changed while harden was at work. Plan again.`);
  }

  private async remember(path: string): Promise<{ snapshot: FileSnapshot | null; before: JsonObject | null; made: string[] }> {
    const { writer } = this.session;
    await writer.removeLeftovers(path);
    const before = await writer.snapshot(path);
    const made: string[] = [];
    for (let parent = dirname(path); await writer.snapshot(parent) === null; parent = dirname(parent)) made.unshift(parent);
    if (!this.files.some((file) => file.path === path)) this.files.push({ path, before, made });
    return { snapshot: before, before: await this.run.backup(before), made };
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
      case 'restartDaemon':
        this.restarted = await restartDaemon(session, step.method, valueOf(this.facts.daemon.process)?.pid ?? null);
        return;
      case 'awaitHealthy': {
        const survives = this.daemon !== 'restart' || this.plan.restart?.containersSurvive === true;
        await awaitHealthy(session, this.baseline, survives, this.toleratesLoss());
        if (this.restarted !== null) await requireSteady(session, this.restarted);
        return;
      }
      case 'act': {
        const begun = this.actions.at(-1);
        if (begun === undefined) throw new Error('an action is prepared before it is performed');
        return performAction(begun, session, { baseline: this.baseline, facts: await this.current() });
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

function judge(plan: Plan, before: readonly Finding[], after: readonly Finding[], runId: string | null, changes: Outcomes['changes'], session: Session, facts: Facts): Outcomes {
  const stateOf = new Map(changes.map(({ id, state }) => [id, state]));
  const promises = plan.changes.flatMap((change) => change.promises.map((promise) => ({ promise, change: change.id })));
  const results = verify({
    before,
    after,
    services: serviceNames(facts),
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
export async function applyPlan(shown: PlanDocument, session: Session, replan: (facts: Facts) => PlanResult, terms = NO_TERMS): Promise<ApplyResult> {
  if (shown.changes.length === 0) return nothingToDo(shown, session, replan);
  const { confirmWithin } = terms;
  if (confirmWithin !== null) refuseIrreversible(shown.changes);
  const lock = await acquireLock(session.stateDir, session.writer);
  try {
    await refuseUnfinished(session);
    await refuseUnconfirmed(session);
    // Only what is read while the lock is held is sure to be what is changed.
    const facts = await session.collect(true);
    const { plan, findings } = replan(facts);
    refuseStale(shown, plan, facts);
    await preflight(session, facts, plan.changes);
    const baseline = await takeBaseline(facts, session);
    // Only with their number can a journal that breaks off be known to hold all of them.
    const steps = transactionsOf(plan, restartMethod(facts, session.restartCommand)).reduce((sum, transaction) => sum + transaction.steps.length, 0);
    const run = await createRun(session.stateDir, session.writer, { ...runHeader(session, plan.id, facts), steps, ...(confirmWithin !== null && { confirmWithin }) }, planDocument(plan));
    await session.record({ action: 'apply', phase: 'start', runId: run.runId, planId: plan.id });
    if (confirmWithin !== null) await guarded(session, run, plan);
    return await execute(new Execution(session, run, facts, plan, baseline), findings, replan, terms);
  } finally {
    // What is left of it is a dead process's, which the next one replaces.
    await lock.release().catch(() => undefined);
  }
}

/** Without its guard a run is not begun. @throws HostError */
async function guarded(session: Session, run: Run, plan: Plan): Promise<void> {
  try {
    await startGuard(session, run.runId);
  } catch (error) {
    const failure = messageOf(error);
    await run.close({ result: 'reverted', exitCode: 2, failure });
    await session.record({ action: 'apply', phase: 'end', runId: run.runId, planId: plan.id, result: 'not begun', exitCode: 2 });
    throw new HostError(`${failure}. Nothing was changed`, { cause: error });
  }
}

async function nothingToDo(shown: PlanDocument, session: Session, replan: (facts: Facts) => PlanResult): Promise<ApplyResult> {
  const facts = await session.collect(true);
  const { plan, findings } = replan(facts);
  refuseStale(shown, plan, facts);
  return { exitCode: 0, outcomes: judge(plan, findings, findings, null, [], session, facts), failure: null, interrupted: null, leftovers: [], remarks: [], confirmBy: null };
}

/** What became of each change, while the transactions run one after the other. */
class Progress {
  private readonly of = new Map<string, { readonly state: ChangeState; readonly reason: string | null }>();

  set(ids: readonly string[], state: ChangeState, reason: string | null): void {
    for (const id of ids) this.of.set(id, { state, reason });
  }

  changes(plan: Plan): Outcomes['changes'] {
    return plan.changes.map(({ id }) => ({ id, ...this.of.get(id) ?? { state: 'skipped', reason: 'An earlier change failed, or the run was stopped.' } }));
  }
}

/** From here on the host is being changed: whatever happens is a result, never an exception that reads as "nothing was changed". */
async function execute(execution: Execution, before: readonly Finding[], replan: (facts: Facts) => PlanResult, { confirmWithin, retention }: ApplyTerms): Promise<ApplyResult> {
  const { session, run, facts, plan, baseline } = execution;
  let failure: string | null = null;
  let leftovers: string[] = [];
  let interrupted: string | null = null;
  const remarks: string[] = [];
  const progress = new Progress();
  for (const { changes, steps } of transactionsOf(plan, execution.method())) {
    try {
      for (const step of steps) {
        // All is in once the daemon has it: then it is quicker and safer to look whether it is well than to go back.
        const signal = step.kind === 'awaitHealthy' ? null : session.interrupted();
        if (signal !== null) throw new Interrupted(signal);
        await execution.step(step);
      }
      // A chmod too moves the time by which the file is known to be the one that the daemon read.
      if (execution.daemon !== 'restart' && execution.files.some(({ path }) => path === facts.daemon.configPath)) {
        await noteStartedWith(session, execution.configWritten ?? valueOf(facts.daemon.config)?.text ?? null, textAtStart(facts), valueOf(facts.daemon.process));
      }
      progress.set(changes, 'applied', null);
      execution.keep();
    } catch (error) {
      failure = messageOf(error);
      if (error instanceof Interrupted) interrupted = error.signal;
      session.progress(`failed: ${failure}`);
      leftovers = await undo(session, execution.effects(), () => Promise.resolve(baseline), true);
      progress.set(changes, leftovers.length === 0 ? 'reverted' : 'failed', failure);
      if (leftovers.length === 0) await execution.noteReverted().catch((problem: unknown) => remarks.push(messageOf(problem)));
      break;
    }
  }
  interrupted ??= session.interrupted();
  session.progress('scanning again');
  const after = await rescan(session, replan).catch((error: unknown) => {
    remarks.push(`The host could not be read again, so what became of the findings is not known: ${messageOf(error)}`);
    return null;
  });
  const outcomes = judge(plan, before, after ?? before, run.runId, progress.changes(plan), session, facts);
  const unwell = after === null || interrupted !== null || outcomes.summary.pending + outcomes.summary.unmet + outcomes.summary.regressed > 0;
  const exitCode = leftovers.length > 0 ? 4 : failure !== null && interrupted === null ? 3 : unwell ? 1 : 0;
  const stays = outcomes.changes.some(({ state }) => state === 'applied');
  const result = failure === null ? 'applied' : leftovers.length > 0 ? 'failed' : stays ? 'applied in part' : 'reverted';
  try {
    await run.close({ result, exitCode, summary: { ...outcomes.summary }, failure });
    await pruneRuns(session, retention);
  } catch (error) {
    remarks.push(`The journal of run ${run.runId} could not be finished: ${messageOf(error)}. When harden says that the run is not finished: harden recover`);
  }
  await session.record({ action: 'apply', phase: 'end', runId: run.runId, planId: plan.id, result, exitCode });
  const closed = confirmWithin === null ? null : await readRun(session.stateDir, run.runId, session.reader).catch(() => null);
  const confirmBy = closed?.confirmation?.by ?? null;
  return { exitCode: exitCode === 0 && remarks.length > 0 ? 1 : exitCode, outcomes, failure, interrupted, leftovers, remarks, confirmBy };
}

const rescan = async (session: Session, replan: (facts: Facts) => PlanResult): Promise<readonly Finding[]> => replan(await session.collect(true)).findings;
