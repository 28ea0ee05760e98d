import type { ContainerFacts } from '../model.ts';
import { valueOf } from '../model.ts';

/** Names that harden gives while one container takes the place of another. They hold the id of the old one, which nobody else's name does by accident. */
const shortId = (id: string): string => id.slice(0, 12);

/** Of the new container, until it has the old one's name. */
export const replacementName = (id: string): string => `harden-new-${shortId(id)}`;
/** Of the old container, from then on. */
export const keptName = (id: string): string => `harden-kept-${shortId(id)}`;

/** A container that harden replaced and keeps for an undo: set aside under its own name, and never to start by itself. */
export function isKept({ id, name, spec, runtime }: ContainerFacts): boolean {
  const state = valueOf(runtime)?.state;
  return name === keptName(id) && (state === 'exited' || state === 'created') && valueOf(spec)?.restart.name === 'no';
}
