/**
 * Paths that are looked at on every host, whatever is found on it: those of section 3 of the benchmark and those that its audit rules
 * watch. The tables of checks name theirs (fileStatPaths, auditStatPaths); a test holds this list against them.
 */
export const STAT_PATHS: readonly string[] = [
  '/etc/containerd',
  '/etc/containerd/config.toml',
  '/etc/default',
  '/etc/default/docker',
  '/etc/docker',
  '/etc/docker/certs.d',
  '/etc/docker/daemon.json',
  '/etc/sysconfig',
  '/etc/sysconfig/docker',
  '/etc/sysconfig/docker-network',
  '/etc/sysconfig/docker-registry',
  '/etc/sysconfig/docker-storage',
  '/etc/systemd/system/docker-registry.service',
  '/etc/systemd/system/docker.service',
  '/etc/systemd/system/docker.service.d',
  '/etc/systemd/system/docker.socket',
  '/etc/systemd/system/docker.socket.d',
  '/lib/systemd/system/docker-registry.service',
  '/lib/systemd/system/docker.service',
  '/lib/systemd/system/docker.socket',
  '/run/containerd',
  '/run/containerd/containerd.sock',
  '/run/docker.sock',
  '/usr/bin/containerd',
  '/usr/bin/containerd-shim',
  '/usr/bin/containerd-shim-runc-v1',
  '/usr/bin/containerd-shim-runc-v2',
  '/usr/bin/docker',
  '/usr/bin/dockerd',
  '/usr/bin/runc',
  '/usr/lib/systemd/system/docker-registry.service',
  '/usr/lib/systemd/system/docker.service',
  '/usr/lib/systemd/system/docker.socket',
  '/usr/sbin/dockerd',
  '/usr/sbin/runc',
  '/var/lib/docker',
  '/var/run/docker.sock',
  '/var/run/docker/containerd/containerd.sock',
];

/** Files with arguments of the daemon that init scripts, and units by way of EnvironmentFile=, read. */
export const ENVIRONMENT_FILES: readonly string[] = ['/etc/default/docker', '/etc/sysconfig/docker'];

/** dockerd(8), --config-file. */
export const DEFAULT_CONFIG_PATH = '/etc/docker/daemon.json';
