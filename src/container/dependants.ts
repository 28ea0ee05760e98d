import type { ContainerFacts, ContainerSpec, Facts, SettablePath } from '../model.ts';
import { valueOf } from '../model.ts';

const NAMESPACES = ['network', 'pid', 'ipc'] as const;

const isReference = (mode: string, { id, name }: ContainerFacts): boolean => {
  const reference = mode.startsWith('container:') ? mode.slice('container:'.length) : null;
  return reference !== null && (reference === id || reference === name || (reference.length >= 12 && id.startsWith(reference)));
};

/** The namespaces of another container that a container lives in, as paths of its specification. */
export const sharedNamespaces = (spec: ContainerSpec, other: ContainerFacts): readonly SettablePath[] =>
  NAMESPACES.filter((kind) => isReference(spec.namespaces[kind], other)).map((kind) => `namespaces.${kind}` as const);

/** Whether a container cannot go on as it is once another takes the place of `other`: it lives in its namespaces, or is linked to it. */
function dependsOn(container: ContainerFacts, other: ContainerFacts): boolean {
  const spec = valueOf(container.spec);
  if (spec === undefined || container.id === other.id) return false;
  const links = [...spec.network.links, ...Object.values(spec.network.attachments).flatMap((attachment) => attachment.links)];
  return sharedNamespaces(spec, other).length > 0 || links.some((link) => link.replace(/^\//, '').split(':')[0] === other.name);
}

const dependantsOf = (container: ContainerFacts, facts: Facts): readonly ContainerFacts[] =>
  (valueOf(facts.containers) ?? []).filter((other) => dependsOn(other, container));

/** All containers that depend on one, directly or through others, each after those that it depends on. Without the container itself; a circle ends where it began. */
export function allDependants(container: ContainerFacts, facts: Facts): readonly ContainerFacts[] {
  const order: ContainerFacts[] = [];
  const visit = (current: ContainerFacts, path: ReadonlySet<string>): void => {
    for (const next of dependantsOf(current, facts)) {
      if (path.has(next.id) || next.id === container.id) continue;
      const earlier = order.indexOf(next);
      if (earlier !== -1) order.splice(earlier, 1);
      order.push(next);
      visit(next, new Set([...path, next.id]));
    }
  };
  visit(container, new Set([container.id]));
  return order;
}

/** The container on which a container, through however many others, depends last; itself when it depends on none. Edits of all that share it are one change. */
export function rootOf(container: ContainerFacts, facts: Facts): ContainerFacts {
  const providers = (current: ContainerFacts): readonly ContainerFacts[] => (valueOf(facts.containers) ?? []).filter((other) => dependsOn(current, other));
  const seen = new Set<string>();
  let root = container;
  for (let next: ContainerFacts | undefined = container; next !== undefined && !seen.has(next.id); [next] = providers(next)) {
    seen.add(next.id);
    root = next;
  }
  return root;
}
