import type { Action, FileChange, Plan } from './model.ts';
import { isFileChange } from './model.ts';
import type { RestartMethod } from './plan/restart.ts';
import { listNames } from './daemon/containers.ts';
import { parseConfigFile } from './daemon/json-edit.ts';

interface Metadata {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * What makes changes happen: the same list for every executor. Steps on files carry the change they belong to; the others
 * activate all file steps before them.
 */
export type Step =
  | { readonly kind: 'replaceBytes'; readonly change: string; readonly path: string; readonly content: string; readonly metadata: Metadata }
  | { readonly kind: 'setMetadata'; readonly change: string; readonly path: string; readonly metadata: Metadata }
  | { readonly kind: 'systemdReload' }
  | { readonly kind: 'loadAudit'; readonly path: string; readonly content: string }
  /** SIGHUP; `liveRestore` is what GET /info must say afterwards, null when the reload does not concern it. */
  | { readonly kind: 'reloadDaemon'; readonly liveRestore: boolean | null }
  | { readonly kind: 'restartDaemon'; readonly method: RestartMethod }
  | { readonly kind: 'awaitHealthy' }
  /** Changes something that is no file. */
  | { readonly kind: 'act'; readonly change: string; readonly action: Action };

/** Changes that are in together or not at all. */
export interface Transaction {
  /** Ids of its changes. */
  readonly changes: readonly string[];
  readonly steps: readonly Step[];
}

const fileStep = (change: FileChange): Step | null => {
  const { id, path, before, after } = change;
  const metadata = { mode: after.mode, uid: after.uid, gid: after.gid };
  if (after.content === null) return { kind: 'setMetadata', change: id, path, metadata };
  const same = before?.content === after.content && before.mode === after.mode && before.uid === after.uid && before.gid === after.gid;
  return same ? null : { kind: 'replaceBytes', change: id, path, content: (after.bom ? '\uFEFF' : '') + after.content, metadata };
};

/**
 * Order: every file first, so that one restart sees them all; then what re-reads them. Live-restore is reloaded and confirmed
 * before the restart, or the restart would stop every container.
 */
function fileSteps(changes: readonly FileChange[], method: RestartMethod | null): Step[] {
  const activated = (activation: FileChange['activations'][number]): FileChange[] => changes.filter(({ activations }) => activations.includes(activation));
  const steps: (Step | null)[] = changes.map(fileStep);
  if (activated('systemdReload').length > 0) steps.push({ kind: 'systemdReload' });
  for (const { path, after } of activated('loadAudit')) steps.push({ kind: 'loadAudit', path, content: after.content ?? '' });
  const reloads = activated('reloadDaemon');
  if (reloads.length > 0) {
    const config = reloads.find(({ kind }) => kind === 'daemon-config');
    const parsed = parseConfigFile(config?.after.content ?? '').parsed;
    const liveRestore = parsed.ok ? parsed.value['live-restore'] : undefined;
    steps.push({ kind: 'reloadDaemon', liveRestore: typeof liveRestore === 'boolean' ? liveRestore : null });
  }
  if (activated('restartDaemon').length > 0) {
    if (method === null) throw new Error('a change needs a restart, but no way to restart is known: the planner must have deferred it');
    steps.push({ kind: 'restartDaemon', method });
  }
  if (reloads.length > 0 || activated('restartDaemon').length > 0) steps.push({ kind: 'awaitHealthy' });
  return steps.filter((step) => step !== null);
}

/** The files with what re-reads them are one transaction, and the first; everything else follows, each change by itself. */
export function transactionsOf({ changes }: Pick<Plan, 'changes'>, method: RestartMethod | null): Transaction[] {
  const files = changes.filter(isFileChange);
  const objects = changes.filter((change) => !isFileChange(change));
  return [
    ...(files.length === 0 ? [] : [{ changes: files.map(({ id }) => id), steps: fileSteps(files, method) }]),
    ...objects.map(({ id, actions }) => ({ changes: [id], steps: actions.map((action): Step => ({ kind: 'act', change: id, action })) })),
  ];
}

/** One line for progress and journal readers. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'replaceBytes': return `writing ${step.path}`;
    case 'setMetadata': return `setting mode and owner of ${step.path}`;
    case 'systemdReload': return 'systemd reads its units again';
    case 'loadAudit': return 'loading audit rules into the kernel';
    case 'reloadDaemon': return 'the daemon reloads its configuration';
    case 'restartDaemon': return step.method.kind === 'command' ? `restarting the daemon: ${step.method.command}` : `restarting the daemon (${step.method.kind})`;
    case 'awaitHealthy': return 'waiting for API, containers, networks and published ports';
    case 'act': return describeAction(step.action);
  }
}

/** One line for progress. Names in it are the host's: escape them for a terminal. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'removeGroupMember': return `taking ${action.user} out of the group ${action.group}`;
    case 'updateContainer': return `changing the container ${action.name} while it runs`;
    case 'saveLayer': return `saving what the container ${action.name} wrote outside of its volumes`;
    case 'createReplacement': return `creating the replacement of the container ${action.name}`;
    case 'retireContainer': return `the container ${action.name} starts no more by itself`;
    case 'stopContainer': return `stopping the container ${action.name}`;
    case 'swapContainers': return `giving the name ${action.name} to the replacement`;
    case 'startReplacement': return `starting and watching the replacement of ${action.name}`;
    case 'changeComposeProject': return `editing ${listNames(action.edited.map(({ path }) => path))}, and making anew what it is about (compose project ${action.project.project}: ${listNames(action.services.map(({ name }) => name))})`;
    case 'lockSwarm': return `locking the managers of the swarm, with the unlock key in ${action.keyFile}`;
    case 'removeContainer': return `removing the container ${action.name} for good`;
    case 'removeImage': return `removing the image ${action.name} for good`;
    case 'updateService': return `updating the service ${action.name}, task after task`;
    case 'setSwarmCertificates': return 'setting the lifetime of the swarm\'s certificates';
  }
}
