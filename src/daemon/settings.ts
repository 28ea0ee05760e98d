import type { ConfigFile, Facts, Impact, Json, JsonObject, Observed, Proposal, ProposedEdit, Risk } from '../model.ts';
import { mapObserved, maxImpact, present, statOf, unreadable, valueOf } from '../model.ts';
import type { Edit } from '../model.ts';
import { DEFAULT_CONFIG_PATH } from '../collect/paths.ts';
import { flagValue, parseDaemonFlags } from './flags.ts';
import type { DaemonFlag } from './flags.ts';
import { JsonEditError, mergeJson, own, parseConfigFile } from './json-edit.ts';
import { daemonKey, defaultOf, nestedKeys, settledValue, show, unsupported } from './keys.ts';
import { commandLine, flagText, locateFlag } from './unit.ts';
import { validateConfig, validateText } from './validate.ts';
import type { ConfigProblem, ValidationContext } from './validate.ts';

/** One daemon option: what the running daemon uses, and what its next start will use. */
export interface Setting {
  /** daemon.json key, e.g. "icc", "userland-proxy", "insecure-registries". */
  readonly key: string;
  /** What the next start of the daemon will use; `default` when neither a flag nor the file names the key (value: the engine's default, null when it has none). */
  readonly next: { readonly value: Json; readonly source: 'flag' | 'file' | 'default' };
  /**
   * What the running daemon uses, as far as its flags and the times of daemon.json prove it: a flag always; a file value
   * when the file has not changed since the daemon started. Otherwise unreadable, with the reason.
   * A check that sees the live value elsewhere (GET /info, a network's options) uses that instead.
   */
  readonly now: Observed<Json>;
}

/** unreadable: the daemon's flags or its file could not be read, or the file is not valid JSON. Never absent. */
export function daemonSetting(facts: Facts, key: string): Observed<Setting> {
  const config = readConfig(facts);
  if (config.status !== 'present') return config;
  const line = commandLine(facts);
  if (line.status !== 'present') return line;
  const moved = configMoves(facts, line.value.flags);
  if (moved !== null) return unreadable(moved);
  const nested = nestedKeys(config.value).find(({ name }) => name === key);
  if (nested !== undefined) {
    return unreadable(`in ${facts.daemon.configPath} the key "${key}" stands inside "${nested.parent}"; move it to the top level`);
  }
  const version = engineVersion(facts);
  const flagged = flagValue(line.value.flags, key);
  const next: Setting['next'] = flagged !== undefined
    ? { value: flagged, source: 'flag' }
    : { value: settled(config.value, key, version), source: own(config.value, key) === undefined ? 'default' : 'file' };
  return present({ key, next, now: runningValue(facts, key) });
}

const engineVersion = (facts: Facts): string | undefined => valueOf(facts.engine.version)?.version;

/** Why the file that was read is not the one of the daemon's next start; null when it is. `next`: the flags of that start. */
function configMoves(facts: Facts, next: readonly DaemonFlag[]): string | null {
  const argv = valueOf(facts.daemon.process)?.argv;
  if (argv === undefined) return null;
  const [after, now] = [next, parseDaemonFlags(argv.slice(1))].map((flags) => flagValue(flags, 'config-file') ?? null);
  return after === now || (after ?? DEFAULT_CONFIG_PATH) === facts.daemon.configPath ? null
    : `the next start of the daemon reads ${typeof after === 'string' ? after : DEFAULT_CONFIG_PATH}, the running one reads ${facts.daemon.configPath}`;
}

/** The object of daemon.json; {} when there is no file. Never absent. */
const readConfig = (facts: Facts): Observed<JsonObject> => parsedConfig(facts.daemon.config, facts.daemon.configPath);

function parsedConfig(config: Observed<ConfigFile>, path: string): Observed<JsonObject> {
  if (config.status === 'absent') return present({});
  if (config.status === 'unreadable') return unreadable(config.reason.includes(path) ? config.reason : `${path}: ${config.reason}`);
  const { parsed } = config.value;
  return parsed.ok ? present(parsed.value) : unreadable(`${path}, line ${parsed.line}, column ${parsed.column}: ${parsed.error}`);
}

/** The value that a file without flags amounts to. */
function settled(config: JsonObject, key: string, version: string | undefined): Json {
  const written = own(config, key);
  return written === undefined ? defaultOf(key, version) : settledValue(key, written, version);
}

function runningValue(facts: Facts, key: string): Observed<Json> {
  const { process, configPath } = facts.daemon;
  if (process.status === 'absent') return unreadable('no daemon process was found');
  if (process.status === 'unreadable') return process;
  const flagged = flagValue(parseDaemonFlags(process.value.argv.slice(1)), key);
  if (flagged !== undefined) return present(flagged);
  const config = parsedConfig(configAtStart(facts), configPath);
  return mapObserved(config, (value) => settled(value, key, engineVersion(facts)));
}

/** daemon.json as the running daemon read it when it started: absent when it had none, unreadable when the file may have changed since. */
export function configAtStart(facts: Facts): Observed<ConfigFile> {
  const { process, config, startedWith } = facts.daemon;
  if (startedWith !== undefined) return startedWith;
  if (process.status !== 'present') return unreadable(process.status === 'absent' ? 'no daemon process was found' : process.reason);
  if (config.status === 'unreadable') return config;
  const changed = changedSince(facts, Date.parse(process.value.startedAt));
  return changed === null ? config : unreadable(changed);
}

/** A file's times may be any number; a Date is not defined for all of them (ECMA-262, 8.64e15 ms). */
const iso = (ms: number): string => Number.isNaN(new Date(ms).getTime()) ? 'at an impossible time' : new Date(ms).toISOString();
const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';

/** An engine before 23.0 makes key.json in the same directory while it starts for the first time. */
const STARTUP_MS = 30_000;

/**
 * Why the running daemon may have read something else than what daemon.json holds now; null when it cannot have. A later mtime is a later
 * write. A later ctime may be a mere chmod, but also `cp -p` of an older file, which writes in place and sets the time back. Through a
 * symbolic link every link on the way must be old too, because it may have pointed elsewhere; and nothing says when a mount was made.
 */
function changedSince(facts: Facts, startedAt: number): string | null {
  const { configPath, config } = facts.daemon;
  const sure = 'restart it to be sure';
  const file = statOf(facts, configPath);
  const directory = statOf(facts, directoryOf(configPath));
  if (!Number.isFinite(startedAt)) return 'the start time of the daemon is not known';
  if (config.status !== 'present') {
    if (directory?.status === 'absent') return null;
    if (directory?.status !== 'present') return `the directory of ${configPath} could not be read: ${directory?.reason ?? 'nobody looked at it'}`;
    return directory.value.mtimeMs <= startedAt + STARTUP_MS
      ? null
      : `${configPath} may have been removed after the daemon started (its directory changed ${iso(directory.value.mtimeMs)}); ${sure}`;
  }
  if (file?.status !== 'present') return `the times of ${configPath} could not be read${file?.status === 'unreadable' ? `: ${file.reason}` : ''}`;
  const { mtimeMs, ctimeMs, realPath, linksChangedMs } = file.value;
  if (mtimeMs > startedAt) return `${configPath} changed after the daemon started (${iso(mtimeMs)}); ${sure}`;
  if (ctimeMs > startedAt) return `${configPath} may have been replaced after the daemon started (${iso(ctimeMs)}); ${sure}`;
  if (realPath !== configPath && (linksChangedMs === undefined || linksChangedMs > startedAt)) {
    return `the symbolic links on the way to ${configPath} may have been replaced after the daemon started; ${sure}`;
  }
  return valueOf(facts.host.mounts)?.some(({ mountPoint }) => mountPoint === configPath || mountPoint === realPath) === true
    ? `${configPath} is a mount point, and when it was mounted cannot be seen` : null;
}

/** What setting the keys costs, as the remediation sees it. */
export interface EditCost {
  readonly impact: Impact;
  readonly risk: Risk;
  readonly undo: Impact | 'impossible';
  readonly note?: string;
}

const guard = (explanation: string, needs?: string): Proposal =>
  needs === undefined ? { defer: 'guard', explanation } : { defer: 'guard', explanation, needs };

function contextOf(facts: Facts, flags: readonly DaemonFlag[]): ValidationContext {
  const info = valueOf(facts.engine.info);
  return {
    engineVersion: engineVersion(facts) ?? '',
    flags,
    swarmActive: info !== undefined && !['inactive', ''].includes(info.swarm.state),
    cgroupDriver: info?.cgroupDriver ?? null,
  };
}

/**
 * Edits that give daemon options new values where they are set: a flag where a flag sets them, the file otherwise. `null` removes a
 * key. Defers what would stop the daemon from starting, with the reason and what to write by hand.
 */
export function setDaemonKeys(facts: Facts, patch: JsonObject, cost: EditCost): Proposal {
  const { configPath, config } = facts.daemon;
  if (facts.engine.local.status !== 'present') {
    return guard(`The engine is not proven to run on this host, so its ${configPath} is not touched.`, 'run harden on the host of the engine');
  }
  const before = readConfig(facts);
  if (before.status !== 'present') {
    return guard(`The daemon's configuration cannot be edited: ${before.status === 'unreadable' ? before.reason : 'it was not read'}.`,
      config.status === 'present' ? `correct ${configPath} so that it is valid JSON` : `make ${configPath} readable`);
  }
  const line = commandLine(facts);
  if (line.status !== 'present') {
    return guard(`How the daemon is started cannot be told${line.status === 'unreadable' ? `: ${line.reason}` : ''}.`, 'see that its unit and environment files can be read');
  }
  const moved = configMoves(facts, line.value.flags);
  if (moved !== null) return guard(`${moved}.`, 'restart the daemon, then plan again');
  if (rootlessElsewhere(facts)) {
    return guard(`The engine is rootless, and ${configPath} is not below its user's home.`, 'start the daemon with --config-file, or run harden as its user');
  }
  for (const [key, value] of Object.entries(patch)) {
    const reason = unsupported(key, engineVersion(facts) ?? '');
    if (reason !== null && value !== null) return { defer: 'unsupported', explanation: `The ${reason}.` };
  }
  const edits: Edit[] = [];
  const filePatch: JsonObject = {};
  let flags = line.value.flags;
  for (const [key, value] of Object.entries(patch)) {
    const written = flags.filter((flag) => flag.key === key);
    if (written.length === 0) {
      if (value !== null || own(before.value, key) !== undefined) filePatch[key] = value;
      continue;
    }
    const change = flagEdit(facts, key, value);
    if ('unclear' in change) return guard(change.unclear, change.line);
    edits.push(...change.edits);
    flags = flags.filter((flag) => flag.key !== key);
    const text = value === null ? null : flagText(daemonKey(key)?.flag ?? key, value);
    if (text !== null) flags = [...flags, ...parseDaemonFlags(text.split(' '))];
  }
  if (edits.filter((edit) => edit.kind === 'unitDropIn').length > 1) {
    return guard('Several flags of the packaged unit would have to change at once.', 'set them one after the other, or write the drop-in by hand (systemctl edit)');
  }
  const candidate = candidateText(facts, filePatch);
  if ('error' in candidate) return guard(`${configPath}: ${candidate.error}`, `correct ${configPath}`);
  const fatal = candidate.problems(flags).filter((problem) => problem.severity === 'fatal');
  if (fatal.length > 0) {
    return guard(`With this change the daemon would not start. ${fatal.map((problem) => problem.message).join(' ')}`);
  }
  if (Object.keys(filePatch).length > 0) edits.push({ kind: 'mergeJson', path: configPath, patch: filePatch });
  const proposed = edits.map((edit): ProposedEdit => ({
    ...edit,
    impact: edit.kind === 'mergeJson' ? cost.impact : maxImpact([cost.impact, 'restart']),
    risk: cost.risk,
    undo: edit.kind === 'mergeJson' || cost.undo === 'impossible' ? cost.undo : maxImpact([cost.undo, 'restart']),
    ...noteOf(edit, cost),
  }));
  return { edits: proposed, parameters: [] };
}

function noteOf(edit: Edit, { note }: EditCost): { readonly note?: string } {
  const frozen = edit.kind === 'unitDropIn'
    ? [`The command line of ${edit.unit} then stands in a drop-in: what an update of its package changes in it does not arrive.`] : [];
  const notes = [...(note === undefined ? [] : [note]), ...frozen];
  return notes.length === 0 ? {} : { note: notes.join(' ') };
}

function candidateText(facts: Facts, patch: JsonObject): { readonly problems: (flags: readonly DaemonFlag[]) => ConfigProblem[] } | { readonly error: string } {
  const text = valueOf(facts.daemon.config)?.text ?? '';
  try {
    const merged = mergeJson(text, patch);
    if (merged.trim() === '') return { problems: (flags) => validateConfig({}, contextOf(facts, flags)) };
    const { parsed } = parseConfigFile(merged);
    return parsed.ok ? { problems: (flags) => validateConfig(parsed.value, contextOf(facts, flags)) } : { error: parsed.error };
  } catch (error) {
    if (error instanceof JsonEditError) return { error: error.message };
    throw error;
  }
}

/** A rootless daemon reads its user's file; one below /etc is only right when --config-file names it. */
function rootlessElsewhere(facts: Facts): boolean {
  const rootless = valueOf(facts.engine.info)?.securityOptions.some((option) => option === 'name=rootless' || option.startsWith('name=rootless,')) === true;
  if (!rootless || !facts.daemon.configPath.startsWith('/etc/')) return false;
  const argv = valueOf(facts.daemon.process)?.argv ?? [];
  return !parseDaemonFlags(argv.slice(1)).some((flag) => flag.key === 'config-file');
}

/**
 * Edits that give all flags of one key a new value, or remove them (null, or an empty list); else why not, and the flag to write by hand.
 * A packaged unit gets a drop-in with its whole command line.
 */
export function flagEdit(facts: Facts, key: string, value: Json): { readonly edits: Edit[] } | { readonly unclear: string; readonly line: string } {
  const line = commandLine(facts);
  const flags = line.status === 'present' ? line.value.flags.filter((flag) => flag.key === key) : [];
  const name = daemonKey(key)?.flag ?? key;
  const replacement = value === null ? '' : flagText(name, value);
  const asWritten = flags.map((flag) => (flag.raw === null ? flag.flag : `${flag.flag} ${flag.raw}`)).join(' ');
  const unit = valueOf(facts.daemon.unit)?.name;
  const where = unit === undefined ? 'where the daemon is started' : `in the ExecStart= of ${unit} (systemctl edit ${unit})`;
  const wanted = replacement === null ? `--${name} for ${show(value)}` : replacement;
  const unclear = (explanation: string): { unclear: string; line: string } => ({
    unclear: `"${key}" is set by the daemon's flag "${asWritten}", and a key may not stand in the file too: ${explanation}.`,
    line: wanted === '' ? `remove "${asWritten}" ${where}` : `write "${wanted}" instead of "${asWritten}" ${where}`,
  });
  if (replacement === null) return unclear('its new value needs quoting on the command line');
  const locations = flags.map((flag) => locateFlag(facts, flag));
  const lost = locations.find((location) => location.kind === 'unclear');
  if (lost !== undefined) return unclear(lost.explanation);
  const splices = locations.filter((location) => location.kind === 'splice');
  const vendor = locations.filter((location) => location.kind === 'vendorUnit');
  const [packaged] = vendor;
  if (packaged === undefined) {
    return {
      edits: splices.map(({ path, offset, expected, gap }, i) => (i === 0 && replacement !== ''
        ? { kind: 'spliceText', path, offset, expected, replacement }
        : { kind: 'spliceText', path, offset: offset - gap.length, expected: gap + expected, replacement: '' })),
    };
  }
  if (splices.length > 0) return unclear('it stands in the packaged unit and in another place');
  let command = packaged.execStart;
  for (const [i, location] of [...vendor.entries()].reverse()) {
    const text = i === 0 ? replacement : '';
    const rest = command.slice(location.offset + location.length);
    command = command.slice(0, location.offset) + (text === '' ? rest.replace(/^\s+/, '') : text + rest);
  }
  return { edits: [{ kind: 'unitDropIn', unit: packaged.unit, section: 'Service', settings: [['ExecStart', ''], ['ExecStart', command.trim()]] }] };
}

/** What would be wrong with `text` (with or without byte order mark) as the daemon's file, with the flags of its next start. */
export function validateCandidate(text: string, facts: Facts): ConfigProblem[] {
  const line = commandLine(facts);
  return validateText(text, contextOf(facts, line.status === 'present' ? line.value.flags : []));
}

/** Keys that keep their running value when they are removed from the file and the daemon is reloaded, with what to write instead. */
const KEPT_ON_RELOAD: Readonly<Record<string, Json>> = {
  debug: false, 'insecure-registries': [], labels: [], 'live-restore': false, 'registry-mirrors': [],
};

/** A merge patch over `before` with the explicit values that a reload needs to really go back to it from `after`. Empty: `before` itself does. */
export function explicitRollback(before: JsonObject, after: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(KEPT_ON_RELOAD).filter(([key]) => (own(before, key) ?? null) === null && (own(after, key) ?? null) !== null));
}
