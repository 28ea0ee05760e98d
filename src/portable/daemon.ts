import { daemonSetting } from '../daemon/settings.ts';
import type { Facts } from '../model.ts';
import { valueOf } from '../model.ts';
import type { RestartMethod } from '../plan/restart.ts';
import type { DaemonAccess } from './model.ts';

const PID_FILE = '/var/run/docker.pid';
/** The first engine with `dockerd --validate`. */
const VALIDATES = 23;

/** How the daemon is reached where the plan is carried out. */
export function daemonAccess(facts: Facts, method: RestartMethod | null): DaemonAccess {
  const pidFile = valueOf(valueOf(daemonSetting(facts, 'pidfile'))?.now ?? { status: 'absent' });
  return {
    endpoint: facts.engine.endpoint, method, unit: valueOf(facts.daemon.unit)?.name ?? null,
    pidFile: typeof pidFile === 'string' && pidFile.startsWith('/') ? pidFile : PID_FILE,
    configPath: facts.daemon.configPath,
    validates: Number.parseInt(valueOf(facts.engine.version)?.version ?? '', 10) >= VALIDATES,
  };
}
