/**
 * Loaded into the built CLI with `node --import`, below its Host port: numbers every operation by which it changes something (system calls on
 * files as Node makes them, requests to the engine that are not GET, tools that it runs), and at one of them ends the process with SIGKILL, or
 * lets the operation fail. The product knows nothing of it.
 *
 * HARDEN_FAULT is JSON: `log`, a file that gets a line "NUMBER KIND WHAT" for each operation; and, where something is to happen,
 *   `at`    the number, `kill`: "before" it is begun, "within" (a request is sent, a tool is started, and neither has answered), or "after" it;
 *           a number: a tool is ended with the process, that many milliseconds after its start, as when the power fails;
 *   `fail`  an errno such as "ENOSPC" instead of `kill`, for operations on files; `from` instead of `at`: every one from that number on;
 *   `below` only operations on paths below it are numbered.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { basename } from 'node:path';

const { log, at = 0, from = 0, kill = null, fail = null, below = '/' } = JSON.parse(process.env.HARDEN_FAULT);
const appendSync = fs.appendFileSync;
let count = 0;

const end = () => process.kill(process.pid, 'SIGKILL');

/** What does not fail so: a full disk still removes and syncs, a read-only one has nothing to sync. */
const CANNOT_FAIL = { ENOSPC: ['rmdir', 'unlink', 'rm', 'chmod', 'chown', 'sync', 'truncate'], EROFS: ['sync'] };

/** Numbers an operation; whether the fault is due at it. */
function due(kind, what) {
  count += 1;
  appendSync(log, `${count} ${kind} ${what}\n`);
  return count === at || (from > 0 && count >= from);
}

/** What a line of the journal announces: "intent setMetadata", "done", … */
function announced(path, line) {
  if (basename(path) !== 'journal.jsonl') return '';
  const { type = 'header', step } = JSON.parse(String(line));
  return ` ${type} ${step?.action?.kind ?? step?.kind ?? ''}`.trimEnd();
}

/** What is made only to be read, as often as somebody looks: a daemon that is slow to answer is looked at more often. */
const IS_SCRATCH = /^\/tmp\/harden-/;
const isNumbered = (path) => !IS_SCRATCH.test(path) && (path === below || path.startsWith(below.endsWith('/') ? below : `${below}/`));

/** Wraps an asynchronous call on a path. Descriptors below /proc name what they lead to. */
function guarded(kind, pathOf, call) {
  return async function wrapped(...args) {
    const given = String(pathOf.call(this, args));
    const path = given.startsWith('/proc/self/fd/') ? fs.readlinkSync(given) : given;
    // Files without a name, and what is read of /proc, are nobody's.
    if (!isNumbered(path) || path.startsWith('/proc/') || path.includes('#') || !due(kind, path + (kind === 'write' ? announced(path, args[0]) : ''))) return call.apply(this, args);
    if (fail !== null && CANNOT_FAIL[fail]?.includes(kind)) return call.apply(this, args);
    if (fail !== null) throw Object.assign(new Error(`${fail}: injected, ${kind} '${path}'`), { code: fail, errno: -constants.errno[fail], syscall: kind, path });
    if (kill === 'before') end();
    const result = await call.apply(this, args);
    end();
    return result;
  };
}

const { promises } = fs;
const first = (args) => args[0];
const MAKES = fs.constants.O_CREAT;
const open = promises.open;
const paths = new WeakMap();
const makesFile = guarded('open', first, open);
promises.open = async (path, flags, ...rest) => {
  const makes = typeof flags === 'number' ? (flags & MAKES) !== 0 : /^[wa]/.test(flags ?? 'r');
  const handle = await (makes ? makesFile : open)(path, flags, ...rest);
  paths.set(handle, String(path));
  return handle;
};
for (const name of ['mkdir', 'rmdir', 'unlink', 'rm', 'chmod', 'chown']) promises[name] = guarded(name, first, promises[name]);
for (const name of ['rename', 'link']) promises[name] = guarded(name, (args) => args[1], promises[name]);

const probe = await open('/dev/null');
const handles = Object.getPrototypeOf(probe);
await probe.close();
for (const name of ['writeFile', 'write', 'sync', 'truncate', 'chmod', 'chown']) {
  handles[name] = guarded(name, function pathOfHandle() { return paths.get(this) ?? '/proc/unknown'; }, handles[name]);
}

const request = http.request;
http.request = function faulty(options, ...rest) {
  const changes = !['GET', 'HEAD', undefined].includes(options.method);
  const isDue = changes && fail === null && due('engine', `${options.method} ${options.path.replace(/\?.*/, '')}`);
  if (isDue && kill === 'before') end();
  const sent = request.call(http, options, ...rest);
  if (isDue && kill === 'within') sent.once('finish', () => setImmediate(end));
  if (isDue && kill === 'after') sent.prependOnceListener('response', end);
  return sent;
};

const READS = [/^auditctl -l$/, /^dockerd --validate/, / config( |$)/, /--dry-run/, /^docker(-compose)? version/];
const spawn = childProcess.spawn;
childProcess.spawn = function faulty(path, args, options) {
  const line = [basename(path), ...args].join(' ');
  const isDue = !READS.some((pattern) => pattern.test(line)) && fail === null && due('run', line);
  if (isDue && kill === 'before') end();
  const child = spawn.call(childProcess, path, args, options);
  if (isDue && kill === 'within') child.once('spawn', end);
  if (isDue && (kill === 'after' || typeof kill === 'number')) child.prependOnceListener('exit', end);
  if (isDue && typeof kill === 'number') {
    setTimeout(() => {
      process.kill(-child.pid, 'SIGKILL');
      end();
    }, kill);
  }
  return child;
};
syncBuiltinESMExports();
