import type { ComposeFacts } from '../model.ts';

/** How Docker Compose is called: the plugin of the client, or the program of its own. Both take the same words. */
export type ComposeTool = 'docker' | 'docker-compose';

/** A service, and how many containers it has and shall keep. */
export interface UpService {
  readonly name: string;
  readonly containers: number;
}

/** True of the Python program (1.x), which cannot rehearse an `up`, and whose containers another Compose makes anew under other names. */
export const isComposeOne = (version: string | undefined): boolean => version?.startsWith('1.') === true;

type Project = Pick<ComposeFacts, 'project' | 'workingDir' | 'files' | 'environmentFiles'>;

/** What Compose accepts, and what no option can be. */
export const isServiceName = (name: string): boolean => /^[A-Za-z0-9_.][A-Za-z0-9._-]*$/.test(name);
export const isProjectName = (name: string): boolean => /^[a-z0-9][a-z0-9_-]*$/.test(name);

/**
 * The words of `up` for services of a project, as before in all but what the files say: the same files, directory and name; no build, no
 * pull, nothing removed, as many containers as there are. Services that are named have their profiles enabled.
 *
 * `make` (of all services that have containers, which a rehearsal, `dryRun`, has shown to be as the files say) makes those anew that are
 * not as the files say, and starts nothing. It comes without --no-deps: that strips `depends_on`, which is part of the hash by which the next
 * `up` knows a container again. `start` then starts those that ran, makes none anew, and leaves what they depend on alone.
 *
 * `endpoint` is the engine's: the client's own context may be another.
 */
export function upArguments(
  tool: ComposeTool, endpoint: string, { project, workingDir, files, environmentFiles }: Project, services: readonly UpService[],
  { step, dryRun = false }: { readonly step: 'make' | 'start'; readonly dryRun?: boolean },
): readonly string[] {
  return [
    ...(tool === 'docker' ? ['--host', endpoint, 'compose'] : ['--host', endpoint]),
    ...(dryRun ? ['--dry-run'] : []), '--ansi', 'never', '--project-directory', workingDir, '--project-name', project,
    ...files.flatMap((file) => ['--file', file]), ...environmentFiles.flatMap((file) => ['--env-file', file]),
    'up', ...(step === 'make' ? ['--no-start'] : ['--detach', '--no-deps', '--no-recreate']), '--no-build', '--pull', 'never', '--remove-orphans=false',
    ...services.flatMap(({ name, containers }) => ['--scale', `${name}=${containers}`]),
    '--', ...services.map(({ name }) => name),
  ];
}

/** A container that a rehearsed `up` would make in addition to those there are: of a service that others depend on, which has none. */
export const newContainer = (output: string, containers: readonly string[]): string | undefined =>
  [...output.matchAll(/^ *DRY-RUN MODE - +Container (\S+) +Creating *\r?$/gmu)].map(([, name = '']) => name).find((name) => !containers.includes(name));

/**
 * The containers that a rehearsed `up` (`--dry-run`) would leave as they are. Of one that was created and never started (`isNew`) it says
 * nothing where it would; of every other one it does.
 */
export function unchangedContainers(output: string, containers: readonly { readonly name: string; readonly isNew: boolean }[]): readonly string[] {
  const states = new Map<string, Set<string>>();
  for (const [, name = '', state = ''] of output.matchAll(/^ *DRY-RUN MODE - +Container (\S+) +(\w+) *\r?$/gmu)) {
    states.set(name, (states.get(name) ?? new Set()).add(state));
  }
  // A stopped container is "Created" already, and would be started; one that is made first says "Creating".
  return containers.filter(({ name, isNew }) => {
    const seen = states.get(name);
    return seen === undefined ? isNew : (seen.has('Running') || seen.has('Created')) && !['Recreate', 'Creating', 'Removing', 'Stopping'].some((state) => seen.has(state));
  }).map(({ name }) => name);
}
