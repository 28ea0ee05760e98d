import type { SpecEdit } from './container.ts';
import type { Edition, Impact, Json, JsonObject, Risk, Target, ToolStamp } from './base.ts';
import type { ComposeFacts, ComposeRehearsal, Facts } from './facts.ts';
import type { Policy, Selection } from './policy.ts';
import type { Check, Finding, HostSummary } from './report.ts';

/** A wish about a file. */
export type FileEdit =
  /** RFC 7396 merge patch over a JSON file that keeps its own layout. `null` removes a key. */
  | { readonly kind: 'mergeJson'; readonly path: string; readonly patch: JsonObject }
  /** Exact permission bits (07777). */
  | { readonly kind: 'setMode'; readonly path: string; readonly mode: number }
  | { readonly kind: 'setOwner'; readonly path: string; readonly uid: number; readonly gid: number }
  /** One line (or an arch pair) in the audit drop-in. */
  | { readonly kind: 'auditRule'; readonly path: string; readonly match: 'path' | 'dir'; readonly perms: string; readonly key: string; readonly except: readonly string[] }
  /** A directory below /run that must exist before auditd loads its rules (tmpfiles.d(5)). */
  | { readonly kind: 'runDirectory'; readonly path: string; readonly mode: number }
  /** A drop-in for a systemd unit: NAME=VALUE lines of one section; an empty value resets a list. */
  | { readonly kind: 'unitDropIn'; readonly unit: string; readonly section: string; readonly settings: readonly (readonly [name: string, value: string])[] }
  /** Replaces one stretch of a text file; `expected` must be what stands at `offset` (UTF-16 code units of the text without BOM). */
  | { readonly kind: 'spliceText'; readonly path: string; readonly offset: number; readonly expected: string; readonly replacement: string };

/** A wish about something that is no file. */
export type ObjectEdit =
  /** Takes an account out of the member list of a group (group(5)). */
  | { readonly kind: 'removeGroupMember'; readonly group: string; readonly user: string }
  /** Changes what a container is configured with. `by`: while it runs, or by a new container in its place. */
  | { readonly kind: 'changeContainer'; readonly container: string; readonly by: 'update' | 'recreate'; readonly edits: readonly SpecEdit[] }
  /** Changes what the tasks of a swarm service are configured with, in its definition: swarm makes them anew by the service's own rules. */
  | { readonly kind: 'changeService'; readonly service: string; readonly edits: readonly SpecEdit[] }
  /** Changes what the service of a container is in the files of its compose project. */
  | { readonly kind: 'changeComposeService'; readonly project: string; readonly service: string; readonly container: string; readonly edits: readonly SpecEdit[] }
  /** The lifetime of node certificates, in nanoseconds (Spec.CAConfig.NodeCertExpiry of GET /swarm). */
  | { readonly kind: 'swarmCertificates'; readonly nodeCertExpiry: number }
  /** Autolock of the swarm's managers; the unlock key goes into a new file. */
  | { readonly kind: 'swarmAutolock'; readonly keyFile: string }
  /** Removes an image that nothing uses, for good. `days`: for how long nothing has. */
  | { readonly kind: 'removeImage'; readonly image: string; readonly name: string; readonly days: number }
  /** Removes a stopped container, for good; its volumes stay. `days`: for how long it has been stopped. */
  | { readonly kind: 'removeContainer'; readonly container: string; readonly days: number };

/** A wish, not yet a decision. A closed union: a new kind makes the compiler list every place to extend. */
export type Edit = FileEdit | ObjectEdit;
export type EditKind = Edit['kind'];

/** True for an edit that does not end in a file of this host. */
export const isObjectEdit = (edit: Edit): edit is ObjectEdit => OBJECT_EDIT_KINDS.has(edit.kind);

const OBJECT_EDIT_KINDS: ReadonlySet<string> = new Set<ObjectEdit['kind']>(['removeGroupMember', 'changeContainer', 'changeService', 'changeComposeService', 'swarmCertificates', 'swarmAutolock', 'removeImage', 'removeContainer']);

/** An edit with what it costs. Impact and risk depend on facts. */
export type ProposedEdit = Edit & {
  readonly impact: Impact;
  readonly risk: Risk;
  /** What undoing it costs. */
  readonly undo: Impact | 'impossible';
  /** Who or what is affected, when risk or impact is worth a sentence. Joined into the change's effect. */
  readonly note?: string;
};

/** Why a WARN is in no change. */
export const DEFER_REASONS = ['manual', 'choice', 'ceiling', 'guard', 'owner', 'conflict', 'pending', 'unsupported'] as const;
export type DeferReason = (typeof DEFER_REASONS)[number];

/** One value that a remediation used, and where it came from. */
export interface ParameterUse {
  readonly name: string;
  readonly value: Json;
  readonly source: 'policy' | 'asked' | 'evidence' | 'default';
  readonly evidence: string;
}

/** A parameter that would settle a finding, for whoever asks a person. */
export interface Ask {
  /** Keys below `parameters` of harden.yaml: ["containers", "web", "memory"]. */
  readonly parameter: readonly string[];
  /** A value worth considering, as YAML; null: nobody but the owner can say. */
  readonly suggested: string | null;
  /** What the suggestion rests on, a sentence without its full stop; "" where there is nothing to say. */
  readonly evidence: string;
}

export type Proposal =
  | { readonly edits: readonly ProposedEdit[]; readonly parameters: readonly ParameterUse[] }
  | { readonly defer: DeferReason; readonly explanation: string; readonly needs?: string; readonly asks?: readonly Ask[] };

/** A parameter that a remediation reads, for `harden explain`. */
export interface ParameterSpec {
  /** Dotted path under `parameters` of harden.yaml. */
  readonly name: string;
  readonly description: string;
  readonly example: string;
}

/** From a WARN to what would fix it. Pure. */
export interface Remediation<D = unknown> {
  readonly check: Check<D>;
  readonly mode: 'auto' | 'choice' | 'manual';
  /** What the fix does, in one sentence, with what a person notices of it. */
  readonly effect: string;
  /** What it usually costs, for the catalogue; the edits carry the real ones. */
  readonly impact: Impact;
  readonly risk: Risk;
  readonly parameters: readonly ParameterSpec[];
  /** Exact steps for a person; required for `manual`, welcome for `choice`. */
  readonly manual?: string;
  propose(finding: Finding<D>, facts: Facts, policy: Policy): Proposal;
}

/** A file, directory or socket as it is or will be. `content` is null where only metadata counts. */
export interface FileState {
  readonly content: string | null;
  readonly bom: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What must happen after its bytes changed so that a change is in force. */
export type Activation = 'systemdReload' | 'loadAudit' | 'reloadDaemon' | 'restartDaemon';

export const PREMISE_KINDS = ['file', 'container', 'kernel-rules', 'daemon-flags'] as const;

/** What a change was decided by and its diff does not show. A plan is refused when it is other by then. */
export interface Premise {
  readonly kind: (typeof PREMISE_KINDS)[number];
  /** A path, the name of a container, or words. */
  readonly name: string;
  /** How it was, one property each; secrets masked. */
  readonly lines: readonly string[];
}

/** What every decision about one target has: it drives diff, apply, rollback and (later) script and playbook. */
interface ChangeBase {
  /** Stable within a host: "file:/etc/docker/daemon.json", "group:docker". */
  readonly id: string;
  readonly target: Target;
  readonly title: string;
  readonly impact: Impact;
  readonly risk: Risk;
  readonly undo: Impact | 'impossible';
  readonly effect: string;
  readonly because: readonly { readonly check: string; readonly target: Target }[];
  readonly promises: readonly Promised[];
  /** Changes without which this one must not be made. */
  readonly requires: readonly string[];
  /** Unified, secrets masked, control characters escaped. What is no text shows as "- old" and "+ new" lines. */
  readonly diff: string;
  /** What it was decided by; missing where the diff shows that, and in a plan of an older harden. */
  readonly premises?: readonly Premise[];
  /** sha256 over the state that the plan saw, its premises, and the state that it decided on. */
  readonly fingerprint: string;
}

export const FILE_CHANGE_KINDS = ['daemon-config', 'daemon-flags', 'audit-rules', 'run-directories', 'unit-drop-in', 'metadata'] as const;
export const OBJECT_CHANGE_KINDS = ['group-members', 'swarm-settings', 'container', 'service', 'compose-project', 'removed-containers', 'removed-images'] as const;

/** A decision about one path. All of them are one transaction, with one restart of the daemon at most. */
export interface FileChange extends ChangeBase {
  readonly kind: (typeof FILE_CHANGE_KINDS)[number];
  /** Symbolic links are followed when it is written. */
  readonly path: string;
  /** null: absent. */
  readonly before: FileState | null;
  readonly after: FileState;
  readonly activations: readonly Activation[];
}

/** A decision about something that is no file, carried out by actions. Each is a transaction of its own, after that of the files. */
export interface ObjectChange extends ChangeBase {
  readonly kind: (typeof OBJECT_CHANGE_KINDS)[number];
  /** In the order in which they are made. They hold no secrets: the journal keeps them. */
  readonly actions: readonly Action[];
}

export type Change = FileChange | ObjectChange;

export const isFileChange = (change: Change): change is FileChange => (FILE_CHANGE_KINDS as readonly string[]).includes(change.kind);

/**
 * One call that changes something which is no file. What takes it back is read when it is carried out, and journalled before
 * (src/apply/actions.ts).
 */
export type Action =
  | { readonly kind: 'removeGroupMember'; readonly group: string; readonly user: string }
  /** Changes a container while it runs. `name` is that which it has. */
  | { readonly kind: 'updateContainer'; readonly container: string; readonly name: string; readonly edits: readonly SpecEdit[] }
  /** Saves what a container wrote outside of its mounts among the backups of the run, as NAME-layer.tar. */
  | { readonly kind: 'saveLayer'; readonly container: string; readonly name: string }
  /** Creates, beside a container, the one that is to take its place. `follows`: those that it depends on, whose replacements have their names by then. */
  | {
    readonly kind: 'createReplacement'; readonly container: string; readonly name: string; readonly edits: readonly SpecEdit[];
    readonly follows: readonly { readonly container: string; readonly name: string }[];
  }
  /** Sets the restart policy of a container to "no": one that is set aside must not wake up with the daemon. */
  | { readonly kind: 'retireContainer'; readonly container: string; readonly name: string }
  | { readonly kind: 'stopContainer'; readonly container: string; readonly name: string }
  /** Gives the name of a container to its replacement; it is kept under another. */
  | { readonly kind: 'swapContainers'; readonly container: string; readonly name: string }
  /** Starts the replacement of a container, and watches it for so many seconds, and until it is healthy where it has a health check. */
  | { readonly kind: 'startReplacement'; readonly container: string; readonly name: string; readonly watchSeconds: number }
  /** Edits the files of a compose project, lets Compose make its services anew, and watches them: one action, since neither half is taken back without the other. */
  | ComposeProjectChange
  /** For good. `finishedAt`: when it last stopped, as the engine writes it. */
  | { readonly kind: 'removeContainer'; readonly container: string; readonly name: string; readonly finishedAt: string }
  /** For good. `references`: the tags and digests that lead to it. */
  | { readonly kind: 'removeImage'; readonly image: string; readonly name: string; readonly references: readonly string[] }
  /** Turns autolock on, and keeps the unlock key in a file that must not be there yet. */
  | { readonly kind: 'lockSwarm'; readonly keyFile: string }
  /** Updates a service, and watches until all of its tasks are made anew and have run for so many seconds. `service` is its id. */
  | { readonly kind: 'updateService'; readonly service: string; readonly name: string; readonly edits: readonly SpecEdit[]; readonly watchSeconds: number }
  /** Nanoseconds. */
  | { readonly kind: 'setSwarmCertificates'; readonly nodeCertExpiry: number };

export interface ComposeProjectChange {
  readonly kind: 'changeComposeProject';
  readonly project: Pick<ComposeFacts, 'project' | 'workingDir' | 'files' | 'environmentFiles'>;
  /** Files that `extends` names. */
  readonly related: readonly string[];
  readonly tool: ComposeRehearsal['tool'];
  /** Of the engine that has the project, as in Facts.engine.endpoint. */
  readonly endpoint: string;
  readonly services: readonly {
    readonly name: string;
    readonly edits: readonly SpecEdit[];
    /** They ran, and shall run again. */
    readonly start: boolean;
    readonly containers: readonly { readonly id: string; readonly name: string }[];
  }[];
  /** Services that stay as they are, each with the number of its containers. */
  readonly others: readonly { readonly name: string; readonly containers: number }[];
  /** The files that change, with their digests (sha256, hex): what they say may be secret. */
  readonly edited: readonly { readonly path: string; readonly before: string; readonly after: string }[];
  readonly watchSeconds: number;
}

export interface Promised {
  readonly check: string;
  readonly target: Target;
  readonly expect: 'pass' | 'pending';
  readonly waitsFor: string | null;
}

export interface Deferred {
  readonly check: string;
  readonly target: Target;
  readonly reason: DeferReason;
  readonly explanation: string;
  /** What would release it: a flag, a parameter, a person's step. */
  readonly needs: string | null;
  /** The parameters among that, for whoever can ask for their values. */
  readonly asks?: readonly Ask[];
}

export interface PlanInputs {
  readonly selection: Selection;
  readonly maxImpact: Impact;
  readonly maxRisk: Risk;
  /** Change ids that a person picked; null: all. */
  readonly picks: readonly string[] | null;
  readonly parameters: readonly (ParameterUse & { readonly check: string; readonly target: Target })[];
  /** Policy parameters in force when the plan was made (secrets masked). */
  readonly policyParameters: JsonObject;
}

/** The plan. `before` and `after` of its file changes never leave the process: they may hold secrets. */
export interface Plan {
  readonly schemaVersion: 1;
  readonly tool: ToolStamp;
  readonly id: string;
  readonly createdAt: string;
  readonly benchmark: Edition;
  readonly host: HostSummary;
  readonly inputs: PlanInputs;
  readonly changes: readonly Change[];
  /** Checks that pass when all is applied. */
  readonly promises: readonly string[];
  readonly deferred: readonly Deferred[];
  /** Patches for the Dockerfiles that were named; missing in a plan of an older harden. */
  readonly advice?: readonly Advice[];
  /** What a restart of the daemon does to running containers, when the plan holds one. */
  readonly restart: RestartForecast | null;
  readonly summary: { readonly warns: number; readonly fixable: number; readonly changes: number; readonly deferred: number };
}

/** What to change in a Dockerfile, for a person to put in: an image changes only where it is built. */
export interface Advice {
  /** The checks of the image that the patch answers; those that it cannot answer are only deferred. */
  readonly check: readonly string[];
  readonly target: Target;
  /** The Dockerfile, as it was named. */
  readonly path: string;
  /** Unified, for patch(1); no line of it holds a secret. "": nothing that a patch can say. */
  readonly diff: string;
  /** What the patch leaves to a person, and why. */
  readonly notes: readonly string[];
}

export interface RestartForecast {
  /** Live-restore is, or will first be, on: running containers keep running. */
  readonly containersSurvive: boolean;
  /** Names of containers that stop; those whose restart policy does not start them again are started by harden. */
  readonly stops: readonly { readonly name: string; readonly restartPolicy: string; readonly startedByHarden: boolean }[];
  /** TCP ports that running containers publish; those that answer before have to afterwards. Missing in a plan of an older harden, as are plugins. */
  readonly ports?: readonly { readonly container: string; readonly port: number }[];
  /** Enabled plugins, and those that authorize calls: they have to be back afterwards. */
  readonly plugins?: readonly string[];
}

/** A change as it is saved and shown: without the states and what makes it happen, which are always computed anew. */
export type ChangeDocument = ChangeBase & { readonly kind: Change['kind'] };
export type PlanDocument = Omit<Plan, 'changes'> & { readonly changes: readonly ChangeDocument[] };
