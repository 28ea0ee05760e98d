import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checks } from '../checks/index.ts';
import { remediations } from '../remediations/index.ts';
import { mergeJson } from '../src/daemon/json-edit.ts';
import { maskSecretsInJsonText, maskSecretsInText } from '../src/mask.ts';
import type { Facts, JsonObject, Policy } from '../src/model.ts';
import { makePlan } from '../src/plan.ts';
import { restartMethod } from '../src/plan/restart.ts';
import { defaultPolicy } from '../src/policy.ts';
import type { PortablePlan } from '../src/portable/model.ts';
import { portablePlan } from '../src/portable/plan.ts';
import { secretStretches, spliced, splicesBetween } from '../src/portable/splices.ts';
import { TOOL } from '../src/version.ts';
import { hostWith } from './hosts.ts';

const POLICY: Policy = { ...defaultPolicy, maxImpact: 'recreate', maxRisk: 'behaviour' };

function portableOf(facts: Facts, policy: Policy = POLICY, fromSnapshot = false): PortablePlan {
  const method = restartMethod(facts, undefined);
  const { plan } = makePlan({ facts, policy, checks, remediations, tool: TOOL, now: new Date(0), restart: method });
  return portablePlan(plan, { facts, method, fromSnapshot });
}

const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });
const secret = fc.stringMatching(/^[A-Za-z0-9]{8,24}$/u);

describe('splices', () => {
  test('make the text that they were made for, whatever is in it', () => {
    fc.assert(fc.property(fc.array(word), fc.array(word), fc.array(word), fc.array(word), (a, b, c, d) => {
      const [before, after] = [[...a, ...b, ...c].join(' '), [...a, ...d, ...c].join(' ')];
      expect(spliced(Buffer.from(before), splicesBetween(before, after, (text) => text)).toString()).toBe(after);
    }));
  });

  test('do not send what stays: no secret of a daemon.json is in them', () => {
    fc.assert(fc.property(fc.dictionary(fc.constantFrom('log-opts', 'labels', 'proxies', 'x'), word), secret, fc.constantFrom(2, 4), (others, token, indent) => {
      const before = JSON.stringify({ ...others, 'log-opts': { 'splunk-token': token, 'splunk-url': `https://u:${token}@h` } }, null, indent);
      const after = mergeJson(before, { icc: false, 'live-restore': true, 'log-level': 'info' });
      const splices = splicesBetween(before, after, maskSecretsInJsonText);
      expect(spliced(Buffer.from(before), splices).toString()).toBe(after);
      expect(JSON.stringify(splices)).not.toContain(token);
    }));
  });

  test('are refused where a secret would be written', () => {
    expect(() => splicesBetween('{}', '{"log-opts": {"splunk-token": "hunter22"}}', maskSecretsInJsonText)).toThrow(/secret/u);
    expect(() => splicesBetween('A_TOKEN=hunter22\n', 'A_TOKEN=hunter22\nOTHER=hunter22\n', maskSecretsInText)).toThrow(/secret/u);
  });

  test('a stretch that is masked is found between what is shown', () => {
    const text = 'a\nB_TOKEN=first word\nC_PASSWORD="second"\nd\n';
    expect(secretStretches(text, maskSecretsInText(text)).map(([start, end]) => text.slice(start, end))).toEqual(['first', 'second']);
  });
});

describe('a portable plan', () => {
  const facts = hostWith('stock-debian', {});

  test('has the steps of apply, with what one restart brings into force in one unit', () => {
    const { units } = portableOf(facts);
    const daemon = units.find(({ steps }) => steps.some(({ kind }) => kind === 'restartDaemon'));
    expect(daemon?.steps.map(({ kind }) => kind)).toEqual(['changeFile', 'reloadDaemon', 'restartDaemon', 'awaitHealthy']);
    expect(units.flatMap(({ changes }) => changes.map(({ id }) => id))).toContain('file:/etc/docker/daemon.json');
  });

  test('of a snapshot leaves out what the snapshot masked, by name', () => {
    const text = '{"log-driver": "splunk", "log-opts": {"splunk-token": "***"}}';
    const masked = hostWith('stock-debian', { daemon: { config: { status: 'present', value: { text, bom: false, parsed: { ok: true, value: JSON.parse(text) as JsonObject } } } } });
    expect(portableOf(masked, POLICY, true).refused.map(({ change, reason }) => [change.id, reason])).toEqual([['file:/etc/docker/daemon.json', expect.stringContaining('snapshot')]]);
    expect(portableOf(masked).refused).toEqual([]);
  });
});
