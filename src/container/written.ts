import type { ContainerSpec } from '../model.ts';

/** What the engine puts into every container, and directories that change with what is in them. */
const OF_THE_ENGINE = /^\/(?:dev|proc|sys)(?:\/|$)|^\/(?:etc|etc\/(?:hosts|hostname|resolv\.conf|mtab)|\.dockerenv|sbin|sbin\/docker-init|var|root)$/u;

/**
 * Paths that a container wrote outside of its mounts, from its writable layer, sorted: the engine has no order. A directory stands there only where nothing below it was
 * written; places of mounts and the working directory, which the engine makes, do not.
 */
export function writtenPaths({ mounts, workingDir }: ContainerSpec, changes: readonly { readonly path: string }[]): readonly string[] {
  const made = [...mounts.map(({ target }) => target), workingDir ?? '/'].map((path) => path.replace(/\/+$/, ''));
  const mounted = mounts.map(({ target }) => target.replace(/\/+$/, ''));
  const isMade = (path: string): boolean =>
    mounted.some((target) => path.startsWith(`${target}/`)) || made.some((target) => path === target || target.startsWith(`${path}/`));
  const paths = changes.map(({ path }) => path);
  const above = new Set(paths.map((path) => path.slice(0, path.lastIndexOf('/'))));
  return paths.filter((path) => !above.has(path) && !OF_THE_ENGINE.test(path) && !isMade(path)).sort();
}

/** Nobody keeps there what has to stay. */
const EPHEMERAL = /^\/(?:tmp|run|var\/run|var\/cache|var\/log)(?:\/|$)/u;

/** What of it a container that takes its place would miss. */
export const writtenOutside = (changes: readonly { readonly path: string }[], spec: ContainerSpec): readonly string[] =>
  writtenPaths(spec, changes).filter((path) => !EPHEMERAL.test(path));
