import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { parseRunText, parseRunWords } from '../src/container/from-run.ts';
import { editRun } from '../src/container/run-edit.ts';
import { applySpecEdits } from '../src/container/spec-edit.ts';
import type { SpecEdit } from '../src/model.ts';
import { fuzzRuns } from './support/hostile.ts';

const edited = (text: string, edits: readonly SpecEdit[]): string | null => {
  const [command] = parseRunText(text, 'f');
  return command === undefined ? null : editRun(command, edits);
};

const PORT = { ip: '', hostPort: '8080', containerPort: 80, protocol: 'tcp' };
const LOCAL = { ...PORT, ip: '127.0.0.1' };
const READ_ONLY: SpecEdit = { op: 'set', path: 'security.readonlyRootfs', value: true };
const NNP: SpecEdit = { op: 'set', path: 'security.noNewPrivileges', value: true };
const MEMORY: SpecEdit = { op: 'set', path: 'resources.memory', value: 512 << 20 };

describe('edits of a docker run line', () => {
  it.each<[string, readonly SpecEdit[], string]>([
    ['docker run nginx', [READ_ONLY], 'docker run --read-only nginx'],
    ['docker run -d --name web nginx nginx -g "x y"', [READ_ONLY, NNP], 'docker run -d --name web --read-only --security-opt no-new-privileges=true nginx nginx -g "x y"'],
    [
      '# web\ndocker run \\\n    -d \\\n    -p 8080:80 \\\n    nginx:1.25  # the server\n', [READ_ONLY, MEMORY],
      '# web\ndocker run \\\n    -d \\\n    -p 8080:80 \\\n    --memory 512m \\\n    --read-only \\\n    nginx:1.25  # the server\n',
    ],
    ['docker run \\\n  -d nginx', [READ_ONLY], 'docker run \\\n  -d \\\n  --read-only nginx'],
    ['docker run -d \\\n  nginx', [READ_ONLY], 'docker run -d \\\n  --read-only \\\n  nginx'],
    ['docker run \\\n  nginx', [READ_ONLY], 'docker run \\\n  --read-only \\\n  nginx'],
    ['docker run -d -- nginx', [READ_ONLY], 'docker run -d --read-only -- nginx'],
    ['docker run -p 8080:80 nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }], 'docker run -p 127.0.0.1:8080:80 nginx'],
    ['docker run -p8080:80 nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }], 'docker run -p127.0.0.1:8080:80 nginx'],
    ['docker run -dp=8080:80 nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }], 'docker run -dp=127.0.0.1:8080:80 nginx'],
    ['docker run --publish="8080:80" nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }], 'docker run --publish=127.0.0.1:8080:80 nginx'],
    ['docker run -p "8080:80" nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }], 'docker run -p "127.0.0.1:8080:80" nginx'],
    [
      'docker run -p 8080-8081:80-81 nginx', [{ op: 'replace', path: 'network.ports', value: PORT, by: LOCAL }],
      'docker run --publish 127.0.0.1:8080:80 --publish 8081:81 nginx',
    ],
    ['docker run \\\n  --privileged \\\n  -d \\\n  nginx', [{ op: 'set', path: 'security.privileged', value: false }], 'docker run \\\n  -d \\\n  nginx'],
    ['docker run --privileged nginx', [{ op: 'set', path: 'security.privileged', value: false }, READ_ONLY], 'docker run --read-only nginx'],
    ['docker run --read-only=false -d nginx', [READ_ONLY], 'docker run --read-only -d nginx'],
    ['docker run -m 1g -m 2g nginx', [MEMORY], 'docker run -m 512m nginx'],
    ['docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN x', [{ op: 'remove', path: 'security.capAdd', value: 'SYS_ADMIN' }, { op: 'add', path: 'security.capDrop', value: 'ALL' }], 'docker run --cap-add NET_ADMIN --cap-drop ALL x'],
    ['docker run --security-opt seccomp=unconfined x', [{ op: 'set', path: 'security.seccomp', value: null }, NNP], 'docker run --security-opt no-new-privileges=true x'],
    ['docker run --pid=host --net host x', [{ op: 'set', path: 'namespaces.pid', value: '' }], 'docker run --net host x'],
    ['docker run --restart always x', [{ op: 'set', path: 'restart', value: { name: 'on-failure', maximumRetryCount: 5 } }], 'docker run --restart on-failure:5 x'],
    ['docker run -it --log-opt tag=a x', [{ op: 'set', path: 'log', value: { driver: 'json-file', options: { 'max-size': '50m', tag: 'a' } } }], 'docker run -it --log-opt tag=a --log-driver json-file --log-opt max-size=50m x'],
    ['docker run --ulimit nofile=9:10 x', [{ op: 'replace', path: 'resources.ulimits', value: { name: 'nofile', soft: 9, hard: 10 }, by: { name: 'nofile', soft: 1, hard: 2 } }], 'docker run --ulimit nofile=1:2 x'],
    ['docker run nginx', [{ op: 'set', path: 'image.reference', value: 'nginx:1' }], 'docker run nginx:1'],
    ['docker run nginx', [], 'docker run nginx'],
    [
      'docker run x', [{ op: 'add', path: 'mounts', value: { kind: 'tmpfs', via: 'tmpfs', source: '', target: '/tmp', readOnly: false, options: 'rw,size=64m', details: null, volume: null } }],
      'docker run --tmpfs /tmp:rw,size=64m x',
    ],
    [
      'docker run -v /var/run/docker.sock:/var/run/docker.sock -d x', [{ op: 'remove', path: 'mounts', value: { kind: 'bind', via: 'binds', source: '/var/run/docker.sock', target: '/var/run/docker.sock', readOnly: false, options: '', details: null, volume: null } }],
      'docker run -d x',
    ],
  ])('%j %j', (text, edits, expected) => expect(edited(text, edits)).toBe(expected));

  it('refuses what the line cannot say', () => {
    expect(edited('docker run x', [{ op: 'set', path: 'user', value: '' }, { op: 'set', path: 'healthcheck', value: { test: ['CMD', 'a', 'b'], interval: 0, timeout: 0, startPeriod: 0, startInterval: 0, retries: 0 } }])).toBeNull();
  });
});

test('a line after any edits means the edited specification, to us and to a shell', () => {
  const flags = fc.subarray([
    ['-d'], ['-it'], ['-p', '8080:80'], ['-p127.0.0.1:81:81'], ['--read-only'], ['-m', '1g'], ['--cap-add', 'SYS_ADMIN'], ['--privileged'], ['-e', 'A=$(b) \'c\''], ['--label=x=y z'], ['--network', 'n'],
    ['--security-opt', 'seccomp=unconfined'], ['--pid=host'], ['-itp', '82:82'], ['--restart=always'], ['--tmpfs', '/run'], ['-v', '/a b:/c'], ['--pids-limit=5'],
  ]);
  const edit: fc.Arbitrary<SpecEdit> = fc.constantFrom<SpecEdit>(
    READ_ONLY, NNP, MEMORY, { op: 'set', path: 'security.privileged', value: false }, { op: 'set', path: 'security.seccomp', value: null }, { op: 'set', path: 'namespaces.pid', value: '' },
    { op: 'remove', path: 'security.capAdd', value: 'SYS_ADMIN' }, { op: 'add', path: 'security.capDrop', value: 'NET_RAW' }, { op: 'replace', path: 'network.ports', value: PORT, by: LOCAL },
    { op: 'set', path: 'resources.pidsLimit', value: 2048 }, { op: 'set', path: 'user', value: 'a b' }, { op: 'set', path: 'restart', value: { name: 'on-failure', maximumRetryCount: 5 } },
  );
  fc.assert(fc.property(flags, fc.array(edit, { maxLength: 6 }), fc.boolean(), (chosen, edits, manyLines) => {
    const command = parseRunWords(['docker', 'run', ...chosen.flat(), ...(manyLines ? ['-e', 'X'.repeat(100)] : []), 'nginx', 'sh', '-c', 'echo "$HOME"']);
    const text = editRun(command, edits);
    expect(text).not.toBeNull();
    const { stdout } = spawnSync('sh', ['-c', `docker() { printf '%s\\0' docker "$@"; }; ${text ?? ''}`], { encoding: 'utf8', env: {} });
    const again = parseRunWords(stdout.split('\0').slice(0, -1));
    const wanted = applySpecEdits(command.spec, edits);
    const { exposed: _, ...network } = wanted.network;
    expect(again.spec).toMatchObject({ security: wanted.security, resources: wanted.resources, namespaces: wanted.namespaces, restart: wanted.restart, user: wanted.user, env: wanted.env, labels: wanted.labels, command: wanted.command, mounts: wanted.mounts });
    expect(again.spec.network.ports.toSorted((a, b) => a.containerPort - b.containerPort)).toEqual(network.ports.toSorted((a, b) => a.containerPort - b.containerPort));
  }), { numRuns: fuzzRuns(30) });
});
