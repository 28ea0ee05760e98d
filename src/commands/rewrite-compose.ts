import { editService } from '../compose/edit.ts';
import { parseProject, serviceNames } from '../compose/project.ts';
import { composeService } from '../compose/service.ts';
import { maskSecretsInYamlText } from '../mask.ts';
import type { Definition } from '../rewrite.ts';
import type { Source } from './rewrite.ts';

/** A compose file as a text that defines containers: one per service. */
export function composeSource(name: string, text: string): Source {
  const project = parseProject([{ path: name, text }]);
  const services = serviceNames(project).flatMap((service) => composeService(project, service) ?? []);
  const byId = new Map(services.map((service) => [`${name}#${service.name}`, service]));
  return {
    name,
    text,
    mask: maskSecretsInYamlText,
    definitions: [...byId].map(([id, service]): Definition => ({
      id, name: service.name, spec: service.spec,
      owner: { kind: 'compose', project: project.name, service: service.name, files: [name], workingDir: '', configHash: '' },
    })),
    unseen: (id) => (byId.get(id)?.unresolved ?? []).map(({ key, why }) => `${key} (${why})`),
    edit: (current, id, edits) => {
      const service = byId.get(id);
      if (service === undefined || edits.length === 0) return { text: current };
      const result = editService(parseProject([{ path: name, text: current }]), service.name, edits);
      if ('ambiguous' in result) return { refused: result.ambiguous.map(({ reason, lines }) => `${reason}; write by hand:\n${lines}`).join('\n') };
      return { text: result.files[0]?.after ?? current };
    },
  };
}
