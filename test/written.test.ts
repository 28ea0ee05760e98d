import { describe, expect, test } from 'vitest';
import { writtenPaths } from '../src/container/written.ts';
import type { ContainerSpec } from '../src/model.ts';

const written = (paths: readonly string[], spec: { mounts?: readonly string[]; workingDir?: string } = {}): readonly string[] =>
  writtenPaths({ mounts: (spec.mounts ?? []).map((target) => ({ target })), workingDir: spec.workingDir ?? null } as unknown as ContainerSpec, paths.map((path) => ({ path })));

describe('what a container wrote', () => {
  test('is what is not the engine\'s doing: init, its files in /etc, the working directory, places of mounts', () => {
    expect(written(['/sbin', '/sbin/docker-init', '/.dockerenv', '/etc', '/etc/hosts', '/dev', '/dev/console'])).toEqual([]);
    expect(written(['/var', '/var/lib', '/var/lib/work'], { workingDir: '/var/lib/work' })).toEqual([]);
    expect(written(['/srv', '/srv/data', '/srv/data/x'], { mounts: ['/srv/data/'] })).toEqual([]);
  });

  test('is named by its deepest paths, in an order of its own', () => {
    expect(written(['/var', '/var/lib', '/var/lib/db', '/var/lib/db/table', '/srv.txt', '/etc', '/etc/passwd'], { workingDir: '/var/lib' })).toEqual(['/etc/passwd', '/srv.txt', '/var/lib/db/table']);
  });
});
