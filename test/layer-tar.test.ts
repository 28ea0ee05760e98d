import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { onlyMembers } from '../src/container/layer-tar.ts';
import { byteSource } from '../src/image/bytes.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'harden-layer-'));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

/** In small pieces, as a stream may come. */
async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 700) yield await Promise.resolve(bytes.subarray(at, at + 700));
}

async function filtered(tar: Buffer, wanted: readonly string[], seen = new Set<string>()): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of onlyMembers(byteSource(pieces(tar)), new Set(wanted), seen)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

const LONG = `deep/${'n'.repeat(120)}/${'ü'.repeat(60)}`;

describe('the members of a tar that are wanted', () => {
  beforeEach(() => {
    mkdirSync(join(base, 'root', LONG), { recursive: true });
    writeFileSync(join(base, 'root', LONG, 'file'), 'x'.repeat(5000));
    writeFileSync(join(base, 'root', 'precious'), 'kept');
    writeFileSync(join(base, 'root', 'other'), 'o'.repeat(1500));
    linkSync(join(base, 'root', 'precious'), join(base, 'root', 'second'));
    symlinkSync('/etc/passwd', join(base, 'root', 'link'));
  });
  const make = (format: string): Buffer => execFileSync('tar', ['-C', join(base, 'root'), `--format=${format}`, '--sort=name', '-cf', '-', '.']);

  it.each(['pax', 'gnu'])('are a tar that tar reads, long names included (%s)', async (format) => {
    const seen = new Set<string>();
    const tar = await filtered(make(format), ['/precious', '/second', '/link', `/${LONG}/file`, '/gone'], seen);
    writeFileSync(join(base, 'out.tar'), tar);
    mkdirSync(join(base, 'out'));
    execFileSync('tar', ['-C', join(base, 'out'), '-xf', join(base, 'out.tar')]);
    const listed = execFileSync('find', [join(base, 'out'), '!', '-type', 'd', '-printf', '%P %y %n %s %l\n']).toString().split('\n').filter((line) => line !== '').sort();
    expect(listed).toEqual([`${LONG}/file f 1 5000 `, 'link l 1 11 /etc/passwd', 'precious f 2 4 ', 'second f 2 4 '].sort());
    expect([...seen].sort()).toEqual(['/precious', '/second', '/link', `/${LONG}/file`].sort());
  });

  it('are refused where one is a hard link to what is not among them, and where the tar breaks off', async () => {
    await expect(filtered(make('pax'), ['/second'])).rejects.toThrow('/second in the container is a hard link to /precious');
    await expect(filtered(make('pax').subarray(0, 3000), ['/precious'])).rejects.toThrow('ends in the middle');
  });
});
