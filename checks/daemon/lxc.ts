import { compareEngines } from '../../src/daemon/keys.ts';
import type { Check } from '../../src/model.ts';
import { DAEMON, judge, na, pass, unknown, warn } from '../verdict.ts';

/** -e lxc, -elxc, --exec-driver lxc, --exec-driver=lxc. */
const asksForLxc = (argv: readonly string[]): boolean =>
  argv.some((word, index) => /^(?:--exec-driver=|-e=?)["']?lxc/u.test(word) || ((word === '-e' || word === '--exec-driver') && argv[index + 1]?.startsWith('lxc') === true));

export const check: Check<null> = {
  id: 'daemon.lxc',
  title: 'Containers are not started through LXC',
  rationale: 'The LXC driver got neither the features nor the fixes of the engine\'s own one. Engines from 1.10 on do not have it any more.',
  evidence: 'GET /version: Version; --exec-driver on the command line of the daemon',
  passes: 'An older engine was started without --exec-driver=lxc. It does not apply from Engine 1.10 on.',
  section: 'daemon',
  severity: 'medium',
  level: 1,
  cis: { 'd1.6': '2.1' },
  evaluate: ({ engine, daemon }) => judge(DAEMON, engine.version, ({ version }) => {
    const order = compareEngines(version, '1.10');
    if (order === null) return [unknown(DAEMON, `"${version}" is no version of Docker Engine`)];
    if (order >= 0) return [na(DAEMON, `Engine ${version} has no LXC driver`)];
    return judge(DAEMON, daemon.process, ({ argv }) => [asksForLxc(argv) ? warn(DAEMON, 'The daemon was started with --exec-driver=lxc', null)
      : pass(DAEMON, 'The daemon was started with its own driver')], () => [unknown(DAEMON, 'the command line of the daemon is not known')]);
  }, () => [unknown(DAEMON, 'the engine gave no version')]),
};
