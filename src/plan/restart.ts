import type { Change, Facts, Owner, RestartForecast } from '../model.ts';
import { isFileChange, valueOf } from '../model.ts';
import { containersThat } from '../daemon/containers.ts';
import { parseConfigFile } from '../daemon/json-edit.ts';
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
export function restartForecast(all: readonly Change[], before: Facts, after: Facts): RestartForecast | null {
  const changes = all.filter(isFileChange);
  if (!changes.some(({ activations }) => activations.includes('restartDaemon'))) return null;
  // Only a reload of daemon.json turns it on before the daemon goes down; a flag needs the restart itself.
  const turnsOn = changes.some(({ kind, activations, after: { content } }) => {
    const config = kind === 'daemon-config' && activations.includes('reloadDaemon') ? parseConfigFile(content ?? '').parsed : undefined;
    return config?.ok === true && config.value['live-restore'] === true;
  });
  const info = valueOf(before.engine.info);
  const next = valueOf(daemonSetting(after, 'live-restore'))?.next.value === true;
  const containersSurvive = next && (info?.liveRestore === true || turnsOn) && info?.swarm.state === 'inactive';
  const running = (valueOf(before.containers) ?? []).filter(({ runtime }) => ['running', 'paused'].includes(valueOf(runtime)?.state ?? ''));
  const published = running.flatMap(({ name, runtime }) => (valueOf(runtime)?.ports ?? [])
    .filter(({ protocol, hostPort }) => protocol === 'tcp' && hostPort > 0).map(({ hostPort }) => ({ container: name, port: hostPort })));
  const managed = (before.plugins === undefined ? undefined : valueOf(before.plugins)) ?? [];
  return {
    containersSurvive,
    // The same port is published at several addresses.
    ports: published.filter(({ container, port }, index) => published.findIndex((other) => other.container === container && other.port === port) === index),
    plugins: [...new Set([...managed.filter(({ enabled }) => enabled).map(({ name }) => name), ...info?.authorizationPlugins ?? []])],
    stops: containersSurvive ? [] : running.map(({ name, spec, owner }) => {
      const restartPolicy = valueOf(spec)?.restart.name ?? 'no';
      return { name, restartPolicy, startedByHarden: !RESTARTS_BY_ITSELF.has(restartPolicy) && !isTask(owner, before) };
    }),
  };
}

/** Swarm starts tasks anew, as other containers and where it likes. The label of a task is anyone's to set, so it counts in a swarm only. */
export const isTask = (owner: Owner, { engine }: Facts): boolean =>
  owner.kind === 'swarm' && !['inactive', ''].includes(valueOf(engine.info)?.swarm.state ?? '');

/**
 * Why a restart of the daemon would leave this node outside its swarm until somebody enters a key: a manager of a swarm with autolock starts
 * locked. Nothing that harden has could unlock it, and its services would not run meanwhile. null: it would not.
 */
export function lockedByRestart({ engine, swarm }: Facts): string | null {
  const state = valueOf(engine.info)?.swarm;
  // One that is locked already has nothing more to lose.
  if (state === undefined || !state.manager || state.state !== 'active') return null;
  const known = swarm === undefined ? undefined : valueOf(swarm);
  if (known === undefined || known.autoLock === null) return 'this node manages a swarm, and whether it would start locked (autolock) is not known';
  return known.autoLock ? 'this manager of a swarm would start locked (autolock), and its services would not run until somebody enters the unlock key' : null;
}

/** What a person does about it. */
export const UNLOCK_STEPS = 'turn autolock off for the while: docker swarm update --autolock=false, plan again, apply, then docker swarm update --autolock=true and keep the new key; '
  + 'or have the key at hand (docker swarm unlock-key), make the change and restart the daemon yourself, then docker swarm unlock';

/** The first engine that is known to leave a running container with --rm alone when it starts with live-restore; 20.10 removes it. */
const KEEPS_AUTO_REMOVED = 26;

/**
 * Running containers that a restart of the daemon would remove with their data: those started with --rm. Nothing brings them back, so no
 * restart is planned while they run. Those that cannot be inspected are not among them: the baseline refuses these.
 */
export function lostByRestart(facts: Facts): readonly string[] {
  const info = valueOf(facts.engine.info);
  const major = Number.parseInt(valueOf(facts.engine.version)?.version ?? '', 10);
  const survives = info?.liveRestore === true && info.swarm.state === 'inactive' && valueOf(daemonSetting(facts, 'live-restore'))?.next.value === true;
  if (survives && major >= KEEPS_AUTO_REMOVED) return [];
  return valueOf(containersThat(facts, ({ autoRemove }, { state }) => autoRemove && (state === 'running' || state === 'paused'))) ?? [];
}
