/** A plan is refused when what it was decided by is other by then: by its name, with the lines that went and came. What merely moved on is no reason. */
import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { refuseStale } from '../src/apply/apply.ts';
import { StalePlanError } from '../src/errors.ts';
import type { AuditRule, ContainerFacts, Facts, FileStat, Plan, Policy } from '../src/model.ts';
import { present, statOf, valueOf } from '../src/model.ts';
import { makePlan, planDocument } from '../src/plan.ts';
import { defaultPolicy } from '../src/policy.ts';
import { selectChecks } from '../src/selection.ts';
import { TOOL } from '../src/version.ts';
import { caseOf } from './cases.ts';
import { loadHost } from './hosts.ts';

const planned = (facts: Facts, policy: Policy): Plan => makePlan({
  facts, policy, checks: selectChecks(checks, policy).selected, remediations, tool: TOOL, now: new Date('2026-11-22T10:00:00Z'), restart: { kind: 'systemd', unit: 'docker.service' },
}).plan;

/** Why a plan that was made of `then` is not applied `now`: message and comparison; null: it is. */
function refusal(then: Facts, now: Facts, policy: Policy): readonly [message: string, comparison: string] | null {
  const shown = planned(then, policy);
  expect(shown.changes).not.toEqual([]);
  try {
    refuseStale(planDocument(shown), planned(now, policy), now);
    return null;
  } catch (error) {
    if (!(error instanceof StalePlanError)) throw error;
    return [error.message, error.comparison];
  }
}

const CONFIG = '/etc/docker/daemon.json';
const TEXT = '{\n  "debug": true\n}\n';
const stock = loadHost('debian-12');
const FILE: FileStat = { type: 'file', realPath: CONFIG, mode: 0o644, uid: 0, gid: 0, dev: 1, ino: 1000, nlink: 1, mtimeMs: 1, ctimeMs: 1 };
const host: Facts = {
  ...stock, files: { ...stock.files, [CONFIG]: present(FILE) },
  daemon: { ...stock.daemon, config: present({ text: TEXT, bom: false, parsed: { ok: true, value: { debug: true } } }) },
};
const willing: Policy = { ...defaultPolicy, maxImpact: 'restart', maxRisk: 'behaviour', include: ['daemon', 'audit', 'file'] };
const withStat = (path: string, change: Partial<FileStat>): Facts => {
  const stat = valueOf(statOf(host, path));
  if (stat === undefined) throw new Error(`no ${path}`);
  return { ...host, files: { ...host.files, [path]: present({ ...stat, ...change }) } };
};
const withArgv = (edit: (argv: readonly string[]) => readonly string[]): Facts => {
  const process = valueOf(host.daemon.process);
  if (process === undefined) throw new Error('no dockerd');
  return { ...host, daemon: { ...host.daemon, process: present({ ...process, argv: edit(process.argv) }) } };
};
const RULE: AuditRule = { text: '-w /srv -p wa', action: 'always', list: 'exit', match: 'watch', path: '/srv', perms: 'wa', arch: null, syscalls: null, filters: [], key: null };

describe('a change of a file', () => {
  const only = (include: string): Policy => ({ ...willing, include: [include] });

  test.each([
    ['the file was replaced by one like it', 'daemon.live-restore', withStat(CONFIG, { ino: 4242 }), CONFIG, /^\+ inode 4242$/mu],
    ['its mode', 'daemon.live-restore', withStat(CONFIG, { mode: 0o600 }), CONFIG, /^- mode 0644\n\+ mode 0600$/mu],
    ['its owner', 'daemon.live-restore', withStat(CONFIG, { uid: 1000 }), CONFIG, /^\+ owner 1000:/mu],
    ['where its link leads', 'daemon.live-restore', withStat(CONFIG, { realPath: '/srv/daemon.json' }), CONFIG, /^\+ leads to \/srv\/daemon\.json$/mu],
    ['a flag of the daemon', 'daemon.live-restore', withArgv((argv) => [...argv, '--debug']), 'the flags of dockerd', /^\+ --debug$/mu],
    ['a secret flag of the daemon, and another', 'daemon.live-restore', withArgv((argv) => [...argv, '--log-opt', 'splunk-token=hunter2']), 'the flags of dockerd', /^\+ splunk-token=\*\*\*$/mu],
    ['a rule of the kernel', 'audit', { ...host, audit: { ...host.audit, loaded: present([RULE]) } }, 'the audit rules in the kernel', /^\+ -w \/srv -p wa$/mu],
  ])('%s', (_, include, now, named, line) => {
    const refused = refusal(host, now, only(include));
    expect(refused).toEqual([`${named} changed since the plan was made. Nothing was done. Plan again.`, expect.stringMatching(line) as string]);
    expect(refused?.join()).not.toContain('hunter2');
  });

  test('what it does not depend on is no reason', () => {
    expect(refusal(host, withArgv((argv) => [...argv, '--debug']), only('audit'))).toBeNull();
    expect(refusal(host, { ...host, audit: { ...host.audit, loaded: present([RULE]) } }, only('daemon.live-restore'))).toBeNull();
    const process = valueOf(host.daemon.process);
    if (process === undefined) throw new Error('no dockerd');
    // A restart in between, which gives the daemon another process and its socket another inode.
    const restarted = { ...withStat('/run/docker.sock', { ino: 4242, ctimeMs: 0 }), daemon: { ...host.daemon, process: present({ ...process, pid: 4242 }) } };
    expect(refusal(host, restarted, willing)).toBeNull();
  });

  test('what changed of its content where the change does not reach is said in words: a plan holds no contents', () => {
    const config = valueOf(host.daemon.config);
    if (config === undefined) throw new Error('no daemon.json');
    const now = { ...host, daemon: { ...host.daemon, config: present({ ...config, text: `\n\n\n\n\n\n\n${config.text}` }) } };
    expect(refusal(host, now, only('daemon.live-restore'))?.[0]).toContain(`${CONFIG} changed since the plan was made`);
  });
});

describe('a change of a container', () => {
  const { facts, policy: chosen } = caseOf('container.readonly-rootfs/chosen.json');
  const policy: Policy = { ...chosen, maxImpact: 'recreate', maxRisk: 'behaviour', include: ['container.readonly-rootfs'] };
  const changed = (edit: (container: ContainerFacts) => ContainerFacts): Facts => ({ ...facts, containers: present((valueOf(facts.containers) ?? []).map(edit)) });

  test('it was made anew under its name', () => {
    const [message, comparison] = refusal(facts, changed((container) => ({ ...container, id: `${container.id.slice(0, -4)}beef` })), policy) ?? [];
    expect(message).toMatch(/^\S+ changed since the plan was made\. Nothing was done\. Plan again\.$/u);
    expect(comparison).toMatch(/^- id .*\n\+ id .*beef$/mu);
  });

  test('its configuration', () => {
    const [, comparison] = refusal(facts, changed((container) => {
      const spec = valueOf(container.spec);
      return spec === undefined ? container : { ...container, spec: present({ ...spec, env: [...spec.env, 'PASSWORD=hunter2'] }) };
    }), policy) ?? [];
    expect(comparison).toMatch(/^\+ configuration [0-9a-f]{64}$/mu);
    expect(comparison).not.toContain('hunter2');
  });
});
