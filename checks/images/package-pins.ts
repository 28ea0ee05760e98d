import { listNames } from '../../src/daemon/containers.ts';
import { unpinnedPackages } from '../../src/image/packages.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories } from './images.ts';

export const check: Check<null> = {
  id: 'image.package-pins',
  title: 'Packages are installed at a stated version',
  rationale: 'Without versions two builds of one Dockerfile differ, and nobody can say which of them was tested.',
  evidence: 'GET /images/ID/history, RUN instructions: operands of apt-get, apk, dnf, yum, zypper, pip and gem without a version; local files and variables are not counted',
  passes: 'Every package that a RUN names has a version.',
  section: 'images',
  severity: 'low',
  level: 2,
  cis: {},
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    const names = [...new Set(instructions.filter(({ name }) => name === 'RUN').flatMap(({ text }) => unpinnedPackages(text)))];
    return [names.length === 0 ? pass(target, 'Every package that a RUN names has a version') : warn(target, `Installed without a version: ${listNames(names)}`, null)];
  }),
};
