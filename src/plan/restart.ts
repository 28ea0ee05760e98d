import type { Change, Facts, RestartForecast } from '../model.ts';
import { valueOf } from '../model.ts';
import { daemonSetting } from '../daemon/settings.ts';

/** How this host's daemon is restarted. */
export type RestartMethod =
  | { readonly kind: 'systemd'; readonly unit: string }
  | { readonly kind: 'sysvinit'; readonly service: string }
  /** The operator's own command line, run by sh -c. */
  | { readonly kind: 'command'; readonly command: string };

/** null when nothing that we know restarts it: a wrong guess would leave the old daemon running, or none. */
export function restartMethod(facts: Facts, command: string | undefined): RestartMethod | null {
  if (command !== undefined) return { kind: 'command', command };
  const unit = valueOf(facts.daemon.unit);
  if (unit !== undefined) return { kind: 'systemd', unit: unit.name };
  return valueOf(facts.host.serviceManager) === 'sysvinit' ? { kind: 'sysvinit', service: 'docker' } : null;
}

/** These come back by themselves when the daemon starts; `on-failure` does not after a clean stop. */
const RESTARTS_BY_ITSELF: ReadonlySet<string> = new Set(['always', 'unless-stopped']);

/**
 * What a restart of the daemon does to the containers that run now. Containers survive when live-restore is on before and
 * after the restart (dockerd(8), --live-restore); a manager or worker of a swarm cannot have it.
 */
export function restartForecast(changes: readonly Change[], before: Facts, after: Facts): RestartForecast | null {
  if (!changes.some(({ activations }) => activations.includes('restartDaemon'))) return null;
  const turnsOn = changes.some(({ activations }) => activations.includes('reloadDaemon'));
  const info = valueOf(before.engine.info);
  const next = valueOf(daemonSetting(after, 'live-restore'))?.next.value === true;
  const containersSurvive = next && (info?.liveRestore === true || turnsOn) && info?.swarm.state === 'inactive';
  if (containersSurvive) return { containersSurvive, stops: [] };
  const running = (valueOf(before.containers) ?? []).filter(({ runtime }) => valueOf(runtime)?.state === 'running');
  return {
    containersSurvive,
    stops: running.map(({ name, spec }) => {
      const restartPolicy = valueOf(spec)?.restart.name ?? 'no';
      return { name, restartPolicy, startedByHarden: !RESTARTS_BY_ITSELF.has(restartPolicy) };
    }),
  };
}
