import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Check, Finding, Policy } from '../src/model.ts';
import { defaultPolicy, loadPolicy, parsePolicy, waiverProblems } from '../src/policy.ts';

const problemsOf = async (text: string): Promise<string[]> => {
  try {
    await parsePolicy(text, 'harden.yaml');
  } catch (error) {
    expect(error).toHaveProperty('name', 'PolicyError');
    return (error as Error).message.split('\n');
  }
  return [];
};

describe('harden.yaml', () => {
  it('is read whole, and waivers know where they stand', async () => {
    const text = `
# what we decided
benchmark: 1.11.0
level: 1
include: [daemon, "2.10"]
exclude:
maxImpact: restart
maxRisk: behaviour
parameters:
  logDriver: &log { driver: syslog, options: { syslog-address: "udp://10.0.0.5:514" } }
  trustedUsers: [deploy]
  defaultUlimits: { nofile: "65536:524288", core: 0 }
  container: { memory: 512m, pidsLimit: 2048 }
  containers: { "web-*": { memory: 2g, tmpfs: [/var/cache/nginx] } }
waivers:
  - check: daemon.icc
    reason: legacy peers
    owner: payments team
    expires: 2027-03-31
`;
    expect(await parsePolicy(text, '/etc/harden/harden.yaml')).toEqual({
      benchmark: 'd1.11', level: 1, include: ['daemon', '2.10'], maxImpact: 'restart', maxRisk: 'behaviour',
      parameters: {
        logDriver: { driver: 'syslog', options: { 'syslog-address': 'udp://10.0.0.5:514' } }, trustedUsers: ['deploy'],
        defaultUlimits: { nofile: '65536:524288', core: 0 }, container: { memory: '512m', pidsLimit: 2048 },
        containers: { 'web-*': { memory: '2g', tmpfs: ['/var/cache/nginx'] } },
      },
      waivers: [{
        check: 'daemon.icc', reason: 'legacy peers', owner: 'payments team', expires: '2027-03-31',
        source: { path: '/etc/harden/harden.yaml', line: 16, column: 5 },
      }],
    });
  });

  it.each([['nothing', ''], ['comments only', '# later\n'], ['sections without entries', 'parameters:\nwaivers:\ninclude:\n']])('may hold %s', async (_, text) => {
    expect(await parsePolicy(text, 'harden.yaml')).toEqual({});
  });

  it.each([
    ['a key in other spelling', 'max_impact: restart', ['harden.yaml:1:1: unknown key "max_impact"; did you mean "maxImpact"?']],
    ['a slip of the pen inside parameters', 'parameters:\n  audit: { runcontainer: true }',
      ['harden.yaml:2:12: unknown key "runcontainer" in parameters.audit; did you mean "runContainerd"?']],
    ['a key that is like no other', 'level: 1\nzebra: 1',
      ['harden.yaml:2:1: unknown key "zebra"; known are benchmark, level, include, exclude, targets, maxImpact, maxRisk, parameters, waivers, history']],
    ['an unknown ulimit', 'parameters: { defaultUlimits: { nofil: 1 } }',
      ['harden.yaml:1:33: unknown key "nofil" in parameters.defaultUlimits; did you mean "nofile"?']],
    ['a value that is no choice', 'maxImpact: restrat', ['harden.yaml:1:12: maxImpact must be one of none, reload, restart, recreate, data; did you mean "restart"?']],
    ['a CIS number that YAML reads as 2.1', 'include: [2.10]', ['harden.yaml:1:11: include[0] must be text: write it in quotes, a number loses its last zeros']],
    ['a number as log option', 'parameters: { logDriver: { driver: json-file, options: { max-file: 3 } } }',
      ['harden.yaml:1:68: parameters.logDriver.options.max-file must be text: the daemon takes log options as strings, so write numbers in quotes']],
    ['a soft limit above the hard one', 'parameters: { defaultUlimits: { nofile: "5:3" } }',
      ['harden.yaml:1:41: parameters.defaultUlimits.nofile must be a number, or "SOFT:HARD" with SOFT not above HARD (-1: unlimited)']],
    ['text that would break a line of a configuration file', 'parameters: { cgroupParent: "a\\nb" }',
      ['harden.yaml:1:29: parameters.cgroupParent must be text on one line, not empty, without control characters']],
    ['a list that should be a mapping', 'parameters: []', ['harden.yaml:1:13: parameters must be a mapping']],
    ['no mapping at all', 'just text', ['harden.yaml:1:1: the policy must be a mapping']],
    ['an edition that does not exist', 'benchmark: 1.9.9', ['harden.yaml:1:12: benchmark: there is no edition "1.9.9" of the CIS Docker Benchmark']],
    ['a waiver without reason, with a date that is none', 'waivers:\n  - check: daemon.icc\n    owner: me\n    expires: 2027-02-30',
      ['harden.yaml:2:5: waivers[0] lacks "reason"', 'harden.yaml:4:14: waivers[0].expires must be a date as in 2027-03-31']],
    ['problems in several places, in the order of the file', 'maxRisk: none\nlevel: 3\nfoo: 1',
      ['harden.yaml:1:10: maxRisk must be one of safe, behaviour, irreversible', 'harden.yaml:2:8: level must be one of 1, 2', 'harden.yaml:3:1: unknown key "foo"; known are benchmark, level, include, exclude, targets, maxImpact, maxRisk, parameters, waivers, history']],
    ['a key twice', 'level: 1\nlevel: 2', ['harden.yaml:2:1: Map keys must be unique']],
    ['YAML that does not parse', 'waivers: [', ['harden.yaml:1:11: Flow sequence in block collection must be sufficiently indented and end with a ]']],
    ['a mistake behind an alias', 'parameters:\n  container: &a { x: 1 }\n  audit: *a', ['harden.yaml:2:19: unknown key "x" in parameters.audit; known are dataRoot, runContainerd, style']],
    ['an alias bomb', `a: &a [x]\n${Array.from({ length: 9 }, (_, index) => `b${index}: &b${index} [${Array(9).fill(index === 0 ? '*a' : `*b${index - 1}`).join(',')}]`).join('\n')}`,
      ['harden.yaml:1:1: Excessive alias count indicates a resource exhaustion attack']],
  ])('reports %s', async (_, text, expected) => {
    const problems = await problemsOf(text);
    expect(problems.slice(0, expected.length)).toEqual(expected);
  });

  it.each(['__proto__', 'constructor', 'prototype'])('refuses the key %s wherever it stands', async (key) => {
    expect(await problemsOf(`parameters: { container: { deep: { ${key}: { polluted: true } } } }`)).toEqual([`harden.yaml:1:36: the key "${key}" is not allowed`]);
    await expect(loadPolicy({ flags: { set: [`container.${key}.polluted=true`] }, cwd: '/', euid: 0, systemPath: '/nonexistent' })).rejects.toThrow('write NAME=VALUE');
    expect({}).not.toHaveProperty('polluted');
  });

  it('answers any text with a policy or with problems that name a place', async () => {
    const word = fc.constantFrom('level', 'parameters', 'waivers', 'audit', ': ', '- ', '\n', '  ', '{', '}', '[', ']', '&a', '*a', '"', '1', '!!', '%', '|', '#', '\t', '? ');
    await fc.assert(fc.asyncProperty(fc.array(word, { maxLength: 12 }), async (words) => {
      for (const problem of await problemsOf(words.join(''))) expect(problem).toMatch(/^harden\.yaml:\d+:\d+: \S|^use one of /);
    }), { numRuns: 300 });
  });
});

describe('loading', () => {
  let cwd: string;
  beforeEach(() => { cwd = mkdtempSync(join(tmpdir(), 'harden-policy-')); });
  afterEach(() => rmSync(cwd, { recursive: true }));

  const write = (name: string, text: string, mode = 0o644): string => {
    const path = join(cwd, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const euid = process.geteuid?.() ?? 0;

  it('lets flags win over ./harden.yaml, that over the system policy, and has defaults for the rest', async () => {
    const systemPath = write('system.yaml', 'maxImpact: data\nlevel: 1');
    expect(await loadPolicy({ flags: {}, cwd, euid, systemPath })).toMatchObject({ path: systemPath, policy: { maxImpact: 'data', level: 1, maxRisk: 'safe' } });
    const path = write('harden.yaml', 'maxImpact: restart\nparameters: { trustedUsers: [a], iptables: true }');
    expect(await loadPolicy({ flags: { maxRisk: 'behaviour', trustedUsers: ['b'], check: ['daemon'] }, cwd, euid, systemPath })).toEqual({
      path, policy: { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'behaviour', include: ['daemon'], parameters: { trustedUsers: ['b'], iptables: true } },
    });
  });

  it('sets parameters from the command line, checked like the file', async () => {
    const options = { cwd, euid, systemPath: '/nonexistent' };
    write('harden.yaml', 'parameters: { audit: { dataRoot: all } }');
    const { policy } = await loadPolicy({ ...options, flags: { set: ['audit.runContainerd=true', 'logDriver.driver=syslog', 'logDriver.options={tag: "{{.Name}}"}'] } });
    expect(policy.parameters).toEqual({
      audit: { dataRoot: 'all', runContainerd: true }, logDriver: { driver: 'syslog', options: { tag: '{{.Name}}' } },
    });
    const refused = (assignment: string): Promise<unknown> => loadPolicy({ ...options, flags: { set: ['iptables=true', assignment] } });
    await expect(refused('logdriver.driver=syslog')).rejects.toThrow('--set logdriver.driver=syslog: unknown key "logdriver"; did you mean "logDriver"?');
    await expect(refused('audit.style=wach')).rejects.toThrow('--set audit.style=wach: audit.style must be one of watch, syscall; did you mean "watch"?');
    await expect(refused('iptables.x=1')).rejects.toThrow('--set iptables.x=1: iptables is not a mapping');
    await expect(refused('experimental=[')).rejects.toThrow('--set experimental=[: ');
    await expect(refused('experimental')).rejects.toThrow('write NAME=VALUE');
  });

  it('obeys only a policy of its own user or root, unless it is named', async () => {
    const path = write('harden.yaml', 'level: 1', 0o666);
    const load = (flags = {}): Promise<{ policy: Policy }> => loadPolicy({ flags, cwd, euid, systemPath: '/nonexistent' });
    await expect(load()).rejects.toThrow(`${path} can be written by others, and a policy can waive findings and allow risks.\nTo use it all the same, name it: --policy ${path}`);
    expect((await load({ policy: path })).policy.level).toBe(1);
    chmodSync(path, 0o644);
    if (euid !== 0) return;
    chownSync(path, 12_345, 0);
    await expect(load()).rejects.toThrow('belongs to uid 12345');
  });

  it('says what is wrong with the file itself', async () => {
    const load = (policy: string): Promise<unknown> => loadPolicy({ flags: { policy }, cwd, euid });
    await expect(load('nowhere.yaml')).rejects.toThrow('--policy nowhere.yaml: no such file');
    await expect(load('.')).rejects.toThrow('is not a regular file');
    write('big.yaml', '#'.repeat(2 << 20));
    await expect(load('big.yaml')).rejects.toThrow('larger than 1 MiB');
  });
});

describe('waivers', () => {
  const check = (id: string): Check => ({
    id, title: id, rationale: '', evidence: '', passes: '', section: 'daemon', severity: 'low', level: 1, cis: { '1.8.0': '2.2' }, evaluate: () => [],
  });
  const target = { kind: 'daemon', name: 'dockerd', id: 'dockerd' } as const;
  const waived: Finding = { check: 'daemon.icc', target, outcome: 'warn', message: '', detail: null, waiver: { reason: 'r', owner: 'o', expires: null } };
  const plain: Finding = { check: 'daemon.tls', target, outcome: 'pass', message: '', detail: null };
  const now = new Date('2027-03-31T23:59:59Z');

  it.each([
    ['one that waives something', { check: 'daemon.icc', reason: 'r', owner: 'o' }, []],
    ['one by number', { check: '2.2', reason: 'r', owner: 'o' }, []],
    ['a check that was not selected', { check: 'daemon.live-restore', reason: 'r', owner: 'o', target: 'daemon:x' }, []],
    ['a check that does not exist', { check: 'daemon.ic', reason: 'r', owner: 'o' }, ['waives daemon.ic, and there is no such check; did you mean "daemon.icc"?']],
    ['its last day', { check: 'daemon.tls', reason: 'r', owner: 'o', expires: '2027-03-31' }, ['waives nothing']],
    ['the day after', { check: 'daemon.tls', reason: 'r', owner: 'o', expires: '2027-03-30' }, ['expired on 2027-03-30']],
    ['nothing that warns', { check: 'daemon.tls', reason: 'r', owner: 'o', target: 'daemon:*' }, ['the waiver of daemon.tls for daemon:* waives nothing']],
  ])('%s', (_, waiver, expected) => {
    const policy = { ...defaultPolicy, waivers: [{ ...waiver, source: { path: 'harden.yaml', line: 3, column: 5 } }] };
    const catalogue = [check('daemon.icc'), { ...check('daemon.tls'), cis: {} }, { ...check('daemon.live-restore'), cis: {} }];
    const problems = waiverProblems(policy, [waived, plain], catalogue, now);
    expect(problems).toEqual(expected.map((text) => expect.stringContaining(text) as string));
    expect(problems.every((problem) => problem.startsWith('harden.yaml:3:5: '))).toBe(true);
  });
});
