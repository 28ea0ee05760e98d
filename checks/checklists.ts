/** What an auditor ticks: answered by checks, by a task for a person, or by both. */
interface ChecklistBox {
  readonly text: string;
  /** Ids and id prefixes. */
  readonly checks: readonly string[];
  /** What a person does where no check can tell, or beyond what they tell. */
  readonly manual?: string;
}

export interface Checklist {
  readonly title: string;
  readonly lists: readonly { readonly id: string; readonly title: string; readonly boxes: readonly ChecklistBox[] }[];
}

/** The seven subjects of the SANS checklist for audits of Docker containers, in our words. */
const sans: Checklist = {
  title: 'SANS checklist for audits of Docker containers',
  lists: [
    {
      id: 'host', title: 'The operating system of the host', boxes: [
        { text: 'The host is hardened by a baseline of its own', checks: ['host.hardened'] },
        { text: 'The host runs only what its containers need', checks: ['host.hardened'], manual: 'systemctl list-unit-files --state=enabled and ss -tlnp show what runs and listens; switch off what nothing needs.' },
        { text: 'Kernel and engine get fixes', checks: ['host.docker-version'], manual: 'Compare uname -r with the newest kernel of the distribution (apt list --upgradable, dnf check-update), and reboot into it.' },
        { text: 'Only trusted people control the daemon', checks: ['host.docker-group', 'file.docker-sock', 'daemon.tls', 'daemon.authz-plugin'] },
        { text: 'Data of the engine has a file system of its own', checks: ['host.partition'] },
        { text: 'Files of the daemon belong to root and cannot be written by others', checks: ['file'] },
        { text: 'The engine and its files are audited', checks: ['audit'] },
        { text: 'The daemon has safe defaults for containers', checks: ['daemon.icc', 'daemon.no-new-privileges', 'daemon.seccomp-profile', 'daemon.userland-proxy', 'daemon.experimental', 'daemon.iptables'] },
        { text: 'A security module confines containers', checks: ['container.apparmor', 'container.selinux', 'container.seccomp'] },
        { text: 'Containers share neither namespaces nor directories with the host that they can do without', checks: [
          'container.host-network', 'container.host-pid', 'container.host-ipc', 'container.host-uts', 'container.host-userns', 'container.sensitive-mounts', 'container.docker-socket', 'container.mount-propagation', 'container.devices',
        ] },
      ],
    },
    {
      id: 'provenance', title: 'Where images come from', boxes: [
        { text: 'Images come from approved sources', checks: ['image.trusted-base', 'daemon.insecure-registries'] },
        { text: 'Signatures are verified before images are used', checks: ['image.signed-artifacts', 'image.content-trust'] },
        { text: 'Containers name their images by digest', checks: ['container.image-pinning', 'image.latest-tag'] },
        { text: 'What is installed into images is verified', checks: ['image.verified-packages', 'image.copy-not-add'] },
        { text: 'It is known who built an image, and from which source', checks: [], manual: 'docker inspect shows the labels org.opencontainers.image.source and .revision, docker buildx imagetools inspect its provenance; ask for both where an image has neither.' },
      ],
    },
    {
      id: 'monitoring', title: 'Monitoring of containers', boxes: [
        { text: 'Logs leave the host', checks: ['daemon.remote-logging', 'daemon.log-level', 'container.log-rotation'] },
        { text: 'The health of containers is checked', checks: ['container.healthcheck', 'image.healthcheck'] },
        { text: 'What runs is known: containers, images, and who works in them', checks: ['operations'] },
        { text: 'Use of processor, memory, disk and network is watched', checks: [], manual: 'docker stats shows the moment; see that a collector (cAdvisor, node exporter, an agent) keeps a history and that somebody is told when a limit is near.' },
        { text: 'Containers are scanned for flaws while they run, not only when they are built', checks: ['image.scanned', 'image.age'] },
        { text: 'Events of the engine are kept and looked at', checks: ['audit.dockerd', 'audit.docker-sock'], manual: 'docker events ends with the daemon: see that something records it (journald, an agent), and that exec and privileged starts raise an alarm.' },
      ],
    },
    {
      id: 'non-root', title: 'Processes without root', boxes: [
        { text: 'Images name a user without rights', checks: ['image.user'] },
        { text: 'No container is privileged, and capabilities are dropped', checks: ['container.privileged', 'container.capabilities'] },
        { text: 'Processes gain no privileges', checks: ['container.no-new-privileges', 'image.setuid', 'image.no-sudo'] },
        { text: 'Root in containers is not root on the host', checks: ['daemon.userns-remap', 'daemon.rootless', 'container.host-userns'] },
        { text: 'Nobody works in containers as root', checks: ['operations.exec-root', 'operations.exec-privileged', 'container.sshd'] },
      ],
    },
    {
      id: 'secrets', title: 'Secrets', boxes: [
        { text: 'No secrets in configuration, build arguments and history of images', checks: ['image.no-secrets'] },
        { text: 'No secrets in the environment of services', checks: ['swarm.secrets'], manual: 'For single containers docker inspect -f "{{json .Config.Env}}" NAME shows the names; give secrets as files (NAME_FILE, Compose secrets) instead.' },
        { text: 'A secret can be replaced without a new image', checks: [], manual: 'Ask where each secret of a service is kept and when it was last replaced; try to replace one.' },
        { text: 'Keys of the engine and of the swarm are protected', checks: ['file.tlskey', 'swarm.autolock', 'swarm.autolock-rotate', 'swarm.ca-rotate', 'swarm.node-cert-expiry'] },
        { text: 'Credentials of registries are not left on the host', checks: [], manual: 'Look for "auths" with an "auth" in ~/.docker/config.json of every account; use a credential helper (credsStore), and docker logout.' },
      ],
    },
    {
      id: 'base-images', title: 'Base images', boxes: [
        { text: 'Images hold only what their program needs', checks: ['image.minimal', 'container.single-process'] },
        { text: 'Base images are current, and images are rebuilt when they change', checks: ['image.age', 'image.scanned', 'image.update-alone', 'image.dist-upgrade'] },
        { text: 'Builds can be repeated', checks: ['image.package-pins', 'image.apk-cache'] },
        { text: 'Images hold no files that make their caller another user', checks: ['image.setuid'] },
        { text: 'Images declare no volumes over the system', checks: ['image.volumes'] },
        { text: 'Unused images are removed', checks: ['operations.image-sprawl'] },
      ],
    },
    {
      id: 'limits', title: 'Limits of resources', boxes: [
        { text: 'Memory', checks: ['container.memory-limit'] },
        { text: 'Processor', checks: ['container.cpu-shares'] },
        { text: 'Number of processes', checks: ['container.pids-limit'] },
        { text: 'Open files and other resources of a process', checks: ['daemon.default-ulimits', 'container.ulimits', 'daemon.cgroup-parent', 'container.cgroup-parent'] },
        { text: 'Restarts', checks: ['container.restart-policy'] },
        { text: 'Disk: logs, written layers, volumes', checks: ['container.log-rotation', 'container.readonly-rootfs'], manual: 'docker system df -v shows what each container and volume takes; put the data root on a file system with quotas (xfs with pquota) where --storage-opt size is to limit it.' },
        { text: 'Ports and addresses', checks: ['container.needed-ports', 'container.privileged-ports', 'container.bind-interface', 'container.default-bridge'] },
      ],
    },
  ],
};

/** By the name that `harden list checks --checklist` takes. */
export const CHECKLISTS: ReadonlyMap<string, Checklist> = new Map([['sans', sans]]);
