import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, chown, mkdir, open, readdir, readFile, readlink, realpath, rename, rm, rmdir, stat, unlink, type FileHandle } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { constants as os } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HostError, NOTHING_FROM_ELSEWHERE, type FileSnapshot, type HostWriter, type Tool, type ToolResult } from './port.ts';
import { errorCode, fileError, resolveTrusted, syncDirectory, type ResolvedPath } from './trusted-path.ts';

type Metadata = Parameters<HostWriter['setMetadata']>[1];

/** Where tools are looked up: the system's directories only, so that no PATH decides what root runs. */
const TOOL_DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];
const TOOL_ENVIRONMENT = { PATH: TOOL_DIRECTORIES.join(':'), LC_ALL: 'C', ...NOTHING_FROM_ELSEWHERE };
/** By it a tool is known again whose harden was killed. */
const TOOL_MARK = { HARDEN_TOOL: '1' };
const MAY_LEAVE_A_DAEMON: readonly Tool[] = ['service', 'sh'];
const LEFT_TOOL_POLL_MS = 200;
const TOOL_TIMEOUT_MS = 60_000;
/** What a tool may still do after it was asked to end, before it is killed. */
const TERMINATION_GRACE_MS = 2_000;
const MAX_TOOL_OUTPUT = 16 * 1024 * 1024;

const CONNECT_TIMEOUT_MS = 1_000;
/** docker-proxy accepts for a container that does not listen, and closes as soon as it finds out. */
const SILENCE_MS = 300;

// Flags of open(2) that Node does not name; the numbers are the same on every architecture that Node supports.
/** The descriptor only names the file. */
const O_PATH = 0o10000000;
/** A file without a name in the directory. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** Changes this machine. Paths that other users could redirect are refused (see resolveTrusted). */
export function createLocalWriter(): HostWriter {
  return {
    snapshot: explained('read', snapshot),
    refusal: explained('look at', refusal),
    metadataRefusal: explained('look at', metadataRefusal),
    replace: explained('replace', replace),
    create: explained('write', create),
    remove: explained('remove', remove),
    removeLeftovers: explained('clean up after', removeLeftovers),
    makeDirectory: explained('make the directory', makeDirectory),
    removeDirectory: explained('remove the directory', removeDirectory),
    setMetadata: explained('set mode and owner of', setMetadata),
    append: explained('write to', append),
    awaitLeftTools,
    run: (tool, args, options) => runTool(tool, args, options?.timeoutMs ?? TOOL_TIMEOUT_MS),
    startSelf,
    signal,
    answers,
  };
}

/** What the system says about a failure becomes what a person can do about it; faults of ours stay what they are. */
const explained = <Args extends readonly unknown[], Result>(verb: string, action: (path: string, ...rest: Args) => Promise<Result>) =>
  async (path: string, ...rest: Args): Promise<Result> => {
    try {
      return await action(path, ...rest);
    } catch (error) {
      throw error instanceof Error && 'syscall' in error ? fileError(verb, path, error) : error;
    }
  };

async function snapshot(path: string): Promise<FileSnapshot | null> {
  try {
    const realPath = await realpath(path);
    // O_PATH opens sockets too, and a FIFO without waiting; the same file is then opened again for its bytes.
    const handle = await open(realPath, O_PATH | constants.O_NOFOLLOW);
    try {
      const stat = await handle.stat();
      const content = stat.isFile() ? await readFile(viaDescriptor(handle)) : null;
      return { realPath, content, mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return null;
    throw error;
  }
}

async function refusal(path: string): Promise<string | null> {
  try {
    const target = await resolveTrusted(path, { followLast: true });
    return await replaceRefusal(target);
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
}

async function metadataRefusal(path: string): Promise<string | null> {
  try {
    const target = await resolveTrusted(path, { followLast: false });
    if (target.stat === null) return `${path} does not exist`;
    if (target.stat.isSymbolicLink()) return `${path} is a symbolic link. Name the file that it leads to`;
    return await writeRefusal(target.path);
  } catch (error) {
    if (error instanceof HostError) return error.message;
    throw error;
  }
}

/** Why the entry itself cannot be exchanged; null when it can. */
async function replaceRefusal({ path, stat, directory }: ResolvedPath): Promise<string | null> {
  if (stat !== null) {
    if (!stat.isFile()) return `${path} is not a regular file. Move it away first`;
    if (stat.nlink > 1) {
      return `${path} has ${stat.nlink} hard links, and replacing it would separate them. Find the others with \`find / -xdev -samefile ${path}\` and make it a file of its own`;
    }
    if ((await mountPoints()).has(path)) {
      return `${path} is a mount point (a bind-mounted file), which cannot be replaced. Change the file where it comes from`;
    }
    const refused = await writeRefusal(path);
    if (refused !== null) return refused;
    if (!(await copiesAttributes())) {
      return `the ACL, extended attributes and SELinux label of ${path} cannot be kept without cp of GNU coreutils. Install coreutils`;
    }
  }
  return writeRefusal(directory);
}

/** Read-only file system, missing permission, immutable or append-only flag. */
async function writeRefusal(path: string): Promise<string | null> {
  try {
    // access(2) with W_OK says EPERM of an immutable file even to root, and touches nothing.
    await access(path, constants.W_OK);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'EPERM') return `${path} is immutable (chattr +i), so somebody does not want it changed. If you do, run \`chattr -i ${path}\``;
    if (code === 'EROFS') return `${path} is on a read-only file system. Remount it read-write, or make the change where that file system is built`;
    if (code === 'EACCES') return `${path} cannot be written by this user. Run as root`;
    throw error;
  }
  // Fails on sockets and on file systems without flags: then there is none to respect.
  const { code, stdout } = await runHelper('lsattr', ['-d', path]);
  const flags = stdout.split(' ')[0] ?? '';
  return code === 0 && flags.includes('a') ? `${path} is append-only (chattr +a), so it cannot be replaced. If it may be, run \`chattr -a ${path}\`` : null;
}

/** Field 5 of /proc/self/mountinfo (proc(5)), where white space, backslash and # are octal escapes. */
async function mountPoints(): Promise<ReadonlySet<string>> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return new Set(lines.map((line) => (line.split(' ')[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))));
}

/** GNU's and uutils' cp can; busybox's cannot. */
const copiesAttributes = async (): Promise<boolean> => (await runHelper('cp', ['--version'])).stdout.includes('coreutils');

const temporaryPrefix = (path: string): string => `.${basename(path)}.harden-`;

async function replace(path: string, content: Buffer, metadata: Metadata): Promise<void> {
  const target = await resolveTrusted(path, { followLast: true });
  if (target.missing.length > 1) throw new HostError(`cannot write ${path}: the directory ${dirname(target.path)} does not exist. Create it first`);
  const refused = await replaceRefusal(target);
  if (refused !== null) throw new HostError(`cannot replace ${path}: ${refused}`);

  const temporary = join(dirname(target.path), temporaryPrefix(target.path) + randomBytes(6).toString('hex'));
  try {
    const handle = await open(temporary, constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY, 0o600);
    try {
      if (target.stat !== null) await copyAttributes(target.path, temporary);
      // Without group bits an ACL's mask is empty too (acl(5)), so nobody else can open the bytes before they have their final mode.
      await handle.chmod(0o600);
      await handle.chown(metadata.uid, metadata.gid);
      await handle.writeFile(content);
      await handle.chmod(metadata.mode);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target.path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(target.path));
}

async function create(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const target = await resolveTrusted(path, { followLast: false });
  if (target.missing.length > 1) throw new HostError(`cannot write ${path}: the directory ${dirname(target.path)} does not exist. Create it first`);
  const handle = await open(target.path, constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | constants.O_WRONLY, 0o600);
  try {
    try {
      for await (const chunk of content) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await unlink(target.path).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(target.path));
}

/** ACL, extended attributes and SELinux label; Node has no call for them. */
async function copyAttributes(from: string, to: string): Promise<void> {
  const { code, stderr } = await runHelper('cp', ['--attributes-only', '--preserve=all', '--no-dereference', '--', from, to]);
  // With --preserve=all, cp exits 0 although an attribute could not be kept, but says so.
  if (code !== 0 || stderr !== '') {
    throw new HostError(`cannot keep the ACL, extended attributes or SELinux label of ${from}: ${stderr.trim() || `cp exited with ${code}`}`);
  }
}

async function remove(path: string): Promise<void> {
  const target = await resolveTrusted(path, { followLast: true });
  if (target.stat === null) return;
  if (target.stat.isDirectory()) throw new HostError(`cannot remove ${path}: it is a directory. Look at what is in it`);
  try {
    await unlink(target.path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
  await syncDirectory(dirname(target.path));
}

async function removeLeftovers(path: string): Promise<readonly string[]> {
  const target = await resolveTrusted(path, { followLast: true });
  if (target.missing.length > 1) return [];
  const directory = dirname(target.path);
  const prefix = temporaryPrefix(target.path);
  const leftovers = (await readdir(directory)).filter((name) => name.startsWith(prefix) && /^[0-9a-f]{12}$/.test(name.slice(prefix.length)));
  for (const name of leftovers) await rm(join(directory, name), { force: true });
  if (leftovers.length > 0) await syncDirectory(directory);
  return leftovers.map((name) => join(directory, name));
}

async function makeDirectory(path: string): Promise<readonly string[]> {
  const target = await resolveTrusted(path, { followLast: true });
  if (target.stat !== null) {
    if (!target.stat.isDirectory()) throw new HostError(`cannot make the directory ${path}: something else is there. Move it away`);
    return [];
  }
  const made: string[] = [];
  let parent = target.directory;
  for (const name of target.missing) {
    const directory = join(parent, name);
    try {
      await mkdir(directory, 0o700);
      made.push(directory);
      // The umask, and a setgid bit or default ACL of the parent, must not decide.
      await chown(directory, process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
      await chmod(directory, 0o755);
      await syncDirectory(directory);
      await syncDirectory(parent);
    } catch (error) {
      for (const created of made.reverse()) await rmdir(created).catch(() => undefined);
      throw error;
    }
    parent = directory;
  }
  return made;
}

async function removeDirectory(path: string): Promise<void> {
  const target = await resolveTrusted(path, { followLast: false });
  if (target.stat === null) return;
  try {
    await rmdir(target.path);
  } catch (error) {
    if (['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(errorCode(error) ?? '')) return;
    throw error;
  }
  await syncDirectory(dirname(target.path));
}

async function setMetadata(path: string, metadata: Metadata): Promise<void> {
  const target = await resolveTrusted(path, { followLast: false });
  if (target.stat === null) throw new HostError(`cannot set mode and owner of ${path}: it does not exist`);
  if (target.stat.isSymbolicLink()) throw new HostError(`cannot set mode and owner of ${path}: it is a symbolic link. Name the file that it leads to`);
  const handle = await open(target.path, O_PATH | constants.O_NOFOLLOW);
  try {
    // What was just opened is what changes, even if the name leads elsewhere by now: fchmod(2) refuses O_PATH, its /proc name does not.
    const name = viaDescriptor(handle);
    await chown(name, metadata.uid, metadata.gid);
    // After the owner: chown(2) clears setuid and setgid.
    await chmod(name, metadata.mode);
    const { stat } = target;
    if (stat.isFile() || stat.isDirectory()) await syncInode(name);
  } finally {
    await handle.close();
  }
}

const viaDescriptor = ({ fd }: FileHandle): string => `/proc/self/fd/${fd}`;

async function syncInode(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Not async, but the port is: a remote writer sends its signals over the wire. */
function signal(pid: number, name: 'SIGHUP'): Promise<void> {
  // 0 and negative numbers would reach whole process groups, 1 is init.
  if (!Number.isSafeInteger(pid) || pid <= 1) return Promise.reject(new HostError(`${pid} is not the process id of a daemon`));
  try {
    process.kill(pid, name);
    return Promise.resolve();
  } catch (error) {
    const why = errorCode(error) === 'ESRCH' ? 'it does not run any more' : errorCode(error) === 'EPERM' ? 'not permitted. Run as root' : String(error);
    return Promise.reject(new HostError(`cannot send ${name} to process ${pid}: ${why}`, { cause: error }));
  }
}

async function append(path: string, line: string): Promise<void> {
  if (line.includes('\n')) throw new HostError(`cannot append to ${path}: one line at a time`);
  const target = await resolveTrusted(path, { followLast: false });
  if (target.missing.length > 1) throw new HostError(`cannot write ${path}: the directory ${dirname(target.path)} does not exist. Create it first`);
  const create = target.stat === null ? constants.O_CREAT | constants.O_EXCL : 0;
  const handle = await open(target.path, constants.O_RDWR | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK | create, 0o600);
  try {
    await cutTornLine(handle);
    // One write(2): a reader sees all of the line or a torn last one, never two mixed.
    const bytes = Buffer.from(`${line}\n`);
    const { bytesWritten } = await handle.write(bytes);
    if (bytesWritten !== bytes.length) throw new HostError(`cannot write to ${path}: only a part was written. Free some space on its file system and run again`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (target.stat === null) await syncDirectory(dirname(target.path));
}

/** Cuts off what a killed writer left behind the last newline: it was never acknowledged, so nothing was done because of it. */
async function cutTornLine(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  if (size === 0) return;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  if (last[0] === 0x0a) return;
  const all = Buffer.alloc(size);
  await handle.read(all, 0, size, 0);
  await handle.truncate(all.lastIndexOf(0x0a) + 1);
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const settle = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    let timer = setTimeout(() => settle(false), CONNECT_TIMEOUT_MS);
    socket.once('connect', () => {
      clearTimeout(timer);
      timer = setTimeout(() => settle(true), SILENCE_MS);
    });
    socket.once('data', () => settle(true));
    socket.once('end', () => settle(false));
    socket.once('close', () => settle(false));
    socket.once('error', () => settle(false));
  });
}

async function runTool(tool: Tool, args: readonly string[], timeoutMs: number): Promise<ToolResult> {
  const path = await findProgram(tool);
  if (path === null) throw new HostError(`${tool} is not installed (looked in ${TOOL_DIRECTORIES.join(', ')})`);
  return runProgram(path, args, timeoutMs, MAY_LEAVE_A_DAEMON.includes(tool) ? TOOL_ENVIRONMENT : { ...TOOL_ENVIRONMENT, ...TOOL_MARK });
}

async function awaitLeftTools(timeoutMs: number): Promise<void> {
  for (const deadline = performance.now() + timeoutMs; ;) {
    const left = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const [found] = (await Promise.all(left.map(leftTool))).filter((tool) => tool !== null);
    if (found === undefined) return;
    if (performance.now() >= deadline) throw new HostError(`${found.line} (process ${found.pid}), which a harden that was killed had started, is still at work. Wait until it ends, or run \`kill ${found.pid}\`, then run this command again`);
    await sleep(LEFT_TOOL_POLL_MS);
  }
}

/** A process that harden has marked; null for any other, and for one that has ended. */
async function leftTool(pid: string): Promise<{ readonly pid: string; readonly line: string } | null> {
  try {
    const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
    if (!environment.split('\0').includes('HARDEN_TOOL=1')) return null;
    // What other users call so is none, and those in containers are of other hosts' hardens.
    if ((await stat(`/proc/${pid}`)).uid !== process.geteuid?.() || await readlink(`/proc/${pid}/ns/pid`) !== await readlink('/proc/self/ns/pid')) return null;
    return { pid, line: (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').join(' ').trim().slice(0, 200) };
  } catch {
    return null;
  }
}

/** It exists while systemd is PID 1: sd_booted(3). */
const SYSTEMD_RUNS = '/run/systemd/system';

async function startSelf(args: readonly string[], { unit, log }: Parameters<HostWriter['startSelf']>[1]): Promise<void> {
  const [, script] = process.argv;
  if (script === undefined) throw new HostError('harden does not know how it was started, so it cannot start a process of its own');
  const command = [process.execPath, ...process.execArgv, await realpath(script), ...args];
  await replace(log, Buffer.alloc(0), { mode: 0o600, uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 });
  if (process.geteuid?.() === 0 && await access(SYSTEMD_RUNS).then(() => true, () => false)) {
    const { code, stderr } = await runTool('systemd-run', [
      '--quiet', '--collect', `--unit=${unit}`, '--description=Undoes a run of harden that nobody confirms',
      // A daemon that it starts by a command of the operator's own must not end with it.
      '--property=KillMode=process', '--property=TimeoutStopSec=15min', `--property=StandardOutput=file:${log}`, `--property=StandardError=file:${log}`,
      // systemd puts variables in where it sees a dollar sign (systemd.service(5)).
      '--', ...command.map((word) => word.replaceAll('$', '$$$$')),
    ], TOOL_TIMEOUT_MS);
    if (code !== 0) throw new HostError(`systemd-run could not start ${unit}: ${stderr.trim()}`);
    return;
  }
  const output = await open(log, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
  try {
    const [program = '', ...words] = command;
    await new Promise<void>((resolve, reject) => {
      const child = spawn(program, words, { cwd: '/', env: TOOL_ENVIRONMENT, stdio: ['ignore', output.fd, output.fd], detached: true });
      child.once('error', (error) => reject(new HostError(`cannot start ${program}: ${error.message}`, { cause: error })));
      child.once('spawn', () => {
        child.unref();
        resolve();
      });
    });
  } finally {
    await output.close();
  }
}

/** A program that only helps us and leaves nothing running. `code` is 127 when it is missing or could not be run. */
async function runHelper(name: 'cp' | 'lsattr', args: readonly string[]): Promise<ToolResult> {
  const path = await findProgram(name);
  if (path === null) return { code: 127, stdout: '', stderr: `${name} is not installed` };
  return new Promise((resolve) => {
    execFile(path, args, { cwd: '/', env: TOOL_ENVIRONMENT, timeout: TOOL_TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 127;
      resolve({ code, stdout, stderr: stderr === '' && error !== null ? error.message : stderr });
    });
  });
}

async function findProgram(name: Tool | 'cp' | 'lsattr'): Promise<string | null> {
  for (const directory of TOOL_DIRECTORIES) {
    const path = join(directory, name);
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return null;
}

/**
 * Runs a program in a session of its own, so that Ctrl-C on our terminal does not end it half-way. Its output goes to unnamed files,
 * not pipes: a daemon that it leaves behind (`service docker restart`) neither keeps us waiting nor dies of SIGPIPE once we are gone.
 * @returns its exit status, 128 + the signal's number when a signal ended it
 * @throws HostError after `timeoutMs`, when it and its process group have been ended
 */
async function runProgram(path: string, args: readonly string[], timeoutMs: number, env: NodeJS.ProcessEnv): Promise<ToolResult> {
  const output = await openOutput().catch((error: unknown) => {
    throw fileError(`keep the output of ${basename(path)} in`, '/run or /tmp', error);
  });
  try {
    const exited = new Promise<{ code: number; timedOut: boolean }>((resolve, reject) => {
      const child = spawn(path, args, {
        cwd: '/',
        env,
        stdio: ['ignore', output.stdout.fd, output.stderr.fd],
        detached: true,
      });
      let timedOut = false;
      const timer = setTimeout(() => {
        timedOut = true;
        void endGroup(child.pid);
      }, timeoutMs);
      child.once('error', (error) => {
        clearTimeout(timer);
        reject(new HostError(`cannot run ${path}: ${error.message}`, { cause: error }));
      });
      child.once('exit', (code, signalName) => {
        clearTimeout(timer);
        resolve({ code: code ?? 128 + (signalName === null ? 0 : os.signals[signalName]), timedOut });
      });
    });
    const { code, timedOut } = await exited;
    if (timedOut) throw new HostError(`${basename(path)} did not finish within ${timeoutMs / 1000} s and was ended. Run \`${[basename(path), ...args].join(' ')}\` by hand to see why`);
    return { code, stdout: await readOutput(output.stdout), stderr: await readOutput(output.stderr) };
  } finally {
    await Promise.all([output.stdout.close(), output.stderr.close()]);
  }
}

async function endGroup(pid: number | undefined): Promise<void> {
  if (pid === undefined) return;
  const kill = (name: NodeJS.Signals): boolean => {
    try {
      return process.kill(-pid, name);
    } catch {
      return false; // All of the group has ended.
    }
  };
  if (!kill('SIGTERM')) return;
  await sleep(TERMINATION_GRACE_MS);
  kill('SIGKILL');
}

/** A file without a name, so that a kill leaves nothing behind; in memory where possible, so that a full disk does not make tools fail. */
async function openUnnamed(): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_APPEND;
  for (const directory of ['/run', '/dev/shm', '/tmp']) {
    try {
      return await open(directory, flags | O_TMPFILE, 0o600);
    } catch {
      continue;
    }
  }
  // Overlay file systems of older kernels know no unnamed files.
  const path = `/tmp/harden-${randomBytes(6).toString('hex')}`;
  const handle = await open(path, flags | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  await unlink(path);
  return handle;
}

async function openOutput(): Promise<{ stdout: FileHandle; stderr: FileHandle }> {
  const stdout = await openUnnamed();
  try {
    return { stdout, stderr: await openUnnamed() };
  } catch (error) {
    await stdout.close();
    throw error;
  }
}

async function readOutput(handle: FileHandle): Promise<string> {
  const size = Math.min((await handle.stat()).size, MAX_TOOL_OUTPUT);
  const buffer = Buffer.alloc(size);
  const { bytesRead } = await handle.read(buffer, 0, size, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
