import { parseRulesText } from '../collect/audit.ts';
import type { Change, Facts, FileChange, ObjectChange, Plan } from '../model.ts';
import { isFileChange, valueOf } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import type { Step } from '../steps.ts';
import { transactionsOf } from '../steps.ts';
import { createReplacement, plainStep, updateContainer } from './containers.ts';
import { daemonAccess } from './daemon.ts';
import { fileStep } from './files.ts';
import type { AuditLine, ChangeSummary, PortablePlan, PortableStep, PortableUnit } from './model.ts';
import { Refused } from './model.ts';
import { composeStep, groupStep, serviceStep } from './objects.ts';

interface From {
  readonly facts: Facts;
  readonly method: RestartMethod | null;
  /** The facts are a snapshot's, in which secrets are masked. */
  readonly fromSnapshot: boolean;
}

/**
 * A plan as what a script or a playbook carries out: the steps of `apply` (src/steps.ts), each in a form that holds no secret. `plan` is made of
 * `facts`, by the same process. Pure.
 */
export function portablePlan(plan: Plan, from: From): PortablePlan {
  const units: PortableUnit[] = [];
  const refused: { change: ChangeSummary; reason: string }[] = [];
  for (const changes of [...fileUnits(plan.changes.filter(isFileChange)), ...plan.changes.filter((change) => !isFileChange(change)).map((change) => [change])]) {
    try {
      const [transaction] = transactionsOf({ changes }, from.method);
      const steps = (transaction?.steps ?? []).map((step) => portable(step, changes, plan, from));
      requirePlain(steps);
      units.push({ changes: changes.map(summary), steps });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused.push(...changes.map((change) => ({ change: summary(change), reason: error.message })));
    }
  }
  return { units, refused, daemon: daemonAccess(from.facts, from.method) };
}

/** Names and ids become parts of paths, and words of commands: whoever made a snapshot may have written anything for them. */
function requirePlain(steps: readonly PortableStep[]): void {
  for (const step of steps) {
    const all = step.kind === 'changeComposeProject' ? step.containers : 'container' in step ? [step] : [];
    if (all.some(({ container, name }) => !/^[0-9a-f]{64}$/u.test(container) || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/u.test(name))) throw new Refused('It has a container with an id or a name that no engine gives.');
    if (step.kind === 'changeComposeProject' && !step.others.every((name) => /^[A-Za-z0-9][A-Za-z0-9_.-]*$/u.test(name))) throw new Refused('Its project has a container with a name that no engine gives.');
    if (/\\u0000|\\ud[89a-f]/u.test(JSON.stringify(step).replaceAll('\\\\', ''))) throw new Refused('It holds a character that no command can be given.');
  }
}

const summary = ({ id, kind, target, title, effect, diff, impact, risk, undo, because }: Change): ChangeSummary =>
  ({ id, kind, target, title, effect, diff, impact, risk, undo, checks: [...new Set(because.map(({ check }) => check))] });

/** What one restart or reload of the daemon brings into force belongs together, so do audit rules and the directories that they need; everything else is alone. */
function fileUnits(changes: readonly FileChange[]): FileChange[][] {
  const units = new Map<string, FileChange[]>();
  for (const change of changes) {
    const daemon = change.activations.some((activation) => activation === 'reloadDaemon' || activation === 'restartDaemon');
    const audit = change.kind === 'audit-rules' || change.kind === 'run-directories';
    const key = daemon ? 'daemon' : audit ? 'audit' : change.id;
    units.set(key, [...units.get(key) ?? [], change]);
  }
  return [...units.values()];
}

function portable(step: Step, changes: readonly Change[], plan: Plan, { facts, fromSnapshot }: From): PortableStep {
  switch (step.kind) {
    case 'replaceBytes': case 'setMetadata': {
      const change = changes.filter(isFileChange).find(({ id }) => id === step.change);
      if (change === undefined) throw new Error(`a step belongs to no change: ${step.change}`);
      return fileStep(change, fromSnapshot);
    }
    case 'loadAudit': return { kind: 'loadAudit', path: step.path, rules: auditLines(step.path, step.content), augenrules: facts.audit.augenrules };
    case 'awaitHealthy': {
      const restarts = changes.filter(isFileChange).some(({ activations }) => activations.includes('restartDaemon'));
      return {
        kind: 'awaitHealthy', containersSurvive: !restarts || plan.restart?.containersSurvive === true,
        toleratesIpv6Loss: plan.changes.some(({ because }) => because.some(({ check }) => check === 'daemon.userland-proxy')),
      };
    }
    case 'systemdReload': case 'reloadDaemon': case 'restartDaemon': return step;
    case 'act': return acting(step.action, changes.filter((change): change is ObjectChange => !isFileChange(change)), facts);
  }
}

function acting(action: Extract<Step, { kind: 'act' }>['action'], changes: readonly ObjectChange[], facts: Facts): PortableStep {
  switch (action.kind) {
    case 'removeGroupMember': return groupStep(action, facts);
    case 'updateContainer': return updateContainer(action, facts);
    case 'createReplacement': return createReplacement(action, facts);
    case 'retireContainer': case 'stopContainer': case 'swapContainers': case 'startReplacement': {
      const edits = changes.flatMap(({ actions }) => actions).flatMap((other) => (other.kind === 'createReplacement' && other.container === action.container ? other.edits : []));
      return plainStep(action, facts, edits);
    }
    case 'changeComposeProject': return composeStep(action, facts);
    case 'updateService': return serviceStep(action, facts);
    case 'setSwarmCertificates': {
      const before = valueOf(facts.swarm ?? { status: 'absent' })?.nodeCertExpiry;
      if (before === undefined || before === null) throw new Refused('How long certificates of nodes live now is not known.');
      return { kind: 'setSwarmCertificates', before, after: action.nodeCertExpiry };
    }
    case 'lockSwarm': case 'removeContainer': case 'removeImage': return action;
    case 'saveLayer': throw new Refused(`What ${action.name} wrote outside of its volumes is saved by \`harden apply\` only.`);
  }
}

/** The rules of a drop-in, with what a line of `auditctl -l` says of each: auditctl 4 names the calls of perm=, so that words are looked for. */
function auditLines(path: string, content: string): AuditLine[] {
  return parseRulesText(path, content).map(({ text, match, path: watched, key }) => {
    const words = text.split(/\s+/u);
    const listed = match === 'watch' ? words : [...words.slice(0, 2), ...words.filter((word) => /^(?:arch|path|dir)=/u.test(word)), ...(key === null ? [] : [`key=${key}`])];
    if (watched.includes('*')) throw new Refused(`The path ${watched} of an audit rule cannot be looked for.`);
    return { words, listed };
  });
}
