import { auditDropIn, tmpfilesDropIn } from '../audit/render.ts';
import { mergeJson } from '../daemon/json-edit.ts';
import { sha256 } from '../digest.ts';
import { AUDIT_DROP_IN, TMPFILES_DROP_IN, unitDropInPath } from '../managed.ts';
import { maskSecretsInJsonText, maskSecretsInText } from '../mask.ts';
import type {
  Activation, Change, Edit, Facts, FileChange, FileEdit, FileState, Finding, Impact, Json, JsonObject, ObjectEdit, Observed, Policy, ProposedEdit,
} from '../model.ts';
import { isObjectEdit, statOf, valueOf } from '../model.ts';
import { diffOf } from './diff.ts';
import { buildObjectChanges, objectClaims } from './object-changes.ts';
import type { EditOf, PlannedEdit } from './planned.ts';
import { mergedFrom, ofKind } from './planned.ts';
import { filePremises } from './premises.ts';
import { unitDropIn } from './unit-drop-in.ts';

/** Two edits that want different things of one place. Both findings are deferred, naming each other. */
export interface Conflict {
  readonly finding: Finding;
  readonly other: Finding;
  readonly about: string;
}

/** The path that an edit changes. */
export function pathOf(edit: FileEdit): string {
  switch (edit.kind) {
    case 'auditRule': return AUDIT_DROP_IN;
    case 'runDirectory': return TMPFILES_DROP_IN;
    case 'unitDropIn': return unitDropInPath(edit.unit);
    case 'mergeJson': case 'setMode': case 'setOwner': case 'spliceText': return edit.path;
  }
}

/** One name for all spellings of a path (/var/run/docker.sock, /run/docker.sock). */
const canonical = (facts: Facts, path: string): string => valueOf(statOf(facts, path))?.realPath ?? path;

/** What an edit claims, as key → value: two edits with one key and different values cannot both be made. */
function claims(edit: Edit, facts: Facts): readonly (readonly [key: string, value: Json])[] {
  if (isObjectEdit(edit)) return objectClaims(edit);
  switch (edit.kind) {
    case 'mergeJson': return Object.entries(edit.patch).map(([key, value]) => [`${edit.path}: "${key}"`, value]);
    case 'setMode': return [[`${canonical(facts, edit.path)}: mode`, edit.mode]];
    case 'setOwner': return [[`${canonical(facts, edit.path)}: owner`, `${edit.uid}:${edit.gid}`]];
    case 'spliceText': return [[`${edit.path}: text at ${edit.offset}`, edit.replacement]];
    case 'unitDropIn': return edit.settings.filter(([, value]) => value !== '').map(([name, value]) => [`${edit.unit}: ${name}`, value]);
    case 'auditRule': return [[`audit rule on ${edit.path}`, `${edit.match} ${edit.perms}`]];
    case 'runDirectory': return [[`${edit.path}: tmpfiles.d mode`, edit.mode]];
  }
}

/** Finds the edits that contradict each other. Pure; order of the result follows the order of the edits. */
export function findConflicts(planned: readonly PlannedEdit[], facts: Facts): Conflict[] {
  const first = new Map<string, { value: string; by: PlannedEdit }>();
  const conflicts: Conflict[] = [];
  for (const by of planned) {
    for (const [about, value] of claims(by.edit, facts)) {
      const text = JSON.stringify(value);
      const earlier = first.get(about);
      if (earlier === undefined) first.set(about, { value: text, by });
      else if (earlier.value !== text) {
        conflicts.push({ finding: by.finding, other: earlier.by.finding, about }, { finding: earlier.by.finding, other: by.finding, about });
      }
    }
  }
  return conflicts;
}

/** Text of a file that edits may change, as it was collected. */
export function textOf(facts: Facts, path: string): Observed<{ readonly text: string; readonly bom: boolean }> {
  if (path === facts.daemon.configPath) {
    const { config } = facts.daemon;
    return config.status === 'present' ? { status: 'present', value: { text: config.value.text, bom: config.value.bom } } : config;
  }
  const source = valueOf(facts.daemon.unit)?.sources.find((candidate) => candidate.path === path);
  if (source !== undefined) return { status: 'present', value: { text: source.text, bom: false } };
  const other = facts.daemon.environmentFiles[path] ?? facts.managed?.[path];
  if (other === undefined) return { status: 'unreadable', reason: `${path} was not read` };
  return other.status === 'present' ? { status: 'present', value: { text: other.value, bom: false } } : other;
}

/** Splices from the end, so that earlier offsets stay true. */
function splice(text: string, edits: readonly EditOf<'spliceText'>[]): string {
  return [...edits].sort((a, b) => b.offset - a.offset).reduce((result, { offset, expected, replacement }) => {
    if (result.slice(offset, offset + expected.length) !== expected) throw new Error(`expected text is not at offset ${offset}`);
    return result.slice(0, offset) + replacement + result.slice(offset + expected.length);
  }, text);
}

function contentAfter(planned: readonly PlannedEdit[], before: string | null, facts: Facts, policy: Policy): string | null {
  const patches = ofKind(planned, 'mergeJson');
  if (patches.length > 0) return mergeJson(before ?? '', Object.assign({}, ...patches.map(({ patch }) => patch)) as JsonObject);
  const rules = ofKind(planned, 'auditRule');
  if (rules.length > 0) return auditDropIn(rules, facts, policy.parameters.audit?.style ?? auditStyle(facts), before);
  const directories = ofKind(planned, 'runDirectory');
  if (directories.length > 0) return tmpfilesDropIn(directories, before);
  const settings = ofKind(planned, 'unitDropIn');
  if (settings.length > 0) return unitDropIn(settings, before);
  const splices = ofKind(planned, 'spliceText');
  if (splices.length > 0) {
    const unique = new Map(splices.map((edit) => [edit.offset, edit]));
    return splice(before ?? '', [...unique.values()]);
  }
  return null;
}

/** Watches are deprecated from auditd 4 on (auditctl(8)); before, they are what the kernel lists back. */
function auditStyle(facts: Facts): 'watch' | 'syscall' {
  const major = /(\d+)\./.exec(valueOf(facts.audit.version) ?? '')?.[1];
  return Number(major ?? 3) >= 4 ? 'syscall' : 'watch';
}

const kindOf = (planned: readonly PlannedEdit[], path: string, facts: Facts): FileChange['kind'] => {
  if (path === AUDIT_DROP_IN) return 'audit-rules';
  if (path === TMPFILES_DROP_IN) return 'run-directories';
  if (path === facts.daemon.configPath && ofKind(planned, 'mergeJson').length > 0) return 'daemon-config';
  if (ofKind(planned, 'spliceText').length > 0) return 'daemon-flags';
  return ofKind(planned, 'unitDropIn').length > 0 ? 'unit-drop-in' : 'metadata';
};

const TITLES: Readonly<Record<FileChange['kind'], string>> = {
  'daemon-config': 'Daemon configuration',
  'daemon-flags': 'Flags of the daemon',
  'audit-rules': 'Audit rules',
  'run-directories': 'Directories below /run that audit rules need at boot',
  'unit-drop-in': 'systemd drop-in',
  metadata: 'Mode and owner',
};

/** Permissions of a file that harden creates. auditd keeps its rules from other users. */
const newFile = (path: string, facts: Facts): Omit<FileState, 'content' | 'bom'> => ({
  mode: path === AUDIT_DROP_IN ? 0o640 : 0o644,
  uid: path === facts.daemon.configPath ? valueOf(facts.daemon.process)?.uid ?? 0 : 0,
  gid: 0,
});

const wantsLiveRestore = (planned: readonly PlannedEdit[]): boolean =>
  ofKind(planned, 'mergeJson').some(({ patch }) => patch['live-restore'] === true);

/**
 * What must run after the bytes are in place. Live-restore is turned on by a reload before any restart, so that the restart
 * finds it on and leaves running containers alone.
 */
function activationsOf(kind: FileChange['kind'], planned: readonly PlannedEdit[], impact: Impact): Activation[] {
  switch (kind) {
    case 'audit-rules': return ['loadAudit'];
    case 'daemon-config':
      if (impact === 'reload') return ['reloadDaemon'];
      return wantsLiveRestore(planned) ? ['reloadDaemon', 'restartDaemon'] : ['restartDaemon'];
    case 'daemon-flags': return ['systemdReload', 'restartDaemon'];
    case 'unit-drop-in': return impact === 'restart' ? ['systemdReload', 'restartDaemon'] : ['systemdReload'];
    case 'run-directories': case 'metadata': return [];
  }
}

const stateDigest = (state: FileState | null): JsonObject | null => state === null ? null : {
  content: state.content === null ? null : sha256((state.bom ? '\uFEFF' : '') + state.content), mode: state.mode, uid: state.uid, gid: state.gid,
};

/** True when the rules that a drop-in holds are not all in force, so that loading it is a change although its bytes stay. */
const needsLoading = (facts: Facts, planned: readonly PlannedEdit[]): boolean =>
  valueOf(facts.audit.enabled) !== 2 && planned.some(({ finding }) => finding.pending !== undefined);

function buildChange(path: string, planned: readonly PlannedEdit[], facts: Facts, policy: Policy): FileChange | null {
  const stat = valueOf(statOf(facts, path));
  const kind = kindOf(planned, path, facts);
  const text = kind === 'metadata' ? undefined : textOf(facts, path);
  if (text?.status === 'unreadable') return null;
  const existing = text?.status === 'present' ? text.value : null;
  const before: FileState | null = kind !== 'metadata' && existing === null ? null : {
    content: existing?.text ?? null, bom: existing?.bom ?? false, ...(stat ? { mode: stat.mode, uid: stat.uid, gid: stat.gid } : newFile(path, facts)),
  };
  const content = kind === 'metadata' ? null : contentAfter(planned, existing?.text ?? null, facts, policy);
  const mode = ofKind(planned, 'setMode')[0]?.mode;
  const owner = ofKind(planned, 'setOwner')[0];
  const base = before ?? newFile(path, facts);
  const after: FileState = {
    content, bom: before?.bom ?? false, mode: mode ?? base.mode, uid: owner?.uid ?? base.uid, gid: owner?.gid ?? base.gid,
  };
  const unchanged = before !== null && JSON.stringify(stateDigest(before)) === JSON.stringify(stateDigest(after));
  if (unchanged && !(kind === 'audit-rules' && needsLoading(facts, planned))) return null;

  const merged = mergedFrom(planned);
  const premises = filePremises(kind, path, facts);
  const mask = kind === 'daemon-config' ? maskSecretsInJsonText : maskSecretsInText;
  return {
    id: `${kind === 'metadata' ? 'mode' : 'file'}:${path}`,
    kind,
    target: { kind: kind === 'unit-drop-in' ? 'unit' : kind === 'audit-rules' ? 'audit' : 'file', name: path, id: path },
    path,
    title: `${TITLES[kind]}: ${path}`,
    before,
    after,
    activations: activationsOf(kind, planned, merged.impact),
    ...merged,
    diff: diffOf(path, before, after, mask),
    premises,
    fingerprint: sha256(JSON.stringify({ path, premises, realPath: stat?.realPath ?? path, before: stateDigest(before), after: stateDigest(after) })),
  };
}

/** Merges all edits of one path into one change, in the order in which `apply` makes them: what others need first, the daemon's own file last. */
function buildFileChanges(planned: readonly PlannedEdit<FileEdit & ProposedEdit>[], facts: Facts, policy: Policy): FileChange[] {
  const byPath = new Map<string, { path: string; edits: PlannedEdit[] }>();
  for (const item of planned) {
    const path = pathOf(item.edit);
    const group = byPath.get(canonical(facts, path));
    if (group === undefined) byPath.set(canonical(facts, path), { path, edits: [item] });
    else group.edits.push(item);
  }
  const order: readonly FileChange['kind'][] = ['metadata', 'run-directories', 'audit-rules', 'unit-drop-in', 'daemon-flags', 'daemon-config'];
  const changes = [...byPath.values()]
    .map(({ path, edits }) => buildChange(path, edits, facts, policy))
    .filter((change) => change !== null)
    .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || a.path.localeCompare(b.path));
  const directories = changes.find(({ kind }) => kind === 'run-directories');
  return changes.map((change) => change.kind === 'audit-rules' && directories !== undefined ? { ...change, requires: [directories.id] } : change);
}

/** Merges all edits of one target into one change; those of files come first. Edits that change nothing make none: their findings wait for something else. */
export function buildChanges(planned: readonly PlannedEdit[], facts: Facts, policy: Policy): Change[] {
  const files: PlannedEdit<FileEdit & ProposedEdit>[] = [];
  const objects: PlannedEdit<ObjectEdit & ProposedEdit>[] = [];
  for (const { edit, ...item } of planned) {
    if (isObjectEdit(edit)) objects.push({ ...item, edit });
    else files.push({ ...item, edit });
  }
  return [...buildFileChanges(files, facts, policy), ...buildObjectChanges(objects, facts, policy)];
}
