import type { ContainerEvidence, ContainerSpec, Observed } from '../model.ts';

/** Written by the engine, or rewritten at every start. */
const EPHEMERAL = /^\/(?:tmp|run|var\/run|var\/cache|var\/log|dev|proc|sys)(?:\/|$)|^\/(?:etc|etc\/(?:hosts|hostname|resolv\.conf|mtab)|\.dockerenv|var|root)$/u;

type Changes = ContainerEvidence['changes'] extends Observed<infer T> ? T : never;

/** What a container wrote outside of its mounts, and a new one would miss. */
export function writtenOutside(changes: Changes, spec: ContainerSpec): readonly string[] {
  const mounted = spec.mounts.map(({ target }) => target.replace(/\/$/, ''));
  const isMount = (path: string): boolean => mounted.some((target) => path === target || path.startsWith(`${target}/`) || target.startsWith(`${path}/`));
  const written = changes.filter(({ path }) => !EPHEMERAL.test(path) && !isMount(path)).map(({ path }) => path);
  // Of a directory that only holds what was written below it, the file is enough to name.
  return written.filter((path) => !written.some((other) => other.startsWith(`${path}/`)));
}
