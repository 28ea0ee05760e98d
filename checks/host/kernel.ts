import type { Check } from '../../src/model.ts';
import { HOST, judge, pass, unknown, warn } from '../verdict.ts';

const OLDEST = [3, 10] as const;

export const check: Check = {
  id: 'host.kernel',
  title: `Kernel is ${OLDEST.join('.')} or newer`,
  rationale: 'Older kernels lack what containers are kept apart with, and no engine that is still maintained runs on them.',
  evidence: 'uname -r',
  passes: `The kernel is ${OLDEST.join('.')} or newer.`,
  section: 'host',
  severity: 'medium',
  level: 1,
  cis: { 'd1.6': '1.2', 'd1.11': '1.2', 'd1.12': '1.2' },
  evaluate({ host }) {
    return judge(HOST, host.kernel, (release) => {
      const [, major, minor] = /^(\d+)\.(\d+)/u.exec(release) ?? [];
      if (major === undefined || minor === undefined) return [unknown(HOST, `The kernel says that it is "${release}", which is no version`)];
      const recent = Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1]);
      return [recent ? pass(HOST, `The kernel is ${release}`) : warn(HOST, `The kernel is ${release}, older than ${OLDEST.join('.')}`, undefined)];
    }, () => [unknown(HOST, 'The version of the kernel is not known')]);
  },
};
