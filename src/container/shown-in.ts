import type { SpecEdit } from '../model.ts';

/** What GET /containers/ID/json may show otherwise after an edit of a field: paths as `differences` gives them, with all below. */
export const SHOWN_IN: Readonly<Record<SpecEdit['path'], readonly string[]>> = {
  'image.reference': ['Image', 'Config.Image'],
  user: ['Config.User'],
  restart: ['HostConfig.RestartPolicy'],
  healthcheck: ['Config.Healthcheck'],
  log: ['HostConfig.LogConfig'],
  init: ['HostConfig.Init'],
  // The engine derives the limit of memory and swap from that of memory.
  'resources.memory': ['HostConfig.Memory', 'HostConfig.MemorySwap'],
  'resources.memorySwap': ['HostConfig.MemorySwap'],
  'resources.cpuShares': ['HostConfig.CpuShares'],
  'resources.nanoCpus': ['HostConfig.NanoCpus'],
  'resources.pidsLimit': ['HostConfig.PidsLimit'],
  'resources.cgroupParent': ['HostConfig.CgroupParent'],
  'resources.ulimits': ['HostConfig.Ulimits'],
  'resources.devices': ['HostConfig.Devices'],
  'security.privileged': ['HostConfig.Privileged', 'HostConfig.SecurityOpt', 'HostConfig.MaskedPaths', 'HostConfig.ReadonlyPaths'],
  'security.readonlyRootfs': ['HostConfig.ReadonlyRootfs'],
  'security.noNewPrivileges': ['HostConfig.SecurityOpt'],
  'security.seccomp': ['HostConfig.SecurityOpt'],
  'security.apparmor': ['HostConfig.SecurityOpt'],
  'security.labels': ['HostConfig.SecurityOpt'],
  'security.other': ['HostConfig.SecurityOpt'],
  'security.capAdd': ['HostConfig.CapAdd'],
  'security.capDrop': ['HostConfig.CapDrop'],
  'namespaces.network': ['HostConfig.NetworkMode', 'Networks', 'Config.Hostname', 'Config.MacAddress'],
  // The daemon adds label=disable where another's processes or memory are shared.
  'namespaces.pid': ['HostConfig.PidMode', 'HostConfig.SecurityOpt'],
  'namespaces.ipc': ['HostConfig.IpcMode', 'HostConfig.SecurityOpt'],
  'namespaces.uts': ['HostConfig.UTSMode', 'Config.Hostname'],
  'namespaces.userns': ['HostConfig.UsernsMode'],
  'namespaces.cgroup': ['HostConfig.CgroupnsMode'],
  'network.ports': ['HostConfig.PortBindings', 'Config.ExposedPorts'],
  mounts: ['HostConfig.Binds', 'HostConfig.Mounts', 'HostConfig.Tmpfs', 'Mounts'],
};
