import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import type { Planned, Wish } from '../src/ask.ts';
import { askable, confirmPlan } from '../src/ask.ts';
import { agree } from '../src/commands/apply.ts';
import type { Context } from '../src/commands/context.ts';
import { lowered, policyOf } from '../src/commands/planning.ts';
import type { Facts, PlanDocument, Report } from '../src/model.ts';
import { findingKey } from '../src/model.ts';
import type { PlanResult } from '../src/plan.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { defaultPolicy, readAnswer, withAnswers } from '../src/policy.ts';
import { PLAIN } from '../src/render/layout.ts';
import { TOOL } from '../src/version.ts';
import type { Answer } from './terminal.ts';
import { caseOf } from './cases.ts';
import { harden, scripted } from './terminal.ts';

const HOST = 'fixtures/hosts/stock-debian.json';
const NO_ENGINE = ['--docker-host', 'unix:///nonexistent/docker.sock'];
const facts = JSON.parse(readFileSync(HOST, 'utf8')) as Facts;
const directory = mkdtempSync(join(tmpdir(), 'harden-cli-'));
const inDirectory = (name: string): string => join(directory, name);
const read = (name: string): string => readFileSync(inDirectory(name), 'utf8');
afterAll(() => rmSync(directory, { recursive: true }));

const planAt = (wish: Partial<Wish> = {}, host = facts): PlanResult => makePlan({
  facts: host, policy: withAnswers({ ...defaultPolicy, maxImpact: wish.maxImpact ?? 'reload', maxRisk: wish.maxRisk ?? 'safe' }, wish.answers ?? []), checks, remediations, tool: TOOL,
  now: new Date('2026-11-22T10:00:00Z'), restart: { kind: 'systemd', unit: 'docker.service' }, picks: wish.picks ?? null,
});

it('has the version of the package', () => {
  expect((JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version).toBe(TOOL.version);
});

describe('usage', () => {
  it.each([
    [['frobnicate'], "harden: unknown command 'frobnicate'\n`harden --help` lists the commands.\n"],
    [['transmogrify', 'shell'], "harden: unknown command 'transmogrify'\n`harden --help` lists the commands.\n"],
    [['generate', 'shell', '--facts', HOST], /^harden: required option '-o, --output <file>' not specified\n/],
    [['generate', 'shell', '--facts', HOST, '-o', ''], /^harden: -o: name the file of the script, or - for standard output\n/],
    [['generate', 'shell', 'nowhere.json', '-o', '-'], /^harden: nowhere\.json cannot be read: ENOENT/],
    [['generate', 'ansible', '--facts', HOST, '-o', '-'], /^harden: -o: name the directory of the project\n/],
    [['scan', '--frobnicate', 'f'], "harden: unknown option '--frobnicate'\n`harden scan --help` lists what it takes.\n"],
    [['plan', '--max-impact', 'huge'], /^harden: .*'huge' is invalid\. Allowed choices are none, reload, restart, recreate, data\.\n.*\n$/],
    [['scan', '--level', '3'], /^harden: .*'3' is invalid\. It must be 1 or 2\.\n.*\n$/],
    [['scan', '-n', '-1'], /^harden: .*'-1' is invalid\. It must be a whole number, 0 or more\.\n.*\n$/],
    [['explain'], /^harden: missing required argument 'check'\n/],
    [['collect'], /^harden: required option '-o, --output <file>' not specified\n/],
    [['list', 'everything'], /Allowed choices are checks, remediations\.\n/],
    [['scan', '--facts', HOST, '--format', 'sarif'], 'harden: --format sarif: there is no format "sarif" here; choose table or json or docker-bench\n'],
    [['scan', '--facts', HOST, '--format', 'json', '--format', 'table'], /^harden: --format: two results would go to standard output; .*\n$/],
    [['scan', '--facts', HOST, '--format', 'json=a.json', '-o', 'b.json'], /^harden: -o b\.json: every --format already has a file/],
    [['scan', '--facts', HOST, '-c', 'daemon.ic'], /^harden: .*daemon\.icc/],
    [['scan', '--facts', HOST, '--benchmark', '9.9.9'], /^harden: there is no edition "9\.9\.9"/],
    [['scan', '--facts', HOST, ...NO_ENGINE], /^harden: --facts reads a snapshot and --docker-host an engine/],
    [['scan', '--facts', 'nowhere.json'], /^harden: .*nowhere\.json/],
    [['scan', '--set', 'audit.stil=watch', '--facts', HOST], 'harden: --set audit.stil=watch: unknown key "stil" in audit; did you mean "style"?\n'],
    [['explain', 'DKL-DI-9999'], /^harden: no check matches "DKL-DI-9999"/],
    [['explain', 'daemon'], /^harden: daemon names \d+ checks; explain one of them:\n/],
    [['verify', 'a.json', '--run', 'b'], /^harden: verify holds the host to one thing/],
    [['rollback', 'a', '--all'], /^harden: rollback undoes one RUN or, with --all, every run/],
    [['apply', 'nowhere.json'], /^harden: nowhere\.json cannot be read: ENOENT/],
    [['apply', HOST], /^harden: .* is not a plan of harden: .*\nMake one with `harden plan -o FILE`\.\n$/],
  ])('%j exits 2 and says what to do', async (argv, expected) => {
    const { code, out, err } = await harden(argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(expected);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });

  it.each([[['scan']], [['plan']], [['apply']], [['apply', '--yes']], [['collect', '-o', '-']]])('%j without an engine exits 2', async (argv) => {
    const { code, out, err } = await harden([...argv, ...NO_ENGINE]);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(/^harden: .*\/nonexistent\/docker\.sock/);
    expect(err.trimEnd().split('\n').length).toBeLessThanOrEqual(3);
  });

  it('lists in --help exactly the commands there are, and each --help tells the exit codes', async () => {
    const { code, out } = await harden(['--help']);
    expect(code).toBe(0);
    const names = [...out.matchAll(/^ {2}([a-z]+)(?: \[| <|$| {2})/gm)].map((match) => match[1]);
    expect(names.sort()).toEqual(['apply', 'collect', 'confirm', 'explain', 'gc', 'generate', 'help', 'history', 'list', 'plan', 'recover', 'rewrite', 'rollback', 'scan', 'verify']);
    for (const name of names.filter((candidate) => candidate !== 'help')) {
      const help = await harden([name ?? '', '--help']);
      expect(help).toMatchObject({ code: 0, err: '' });
      expect(help.out).toContain('Exit codes: 0 ');
    }
    expect(await harden(['--version'])).toEqual({ code: 0, out: `${TOOL.version}\n`, err: '' });
  });

  it('shows a stack only with --debug', async () => {
    expect((await harden(['scan', ...NO_ENGINE])).err).not.toMatch(/^ {4}at /m);
    expect((await harden(['scan', '--debug', ...NO_ENGINE])).err).toMatch(/^ {4}at /m);
  });

  it('escapes what comes back in an error', async () => {
    expect((await harden(['scan', '-c', '\u001b[2Jx'])).err).toContain('\\e[2Jx');
  });
});

describe('scan', () => {
  it('exits by what remains and by what --fail-on asks', async () => {
    const codeOf = async (...argv: string[]): Promise<number> => (await harden(['scan', ...argv])).code;
    const unknown = inDirectory('unknown.json');
    writeFileSync(unknown, JSON.stringify({ ...facts, accounts: { status: 'unreadable', reason: 'no permission' } }));
    expect(await codeOf('--facts', HOST, '-c', 'daemon.icc')).toBe(1);
    expect(await codeOf('--facts', HOST, '-c', 'daemon.log-level')).toBe(0);
    expect(await codeOf('--facts', HOST, '-c', 'daemon.icc', '--fail-on', 'never')).toBe(0);
    expect(await codeOf('--facts', unknown, '-c', 'host.docker-group')).toBe(1);
    expect(await codeOf('--facts', unknown, '-c', 'host.docker-group', '--fail-on', 'warn')).toBe(0);
  });

  it('selects by id, prefix and number, and shows the numbers of the edition', async () => {
    const checked = async (...argv: string[]): Promise<string[]> =>
      (JSON.parse((await harden(['scan', '--facts', HOST, '--format', 'json', ...argv])).out) as Report).results.map(({ check }) => check);
    expect(await checked('-c', '2.2')).toEqual(['daemon.icc']);
    expect(await checked('-c', '2.1', '--benchmark', '1.2.0')).toEqual(['daemon.icc']);
    expect(await checked('-c', 'daemon', '-e', 'daemon.icc')).not.toContain('daemon.icc');
    expect(await checked('-c', 'daemon.icc,2.3', '-c', 'host.partition')).toEqual(['host.partition', 'daemon.icc', 'daemon.log-level']);
    expect((await harden(['scan', '--facts', HOST, '-c', '2.1', '--benchmark', '1.2.0'])).out).toMatch(/^ {2}2\.1 +WARN/m);
  });

  it('knows checks by their codes in other tools, and shows these', async () => {
    expect((await harden(['explain', 'cis-di-0001'])).out).toMatch(/^image\.user .*Codes of other tools\n {2}CIS-DI-0001\n/su);
    expect(JSON.parse((await harden(['list', 'checks', '-c', 'CIS-DI-0006', '--format', 'json'])).out)).toMatchObject({ checks: [{ check: 'image.healthcheck', aliases: ['CIS-DI-0006'] }] });
  });

  it('writes several formats at once, and results only to stdout', async () => {
    const { out, err } = await harden(['scan', '--facts', HOST, '--format', 'table', '--format', `json=${inDirectory('scan.json')}`, '-n', '1']);
    expect(err).toBe('');
    expect(out).toMatch(/^Docker 20\.10\.24/);
    expect((JSON.parse(read('scan.json')) as Report).results).toHaveLength(out.split('\n').filter((line) => / (PASS|WARN|N\/A|MANUAL|UNKNOWN) {2}/.test(line)).length);
  });

  it('obeys harden.yaml and says which waivers are out of order, with file, line and column', async () => {
    const policy = inDirectory('policy.yaml');
    writeFileSync(policy, [
      'include: [daemon.icc, daemon.log-level]', 'waivers:', '  - { check: daemon.icc, reason: legacy, owner: me }',
      '  - { check: daemon.log-level, reason: none, owner: me }', '  - { check: daemon.lcc, reason: none, owner: me }', '',
    ].join('\n'));
    const { code, out, err } = await harden(['scan', '--facts', HOST, '--policy', policy]);
    expect(code).toBe(0);
    expect(out).toContain('accepted by me: legacy');
    expect(err.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^harden: .*policy\.yaml:4:5: the waiver of daemon\.log-level waives nothing/),
      expect.stringMatching(/^harden: .*policy\.yaml:5:5: waives daemon\.lcc, and there is no such check; did you mean "daemon\.icc"\?$/),
    ]);
  });

  it('prints JSON that no terminal acts on', async () => {
    const hostile = inDirectory('hostile.json');
    writeFileSync(hostile, JSON.stringify({ ...facts, host: { ...facts.host, hostname: 'a\u009b31m\u202eb' } }));
    const { out } = await harden(['scan', '--facts', hostile, '--format', 'json']);
    expect(out).toContain('a\\u009b31m\\u202eb');
    expect((JSON.parse(out) as Report).host.hostname).toBe('a\u009b31m\u202eb');
  });
});

describe('result files', () => {
  it('saves a plan for its owner only, replacing what was there', async () => {
    const path = inDirectory('mode.json');
    writeFileSync(path, 'old', { mode: 0o666 });
    const { code, err } = await harden(['plan', '--facts', HOST, '-o', path]);
    expect(code).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((JSON.parse(read('mode.json')) as PlanDocument).changes).toEqual(planDocument(planAt().plan).changes);
    expect(err).toContain(`harden apply ${path}`);
  });

  it('follows no symbolic link in a directory that others can write, and leaves devices what they are', async () => {
    const open = inDirectory('open');
    spawnSync('mkdir', ['-m', '1777', open]);
    chmodSync(open, 0o1777);
    writeFileSync(inDirectory('victim'), 'precious');
    symlinkSync(inDirectory('victim'), join(open, 'report.json'));
    expect(await harden(['scan', '--facts', HOST, '-o', join(open, 'report.json')])).toMatchObject({ code: 2, err: expect.stringContaining('is a symbolic link in a directory that others can write') as string });
    expect(read('victim')).toBe('precious');
    symlinkSync(inDirectory('victim'), inDirectory('link'));
    expect((await harden(['list', 'checks', '-o', inDirectory('link')])).code).toBe(0);
    expect(lstatSync(inDirectory('link')).isSymbolicLink()).toBe(true);
    expect(read('victim')).toMatch(/^Host\n/);
    expect((await harden(['list', 'checks', '-o', '/dev/null'])).code).toBe(0);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(await harden(['list', 'checks', '-o', '/nonexistent/x'])).toMatchObject({ code: 2, err: expect.stringContaining('/nonexistent/x cannot be written: ENOENT') as string });
  });
});

describe('plan', () => {
  it('exits 0, and 1 with --exit-code when there are changes', async () => {
    expect((await harden(['plan', '--facts', HOST])).code).toBe(0);
    expect((await harden(['plan', '--facts', HOST, '--exit-code'])).code).toBe(1);
    expect((await harden(['plan', '--facts', HOST, '--exit-code', '-c', 'daemon.log-level'])).code).toBe(0);
  });

  it('says below what each higher ceiling would add, and adds it there', async () => {
    const low = (await harden(['plan', '--facts', HOST])).out;
    const line = low.split('\n').find((text) => text.startsWith('  --max-impact restart: ')) ?? '';
    const added = line.slice(line.indexOf(':') + 2).split(', ').map((name) => name.split(' ').at(-1) ?? '');
    expect(added.length).toBeGreaterThan(0);
    const high = JSON.parse((await harden(['plan', '--facts', HOST, '--max-impact', 'restart', '--format', 'json'])).out) as PlanDocument;
    expect(high.changes.flatMap(({ because }) => because.map(({ check }) => check))).toEqual(expect.arrayContaining(added));
  });
});

describe('verify', () => {
  const wish = { maxImpact: 'restart', maxRisk: 'behaviour' } as const;
  const { plan, predicted } = planAt(wish);
  beforeAll(() => {
    writeFileSync(inDirectory('verify-plan.json'), JSON.stringify(planDocument(plan)));
    writeFileSync(inDirectory('predicted.json'), JSON.stringify(predicted));
  });

  it('of a plan: promises unmet before it was applied, held afterwards', async () => {
    const before = await harden(['verify', inDirectory('verify-plan.json'), '--facts', HOST]);
    expect(before.code).toBe(1);
    expect(before.out).toContain('Promised, and still not so');
    const { code, out } = await harden(['verify', inDirectory('verify-plan.json'), '--facts', inDirectory('predicted.json'), '--format', 'json']);
    const { summary } = JSON.parse(out) as { summary: Record<string, number> };
    expect(summary).toMatchObject({ unmet: 0, failed: 0, regressed: 0 });
    expect(code).toBe((summary['pending'] ?? 0) > 0 ? 1 : 0);
    expect(summary['fixed']).toBeGreaterThan(0);
  });

  it('of an earlier scan: only what became worse counts', async () => {
    await harden(['scan', '--facts', inDirectory('predicted.json'), '--format', 'json', '-o', inDirectory('good.json')]);
    await harden(['scan', '--facts', HOST, '--format', 'json', '-o', inDirectory('stock.json')]);
    expect((await harden(['verify', '--baseline', inDirectory('stock.json'), '--facts', inDirectory('predicted.json')])).code).toBe(0);
    const worse = await harden(['verify', '--baseline', inDirectory('good.json'), '--facts', HOST]);
    expect(worse.code).toBe(1);
    expect(worse.out).toContain('Worse than before');
  });

  it('without anything to hold the host to exits 2', async () => {
    expect(await harden(['verify', '--state-dir', inDirectory('none'), '--facts', HOST])).toMatchObject({ code: 2, err: expect.stringContaining('There is no run') as string });
    expect(await harden(['history', '--state-dir', inDirectory('none')])).toMatchObject({ code: 0, out: `No run in ${inDirectory('none')}.\n` });
  });
});

describe('a saved plan', () => {
  const saved = planDocument(planAt({ maxImpact: 'restart', maxRisk: 'safe' }).plan);

  it('keeps its own choices, today\'s waivers, and today\'s secrets where they are the same', () => {
    const waivers = [{ check: 'daemon.icc', reason: 'r', owner: 'o' }];
    expect(policyOf(saved, { ...defaultPolicy, level: 1, maxImpact: 'data', waivers })).toEqual({ ...defaultPolicy, maxImpact: 'restart', waivers, recorded: saved.inputs.parameters.filter(({ source }) => source === 'evidence') });
    const parameters = { logDriver: { driver: 'splunk', options: { 'splunk-token': 'S3cret-7b1f6f2e', 'splunk-url': 'https://x' } } };
    const masked = planDocument(makePlan({
      facts, policy: { ...defaultPolicy, parameters }, checks, remediations, tool: TOOL, now: new Date(0), restart: null,
    }).plan);
    expect(JSON.stringify(masked)).not.toContain('S3cret');
    expect(policyOf(masked, { ...defaultPolicy, parameters }).parameters).toEqual(parameters);
    expect(policyOf(masked, defaultPolicy).parameters).toEqual(masked.inputs.policyParameters);
  });

  it('takes lower ceilings from flags, and nothing else', () => {
    const policy = policyOf(saved, defaultPolicy);
    expect(lowered(policy, { maxImpact: 'reload' })).toEqual({ ...policy, maxImpact: 'reload' });
    expect(() => lowered(policy, { maxImpact: 'data' })).toThrow('--max-impact data is above the saved plan\'s restart');
    expect(() => lowered(policy, { maxRisk: 'behaviour' })).toThrow('--max-risk behaviour is above');
    expect(() => lowered(policy, { check: ['daemon'], set: ['iptables=true'] })).toThrow('--check, --set: a saved plan keeps its own');
  });
});

/** A person who talks over the plan of a host. */
const talk = async (answers: readonly Answer[], host = facts, asked: string[] = []): Promise<{ agreed: Planned & { wish: Wish }; shown: string; wishes: Wish[] }> => {
  let shown = '';
  const wishes: Wish[] = [];
  const agreed = await confirmPlan(planAt({}, host), {
    prompter: scripted(answers, asked), layout: PLAIN, show: (text) => { shown += text; },
    replan: (wish) => { wishes.push(wish); return planAt(wish, host); },
    read: (ask, text, given) => readAnswer(ask, text, withAnswers(defaultPolicy, given)),
  });
  return { agreed, shown, wishes };
};

describe('asking', () => {
  it('agrees only to a typed yes', async () => {
    const { agreed, shown } = await talk(['Apply', 'y', 'Apply', 'yes']);
    expect(agreed.plan).toEqual(planAt().plan);
    expect(shown).toBe('Not applied: only "yes" applies.\n');
    await expect(talk(['Leave'])).rejects.toThrow('nothing was changed');
    await expect(talk(['Apply'])).rejects.toThrow('nothing was changed');
  });

  it('shows one change with why each check asks for it', async () => {
    const [change] = planAt().plan.changes;
    const { shown } = await talk(['Look', change?.target.name ?? '', 'Apply', 'yes']);
    for (const line of change?.diff.trimEnd().split('\n') ?? ['no change']) expect(shown).toContain(line);
    for (const { check } of change?.because ?? []) expect(shown).toContain(`${check}: ${checks.find(({ id }) => id === check)?.title ?? '?'}`);
  });

  it('raises a ceiling only when told to, and plans again', async () => {
    const { agreed, wishes, shown } = await talk(['Raise the ceiling: --max-impact restart (', 'Apply', 'yes']);
    expect(wishes).toEqual([{ maxImpact: 'restart', maxRisk: 'safe', picks: null, answers: [] }]);
    expect(agreed.plan).toEqual(planAt({ maxImpact: 'restart' }).plan);
    expect(agreed.wish.maxImpact).toBe('restart');
    expect(shown).toContain('within --max-impact restart');
  });

  it('makes only what was picked', async () => {
    const all = planAt({ maxImpact: 'restart', maxRisk: 'behaviour' }).plan.changes.map(({ id }) => id);
    const { agreed } = await talk(['--max-risk behaviour', 'Pick', [all[0] ?? ''], 'Apply', 'yes']);
    expect(all.length).toBeGreaterThan(1);
    expect(agreed.plan.changes.map(({ id }) => id)).toEqual([all[0]]);
    expect(agreed.wish.picks).toEqual([all[0]]);
  });
});

describe('asking for values', () => {
  const running = caseOf('container.memory-limit/chosen.json').facts;
  const keyOf = (check: string, host: Facts): string => findingKey(askable(planAt({}, host).plan).find((item) => item.check === check) ?? { check: `nothing to ask for ${check}`, target: { kind: 'host', name: '', id: '' } });
  const sources = ({ plan }: Planned): readonly string[] => plan.inputs.parameters.filter(({ source }) => source === 'asked').map(({ name, value, evidence }) => `${name} ${JSON.stringify(value)} ${evidence}`);

  it('takes the suggestion on Enter, and the plan says that it was asked and what it rests on', async () => {
    const asked: string[] = [];
    const { agreed, shown } = await talk(['Give values', [keyOf('container.memory-limit', running)], '', 'Raise the ceiling: --max-risk behaviour', 'Apply', 'yes'], running, asked);
    expect(asked[2]).toBe('containers.app.memory [256m] (- leaves it open):');
    expect(shown).toContain('which says little of its peak');
    expect(agreed.plan.changes.flatMap(({ because }) => because.map(({ check }) => check))).toContain('container.memory-limit');
    expect(sources(agreed)).toEqual(['container.memory 268435456 asked; 256m was suggested: From what it uses now, 256 MiB would do; it has been running for less than a week, which says little of its peak']);
    expect(agreed.wish.answers).toHaveLength(1);
  });

  it('asks again with the reason, for a bad value as for one that would do harm', async () => {
    const { agreed, shown } = await talk(['Give values', [keyOf('container.memory-limit', running)], 'plenty', '{ a: [', '{ __proto__: 1 }', '64m', '300m', 'Raise the ceiling: --max-risk behaviour', 'Apply', 'yes'], running);
    expect(shown).toContain('containers.app.memory must be a size as in 512m');
    expect(shown).toContain('containers.app.memory: the key "__proto__" is not allowed');
    expect(shown).toContain('uses 80 MiB now, more than the 64 MiB that the policy allows');
    expect(sources(agreed)).toEqual([expect.stringContaining('container.memory 314572800 ')]);
  });

  it('leaves a finding as it was where somebody leaves its question open', async () => {
    const { agreed } = await talk(['Give values', [keyOf('container.memory-limit', running)], '64m', '-', 'Apply', 'yes'], running);
    expect(agreed.wish.answers).toEqual([]);
    expect(agreed.plan.deferred.find(({ check }) => check === 'container.memory-limit')?.reason).toBe('choice');
  });

  it('asks for all that one finding lacks, and for what else is not of containers', async () => {
    const host = caseOf('container.host-network/chosen.json').facts;
    const asked: string[] = [];
    const { agreed } = await talk(['Give values', [keyOf('container.host-network', host), keyOf('daemon.default-ulimits', host)], 'nofile: much', '{ nofile: "1024:4096" }', '', '', '[]',
      'Raise the ceiling: --max-impact recreate --max-risk behaviour', 'Apply', 'yes'], host, asked);
    expect(asked.filter((question) => question.startsWith('containers.app'))).toEqual([
      'containers.app.privateNamespaces [[network]] (- leaves it open):', 'containers.app.network [front] (- leaves it open):', 'containers.app.publish (empty leaves it open):',
    ]);
    expect(agreed.plan.changes.find(({ id }) => id === 'container:app')?.diff).toContain('+ --network front');
    expect(sources(agreed)).toEqual(expect.arrayContaining([expect.stringContaining('container.network "front"'), expect.stringMatching(/^defaultUlimits /u)]));
  });

  it('makes what was answered although other changes were picked', async () => {
    const { agreed } = await talk(['--max-risk behaviour', 'Pick', [], 'Give values', [keyOf('container.memory-limit', running)], '512m', 'Apply', 'yes'], running);
    expect(agreed.plan.changes.map(({ id }) => id)).toEqual(['container:app']);
  });

  it('puts an answer over every glob, and keeps what they say', () => {
    const policy = { ...defaultPolicy, parameters: { containers: { app: { memory: '1g', cpuShares: 2 }, 'a*': { memory: '2g' } } } };
    const { parameters } = withAnswers(policy, [{ parameter: ['containers', 'app', 'pidsLimit'], value: 9, evidence: '' }]);
    expect(Object.entries(parameters.containers ?? {})).toEqual([['a*', { memory: '2g' }], ['app', { memory: '2g', cpuShares: 2, pidsLimit: 9 }]]);
  });
});

describe('without a terminal', () => {
  const answer = (yes: boolean, planned: PlanResult): ReturnType<typeof agree> => {
    const choice = { policy: defaultPolicy, selected: checks, picks: null, restartCommand: undefined };
    const context: Context = {
      out: () => undefined, err: () => undefined, progress: () => undefined, layout: PLAIN, errorLayout: PLAIN, interactive: false, cwd: '/', euid: 0,
      now: () => new Date(0), prompter: () => Promise.reject(new Error('asked')),
    };
    return agree(choice, planned, facts, { yes }, context);
  };

  it('apply declines, unless --yes or nothing to do; --yes never raises a ceiling', async () => {
    const planned = planAt();
    await expect(answer(false, planned)).rejects.toThrow('Declined: there is no terminal to confirm on. Nothing was changed.');
    expect((await answer(true, planned)).planned).toBe(planned);
    const nothing = { ...planned, plan: { ...planned.plan, changes: [] } };
    expect((await answer(false, nothing)).planned).toBe(nothing);
  });
});

describe('the process', () => {
  const argv = ['node_modules/tsx/dist/cli.mjs', 'src/cli.ts'];

  it('sets the exit code, writes no escape sequence without a terminal, and keeps stdout for results', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...argv, 'scan', '--facts', HOST], { encoding: 'utf8', env: { ...process.env, FORCE_COLOR: '1' } });
    expect(status).toBe(1);
    expect(stdout).not.toContain('\u001b');
    expect(stderr).not.toContain('\u001b');
    expect(stdout).toMatch(/^Docker/);
  });

  const HOOK = "import { writeSync } from 'node:fs'; export const resolve = (name, context, next) => { writeSync(2, `loads ${name}\\n`); return next(name, context); };";
  const REGISTER = `import { register } from 'node:module'; register('data:text/javascript,${encodeURIComponent(HOOK).replaceAll("'", '%27')}');`;
  /** The packages that a call imports, in the order of the alphabet. */
  const packagesOf = (...args: string[]): { readonly status: number | null; readonly packages: readonly string[] } => {
    const { status, stderr } = spawnSync(process.execPath, [
      '--import', './node_modules/tsx/dist/loader.mjs', '--import', `data:text/javascript,${encodeURIComponent(REGISTER)}`, 'src/cli.ts', ...args,
    ], { encoding: 'utf8' });
    return { status, packages: [...new Set([...stderr.matchAll(/^loads ([a-z@][^:\s]*)$/gm)].map(([, name = '']) => name).filter((name) => !name.startsWith('src/')))].sort() };
  };

  it.each([[['--help']], [['apply', '--help']], [['--version']]])('waits for nothing but the parser of its arguments: %j', (args) => {
    expect(packagesOf(...args)).toEqual({ status: 0, packages: ['commander'] });
  });

  it('rewrites without the client of the engine, the questions and the templates', () => {
    const { status, packages } = packagesOf('rewrite', '--', 'docker', 'run', '-d', 'busybox:1');
    expect(status).toBe(1);
    expect(packages).toContain('commander');
    expect(packages.filter((name) => ['dockerode', 'inquirer', 'handlebars', 'fzstd'].includes(name))).toEqual([]);
  });

  it('ends quietly when its reader has seen enough', async () => {
    const child = spawn(process.execPath, [...argv, 'scan', '--facts', HOST, '--format', 'json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
    child.stdout.destroy();
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, errors }).toEqual({ code: 1, errors: '' });
  });
});
