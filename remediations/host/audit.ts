import type { AuditDetail } from '../../checks/host/audit.ts';
import { auditChecks } from '../../checks/host/audit.ts';
import { coverage, loadStop, realPathOf, resolvePath, stopText } from '../../src/audit/coverage.ts';
import { auditDropIn, isWatchablePath, partsGlued, predictAudit, tmpfilesDropIn } from '../../src/audit/render.ts';
import { compareSources, layerDirectories } from '../../src/collect/audit.ts';
import { AUDIT_DROP_IN, TMPFILES_DROP_IN } from '../../src/managed.ts';
import type { Check, Edit, Facts, Finding, ParameterSpec, ParameterUse, Policy, Proposal, Remediation } from '../../src/model.ts';
import { present, statOf, valueOf } from '../../src/model.ts';
import { ask, defer, edits, remedy } from '../remedy.ts';

type AuditEdit = Extract<Edit, { kind: 'auditRule' }>;
type DirectoryEdit = Extract<Edit, { kind: 'runDirectory' }>;

const FREE = { impact: 'none', risk: 'safe', undo: 'none' } as const;
const KEY = 'docker';

const STYLE: ParameterSpec = {
  name: 'audit.style', description: 'How rules are written: watch (-w) or syscall (-a always,exit); by default watch before auditd 4, syscall from 4 on.', example: 'watch',
};

/** A choice that the owner has to make, because the rules record what running containers do all the time. */
interface Choice {
  readonly parameter: ParameterSpec;
  readonly explanation: string;
  chosen(policy: Policy): ParameterUse | null;
}

const choices: Readonly<Record<string, Choice>> = {
  'audit.data-root': {
    parameter: { name: 'audit.dataRoot', description: 'Watch the data root: "all" of it, or "except-layers" to leave out layers and volumes.', example: 'except-layers' },
    explanation: 'Containers write below the data root all the time; a rule on all of it records each of these writes and can fill the audit log, '
      + 'and where auditd is told to halt on a full log, stop the host',
    chosen: (policy) => use('audit.dataRoot', policy.parameters.audit?.dataRoot),
  },
  'audit.run-containerd': {
    parameter: { name: 'audit.runContainerd', description: 'true: watch /run/containerd, recursively.', example: 'true' },
    explanation: 'Each start, stop and exec of a container writes below /run/containerd, so a rule on it records a lot; the socket in it has a rule of its own',
    chosen: (policy) => use('audit.runContainerd', policy.parameters.audit?.runContainerd === true ? true : undefined),
  },
};

const use = (name: string, value: string | boolean | undefined): ParameterUse | null =>
  value === undefined ? null : { name, value, source: 'policy', evidence: 'harden.yaml or --set' };

function installStep(facts: Facts): string {
  const id = valueOf(facts.host.os)?.id ?? '';
  if (/^(?:debian|ubuntu|raspbian|linuxmint)$/.test(id)) return 'apt-get install auditd';
  if (/^(?:fedora|rhel|centos|rocky|almalinux|ol|amzn)$/.test(id)) return 'dnf install audit && service auditd start';
  if (/^(?:sles|opensuse.*)$/.test(id)) return 'zypper install audit && systemctl enable --now auditd';
  return 'install the package that has auditctl (auditd or audit) and start auditd';
}

/** Directories below /run from the outermost inwards that must be made early for a rule on the path. */
function runDirectories(facts: Facts, path: string, type: 'file' | 'directory'): DirectoryEdit[] {
  const real = realPathOf(facts, path);
  if (!real.startsWith('/run/')) return [];
  const names = (type === 'directory' ? real : real.slice(0, real.lastIndexOf('/'))).split('/').slice(2);
  return names.map((_, index) => {
    const directory = `/run/${names.slice(0, index + 1).join('/')}`;
    // As its owner makes it, but never writable by others.
    return { kind: 'runDirectory', path: directory, mode: (valueOf(statOf(facts, directory))?.mode ?? 0o711) & 0o755 };
  });
}

function ruleEdits(detail: AuditDetail, facts: Facts, choice: Choice | undefined, except: readonly string[]): AuditEdit[] {
  const { path, type } = detail.subject;
  const match = type === 'directory' ? 'dir' : 'path';
  const rule = (at: string): AuditEdit => ({ kind: 'auditRule', path: at, match, perms: choice === undefined ? 'rwxa' : 'wa', key: KEY, except });
  const real = realPathOf(facts, path);
  // A rule on a symbolic link records that the link is replaced, one on what it leads to records the rest.
  return resolvePath(facts, path) === real ? [rule(path)] : [rule(path), rule(real)];
}

/** What the facts would be with the proposal made and loaded, for the proof that it helps. */
function withEdits(facts: Facts, rules: readonly AuditEdit[], directories: readonly DirectoryEdit[], policy: Policy): Facts {
  const style = policy.parameters.audit?.style ?? 'watch';
  const existing = (path: string): string | null => valueOf(facts.managed?.[path]) ?? null;
  const managed = directories.length === 0 ? facts.managed : { ...facts.managed, [TMPFILES_DROP_IN]: present(tmpfilesDropIn(directories, existing(TMPFILES_DROP_IN))) };
  const made: Facts = managed === undefined ? facts : { ...facts, managed };
  return { ...made, audit: predictAudit(made.audit, auditDropIn(rules, made, style, existing(AUDIT_DROP_IN))) };
}

function propose(finding: Finding<AuditDetail>, facts: Facts, policy: Policy, choice: Choice | undefined): Proposal {
  const { subject, state, reason } = finding.detail;
  if (state === 'no-auditd') return defer('manual', 'auditd is not installed, so there is nothing to load rules with', `${installStep(facts)}; then run harden again`);
  if (state === 'disabled') return defer('manual', 'The rules are there, but the kernel does not use them', 'start auditd, or auditctl -e 1; remove audit=0 from the kernel command line if it is there');
  if (state === 'suppressed') return defer('guard', `Another rule would stay in the way: ${reason}`, 'remove or narrow that rule; harden does not touch rules of others');
  if (state === 'file-only' && valueOf(facts.audit.enabled) === 2) return defer('pending', 'The rule is written already', 'a reboot');
  if (!isWatchablePath(subject.path) || !isWatchablePath(realPathOf(facts, subject.path))) {
    return defer('unsupported', 'auditctl has no way to write a path with such characters in a rule file');
  }
  const parameter = choice?.chosen(policy) ?? null;
  if (choice !== undefined && parameter === null && state !== 'file-only') return defer('choice', choice.explanation, `--set ${choice.parameter.name}=${choice.parameter.example}`, [ask(choice.parameter.name, choice.parameter.example)]);

  const layers = layersOf(subject.path, facts);
  const wantsExcept = parameter?.value === 'except-layers';
  if (wantsExcept && layers.length === 0) return defer('guard', 'The directories of layers and volumes could not be seen, so they cannot be left out', '--set audit.dataRoot=all', [ask('audit.dataRoot', 'all')]);
  const rules = ruleEdits(finding.detail, facts, choice, wantsExcept ? layers : []);
  if (!facts.audit.augenrules) {
    return defer('guard', 'This host loads /etc/audit/audit.rules as somebody wrote it, not the files of /etc/audit/rules.d',
      `add to it: ${rules.map(({ path, perms }) => `-w ${path} -p ${perms} -k ${KEY}`).join('; ')}; then auditctl -R /etc/audit/audit.rules`);
  }
  const stop = loadStop(facts);
  if (stop !== null && stop.source.path !== AUDIT_DROP_IN && !partsGlued(stop) && compareSources(stop.source, { path: AUDIT_DROP_IN, line: 1 }) < 0) {
    return defer('guard', `A rule of ours would never be reached: ${stopText(stop)}`, 'repair or remove that line');
  }
  const directories = runDirectories(facts, subject.path, subject.type);
  if (directories.length > 0 && valueOf(facts.host.tmpfiles) !== true) {
    return defer('guard', `${directories.at(-1)?.path ?? ''} does not exist when rules are loaded at boot, and a rule on it would end the load of all rules after it`,
      'make the directory at boot before auditd starts (without systemd-tmpfiles harden cannot), then write the rule');
  }
  const after = coverage(withEdits(facts, rules, directories, policy), subject);
  const helps = after.state === 'covered' || after.state === 'disabled' || (after.state === 'file-only' && after.waitsFor !== null);
  if (!helps) return defer('guard', `A rule of ours would not be enough: ${after.reason}`, 'change that rule by hand; harden does not touch rules of others');
  return edits([...directories, ...rules].map((edit) => ({ ...edit, ...FREE })), parameter === null ? [] : [parameter]);
}

/** Directories of layers and volumes that exist, so that a rule on them loads. */
const layersOf = (dataRoot: string, facts: Facts): readonly string[] => {
  const info = valueOf(facts.engine.info);
  return (info === undefined ? [] : [...layerDirectories(dataRoot, info.storageDriver), ...layerDirectories(info.dockerRootDir, info.storageDriver)])
    .filter((path, index, all) => all.indexOf(path) === index && valueOf(statOf(facts, path))?.type === 'directory');
};

function remediationOf(check: Check<AuditDetail>): Remediation<AuditDetail> {
  const choice = choices[check.id];
  return remedy(check, {
    mode: choice === undefined ? 'auto' : 'choice',
    effect: 'The kernel records each access with the key "docker"; ausearch -k docker shows them.',
    impact: 'none',
    risk: 'safe',
    parameters: choice === undefined ? [STYLE] : [choice.parameter, STYLE],
    ...(choice === undefined ? {} : { manual: `${choice.explanation}. Watch the rate first, for example for an hour with auditctl -w and aureport --key, then choose.` }),
    propose: (finding, facts, policy) => propose(finding, facts, policy, choice),
  });
}

export const auditRemediations: readonly Remediation<AuditDetail>[] = auditChecks.map(remediationOf);
