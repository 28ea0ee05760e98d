import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLocalWriter } from '../src/host/local-writer.ts';
import { acquireLock } from '../src/lock.ts';

const root = process.geteuid?.() === 0;
const writer = createLocalWriter();
let stateDir: string;
let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'harden-lock-'));
  stateDir = join(base, 'var', 'state');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const holder = (): Record<string, unknown> => JSON.parse(readFileSync(join(stateDir, 'lock'), 'utf8')) as Record<string, unknown>;

/** Leaves the lock file as a holder would have left it that differs in some respect from this process. */
async function leaveLock(difference: Record<string, unknown>): Promise<void> {
  const lock = await acquireLock(stateDir, writer);
  const left = { ...holder(), ...difference };
  await lock.release();
  writeFileSync(join(stateDir, 'lock'), JSON.stringify(left));
}

describe('acquireLock', () => {
  it('makes a private state directory, excludes others while held, and leaves nothing behind', async () => {
    const lock = await acquireLock(stateDir, writer);
    expect(statSync(stateDir).mode & 0o7777).toBe(0o700);
    expect(statSync(join(base, 'var')).mode & 0o7777).toBe(0o755);
    expect(statSync(join(stateDir, 'lock')).mode & 0o7777).toBe(0o600);
    await expect(acquireLock(stateDir, writer)).rejects.toThrow(new RegExp(`process ${process.pid}.*since ${String(holder().since)}.*harden recover`));
    await lock.release();
    expect(readdirSync(stateDir)).toEqual([]);
    const second = await acquireLock(stateDir, writer);
    await lock.release();
    expect(existsSync(join(stateDir, 'lock'))).toBe(true);
    await second.release();
  });

  it.each<[string, Record<string, unknown>]>([
    ['whose process is gone', { pid: 2 ** 22 + 1 }],
    ['whose process id belongs to another process by now', { startTicks: 1 }],
    ['from before a reboot', { bootId: '00000000-0000-0000-0000-000000000000', pidNamespace: 'pid:[1]' }],
  ])('replaces a holder %s, and of many that try exactly one succeeds', async (_, difference) => {
    for (let round = 0; round < 4; round += 1) {
      await leaveLock(difference);
      const attempts = await Promise.allSettled(Array.from({ length: 12 }, () => acquireLock(stateDir, writer)));
      const won = attempts.flatMap((attempt) => (attempt.status === 'fulfilled' ? [attempt.value] : []));
      expect(won).toHaveLength(1);
      for (const attempt of attempts) if (attempt.status === 'rejected') expect(String(attempt.reason)).toContain('another harden');
      await won[0]?.release();
      expect(readdirSync(stateDir)).toEqual([]);
    }
  }, 30_000);

  it('replaces a taker that was itself killed while it replaced a holder', async () => {
    await leaveLock({ startTicks: 1 });
    const dead = JSON.stringify({ ...holder(), startTicks: 2 });
    writeFileSync(join(stateDir, 'lock.takeover'), dead);
    writeFileSync(join(stateDir, 'lock.new-0123456789ab'), dead);
    writeFileSync(join(stateDir, 'lock.new-0123456789ac'), '');
    utimesSync(join(stateDir, 'lock.new-0123456789ac'), 0, 0);
    const lock = await acquireLock(stateDir, writer);
    expect(readdirSync(stateDir)).toEqual(['lock']);
    await lock.release();
  });

  it.each<[string, string | Record<string, unknown>, RegExp]>([
    ['of another pid namespace', { pidNamespace: 'pid:[1]', pid: 2 ** 22 + 1 }, /another container .*cannot be seen.*remove that file/],
    ['that is damaged', '{"pid": 1', /damaged.*remove it/],
  ])('does not replace a lock %s', async (_, left, message) => {
    await leaveLock(typeof left === 'string' ? {} : left);
    if (typeof left === 'string') writeFileSync(join(stateDir, 'lock'), left);
    const before = readFileSync(join(stateDir, 'lock'), 'utf8');
    await expect(acquireLock(stateDir, writer)).rejects.toThrow(message);
    expect(readFileSync(join(stateDir, 'lock'), 'utf8')).toBe(before);
    expect(readdirSync(stateDir)).toEqual(['lock']);
  });

  it('excludes a real other process while it lives, and not after it was killed', async () => {
    const script = join(base, 'holder.mts');
    const url = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    writeFileSync(script, `
      import { createLocalWriter } from ${url('../src/host/local-writer.ts')};
      import { acquireLock } from ${url('../src/lock.ts')};
      await acquireLock(${JSON.stringify(stateDir)}, createLocalWriter());
      console.log('held');
      setInterval(() => {}, 1000);`);
    const loader = new URL('../node_modules/tsx/dist/loader.mjs', import.meta.url).href;
    const child = spawn(process.execPath, ['--import', loader, script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    await expect(acquireLock(stateDir, writer)).rejects.toThrow(`process ${String(child.pid)}`);
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
    await (await acquireLock(stateDir, writer)).release();
  }, 20_000);

  it('refuses a state directory that is not private', async () => {
    mkdirSync(stateDir, { recursive: true });
    chmodSync(stateDir, 0o750);
    await expect(acquireLock(stateDir, writer)).rejects.toThrow(`mode 0750). See who changed it, then run \`chmod 0700 ${stateDir}\``);
    rmSync(stateDir, { recursive: true });
    writeFileSync(stateDir, '');
    await expect(acquireLock(stateDir, writer)).rejects.toThrow('is not a directory');
    rmSync(stateDir);
    mkdirSync(join(base, 'elsewhere'), { mode: 0o700 });
    symlinkSync(join(base, 'elsewhere'), stateDir);
    await (await acquireLock(stateDir, writer)).release();
  });

  it.skipIf(!root)('refuses a state directory of somebody else (needs root)', async () => {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    chownSync(stateDir, 1000, 1000);
    await expect(acquireLock(stateDir, writer)).rejects.toThrow('belongs to uid 1000');
  });
});
