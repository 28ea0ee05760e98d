import type { Check } from '../../src/model.ts';
import { manual, pass, unknown, warn } from '../verdict.ts';
import { eachContainer } from './container.ts';

/** Drivers of Docker that write no file of their own, or bound it by themselves. */
const BOUNDED = new Set(['local', 'none', 'journald', 'syslog', 'gelf', 'fluentd', 'awslogs', 'splunk', 'etwlogs', 'gcplogs', 'logentries', 'passthrough']);

export const check: Check<null> = {
  id: 'container.log-rotation',
  title: 'The log of the container cannot fill the disk',
  rationale: 'The json-file driver keeps everything that a container ever said, unless it is told when to stop; a chatty one fills the disk '
    + 'on which all containers live.',
  evidence: 'inspect: HostConfig.LogConfig',
  passes: 'The driver is json-file with a max-size, or one that bounds its files or has none.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: {},
  evaluate: (facts) => eachContainer(facts, ({ spec: { log }, target }) => {
    if (log === null) return unknown(target, 'The engine does not say how its log is kept');
    const { driver, options } = log;
    if (BOUNDED.has(driver)) return pass(target, `Its log goes to ${driver}`);
    if (driver !== 'json-file') return manual(target, `Its log is kept by the driver ${driver}: see that it is bounded`);
    const size = Object.hasOwn(options, 'max-size') ? options['max-size'] ?? '' : '';
    return size === '' || size === '-1' ? warn(target, 'Its log grows without end: json-file has no max-size', null)
      : pass(target, `Its log is rotated at ${size}`);
  }),
};
