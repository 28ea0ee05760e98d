import type { EditCost } from '../src/daemon/settings.ts';
import { daemonSetting, setDaemonKeys } from '../src/daemon/settings.ts';
import type { Facts, Json, JsonObject, ParameterUse, Proposal } from '../src/model.ts';
import { valueOf } from '../src/model.ts';

/** Edits that set daemon options, with the parameters that they came from. */
export function setKeys(facts: Facts, patch: JsonObject, cost: EditCost, parameters: readonly ParameterUse[] = []): Proposal {
  const proposal = setDaemonKeys(facts, patch, cost);
  return 'edits' in proposal ? { ...proposal, parameters: [...proposal.parameters, ...parameters] } : proposal;
}

export const fromPolicy = (name: string, value: Json): ParameterUse => ({
  name, value, source: 'policy', evidence: 'harden.yaml or --set',
});

/** What the next start of the daemon will use for a key; undefined when that could not be read. */
export const nextValue = (facts: Facts, key: string): Json | undefined => valueOf(daemonSetting(facts, key))?.next.value;
