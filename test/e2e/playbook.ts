/**
 * Projects of `harden generate ansible`: made on a host, fetched, and run against it over ssh. A control node has the Ansible of Debian 12 (2.14, which is
 * what this machine has) or that of trixie (2.19), in a root of which nothing is changed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { hostRoot } from './bed/roots.ts';
import { run, type ExecResult } from './bed/shell.ts';
import type { SystemdHost } from './host.ts';
import { harden } from './support.ts';

/** Whose Ansible a control node has. */
export type Control = 'machine' | 'trixie';

/** What a run of a playbook against one host came to. */
export interface Play extends ExecResult {
  readonly changed: number;
  readonly failed: number;
}

/** Only /mnt, which is the directory of the caller, can be written to, and what ends with the command. */
const IN_ROOT = `
root=$1 directory=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$directory" "$root/mnt"
exec chroot "$root" env --chdir=/mnt/project "$@"
`;

/** Runs a command on a control node, in DIRECTORY/project. DIRECTORY is its home, too. */
export async function onControl(control: Control, directory: string, argv: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<ExecResult> {
  const home = control === 'machine' ? directory : '/mnt';
  const all = {
    PATH: process.env['PATH'], HOME: home, ANSIBLE_HOME: join(home, '.ansible'), ANSIBLE_NOCOLOR: '1', ANSIBLE_HOST_KEY_CHECKING: 'false', ANSIBLE_PIPELINING: 'true', LC_ALL: 'C.UTF-8', ...env,
  };
  const entered = control === 'machine' ? ['env', `--chdir=${join(directory, 'project')}`, ...argv]
    : ['unshare', '--mount', 'sh', '-euc', IN_ROOT, 'control', (await hostRoot('trixie')).directory, directory, ...argv];
  return run(entered, { env: all, timeoutMs: 300_000 });
}

/** What the recap of a run with one host says. */
export function played(result: ExecResult): Play {
  const recap = /changed=(\d+).*failed=(\d+)/u.exec(result.stdout);
  return { ...result, changed: Number(recap?.[1] ?? -1), failed: Number(recap?.[2] ?? -1) };
}

export interface Project {
  /** `project`, and what a control node keeps besides. */
  readonly directory: string;
  /** Lets the control node in: root, over ssh. */
  reach(host: SystemdHost): Promise<void>;
  /** Generates it anew on a host, from what that is now, and fetches it. */
  generate(host: SystemdHost, ...args: string[]): Promise<void>;
  play(...args: string[]): Promise<Play>;
  remove(): void;
}

export function ansibleProject(control: Control): Project {
  const directory = mkdtempSync(join(tmpdir(), 'harden-e2e-ansible-'));
  const project = join(directory, 'project');
  return {
    directory,
    async reach(host) {
      await run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'key')], { check: true });
      await host.writeFile('/root/.ssh/authorized_keys', readFileSync(join(directory, 'key.pub')), { mode: 0o600 });
      await host.exec('systemctl start ssh', { check: true });
    },
    async generate(host, ...args) {
      const { code, stderr } = await harden(host, ['generate', 'ansible', ...args, '-o', '/root/project']);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const archive = await host.exec('tar -C /root -cf - project | base64 -w0; rm -r /root/project', { check: true });
      rmSync(project, { recursive: true, force: true });
      await run(['tar', '-C', directory, '-xf', '-'], { input: Buffer.from(archive.stdout, 'base64'), check: true });
      const reached = { ansible_host: host.address, ansible_user: 'root', ansible_remote_tmp: '/tmp/ansible', ansible_ssh_private_key_file: '{{ inventory_dir }}/../key' };
      writeFileSync(join(project, 'inventory.yml'), JSON.stringify({ all: { hosts: { [host.name]: reached } } }));
    },
    play: async (...args) => played(await onControl(control, directory, ['ansible-playbook', '-i', 'inventory.yml', 'site.yml', ...args])),
    remove: () => { rmSync(directory, { recursive: true, force: true }); },
  };
}
