/** What a test can do with a host, whatever the host is made of. */
import { busyboxTar } from './roots.ts';
import { output, run, type ExecResult } from './shell.ts';

export interface ExecOptions {
  input?: string | Buffer;
  /** Default: root. */
  user?: string;
  /** Added to a login-like environment; nothing of the test runner's environment gets in. */
  env?: Record<string, string>;
  /** After this the call throws; inside a systemd host the command itself may go on. Default: two minutes. */
  timeoutMs?: number;
  /** Throw when the command exits non-zero. */
  check?: boolean;
}

export interface FileAttributes {
  /** Default: 0o644. */
  mode?: number;
  uid?: number;
  gid?: number;
}

/** How a command gets into a host: an argv to run on this machine, and its environment. */
export interface Entry {
  argv: string[];
  env: NodeJS.ProcessEnv;
}

export interface EntryOptions {
  user?: string | undefined;
  env?: Record<string, string> | undefined;
  stdin: boolean;
  tty: boolean;
}

/** Throws unless a name can be a host name, and with it part of a container's and a directory's name. */
export function checkName(name: string): void {
  if (!/^[a-z0-9][a-z0-9-]{0,40}$/.test(name)) throw new Error(`"${name}" cannot be the name of a host: use small letters, digits and dashes`);
}

/** A Debian host with a Docker engine of its own, on which the built `harden` is a command. */
export abstract class TestHost {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** The command that runs `argv` inside this host. */
  abstract entry(argv: readonly string[], options: EntryOptions): Entry;

  /** Ends everything in the host and removes every trace of it. Calling it again does nothing. */
  abstract down(): Promise<void>;

  /** Runs an argv, or a string with `sh -c`, inside the host. Throws only on a timeout, unless `check` is set. */
  exec(command: readonly string[] | string, options: ExecOptions = {}): Promise<ExecResult> {
    const { input, user, env, timeoutMs, check } = options;
    const inside = typeof command === 'string' ? ['sh', '-c', command] : command;
    const entry = this.entry(inside, { user, env, stdin: input !== undefined, tty: false });
    return run(entry.argv, { env: entry.env, input, timeoutMs, check });
  }

  /** Writes a file, with the directories that lead to it. */
  async writeFile(path: string, content: string | Buffer, attributes: FileAttributes = {}): Promise<void> {
    const { mode = 0o644, uid = 0, gid = 0 } = attributes;
    const script = 'mkdir -p "$(dirname "$1")"; cat >"$1"; chown "$2" "$1"; chmod "$3" "$1"';
    await this.exec(['sh', '-euc', script, 'writeFile', path, `${uid}:${gid}`, mode.toString(8)], { input: content, check: true });
  }

  async readFile(path: string): Promise<string> {
    return (await this.exec(['cat', path], { check: true })).stdout;
  }

  /** Copies the contents of a directory of this machine into a directory of the host, as root's. */
  async copyIn(localDirectory: string, path: string): Promise<void> {
    const unpack = this.entry(
      ['sh', '-euc', 'mkdir -p "$1"; tar --extract --directory="$1"', 'copyIn', path],
      { stdin: true, tty: false },
    );
    const script = 'tar --create --owner=0 --group=0 --directory="$1" . | { shift; "$@"; }';
    await run(['bash', '-o', 'pipefail', '-c', script, 'copyIn', localDirectory, ...unpack.argv], { env: unpack.env, check: true });
  }

  /** Makes the image `busybox:latest`, in which busybox is every command (`sh`, `httpd`, `wget`, …). */
  async loadBusybox(): Promise<void> {
    const importImage = ['docker', 'import', '--change', 'CMD ["sh"]', '-', 'busybox:latest'];
    await this.exec(importImage, { input: await busyboxTar(), check: true });
  }

  /** `docker run` with these arguments; gives what it prints: with `--detach` the container's id. */
  async run(...args: string[]): Promise<string> {
    const entry = this.entry(['docker', 'run', ...args], { stdin: false, tty: false });
    return output(entry.argv, { env: entry.env });
  }
}
