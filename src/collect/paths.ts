/**
 * Paths that the checks of files look at on every host, whatever is found on it; those of the audit rules are in collect/audit.ts. A test holds
 * both against the tables of the checks.
 */
export const STAT_PATHS: readonly string[] = [
  '/etc/default/docker',
  '/etc/docker',
  '/etc/docker/certs.d',
  '/etc/sysconfig/docker',
  '/etc/sysconfig/docker-network',
  '/etc/sysconfig/docker-registry',
  '/etc/sysconfig/docker-storage',
  ...['docker.service', 'docker.socket', 'docker-registry.service'].flatMap((unit) => [`/etc/systemd/system/${unit}`, `/lib/systemd/system/${unit}`]),
  '/etc/systemd/system/docker.service.d',
  '/etc/systemd/system/docker.socket.d',
  '/run/containerd/containerd.sock',
  // Where dockerd looks for its certificates when TLS is on and no path is given.
  ...['ca.pem', 'cert.pem', 'key.pem'].map((name) => `/root/.docker/${name}`),
  '/var/run/docker.sock',
  '/var/run/docker/containerd/containerd.sock',
];

/** Files with arguments of the daemon that init scripts, and units by way of EnvironmentFile=, read. */
export const ENVIRONMENT_FILES: readonly string[] = ['/etc/default/docker', '/etc/sysconfig/docker'];

/** The host's containerd, and the one that dockerd starts for itself. */
export const CONTAINERD_SOCKETS: readonly string[] = ['/run/containerd/containerd.sock', '/var/run/docker/containerd/containerd.sock'];

/** dockerd(8), --config-file. */
export const DEFAULT_CONFIG_PATH = '/etc/docker/daemon.json';

/** Every directory above a path, the nearest first, without "/". */
export function directoriesAbove(path: string): readonly string[] {
  const above: string[] = [];
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) above.push(path.slice(0, end));
  return above;
}

/** Files that set the environment of logins: pam_env(8), bash(1). */
export const LOGIN_FILES: readonly string[] = [
  '/etc/environment', '/etc/profile', '/etc/bash.bashrc', '/etc/profile.d/docker.sh', '/root/.profile', '/root/.bashrc', '/root/.bash_profile',
];

/** Files that describe the machine itself, by what is read from them. */
export const HOST_TEXTS = {
  osRelease: '/etc/os-release',
  vendorRelease: '/usr/lib/os-release',
  hostname: '/proc/sys/kernel/hostname',
  machine: '/etc/machine-id',
  kernel: '/proc/sys/kernel/osrelease',
  lsm: '/sys/kernel/security/lsm',
  apparmor: '/sys/module/apparmor/parameters/enabled',
  status: '/proc/self/status',
  mounts: '/proc/self/mountinfo',
  inet6: '/proc/net/if_inet6',
  initScript: '/etc/init.d/docker',
  scriptPid: '/run/docker-ssd.pid',
  pidFile: '/run/docker.pid',
  passwd: '/etc/passwd',
  group: '/etc/group',
} as const;

/** Paths that tell by being there. */
export const HOST_STATS = {
  selinux: '/sys/fs/selinux/enforce', systemd: '/run/systemd/system', service: '/usr/sbin/service', tmpfiles: '/usr/bin/systemd-tmpfiles', tmpfilesInBin: '/bin/systemd-tmpfiles',
} as const;
