import { check } from '../../checks/daemon/remote-logging.ts';
import { containersThat, listNames } from '../../src/daemon/containers.ts';
import { isObject } from '../../src/daemon/json-edit.ts';
import { logDestination, missingLogOptions, REMOTE_DRIVERS } from '../../src/daemon/logging.ts';
import type { Facts, Json, Observed } from '../../src/model.ts';
import { valueOf } from '../../src/model.ts';
import { nextValue, setKeys } from '../daemon-keys.ts';
import { ask, defer, remedy } from '../remedy.ts';

/** Containers that are given the directory in which the daemon keeps container logs: they would see no new logs. */
function logReaders(facts: Facts): Observed<readonly string[]> {
  const dataRoot = (valueOf(facts.engine.info)?.dockerRootDir ?? '/var/lib/docker').replace(/\/+$/, '');
  const directory = `${dataRoot}/containers/`;
  return containersThat(facts, ({ mounts }) => mounts.some(({ kind, source }) => {
    const path = `${source.replace(/\/+$/, '')}/`;
    // Whoever mounts the whole host looks at more than logs.
    return kind === 'bind' && path !== '/' && (directory.startsWith(path) || path.startsWith(directory));
  }));
}

const QUESTION = ask('logDriver', null, 'A driver and its options, e.g. { driver: syslog, options: { syslog-address: "udp://10.0.0.5:514" } }');

export const remediation = remedy(check, {
  mode: 'choice',
  effect: 'Containers created from then on log to the central log host; existing ones keep their driver until they are recreated.',
  impact: 'restart',
  risk: 'behaviour',
  parameters: [{
    name: 'logDriver', description: 'Log driver and its options; mode=non-blocking and max-buffer-size=4m are added unless you set a mode',
    example: '{ driver: syslog, options: { syslog-address: "udp://10.0.0.5:514" } }',
  }],
  manual: 'See that the log host takes messages from this host before the driver is changed: with a TCP address that does not answer, no '
    + 'container starts.',
  propose(_, facts, { parameters: { logDriver } }) {
    if (logDriver === undefined) {
      return defer('choice', 'Where logs should go is for you to say.', 'logDriver in the policy, e.g. { driver: syslog, options: { '
        + 'syslog-address: "udp://10.0.0.5:514" } }', [QUESTION]);
    }
    const { driver } = logDriver;
    const given = logDriver.options ?? {};
    if (logDestination(driver, {}).kind === 'local-only') {
      return defer('choice', `The policy's log driver ${driver} keeps logs on this host.`, 'another logDriver', [QUESTION]);
    }
    if (!REMOTE_DRIVERS.includes(driver)) {
      return defer('guard', `${driver} is no built-in log driver: if its plugin is missing, no container starts.`,
        'set "log-driver" by hand once the plugin is enabled');
    }
    const missing = missingLogOptions(driver, given);
    if (missing.length > 0) {
      return defer('guard', `No container starts with the log driver ${driver} without ${listNames(missing)}.`, 'add it to logDriver.options', [QUESTION]);
    }
    const readers = logReaders(facts);
    if (readers.status !== 'present') return defer('guard', 'Which containers read the log files of others could not be read.');
    if (readers.value.length > 0) {
      return defer('guard', `${listNames(readers.value)} can read the log files of other containers, and would see nothing of new ones.`,
        'remove these containers, or their mounts, once the log host receives all logs');
    }
    const buffered = Object.hasOwn(given, 'mode') ? {} : { mode: 'non-blocking', 'max-buffer-size': '4m' };
    const wanted: Record<string, Json> = { ...buffered, ...given };
    // A merge patch keeps what it does not name, and the daemon refuses options of another driver.
    const old = nextValue(facts, 'log-opts');
    const foreign = Object.keys(isObject(old) ? old : {}).filter((name) => !Object.hasOwn(wanted, name));
    const removed = Object.fromEntries(foreign.map((name) => [name, null]));
    return setKeys(facts, { 'log-driver': driver, 'log-opts': { ...removed, ...wanted } }, {
      impact: 'restart', risk: 'behaviour', undo: 'restart',
      note: `${logDestination(driver, given).says}; whether it answers was not tried, and with a TCP address that does not, new `
        + `containers do not start.`,
    }, [{ name: 'logDriver', value: { driver, options: Object.keys(wanted) }, source: 'policy',
      evidence: 'harden.yaml or --set; values of options are not recorded' }]);
  },
});
