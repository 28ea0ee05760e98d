/** Whether this machine can be made into hosts. */
import { accessSync, constants, mkdirSync, mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cgroupMounts } from './cgroups.ts';
import { CACHE } from './layout.ts';
import { runSync } from './shell.ts';

export type HostKind = 'systemd' | 'audit';

// Of Debian's docker.io, debootstrap, busybox-static, iproute2, util-linux, tar and auditd.
const NEEDED: Record<HostKind, string[]> = {
  systemd: ['dockerd', 'docker', 'containerd', 'runc', 'debootstrap', 'busybox', 'ip', 'flock', 'tar', 'bash', 'ldd'],
  audit: ['debootstrap', 'busybox', 'ip', 'flock', 'tar', 'bash', 'ldd', 'unshare', 'nsenter', 'mount', 'pivot_root', 'auditctl'],
};

// The kernel has fixed its number.
const INITIAL_PID_NAMESPACE = 'pid:[4026531836]';

const known = new Map<HostKind, string | null>();

/** Why this machine cannot run hosts of a kind, or null when it can. For `describe.skipIf(reason)`, with the reason in the test's name. */
export function skipReason(kind: HostKind): string | null {
  let reason = known.get(kind);
  if (reason === undefined) {
    reason = findReason(kind);
    known.set(kind, reason);
  }
  return reason;
}

function findReason(kind: HostKind): string | null {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = NEEDED[kind].filter((program) => !isInPath(program));
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (cgroupMounts().length === 0) return 'no cgroup hierarchy is mounted at /sys/fs/cgroup';
  return overlayReason() ?? (kind === 'audit' ? auditReason() : null);
}

function isInPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function overlayReason(): string | null {
  mkdirSync(CACHE, { recursive: true });
  const trial = mkdtempSync(join(CACHE, 'overlay-'));
  try {
    for (const directory of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(trial, directory));
    const options = `lowerdir=${trial}/lower,upperdir=${trial}/upper,workdir=${trial}/work`;
    const mount = runSync(['unshare', '--mount', 'mount', '-t', 'overlay', '-o', options, 'overlay', `${trial}/merged`]);
    return mount.code === 0 ? null : `no overlay file system can be mounted in ${CACHE}: ${mount.stderr.trim()}`;
  } finally {
    rmSync(trial, { recursive: true });
  }
}

function auditReason(): string | null {
  const status = runSync(['auditctl', '-s']);
  if (status.code !== 0) return `the kernel's audit rules cannot be read: ${(status.stderr || status.stdout).trim()}`;
  if (/^enabled 2/m.test(status.stdout)) return "the kernel's audit rules are locked until the next boot (enabled 2)";
  if (readlinkSync('/proc/self/ns/pid') !== INITIAL_PID_NAMESPACE) return 'audit rules can only be loaded from the initial pid namespace';
  return null;
}
