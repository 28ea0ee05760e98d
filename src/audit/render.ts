import { compareSources, parseRulesText, printsAsWatch, watchText } from '../collect/audit.ts';
import { AUDIT_DROP_IN } from '../managed.ts';
import type { AuditFacts, AuditRule, Edit, Facts } from '../model.ts';
import { present, statOf, valueOf } from '../model.ts';
import { octal } from '../octal.ts';
import { renderTemplate } from '../templates.ts';
import { archesOf, coverage, namesAllCalls, resolvePath } from './coverage.ts';

type AuditEdit = Extract<Edit, { kind: 'auditRule' }>;
type DirectoryEdit = Extract<Edit, { kind: 'runDirectory' }>;

/** Architectures for which every build of auditctl knows both names; elsewhere a b32 line may end the load of all rules after it. */
const PAIRED = new Set(['x86_64', 's390x']);

/** Whether auditctl can take a path: its files have no quotes, and a wildcard is a plain character. */
export const isWatchablePath = (path: string): boolean => /^\/[^\s\\"'*?]*$/.test(path) && !/\p{Cc}/u.test(path) && !path.split('/').includes('..');

/** The line or lines of one rule. A rule without perm= is needed for `never`: with one, auditctl -l would print it as a watch. */
function ruleLines({ path, match, perms, key, except }: AuditEdit, style: 'watch' | 'syscall', architecture: string): string[] {
  for (const each of [path, ...except]) if (!isWatchablePath(each)) throw new Error(`auditctl cannot take the path ${JSON.stringify(each)}`);
  const quiet = except.map((directory) => `-a never,exit -F dir=${directory}`);
  const arches = archesOf(architecture);
  if (style === 'watch' || (arches.length > 1 && !PAIRED.has(architecture))) return [...quiet, `-w ${path} -p ${perms} -k ${key}`];
  return [...quiet, ...arches.map((arch) => `-a always,exit -F arch=${arch} -F ${match}=${path} -F perm=${perms} -F key=${key}`)];
}

const OWN_START = { path: AUDIT_DROP_IN, line: 1 };

const COVERED_ELSEWHERE = ' is covered by ';

/**
 * The text of harden's file in rules.d. It begins and ends with a newline, so that a neighbour without a final one is not glued to
 * it. What stands in the existing text and is not about a path of the edits stays as it is; rules whose directory is gone are left
 * out, for they would end the load of everything after them. A path that other rule files cover, so that it only lacks loading,
 * gets a comment instead of a second rule. Throws for a path that auditctl cannot take.
 */
export function auditDropIn(edits: readonly AuditEdit[], facts: Facts, style: 'watch' | 'syscall', existing: string | null): string {
  const others: Facts = { ...facts, audit: { ...facts.audit, persistent: withoutOwn(facts.audit) } };
  const byPath = new Map(edits.map((edit) => [edit.path, edit]));
  const rewritten = new Set(edits.map(({ path }) => resolvePath(facts, path)));
  const header = renderTemplate('audit.rules', { lines: [] }).trim();
  const kept = (existing ?? '').split('\n').filter((line, index) => {
    if (line.trim() === '' || line === header) return false;
    if (line.startsWith('# ')) return !edits.some(({ path }) => line.startsWith(`# ${path}${COVERED_ELSEWHERE}`));
    const rule = parseRulesText(AUDIT_DROP_IN, `${'\n'.repeat(index)}${line}`)[0];
    if (rule === undefined || rule.match === 'any') return true;
    const path = resolvePath(facts, rule.path);
    const exception = rule.action === 'never' && edits.some((edit) => edit.match === 'dir' && path.startsWith(`${resolvePath(facts, edit.path)}/`));
    return !rewritten.has(path) && !exception && !parentIsGone(facts, rule);
  });
  const added = [...byPath.values()].flatMap((edit) => {
    const elsewhere = coveredByOthers(others, edit);
    return elsewhere === null ? ruleLines(edit, style, facts.host.architecture) : [`# ${edit.path}${COVERED_ELSEWHERE}${elsewhere}`];
  });
  // Should their directories be missing at some boot after all, the other rules of this file are loaded by then.
  const isBelowRun = (line: string): boolean => /[ =](?:\/var)?\/run\//.test(line);
  const lines = [...kept, ...added];
  return renderTemplate('audit.rules', { lines: [...lines.filter((line) => !isBelowRun(line)), ...lines.filter(isBelowRun)] });
}

const parentIsGone = (facts: Facts, rule: AuditRule): boolean =>
  statOf(facts, rule.match === 'dir' ? rule.path : rule.path.slice(0, Math.max(1, rule.path.lastIndexOf('/'))))?.status === 'absent';

const withoutOwn = (audit: AuditFacts): AuditFacts['persistent'] =>
  present((valueOf(audit.persistent) ?? []).filter(({ source }) => source?.path !== AUDIT_DROP_IN));

/** The rule file that covers a path without harden's own; null when none does. */
function coveredByOthers(others: Facts, edit: AuditEdit): string | null {
  const rules = valueOf(others.audit.persistent) ?? [];
  const subject = { path: edit.path, type: edit.match === 'dir' ? 'directory' as const : 'file' as const, perms: edit.perms.includes('x') ? 'wax' as const : 'wa' as const, exceptLayers: edit.except.length > 0 };
  // Judged as if these files were all there is: loaded and on.
  const alone: Facts = { ...others, audit: { ...others.audit, version: present('0'), enabled: present(1), loaded: present(rules) } };
  if (coverage(alone, subject).state !== 'covered') return null;
  const path = resolvePath(others, edit.path);
  const by = rules.find((rule) => rule.action === 'always' && (resolvePath(others, rule.path) === path || path.startsWith(`${resolvePath(others, rule.path)}/`)));
  return by?.source?.path ?? null;
}

/**
 * The text of harden's tmpfiles.d(5) file. Lines of the existing text for other directories stay.
 */
export function tmpfilesDropIn(edits: readonly DirectoryEdit[], existing: string | null = null): string {
  const line = ({ path, mode }: DirectoryEdit): string => `d ${path} ${octal(mode)} root root -`;
  for (const { path } of edits) if (!isWatchablePath(path) || path.includes('%')) throw new Error(`tmpfiles.d cannot take the path ${JSON.stringify(path)}`);
  const renewed = new Set(edits.map(({ path }) => path));
  const kept = (existing ?? '').split('\n').filter((text) => text.trim() !== '' && !text.startsWith('#') && !renewed.has(text.split(/\s+/)[1] ?? ''));
  const wanted = [...new Set(edits.map(line))].sort();
  return renderTemplate('tmpfiles.conf', { lines: [...kept, ...wanted] });
}

/**
 * The facts as they would be once harden's drop-in holds this text and all rules are loaded. Where the kernel is locked until a
 * reboot, only the files change. Rules that only the kernel has are put behind the others.
 */
export function predictAudit(facts: AuditFacts, dropInText: string): AuditFacts {
  if (!facts.augenrules) return facts;
  const own = parseRulesText(AUDIT_DROP_IN, dropInText);
  const others = valueOf(withoutOwn(facts)) ?? [];
  const after = others.findIndex(({ source }) => source !== undefined && compareSources(source, OWN_START) > 0);
  const at = after === -1 ? others.length : after;
  const persistent = [...others.slice(0, at), ...own, ...others.slice(at)];
  const { stop, ...rest } = facts;
  const remaining = stop === undefined || stop.source.path === AUDIT_DROP_IN || partsGlued(stop) ? undefined : stop;
  const predicted: AuditFacts = { ...rest, ...(remaining === undefined ? {} : { stop: remaining }), persistent: present(persistent) };
  const loaded = valueOf(facts.loaded);
  if (loaded === undefined || facts.enabled.status !== 'present' || facts.enabled.value === 2) return predicted;
  const reached = persistent.filter(({ source }) => remaining === undefined || source === undefined || compareSources(source, remaining.source) < 0);
  const before = valueOf(facts.persistent) ?? [];
  const kernelOnly = loaded.filter((rule) => ![...before, ...persistent].some((written) => isListedAs(written, rule)));
  return { ...predicted, loaded: present([...reached.map(asListed), ...kernelOnly]) };
}

/** Whether a drop-in that begins with a newline ends the trouble of two glued lines, by standing between their files. */
export const partsGlued = ({ source, gluedTo }: NonNullable<AuditFacts['stop']>): boolean =>
  gluedTo !== undefined && compareSources(source, OWN_START) < 0 && compareSources({ path: gluedTo, line: 1 }, OWN_START) > 0;

const asListed = ({ source: _, ...rule }: AuditRule): AuditRule => printsAsWatch(rule) ? { ...rule, action: 'always', match: 'watch' } : rule;

/**
 * Whether a rule of a file and one of auditctl -l are the same: the kernel's list writes some differently (auditctl 4 names the
 * calls of a perm=, of which only the newer ones exist on every architecture).
 */
function isListedAs(written: AuditRule, listed: AuditRule): boolean {
  if (listed.match === 'watch') return printsAsWatch(written) && watchText(written) === watchText(listed);
  const sameCalls = written.syscalls === null
    ? written.perms.split('').every((letter) => namesAllCalls(listed.syscalls, letter, 'aarch64', 'b64'))
    : listed.syscalls !== null && [...written.syscalls].sort().join() === [...listed.syscalls].sort().join();
  return sameCalls && written.action === listed.action && written.list === listed.list && written.match === listed.match && written.path === listed.path
    && written.perms === listed.perms && written.arch === listed.arch && written.key === listed.key && written.filters.join() === listed.filters.join();
}

/** The rules of a drop-in's text that are not among the kernel's rules (`parseAuditList` of auditctl -l), as they are written. */
export const loadedMatches = (text: string, loadedAfter: readonly AuditRule[]): string[] =>
  parseRulesText(AUDIT_DROP_IN, text).filter((rule) => !loadedAfter.some((listed) => isListedAs(rule, listed))).map((rule) => rule.text);
