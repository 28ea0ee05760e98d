import type { Owner } from '../model.ts';

/** Directory below which Portainer's own container keeps the compose files of its stacks: nobody else finds them there. */
const PORTAINER_STACKS = /^\/data\/compose\/\d+(\/|$)/;

/** Who looks after a container, by the labels that orchestrators set. Labels are written by anyone: a claim, not a proof. */
export function ownerOf(labels: Readonly<Record<string, string>>): Owner {
  const get = (name: string): string => (Object.hasOwn(labels, name) ? labels[name] ?? '' : '');
  const pod = get('io.kubernetes.pod.name');
  if (pod !== '') return { kind: 'kubernetes', namespace: get('io.kubernetes.pod.namespace'), pod };
  const service = get('com.docker.swarm.service.name');
  const id = get('com.docker.swarm.service.id');
  if (service !== '') return { kind: 'swarm', service, task: get('com.docker.swarm.task.name'), ...(id === '' ? {} : { id }) };
  const allocation = get('com.hashicorp.nomad.alloc_id');
  if (allocation !== '') return { kind: 'nomad', name: get('com.hashicorp.nomad.job_name') || allocation };
  const unit = get('PODMAN_SYSTEMD_UNIT');
  if (unit !== '') return { kind: 'systemd', name: unit };
  const podmanProject = get('io.podman.compose.project');
  if (podmanProject !== '') return { kind: 'podman', name: podmanProject };

  const project = get('com.docker.compose.project');
  if (project === '') return { kind: 'none' };
  const workingDir = get('com.docker.compose.project.working_dir');
  if (PORTAINER_STACKS.test(workingDir)) return { kind: 'portainer', name: project };
  const version = get('com.docker.compose.version');
  return {
    kind: 'compose',
    project,
    service: get('com.docker.compose.service'),
    files: get('com.docker.compose.project.config_files').split(',').filter((file) => file !== ''),
    environmentFiles: get('com.docker.compose.project.environment_file').split(',').filter((file) => file !== ''),
    workingDir,
    configHash: get('com.docker.compose.config-hash'),
    oneOff: get('com.docker.compose.oneoff').toLowerCase() === 'true',
    ...(version === '' ? {} : { version }),
  };
}
