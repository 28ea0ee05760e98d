import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import fc from 'fast-check';
import { parseInspect } from '../src/container/from-inspect.ts';
import { parseRunWords, specOfFlags } from '../src/container/from-run.ts';
import { inexpressible } from '../src/container/inexpressible.ts';
import { RUN_FLAGS } from '../src/container/run-flags.ts';
import { isUserDefined } from '../src/container/run-values.ts';
import { runCommands } from '../src/container/to-run.ts';
import { UsageError } from '../src/errors.ts';
import type { ContainerSpec, Json, JsonObject } from '../src/model.ts';
import { valueOf } from '../src/model.ts';
import { fuzzRuns } from './support/hostile.ts';

const fixture = (name: string): string => readFileSync(new URL(`../fixtures/raw/docker-run/${name}`, import.meta.url), 'utf8');
const CLIENTS = ['20.10.24', '26.1.5', '28.2.2'];

interface Case {
  readonly name: string;
  readonly argv: readonly string[];
  /** Why it is refused although a client takes it. */
  readonly stricter?: string;
  /** It names a file that is not there, which the clients read and we do not. */
  readonly file?: boolean;
}
type Answer = { readonly asks: JsonObject } | { readonly refuses: string };
const { cases } = JSON.parse(fixture('cases.json')) as { cases: readonly Case[] };
const recorded = JSON.parse(fixture('recorded.json')) as Readonly<Record<string, Readonly<Record<string, Answer>>>>;

describe.each(CLIENTS)('the table of flags and docker run --help of the client %s', (version) => {
  const shown = [...fixture(`help-${version}.txt`).matchAll(/^ {2,}(?:-(\w), |  {2})--([a-z0-9-]+)(?: ([a-z0-9-]+))?(?: {2,}|$)/gm)]
    .map(([, short, name, type]) => ({ name, short: short ?? null, type: type ?? 'bool' }));

  it('agree on every name, letter and type', () => {
    expect(shown.length).toBeGreaterThan(90);
    const known = new Map(RUN_FLAGS.map(({ name, short, type }) => [name, { name, short, type }]));
    expect(shown.filter(({ name }) => name !== undefined).map(({ name = '' }) => known.get(name))).toEqual(shown);
  });
});

test('the table of flags names none that no client has, and fields that are there', () => {
  const all = CLIENTS.map((version) => fixture(`help-${version}.txt`)).join('\n');
  expect(RUN_FLAGS.filter(({ name }) => !all.includes(`--${name} `) && !all.includes(`--${name}\n`)).map(({ name }) => name)).toEqual([]);
  const { spec } = parseRunWords(['docker', 'run', 'x']);
  const field = (path: string): unknown => path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown>)[key], spec);
  expect(RUN_FLAGS.flatMap(({ fields }) => fields).filter((path) => field(path) === undefined)).toEqual([]);
});

/** Without empty objects. */
const chosen = (value: Json): Json => (typeof value !== 'object' || value === null || Array.isArray(value) ? value
  : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, chosen(inner)] as const)
    .filter(([, inner]) => typeof inner !== 'object' || inner === null || Object.keys(inner).length > 0)));

/** What clients and engines leave to each other: the order of mounts, and an endpoint that says nothing. */
function comparable(spec: ContainerSpec): unknown {
  const { name: _, mounts, network, namespaces, log, ...rest } = spec;
  // On a network that the engine made, a MAC address is the container's in old clients and the endpoint's in new ones.
  const { [namespaces.network]: first, ...others } = network.attachments;
  const own = !['default', 'bridge'].includes(namespaces.network);
  const blank = (attachment: ContainerSpec['network']['attachments'][string]): boolean =>
    Object.values(attachment).every((value) => value === null || (typeof value === 'object' && Object.keys(value as object).length === 0));
  return {
    ...rest, namespaces, log: log?.driver === '' ? null : log,
    mounts: mounts.map(({ details, ...mount }) => ({ ...mount, details: chosen(details) }))
      .toSorted((a, b) => (`${a.target} ${a.source}` < `${b.target} ${b.source}` ? -1 : 1)),
    network: {
      ...network,
      // The clients repeat those of the endpoint, and engines use them on networks of their own only.
      links: isUserDefined(namespaces.network) ? [] : network.links,
      exposed: network.exposed.toSorted(),
      ports: network.ports.toSorted((a, b) => a.containerPort - b.containerPort),
      macAddress: own ? network.macAddress : network.macAddress ?? first?.macAddress ?? null,
      attachments: Object.fromEntries(Object.entries(own ? network.attachments : others).filter(([, attachment]) => !blank(attachment))),
    },
  };
}

/** What was left out of the recordings because it says nothing. */
const NOT_CHOSEN: JsonObject = {
  Privileged: false, NetworkMode: '', PidMode: '', IpcMode: '', UTSMode: '', UsernsMode: '', Binds: null, CapAdd: null, CapDrop: null, Devices: null, SecurityOpt: null,
  Ulimits: null, PortBindings: {}, RestartPolicy: {},
};

function specOf({ HostConfig = {}, NetworkingConfig, ...config }: JsonObject): ContainerSpec {
  const networks = (NetworkingConfig as JsonObject | undefined)?.['EndpointsConfig'] ?? {};
  const spec = valueOf(parseInspect({ Mounts: null, Config: config, HostConfig: { ...NOT_CHOSEN, ...HostConfig as JsonObject }, NetworkSettings: { Networks: networks }, State: { Status: 'created' } }, { apiVersion: '1.41' }).spec);
  if (spec === undefined) throw new Error('no specification');
  return spec;
}

function parsed(argv: readonly string[]): ContainerSpec | { readonly refuses: string } {
  try {
    return parseRunWords(argv).spec;
  } catch (error) {
    if (error instanceof UsageError) return { refuses: error.message };
    throw error;
  }
}

describe('a docker run line means what the docker clients ask an engine for', () => {
  it('each case was given to each client', () => {
    expect(Object.keys(recorded)).toEqual(CLIENTS);
    for (const version of CLIENTS) expect(Object.keys(recorded[version] ?? {})).toEqual(cases.map(({ name }) => name));
  });

  it.each(cases)('$name', ({ name, argv, stricter, file }) => {
    const answers = CLIENTS.map((version) => recorded[version]?.[name]).filter((answer) => answer !== undefined);
    const asked = answers.flatMap((answer) => ('asks' in answer ? [comparable(specOf(answer.asks))] : []));
    const own = parsed(argv);
    if (file === true) {
      expect(answers.every((answer) => 'refuses' in answer && answer.refuses.includes('no such file'))).toBe(true);
      expect(own).toHaveProperty('security');
    } else if (asked.length === 0 || stricter !== undefined) {
      expect(own).toEqual({ refuses: expect.stringMatching(/^the docker run line: .{5}/) as string });
      expect(asked.length > 0, 'a client takes it').toBe(stricter !== undefined);
    } else {
      if ('refuses' in own) throw new Error(own.refuses);
      expect(asked).toContainEqual(comparable(own));
    }
  });
});

test('a flag by itself says what it says in a line, or nothing when it needs another', () => {
  const [port, alias] = parseRunWords(['docker', 'run', '-p', '80:80', '--network-alias', 'a', '--network', 'n', 'x']).groups.map(({ given }) => given);
  expect(specOfFlags(port ?? [])?.network.ports).toEqual([{ ip: '', hostPort: '80', containerPort: 80, protocol: 'tcp' }]);
  expect(specOfFlags(alias ?? [])).toBeNull();
});

describe('parse(print(x)) = x', () => {
  const again = (spec: ContainerSpec): unknown => comparable(parseRunWords(runCommands(spec, '1.50')[0] ?? []).spec);
  const taken = cases.map(({ name, argv }) => [name, parsed(argv)] as const).flatMap(([name, spec]) => ('refuses' in spec ? [] : [[name, spec] as const]));

  it.each(taken)('%s', (_, spec) => {
    if (inexpressible(spec, 'run', '1.50').length === 0) expect(again(spec)).toEqual(comparable(spec));
  });

  test('with hostile texts', () => {
    const [, plain] = taken[0] ?? [];
    if (plain === undefined) throw new Error('no case');
    const text = fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('$(id)', '`', '\'', '"', '\\', '\n', '--read-only', '-p', '__proto__', 'a,b="c"', '=', ':')).filter((value) => !value.includes('\0'));
    const name = text.filter((value) => !value.includes('='));
    const spec = fc.record({
      env: fc.uniqueArray(fc.tuple(name, text), { maxLength: 4, selector: ([key]) => key }).map((pairs) => pairs.map(([key, value]) => `${key}=${value}`)),
      labels: fc.dictionary(name, text, { maxKeys: 4 }), command: fc.array(text, { minLength: 1, maxLength: 4 }), user: text, workingDir: text, hostname: text,
      mounts: fc.uniqueArray(name.filter((value) => !/[:,"\r\n]/.test(value)), { maxLength: 3 }).map((sources) => sources.map((source, index) => ({
        kind: 'bind' as const, via: 'binds' as const, source: `/${source}`, target: `/t${index}`, readOnly: false, options: '', details: null, volume: null,
      }))),
    }).map((chosenParts): ContainerSpec => ({ ...plain, ...chosenParts }));
    fc.assert(fc.property(spec, (one) => {
      if (inexpressible(one, 'run', '1.50').length === 0) expect(again(one)).toEqual(comparable(one));
    }), { numRuns: fuzzRuns(100) });
  });
});
