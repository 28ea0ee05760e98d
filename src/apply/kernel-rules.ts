import type { HostWriter } from '../host/port.ts';
import { HostError } from '../host/port.ts';

/** The kernel's audit rules, one per line as auditctl(8) -l prints them; each line is also a valid argument list. */
export async function kernelRules(writer: HostWriter): Promise<string[]> {
  const { code, stdout, stderr } = await writer.run('auditctl', ['-l']);
  if (code !== 0) throw new HostError(`auditctl -l failed: ${stderr.trim()}. The kernel's audit rules cannot be read.`);
  return stdout.split('\n').map((line) => line.trim()).filter((line) => line.startsWith('-'));
}

/** Rules of a drop-in, without comments and control lines. */
const rulesIn = (dropIn: string): string[] => dropIn.split('\n').map((line) => line.trim()).filter((line) => /^-[aAw] /.test(line));

/** The same words with the action that deletes: -W for a watch, -d for a rule. */
const deletion = (rule: string): string[] => {
  const [action, ...rest] = rule.split(/\s+/);
  return [action === '-w' ? '-W' : '-d', ...rest];
};

/** Loads rules one by one, each a line as auditctl -l prints it or a rules file holds it. */
export async function addKernelRules(writer: HostWriter, rules: readonly string[]): Promise<void> {
  for (const rule of rules) {
    const { code, stderr } = await writer.run('auditctl', rule.split(/\s+/));
    if (code !== 0) throw new HostError(`The kernel did not take the audit rule "${rule}": ${stderr.trim()}.`);
  }
}

/**
 * Takes the rules of a drop-in out of the kernel again and puts back those that were lost meanwhile, one by one, so that
 * nobody else's rules are touched. `before` is what kernelRules said before the drop-in was loaded.
 */
export async function restoreKernelRules(writer: HostWriter, dropIn: string, before: readonly string[], putBackLost: boolean): Promise<void> {
  for (const rule of rulesIn(dropIn)) {
    // Rules that were there before stay; a rule that is not loaded makes auditctl fail, which is what we want it to be.
    if (!before.includes(rule)) await writer.run('auditctl', deletion(rule));
  }
  const left = await kernelRules(writer);
  const extra = putBackLost ? left.filter((rule) => !before.includes(rule)) : [];
  for (const rule of extra) await writer.run('auditctl', deletion(rule));
  if (!putBackLost) return;
  await addKernelRules(writer, before.filter((line) => !left.includes(line)));
}
