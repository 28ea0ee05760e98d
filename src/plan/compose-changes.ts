import { projectEdit } from '../compose/container.ts';
import type { RenewedService } from '../compose/container.ts';
import { parametersFor } from '../container/parameters.ts';
import { listNames } from '../daemon/containers.ts';
import { sha256 } from '../digest.ts';
import { maskSecretsInYamlText } from '../mask.ts';
import type { ContainerFacts, Facts, Policy, SpecEdit } from '../model.ts';
import { valueOf } from '../model.ts';
import { WATCH_SECONDS } from './container-changes.ts';
import { diffOf } from './diff.ts';
import type { Described, EditOf } from './planned.ts';
import { containerPremises } from './premises.ts';

/** The edits of each service, each once: those of its containers are the same where it has several. */
function byService(wishes: readonly EditOf<'changeComposeService'>[], containers: readonly ContainerFacts[]): { container: ContainerFacts; edits: readonly SpecEdit[] }[] {
  return [...new Set(wishes.map(({ service }) => service))].flatMap((name) => {
    const of = wishes.filter(({ service }) => service === name);
    const container = containers.find(({ id }) => id === of[0]?.container);
    const edits = [...new Map(of.flatMap((wish) => wish.edits).map((edit) => [JSON.stringify(edit), edit])).values()];
    return container === undefined ? [] : [{ container, edits }];
  });
}

const plainly = (content: string): Parameters<typeof diffOf>[2] => ({ content, bom: false, mode: 0, uid: 0, gid: 0 });

/** The change of a compose project: its services share files, so that their edits are made together. null: they change nothing, or not together. */
export function composeChange(wishes: readonly EditOf<'changeComposeService'>[], facts: Facts, policy: Policy): Described | null {
  const edit = projectEdit(facts, byService(wishes, valueOf(facts.containers) ?? []));
  if (!('files' in edit)) return null;
  const { project: { project, workingDir, files, environmentFiles, texts }, tool, services, others } = edit;
  const [first] = edit.files;
  if (first === undefined) return null;
  const members = services.flatMap(({ containers }) => containers);
  const renewed = ({ name, edits, start, containers }: RenewedService) => ({ name, edits, start, containers: containers.map((container) => ({ id: container.id, name: container.name })) });
  return {
    id: `compose:${project}`,
    kind: 'compose-project',
    target: { kind: 'file', name: first.path, id: first.path },
    title: `Compose project ${project}: ${listNames(services.map(({ name }) => name))} made anew by "up"`,
    actions: [{
      kind: 'changeComposeProject', project: { project, workingDir, files, environmentFiles }, related: Object.keys(texts).filter((path) => !files.includes(path)).sort(),
      tool, endpoint: facts.engine.endpoint, services: services.map(renewed), others,
      edited: edit.files.map(({ path, before, after }) => ({ path, before: sha256(before), after: sha256(after) })),
      watchSeconds: Math.max(...members.map(({ name }) => parametersFor(name, policy).watchSeconds ?? WATCH_SECONDS)),
    }],
    diff: edit.files.map(({ path, before, after }) => diffOf(path, plainly(before), plainly(after), maskSecretsInYamlText)).join(''),
    premises: containerPremises(members, facts),
    before: null,
  };
}
