import type { ContainerRuntime, ContainerSpec, Facts, NetworkFacts, Observed } from '../model.ts';
import { absent, present, unreadable, valueOf } from '../model.ts';

/** Names of the containers that `wanted` finds, dead and removing ones left out; unreadable when one could not be inspected. */
export function containersThat(
  facts: Facts, wanted: (spec: ContainerSpec, runtime: ContainerRuntime) => boolean,
): Observed<readonly string[]> {
  if (facts.containers.status !== 'present') return facts.containers;
  const names: string[] = [];
  for (const container of facts.containers.value) {
    const spec = valueOf(container.spec);
    const runtime = valueOf(container.runtime);
    if (spec === undefined || runtime === undefined) return unreadable(`container ${container.name} could not be inspected`);
    if (runtime.state !== 'dead' && runtime.state !== 'removing' && wanted(spec, runtime)) names.push(container.name);
  }
  return present(names);
}

/** "a", "a and b", "a, b and 3 more". */
export function listNames(names: readonly string[], limit = 5): string {
  const shown = names.length > limit ? [...names.slice(0, limit), `${names.length - limit} more`] : names;
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1) ?? ''}`;
}

/** The network that containers join when none is chosen; absent with "bridge": "none" in daemon.json. */
export function defaultBridge(facts: Facts): Observed<NetworkFacts> {
  if (facts.networks.status !== 'present') return facts.networks;
  const bridge = facts.networks.value.find(({ name, driver }) => name === 'bridge' && driver === 'bridge');
  return bridge === undefined ? absent : present(bridge);
}

/** Containers that are, or when started will be, on the default bridge. */
export const containersOnDefaultBridge = (facts: Facts): Observed<readonly string[]> =>
  containersThat(facts, ({ network }, { networks }) => 'bridge' in network.attachments || networks.some(({ name }) => name === 'bridge'));

/**
 * Containers because of which a daemon that starts with live-restore keeps its networks as they are: every one with a network
 * sandbox of its own, whatever network it is on (moby, initNetworkController: activeSandboxes).
 */
export const networkHolders = (facts: Facts): Observed<readonly string[]> => containersThat(facts, ({ namespaces }, { state }) =>
  (state === 'running' || state === 'paused' || state === 'restarting') && !namespaces.network.startsWith('container:'));

/** What brings a changed option of the default bridge into force. */
export function releaseOfDefaultBridge(facts: Facts): string {
  if (valueOf(facts.engine.info)?.liveRestore === false) return 'a restart of the daemon';
  const holders = valueOf(networkHolders(facts));
  if (holders?.length === 0) return 'a restart of the daemon';
  return `a daemon start while no container is running${holders === undefined ? '' : ` (now: ${listNames(holders)})`}`;
}
