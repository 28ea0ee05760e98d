import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RunNote } from '../src/apply/record.ts';
import { leaveNote, noteText } from '../src/apply/record.ts';
import type { HostReader, ToolResult } from '../src/host/port.ts';
import { present } from '../src/model.ts';

const NOTE: RunNote = { action: 'apply', phase: 'end', runId: '20261122T101530Z-0000ff', planId: 'abc', result: 'applied in part', exitCode: 3 };
const ANN = { uid: 0, loginuid: 1000, sudoUser: 'ann' };

describe('what is left in syslog', () => {
  it('says who did what, for which plan and run, and how it ended', () => {
    expect(noteText(NOTE, ANN, 'CHG-1: "icc"')).toBe(
      'action=apply phase=end run=20261122T101530Z-0000ff plan=abc uid=0 loginuid=1000 sudo_user=ann result="applied in part" exit=3 ticket="CHG-1: \\"icc\\""');
    expect(noteText({ action: 'rollback', phase: 'start', runId: 'b', undoes: 'a' }, { uid: 5, loginuid: null, sudoUser: null }, null)).toBe(
      'action=rollback phase=start run=b undoes=a uid=5 loginuid=unset');
  });

  it('is one line that nobody can forge a field in, however hostile the words are', () => {
    const words = fc.string({ unit: 'binary', maxLength: 400 });
    fc.assert(fc.property(words, words, words, (ticket, sudoUser, result) => {
      const text = noteText({ ...NOTE, result }, { uid: 0, loginuid: null, sudoUser }, ticket);
      expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u);
      expect(text.length).toBeLessThanOrEqual(1000);
      const outside = text.replace(/"(?:[^"\\]|\\.)*("|$)/gu, '""');
      expect(outside.match(/\b(?:uid|run|exit)=/gu)).toEqual(['run=', 'uid=', ...(/ exit=3/u.test(outside) ? ['exit='] : [])]);
    }));
  });

  const reader = (socket: boolean): HostReader => ({ observe: () => Promise.resolve([socket ? present({}) : { status: 'absent' }]) }) as unknown as HostReader;
  const ran: string[][] = [];
  const writer = (result: ToolResult | Error) => ({ run: (tool: string, args: readonly string[]): Promise<ToolResult> => {
    ran.push([tool, ...args]);
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  } });

  it('goes through logger as one word behind --, and what stands in the way is said', async () => {
    expect(await leaveNote('-x $(id)', { reader: reader(true), writer: writer({ code: 0, stdout: '', stderr: '' }) })).toBeNull();
    expect(ran).toEqual([['logger', '-t', 'harden', '-p', 'authpriv.notice', '--', '-x $(id)']]);
    expect(await leaveNote('x', { reader: reader(false), writer: writer(new Error('not asked')) })).toBe('Nothing about this run could be left in syslog: there is no /dev/log.');
    expect(await leaveNote('x', { reader: reader(true), writer: writer(new Error('logger is not installed')) })).toContain('logger is not installed');
    expect(await leaveNote('x', { reader: reader(true), writer: writer({ code: 1, stdout: '', stderr: 'connection refused\n' }) })).toContain('connection refused.');
  });
});
