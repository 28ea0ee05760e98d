import { isDeepStrictEqual } from 'node:util';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { apply as applyMergePatch } from 'json-merge-patch';
import { describe, expect, it } from 'vitest';
import { mergeJson, parseConfigFile } from '../src/daemon/json-edit.ts';
import { flagValue, parseDaemonFlags } from '../src/daemon/flags.ts';
import { validateConfig, validateText } from '../src/daemon/validate.ts';
import type { Json, JsonObject } from '../src/model.ts';

interface Recorded {
  readonly flags: readonly string[];
  readonly cases: Readonly<Record<string, { readonly file: string } & Readonly<Record<string, string>>>>;
}

const recorded = JSON.parse(readFileSync(new URL('../fixtures/raw/daemon/start.json', import.meta.url), 'utf8')) as Recorded;

/** Where the table and dockerd differ on purpose. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'text-after 20.10.24': 'what follows the object is lost there and refused from 23.0 on',
  'two-objects 20.10.24': 'what follows the object is lost there and refused from 23.0 on',
  'duplicate-first-mistyped 20.10.24': 'only the last value is typed; the duplicate is a warning, and an edit of the key is refused',
  'duplicate-first-mistyped 26.1.5': 'only the last value is typed; the duplicate is a warning, and an edit of the key is refused',
  'int-exponent 20.10.24': 'JSON.parse does not say how a number was written',
  'int-exponent 26.1.5': 'JSON.parse does not say how a number was written',
  'tlsverify-false 26.1.5': 'certificate files are not looked at',
};

describe('daemon.json as dockerd starts with it', () => {
  const flags = parseDaemonFlags(recorded.flags);
  const runs = Object.entries(recorded.cases).flatMap(([name, { file, ...engines }]) =>
    Object.entries(engines).map(([engineVersion, result]) => ({ name: `${name} ${engineVersion}`, file, engineVersion, result })));
  it.each(runs)('$name', ({ name, file, engineVersion, result }) => {
    const fatal = validateText(file, { engineVersion, flags, swarmActive: false }).filter(({ severity }) => severity === 'fatal');
    expect(fatal.length > 0 !== (result !== 'loaded'), JSON.stringify(fatal)).toBe(name in DIFFERENT);
  });
});

describe('log-opts as dockerd starts with them', () => {
  interface Case { readonly driver: string; readonly options: JsonObject; readonly [engine: string]: Json }
  const { cases } = JSON.parse(readFileSync(new URL('../fixtures/raw/daemon/log-options.json', import.meta.url), 'utf8')) as { readonly cases: readonly Case[] };
  // What a plugin takes is not known, nor whether it is there.
  const builtIn = cases.filter(({ driver }) => driver !== 'nosuchdriver');
  const runs = builtIn.flatMap(({ driver, options, ...engines }) => Object.entries(engines).map(([engineVersion, result]) => ({ driver, options, engineVersion, result })));
  it.each(runs)('$driver $options on $engineVersion', ({ driver, options, engineVersion, result }) => {
    const found = validateConfig({ 'log-driver': driver, 'log-opts': options }, { engineVersion, flags: [], swarmActive: false });
    expect(found.some(({ severity }) => severity === 'fatal')).toBe(result !== 'loaded');
  });
});

const context = { engineVersion: '26.1.5', flags: [], swarmActive: false };

describe('validateConfig', () => {
  const severities = (config: JsonObject, over: Partial<Parameters<typeof validateConfig>[1]> = {}): string[] =>
    validateConfig(config, { ...context, ...over }).map(({ severity, key }) => `${severity} ${key}`);

  it.each<[string, JsonObject, Partial<Parameters<typeof validateConfig>[1]>, string[]]>([
    ['icc=false without iptables', { icc: false, iptables: false }, {}, ['fatal icc']],
    ['a null bool is false for dockerd', { icc: null, iptables: null }, {}, ['fatal icc']],
    ['iptables off by flag', { icc: false }, { flags: parseDaemonFlags(['--iptables=false']) }, ['fatal icc']],
    ['live-restore in a swarm', { 'live-restore': true }, { swarmActive: true }, ['fatal live-restore']],
    ['live-restore by flag in a swarm', {}, { swarmActive: true, flags: parseDaemonFlags(['--live-restore']) }, ['fatal live-restore']],
    ['an equal value by flag', { debug: true }, { flags: parseDaemonFlags(['-D']) }, ['fatal debug']],
    ['hosts beside -H', { hosts: [] }, { flags: parseDaemonFlags(['-H', 'fd://']) }, ['fatal hosts']],
    ['runtimes may be in both', { runtimes: {} }, { flags: parseDaemonFlags(['--add-runtime', 'a=b']) }, []],
    ['options of another driver', { 'log-driver': 'journald', 'log-opts': { 'max-size': '1m', tag: 'x' } }, {}, ['fatal log-opts']],
    ['options of another driver, the driver by flag', { 'log-opts': { 'max-size': '1m' } }, { flags: parseDaemonFlags(['--log-driver=syslog']) }, ['fatal log-opts']],
    ['a plugin\'s options', { 'log-driver': 'acme/driver', 'log-opts': { anything: 'x' } }, {}, []],
    ['the buffer without its mode', { 'log-opts': { 'max-buffer-size': '4m' } }, {}, ['fatal log-opts']],
    ['a flag\'s spelling', { 'default-ulimit': {} }, {}, ['warning default-ulimit']],
    ['a ulimit without name', { 'default-ulimits': { nofile: { Soft: 1, Hard: 2 } } }, {}, ['warning default-ulimits']],
    ['a cgroup path with systemd', { 'cgroup-parent': '/docker' }, { cgroupDriver: 'systemd' }, ['fatal cgroup-parent']],
    ['a slice with systemd', { 'cgroup-parent': 'docker.slice' }, { cgroupDriver: 'systemd' }, []],
    ['a key that came later', { 'firewall-backend': 'nftables' }, {}, ['fatal firewall-backend']],
    ['a key that the table has, on an engine from the future', { 'firewall-backend': 'nftables' }, { engineVersion: '41.0.0' }, []],
    ['a key that the table lacks, on an engine from the future', { 'brand-new': 1 }, { engineVersion: '41.0.0' }, ['warning brand-new']],
    ['an engine without a version', { 'firewall-backend': 'nftables', 'brand-new': 1 }, { engineVersion: '' }, ['warning brand-new']],
    ['a removed key', { graph: '/x' }, {}, ['fatal graph']],
    ['names of a prototype', JSON.parse('{"__proto__": 1, "toString": 2, "constructor": 3}') as JsonObject, {}, ['fatal __proto__', 'fatal toString', 'fatal constructor']],
  ])('%s', (_, config, over, expected) => {
    expect(severities(config, over)).toEqual(expected);
  });

  it('says what, where and what to do', () => {
    expect(validateConfig({ icc: 'false' }, context)).toEqual([
      { severity: 'fatal', key: 'icc', message: '"icc" must be true or false, without quotes; it is "false". Correct the value of "icc".' },
    ]);
  });

  it('sees a byte order mark and an empty file only on engines that refuse them', () => {
    const fatals = (text: string, engineVersion: string): number => validateText(text, { ...context, engineVersion }).length;
    expect([fatals('\ufeff{}', '20.10.24'), fatals('', '20.10.24'), fatals('\ufeff{}', '23.0.1'), fatals('', '23.0.1')]).toEqual([1, 1, 0, 0]);
  });
});

describe('parseConfigFile', () => {
  it.each([
    ['{\n  "icc": false,\n}\n', 3, 1],
    ['{\r\n\t"icc": fals\r\n}', 2, 9],
    ['{"a": 1', 1, 8],
    ['\n // x\n{}', 2, 2],
    ['\n[]', 2, 1],
    ['{} x', 1, 4],
  ])('%j is refused at line %d, column %d', (text, line, column) => {
    expect(parseConfigFile(text).parsed).toMatchObject({ ok: false, line, column });
  });

  it('keeps a byte order mark apart and reads duplicates as Go does', () => {
    const file = parseConfigFile('\ufeff{"log-opts":{"a":"1"},"debug":true,"log-opts":{"b":"2"},"debug":null}');
    expect(file).toMatchObject({ bom: true, parsed: { ok: true, value: { 'log-opts': { a: '1', b: '2' }, debug: true } } });
    expect(file.text.startsWith('{')).toBe(true);
  });
});

describe('mergeJson', () => {
  it.each<[string, string, JsonObject, string]>([
    ['no file', '', { icc: false, 'log-opts': { 'max-size': '10m', tag: null } }, '{\n  "icc": false,\n  "log-opts": {\n    "max-size": "10m"\n  }\n}\n'],
    ['only removals without a file', '', { icc: null }, ''],
    ['tabs, CRLF, no final newline', '{\r\n\t"debug" : true,\r\n\t"dns": []\r\n}', { icc: false, debug: false }, '{\r\n\t"debug" : false,\r\n\t"dns": [],\r\n\t"icc": false\r\n}'],
    ['four spaces, a nested key', '{\n    "log-opts": {\n        "tag": "x"\n    }\n}\n', { 'log-opts': { 'max-size': '1m' } }, '{\n    "log-opts": {\n        "tag": "x",\n        "max-size": "1m"\n    }\n}\n'],
    ['one line stays one line', '{"debug":true}', { icc: false }, '{"debug":true, "icc":false}'],
    ['removing the first, the middle and the last', '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}\n', { b: null }, '{\n  "a": 1,\n  "c": 3\n}\n'],
    ['removing the only one', '{\n  "a": 1\n}\n', { a: null }, '{}\n'],
    ['an equal value', '{ "a": [1,2],\n"b":1.0 }', { a: [1, 2] }, '{ "a": [1,2],\n"b":1.0 }'],
  ])('%s', (_, text, patch, expected) => {
    expect(mergeJson(text, patch)).toBe(expected);
  });

  it('refuses what it cannot edit safely', () => {
    expect(() => mergeJson('{"icc": true, "icc": true}', { icc: false })).toThrow('more than once (lines 1 and 1)');
    expect(() => mergeJson('{\n"icc": true,}', { icc: false })).toThrow('Line 2, column 13');
    expect(() => mergeJson('{}', JSON.parse('{"__proto__": {"polluted": true}}') as JsonObject)).toThrow('__proto__');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  const key = fc.oneof(fc.constantFrom('icc', 'dns', 'log-opts', 'max-size', 'ä "quoted" \\', '1', 'toString'), fc.string({ maxLength: 4 }))
    .filter((name) => !['__proto__', 'constructor', 'prototype', 'hasOwnProperty'].includes(name));
  const { object, patch } = fc.letrec<{ scalar: Json; value: Json; object: JsonObject; patch: JsonObject }>((tie) => ({
    scalar: fc.oneof(fc.boolean(), fc.integer(), fc.string({ maxLength: 5 }), fc.constant(null)),
    value: fc.oneof({ maxDepth: 3, depthIdentifier: 'json' }, tie('scalar'), fc.array(tie('scalar'), { maxLength: 3 }), tie('object')),
    object: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true, depthIdentifier: 'json' }),
    patch: fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true, depthIdentifier: 'json' }),
  }));
  const layout = fc.record({ indent: fc.constantFrom(0, 1, 2, 4, '\t'), eol: fc.constantFrom('\n', '\r\n'), end: fc.constantFrom('', '\n'), proto: fc.boolean() });
  const written = fc.tuple(object, layout).map(([value, { indent, eol, end, proto }]) => {
    const text = JSON.stringify(value, null, indent);
    const withProto = proto && text !== '{}' ? text.replace(/\}$/, ',"__proto__":{"x":1}}') : text;
    return withProto.replaceAll('\n', eol) + end.replace('\n', eol);
  });
  const oracle = (text: string, by: JsonObject): unknown => JSON.parse(JSON.stringify(applyMergePatch(JSON.parse(text), structuredClone(by))));

  it('makes what RFC 7396 says, in any layout', () => {
    fc.assert(fc.property(written, patch, (text, by) => {
      const result = mergeJson(text, by);
      expect(isDeepStrictEqual(JSON.parse(result), oracle(text, by))).toBe(true);
      expect(mergeJson(result, by)).toBe(result);
    }), { numRuns: 300 });
  });

  it('leaves every line of an untouched key as it is', () => {
    fc.assert(fc.property(object, patch, fc.constantFrom(2, 4, '\t'), (value, by, indent) => {
      const text = `${JSON.stringify(value, null, indent)}\n`;
      const result = mergeJson(text, by);
      for (const [name, member] of Object.entries(value)) {
        if (Object.hasOwn(by, name)) continue;
        const lines = JSON.stringify({ [name]: member }, null, indent).split('\n').slice(1, -1).join('\n');
        expect(result).toContain(`\n${lines}`);
      }
      expect(mergeJson(text, {})).toBe(text);
    }), { numRuns: 300 });
  });
});

describe('parseDaemonFlags', () => {
  /** Spellings that dockerd 20.10.24 was seen to accept, and what they set. */
  it.each<[string, string, Json]>([
    ['--icc=false', 'icc', false], ['--icc', 'icc', true], ['--icc=F', 'icc', false], ['-D', 'debug', true], ['-D=false', 'debug', false],
    ['--log-level debug', 'log-level', 'debug'], ['-l debug', 'log-level', 'debug'], ['-ldebug', 'log-level', 'debug'], ['-l=debug', 'log-level', 'debug'],
    ['-Dl debug', 'log-level', 'debug'], ['-Dl debug', 'debug', true], ['-Hunix:///x', 'hosts', ['unix:///x']], ['-H=unix:///x', 'hosts', ['unix:///x']],
    ['-H fd:// --host tcp://0:1', 'hosts', ['fd://', 'tcp://0:1']], ['-G x -G y', 'group', 'y'], ['--bip=', 'bip', ''], ['--mtu +5', 'mtu', 5],
    ['--log-opt max-size=1m --log-opt max-file=2', 'log-opts', { 'max-size': '1m', 'max-file': '2' }],
    ['--default-ulimit nofile=1:2', 'default-ulimits', { nofile: { Name: 'nofile', Soft: 1, Hard: 2 } }],
    ['--insecure-registry a,b', 'insecure-registries', ['a,b']], ['--add-runtime r=/bin/r', 'runtimes', { r: { path: '/bin/r' } }],
    ['--default-address-pool base=10.0.0.0/8,size=24', 'default-address-pools', [{ base: '10.0.0.0/8', size: 24 }]],
    ['--data-root --icc', 'data-root', '--icc'],
  ])('%s sets %s', (line, key, value) => {
    expect(flagValue(parseDaemonFlags(line.split(' ')), key)).toEqual(value);
  });

  it('ends at "--", keeps what it does not know, and never takes a word twice', () => {
    expect(parseDaemonFlags(['--no-such=x', '-Z1', '--config-file', 'f', '--', '--icc'])).toMatchObject([
      { key: 'no-such', value: 'x', known: false }, { key: 'Z', value: '1', known: false }, { key: 'config-file', value: 'f', index: 2, words: 2 },
    ]);
  });
});
