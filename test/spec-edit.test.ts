import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { applySpecEdits, fieldAt } from '../src/container/spec-edit.ts';
import { parseInspect } from '../src/container/from-inspect.ts';
import type { JsonObject, SpecEdit } from '../src/model.ts';
import { LISTS, SETTABLE, valueOf } from '../src/model.ts';

const recorded = JSON.parse(readFileSync(new URL('../fixtures/raw/inspect/26.1.5.json', import.meta.url), 'utf8')) as Record<string, JsonObject>;
const spec = valueOf(parseInspect(recorded['plain'] ?? {}, { apiVersion: '1.45' }).spec);
if (spec === undefined) throw new Error('the recorded container is gone');

test('every path names a field of a specification, and lists are lists', () => {
  expect([...SETTABLE, ...LISTS].filter((path) => {
    const [head = '', tail] = path.split('.');
    const part = (spec as unknown as JsonObject)[head];
    return part === undefined || (tail !== undefined && !Object.hasOwn(part as JsonObject, tail));
  })).toEqual([]);
  expect(LISTS.map((path) => Array.isArray(fieldAt(spec, path)))).toEqual(LISTS.map(() => true));
});

test('edits are made in order, an item is added once, and what is not there stays away', () => {
  const edited = applySpecEdits(spec, [
    { op: 'set', path: 'resources.memory', value: 64 },
    { op: 'add', path: 'security.capDrop', value: 'ALL' },
    { op: 'add', path: 'security.capDrop', value: 'ALL' },
    { op: 'add', path: 'resources.ulimits', value: { name: 'nofile', soft: 1, hard: 2 } },
    { op: 'replace', path: 'resources.ulimits', value: { hard: 2, name: 'nofile', soft: 1 }, by: { name: 'nofile', soft: 3, hard: 4 } },
    { op: 'remove', path: 'security.capAdd', value: 'NET_ADMIN' },
  ]);
  expect(edited).toEqual({
    ...spec,
    resources: { ...spec.resources, memory: 64, ulimits: [{ name: 'nofile', soft: 3, hard: 4 }] },
    security: { ...spec.security, capDrop: ['ALL'] },
  });
});

test('edits of one item that were asked for apart each change their own fields, and what is removed is gone', () => {
  const [one, two] = [8, 9].map((port) => ({ ip: '', hostPort: String(port), containerPort: port, protocol: 'tcp' }));
  if (one === undefined || two === undefined) throw new Error('no ports');
  const edits: SpecEdit[] = [
    { op: 'replace', path: 'network.ports', value: one, by: { ...one, ip: '127.0.0.1' } },
    { op: 'replace', path: 'network.ports', value: two, by: { ...two, ip: '127.0.0.1' } },
    { op: 'replace', path: 'network.ports', value: one, by: { ...one, hostPort: '1080' } },
    { op: 'remove', path: 'network.ports', value: two },
  ];
  for (const order of [edits, edits.toReversed()]) {
    expect(fieldAt(applySpecEdits({ ...spec, network: { ...spec.network, ports: [one, two] } }, order), 'network.ports')).toEqual([{ ...one, ip: '127.0.0.1', hostPort: '1080' }]);
  }
});
