import { logDestination } from '../../src/daemon/logging.ts';
import type { Check, Json, Observed } from '../../src/model.ts';
import { mapObserved, present } from '../../src/model.ts';
import { judgeInForce, mapInForce, options } from '../in-force.ts';

interface Logging {
  readonly driver: string;
  readonly options: Json;
}

export const check: Check<null> = {
  id: 'daemon.remote-logging',
  title: 'Logs of containers leave the host by default',
  rationale: 'Who breaks into the host can change what it logged; and a host that is gone takes its logs along.',
  evidence: 'GET /info: LoggingDriver; daemon.json "log-driver" and "log-opts", --log-driver, --log-opt',
  passes: 'The default log driver sends to an address that is not this host\'s. Containers keep the driver that they were created with.',
  section: 'daemon',
  severity: 'low',
  level: 2,
  cis: {
    'd1.6': '6.5', 'd1.11': '2.12', 'd1.12': '2.12', 'd1.13': '2.12', 'ce1.1.0': '2.12', '1.2.0': '2.12',
    '1.3.1': '2.13', '1.4.0': '2.13', '1.5.0': '2.13', '1.6.0': '2.13', '1.7.0': '2.13', '1.8.0': '2.14',
  },
  evaluate(facts) {
    const configured = mapInForce(options(facts, ['log-driver', 'log-opts']), (values): Logging => ({
      driver: typeof values['log-driver'] === 'string' ? values['log-driver'] : 'json-file', options: values['log-opts'],
    }));
    const now = configured.status === 'present' ? configured.value.now : configured;
    // The engine reports the driver, not its options: a local driver is local with any of them.
    const driver = mapObserved(facts.engine.info, ({ loggingDriver }) => loggingDriver);
    const live: Observed<Logging> = driver.status !== 'present' ? driver
      : logDestination(driver.value, {}).kind === 'local-only' ? present({ driver: driver.value, options: {} })
      : mapObserved(now, ({ options: opts }) => ({ driver: driver.value, options: opts }));
    return judgeInForce(configured, {
      live,
      outcome: ({ driver: name, options: opts }) => {
        switch (logDestination(name, opts).kind) {
          case 'remote': return 'pass';
          case 'unclear': return 'manual';
          case 'local-only': return 'warn';
        }
      },
      says: ({ driver: name, options: opts }) => logDestination(name, opts).says,
    });
  },
};
