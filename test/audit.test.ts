import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auditChecks } from '../checks/host/audit.ts';
import { auditRemediations } from '../remediations/host/audit.ts';
import type { AuditSubject } from '../src/audit/coverage.ts';
import { coverage } from '../src/audit/coverage.ts';
import { auditDropIn, loadedMatches, predictAudit, tmpfilesDropIn } from '../src/audit/render.ts';
import { auditFileRequests, auditParentPaths, parseAudit, parseAuditList } from '../src/collect/audit.ts';
import { AUDIT_DROP_IN, TMPFILES_DROP_IN } from '../src/managed.ts';
import type { AuditFacts, Edit, Facts, FileStat, Observed, Policy } from '../src/model.ts';
import { absent, present, valueOf } from '../src/model.ts';
import type { ToolResult } from '../src/host/port.ts';
import { loadHost } from './hosts.ts';

type AuditEdit = Extract<Edit, { kind: 'auditRule' }>;
type DirectoryEdit = Extract<Edit, { kind: 'runDirectory' }>;

/** fixtures/raw/audit/: what auditctl and the rule files said on a real host, and the facts that they mean. */
interface Raw {
  readonly note: string;
  readonly version: ToolResult;
  readonly status: ToolResult;
  readonly list: ToolResult;
  readonly rulesD: Readonly<Record<string, string>>;
  readonly auditRules: string | null;
  readonly facts: AuditFacts;
}

const stat = (realPath: string, type: FileStat['type'] = 'file'): FileStat =>
  ({ type, realPath, mode: 0o755, uid: 0, gid: 0, dev: 1, ino: 1, nlink: 1, mtimeMs: 0, ctimeMs: 0 });

const parsed = (rulesD: Raw['rulesD'], { version = 'auditctl version 3.0.9', list = 'No rules\n', auditRules = null }: { version?: string; list?: string; auditRules?: string | null } = {}): AuditFacts => {
  const ran = (stdout: string): Observed<ToolResult> => present({ code: 0, stdout, stderr: '' });
  return fromRaw({ note: '', version: { code: 0, stdout: version, stderr: '' }, status: { code: 0, stdout: 'enabled 1\n', stderr: '' }, list: valueOf(ran(list)) as ToolResult, rulesD, auditRules });
};

function fromRaw(raw: Omit<Raw, 'facts'>): AuditFacts {
  const listed = present(Object.keys(raw.rulesD));
  const texts = auditFileRequests(listed).map(({ path }) => present(raw.rulesD[path] ?? ''));
  const auditRules = raw.auditRules === null ? absent : present(raw.auditRules);
  return parseAudit([present(raw.version), present(raw.status), present(raw.list), listed, auditRules, absent, present(stat('/usr/sbin/augenrules'))], texts);
}

const rawFolder = new URL('../fixtures/raw/audit/', import.meta.url);
const rawOf = (file: string): Raw => JSON.parse(readFileSync(new URL(file, rawFolder), 'utf8')) as Raw;

describe('what auditctl and the rule files say', () => {
  test.each(readdirSync(rawFolder))('%s', (file) => {
    const raw = rawOf(file);
    expect(fromRaw(raw)).toEqual(raw.facts);
  });

  test('only files that augenrules reads, in its order', () => {
    const names = ['10-b.rules', '9-a.rules', 'a b.rules', '.hidden.rules', '99-z.rules', '30-x.rules.bak', '50-docker-harden.rules', 'audit.rules', '10-a.rules', '50-docker-harden-2.rules'];
    expect(auditFileRequests(present(names.map((name) => `/etc/audit/rules.d/${name}`))).map(({ path }) => path.split('/').at(-1))).toEqual(
      ['9-a.rules', '10-a.rules', '10-b.rules', '50-docker-harden.rules', '50-docker-harden-2.rules', '99-z.rules', 'audit.rules']);
  });

  test('rules written by hand into audit.rules are the ones that a boot loads', () => {
    const facts = parsed({ '/etc/audit/rules.d/10-a.rules': '-w /etc/a -p wa\n' }, { auditRules: '-w /etc/b -p wa\n-D\n-w /etc/c -p wa\n-e 0\n' });
    expect(facts).toMatchObject({ augenrules: false, bootEnabled: 0, persistent: { value: [{ path: '/etc/c', source: { path: '/etc/audit/audit.rules', line: 3 } }] } });
  });

  test('parents of watched paths are worth a look, for a missing one ends the load', () => {
    expect(auditParentPaths(parsed({ '/etc/audit/rules.d/10-a.rules': '-w /opt/x/y -p wa\n-a always,exit -F dir=/srv/z -F perm=wa\n-a never,exit -F auid=1\n' }))).toEqual(['/opt/x', '/srv', '/srv/z']);
  });

  test('a list that says nothing is no list', () => {
    expect(parsed({}, { list: '' }).loaded.status).toBe('unreadable');
  });
});

/** A host with one path, without rules. */
function hostWith(path: string, type: 'file' | 'directory', architecture: string): Facts {
  const host = loadHost('stock-debian');
  return { ...host, host: { ...host.host, architecture }, files: { ...host.files, [path]: present(stat(path, type)) } };
}

const pathArbitrary = fc.array(fc.stringMatching(/^[A-Za-z0-9_.@:+-]{1,12}$/).filter((name) => name !== '.' && name !== '..'), { minLength: 1, maxLength: 4 }).map((names) => `/opt/${names.join('/')}`);

describe('the drop-in', () => {
  const rule = (path: string, over: Partial<AuditEdit> = {}): AuditEdit => ({ kind: 'auditRule', path, match: 'path', perms: 'rwxa', key: 'docker', except: [], ...over });

  test('is judged covered by our own detector, whatever path, style and architecture; twice is the same', () => {
    fc.assert(fc.property(
      pathArbitrary, fc.constantFrom('file', 'directory'), fc.constantFrom('watch', 'syscall'), fc.constantFrom('x86_64', 'aarch64', 's390x', 'riscv64', 'ppc64le', 'armv7l'), fc.boolean(),
      (path, type, style, architecture, layers) => {
        const facts = hostWith(path, type, architecture);
        const except = layers && type === 'directory' ? [`${path}/overlay2`, `${path}/volumes`] : [];
        const edit = rule(path, { match: type === 'directory' ? 'dir' : 'path', except });
        const text = auditDropIn([edit], facts, style, null);
        const after = predictAudit(facts.audit, text);
        const subject: AuditSubject = { path, type, perms: 'wax', ...(except.length > 0 ? { exceptLayers: true } : {}) };
        expect(coverage({ ...facts, audit: after }, subject)).toMatchObject({ state: 'covered' });
        expect(loadedMatches(text, valueOf(after.loaded) ?? [])).toEqual([]);
        expect(loadedMatches(text, [])).not.toEqual([]);
        expect(auditDropIn([edit], { ...facts, audit: after }, style, text)).toBe(text);
        expect(auditDropIn([], { ...facts, audit: after }, style, text)).toBe(text);
        // A neighbour without a final newline, before and after, keeps its rules and leaves us ours.
        const rulesD = { '/etc/audit/rules.d/10-a.rules': '-w /etc/passwd -p wa', [AUDIT_DROP_IN]: text, '/etc/audit/rules.d/99-z.rules': '-w /etc/group -p wa' };
        const merged = parsed(rulesD);
        expect(merged.stop).toBeUndefined();
        expect(valueOf(merged.persistent)?.map((each) => each.path)).toEqual(['/etc/passwd', ...(valueOf(after.persistent) ?? []).map((each) => each.path), '/etc/group']);
      },
    ));
  });

  const facts = hostWith('/opt/f', 'file', 'x86_64');

  test('never goes in behind the back of its reader: paths that a rule file cannot hold are refused', () => {
    for (const path of ['/a b', '/a\n-D', '/a\t', '/a"', '/a*', 'a', '/a\\', '/a/../b']) expect(() => auditDropIn([rule(path)], facts, 'watch', null), path).toThrow('cannot take');
    for (const path of ['/run/a b', '/run/%h', '/run/x\nd /y']) expect(() => tmpfilesDropIn([{ kind: 'runDirectory', path, mode: 0o755 }]), path).toThrow('cannot take');
  });

  test('keeps what stands in it, but no rule that would end the load', () => {
    const existing = '\n# ours too\n-w /opt/kept -p wa -k docker\n-w /gone/x -p wa -k docker\n-a always,exit -F arch=b64 -S adjtimex -k time\n-w /opt/f -p w -k docker\n';
    const text = auditDropIn([rule('/opt/f')], { ...facts, files: { ...facts.files, '/gone': absent } }, 'watch', existing);
    expect(text.split('\n').slice(2)).toEqual(['# ours too', '-w /opt/kept -p wa -k docker', '-a always,exit -F arch=b64 -S adjtimex -k time', '-w /opt/f -p rwxa -k docker', '']);
    expect(text.startsWith('\n##')).toBe(true);
  });

  test('does not repeat a rule of another file that only lacks loading', () => {
    const audit = parsed({ '/etc/audit/rules.d/30-x.rules': '-w /opt -p rwxa -k x\n' });
    const text = auditDropIn([rule('/opt/f')], { ...facts, audit }, 'watch', null);
    expect(text).toContain('# /opt/f is covered by /etc/audit/rules.d/30-x.rules\n');
    expect(text).not.toMatch(/^-/m);
    expect(coverage({ ...facts, audit: predictAudit(audit, text) }, { path: '/opt/f', type: 'file', perms: 'wax' }).state).toBe('covered');
  });

  test('drops its exceptions when all is to be watched', () => {
    const dir = hostWith('/data', 'directory', 'x86_64');
    const edit = rule('/data', { match: 'dir', perms: 'wa' });
    const some = auditDropIn([{ ...edit, except: ['/data/overlay2'] }], dir, 'syscall', null);
    expect(some.split('\n').filter((line) => line.startsWith('-'))).toEqual([
      '-a never,exit -F dir=/data/overlay2', '-a always,exit -F arch=b64 -F dir=/data -F perm=wa -F key=docker', '-a always,exit -F arch=b32 -F dir=/data -F perm=wa -F key=docker',
    ]);
    expect(auditDropIn([edit], dir, 'syscall', some)).not.toContain('never');
  });

  test('parts two files of which the first one lacks its final newline', () => {
    const audit = parsed({ '/etc/audit/rules.d/10-a.rules': '-w /etc/a -p wa -k a', '/etc/audit/rules.d/90-b.rules': '-w /etc/b -p wa -k b\n' });
    expect(audit.stop).toMatchObject({ source: { line: 1 }, gluedTo: '/etc/audit/rules.d/90-b.rules' });
    expect(predictAudit(audit, auditDropIn([rule('/opt/f')], { ...facts, audit }, 'watch', null)).stop).toBeUndefined();
  });

  test('loads what is below /run last', () => {
    expect(auditDropIn([rule('/run/x/y'), rule('/opt/f')], facts, 'watch', null).trim().split('\n').slice(1)).toEqual(['-w /opt/f -p rwxa -k docker', '-w /run/x/y -p rwxa -k docker']);
  });

  test('a kernel locked until a reboot keeps its rules; the rules that others loaded by hand stay', () => {
    const text = auditDropIn([rule('/opt/f')], facts, 'watch', null);
    const hand = parseAuditList('-w /etc/hand -p wa -k hand\n');
    const locked = predictAudit({ ...facts.audit, enabled: present(2), loaded: present(hand) }, text);
    expect(coverage({ ...facts, audit: locked }, { path: '/opt/f', type: 'file', perms: 'wa' })).toMatchObject({ state: 'file-only', waitsFor: 'a reboot' });
    expect(valueOf(predictAudit({ ...facts.audit, loaded: present(hand) }, text).loaded)?.map(({ path }) => path)).toEqual(['/opt/f', '/etc/hand']);
  });

  test('is found loaded in what auditctl 4 makes of it', () => {
    const raw = rawOf('auditd-4.json');
    const text = raw.rulesD[AUDIT_DROP_IN] ?? '';
    expect(loadedMatches(text, parseAuditList(raw.list.stdout))).toEqual([]);
    const host: Facts = { ...hostWith('/usr/bin/containerd', 'file', 'x86_64'), audit: raw.facts };
    expect(coverage(host, { path: '/usr/bin/containerd', type: 'file', perms: 'wax' }).state).toBe('covered');
    expect(coverage({ ...host, files: { ...host.files, '/etc/docker': present(stat('/etc/docker', 'directory')) } }, { path: '/etc/docker', type: 'directory', perms: 'wa' }).state).toBe('covered');
    const narrower = raw.list.stdout.replaceAll(',openat2', '');
    expect(coverage({ ...host, audit: { ...raw.facts, loaded: present(parseAuditList(narrower)) } }, { path: '/usr/bin/containerd', type: 'file', perms: 'wax' }).state).toBe('file-only');
  });
});

test('no text of a rule file or of auditctl makes the detector throw, hang, or call an unwatched path covered', () => {
  const word = fc.oneof(
    fc.constantFrom('-w', '-a', '-A', '-p', '-k', '-F', '-S', '-D', '-d', '-W', '-e', '-i', 'always,exit', 'never,exit', 'never,task', 'wa', 'rwxa', '/opt', '/opt/f/', 'path=/opt/g', 'dir=rel', 'dir=/', 'perm=wa', 'arch=b64', 'auid>=1000', '"', '#', '2', '\\ '),
    fc.string({ maxLength: 6 }));
  const lines = fc.array(fc.array(word, { maxLength: 7 }).map((words) => words.join(' ')), { maxLength: 6 }).map((all) => all.join('\n'));
  const facts = hostWith('/opt/f', 'file', 'x86_64');
  fc.assert(fc.property(lines, lines, (file, list) => {
    const audit = parsed({ '/etc/audit/rules.d/10-a.rules': file }, { list: `No rules\n${list}` });
    const { state } = coverage({ ...facts, audit }, { path: '/opt/f', type: 'file', perms: 'wa' });
    if (state === 'covered') expect(/-w \/opt|dir=\/( |$)/m.test(file) && /-w \/opt|dir=\/( |$)/m.test(list)).toBe(true);
  }));
});

test('auditing that the rule files switch off at boot is not covered', () => {
  const facts = hostWith('/opt/f', 'file', 'x86_64');
  const audit = parsed({ '/etc/audit/rules.d/10-a.rules': '-e 0\n-w /opt/f -p wa -k k\n' }, { list: '-w /opt/f -p wa -k k\n' });
  expect(coverage({ ...facts, audit }, { path: '/opt/f', type: 'file', perms: 'wa' })).toMatchObject({ state: 'loaded-only', reason: expect.stringContaining('off at boot') as unknown });
});

test.each(['watch', 'syscall'] as const)('a stock host is covered after one drop-in, and a second run adds nothing (%s)', (style) => {
  const stock = loadHost('stock-debian');
  const policy: Policy = {
    benchmark: '1.8.0', level: 2, include: [], exclude: [], targets: { include: [], exclude: [], labels: [] }, maxImpact: 'none', maxRisk: 'safe', waivers: [],
    parameters: { audit: { style, dataRoot: 'all', runContainerd: true } },
  };
  const proposals = (facts: Facts): Edit[] => auditChecks.flatMap((check, index) => check.evaluate(facts, policy)
    .filter(({ outcome }) => outcome === 'warn').flatMap((verdict) => {
      const proposal = auditRemediations[index]?.propose({ ...verdict, check: check.id }, facts, policy);
      if (proposal === undefined || !('edits' in proposal)) throw new Error(`${check.id}: ${JSON.stringify(proposal)}`);
      return proposal.edits;
    }));
  const wanted = proposals(stock);
  const text = auditDropIn(wanted.filter((edit): edit is AuditEdit => edit.kind === 'auditRule'), stock, style, null);
  const early = tmpfilesDropIn(wanted.filter((edit): edit is DirectoryEdit => edit.kind === 'runDirectory'));
  expect(early).toMatch(/^d \/run\/containerd 0711 root root -$/m);
  expect(tmpfilesDropIn([{ kind: 'runDirectory', path: '/run/x', mode: 0o700 }], early)).toContain('d /run/containerd 0711');
  const after: Facts = { ...stock, managed: { [TMPFILES_DROP_IN]: present(early) }, audit: predictAudit(stock.audit, text) };
  const outcomes = (facts: Facts): Record<string, string> => Object.fromEntries(auditChecks.flatMap((check) =>
    check.evaluate(facts, policy).map(({ target, outcome }) => [`${check.id} ${target.id}`, outcome])));
  const before = outcomes(stock);
  expect(Object.values(before).filter((outcome) => outcome === 'warn').length).toBeGreaterThanOrEqual(13);
  expect(outcomes(after)).toEqual(Object.fromEntries(Object.entries(before).map(([id, outcome]) => [id, outcome === 'warn' ? 'pass' : outcome])));
  expect(proposals(after)).toEqual([]);
});
