import { predictAudit } from '../audit/render.ts';
import { networkHolders } from '../daemon/containers.ts';
import { parseConfigFile } from '../daemon/json-edit.ts';
import { configAtStart, daemonSetting } from '../daemon/settings.ts';
import { commandLine } from '../daemon/unit.ts';
import { MANAGED_PATHS, unitDropInPath } from '../managed.ts';
import type { Change, EngineInfo, Facts, FileChange, FileStat, Json, NetworkFacts, Observed, UnitFacts } from '../model.ts';
import { isFileChange, mapObserved, present, valueOf } from '../model.ts';
import { predictObjects } from './predict-objects.ts';

const LATER_MS = 1_000;

const later = (iso: string, milliseconds: number): string => new Date(Date.parse(iso) + milliseconds).toISOString();

/** Stats of every spelling of the changed paths, and of the files that a change creates. */
function predictFiles(facts: Facts, changes: readonly FileChange[], changedAtMs: number): Facts['files'] {
  const files: Record<string, Observed<FileStat>> = { ...facts.files };
  for (const { path, before, after } of changes) {
    const realPath = valueOf(files[path])?.realPath ?? path;
    const spellings = Object.keys(files).filter((other) => valueOf(files[other])?.realPath === realPath);
    for (const spelling of new Set([path, ...spellings])) {
      const stat: FileStat = valueOf(files[spelling])
        ?? { type: 'file', realPath: path, mode: 0, uid: 0, gid: 0, dev: 0, ino: 0, nlink: 1, mtimeMs: changedAtMs, ctimeMs: changedAtMs };
      const rewritten = after.content !== null && before?.content !== after.content;
      files[spelling] = present({
        ...stat, mode: after.mode, uid: after.uid, gid: after.gid, ctimeMs: changedAtMs, mtimeMs: rewritten ? changedAtMs : stat.mtimeMs,
      });
    }
  }
  return files;
}

/** The unit as systemd will read it: changed texts, and a drop-in of ours behind the others (its name sorts last). */
function predictUnit(unit: UnitFacts, texts: ReadonlyMap<string, string>): UnitFacts {
  const sources = unit.sources.map((source) => ({ ...source, text: texts.get(source.path) ?? source.text }));
  const own = unitDropInPath(unit.name);
  const text = texts.get(own);
  if (text === undefined || sources.some(({ path }) => path === own)) return { ...unit, sources };
  return { ...unit, sources: [...sources, { path: own, text }], dropInPaths: [...unit.dropInPaths, own] };
}

/** argv of the next daemon process, as its unit and environment files say; the running one's where they cannot say it. */
function predictArgv(argv: readonly string[], predicted: Facts): readonly string[] {
  const line = valueOf(commandLine(predicted));
  return line === undefined ? argv : [...argv.slice(0, 1), ...line.words.map(({ text }) => text)];
}

/** GET /info after the daemon has read its configuration again. What only a restart changes is guarded by `restarted`. */
function predictInfo(info: EngineInfo, facts: Facts, restarted: boolean): EngineInfo {
  const next = (key: string): Json => valueOf(daemonSetting(facts, key))?.next.value ?? null;
  const strings = (value: Json): string[] => Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  const sourceOf = (key: string): string | undefined => valueOf(daemonSetting(facts, key))?.next.source;
  // A key that is absent keeps its running value through a reload; only a restart resets it.
  const reloads = (key: string): boolean => restarted || sourceOf(key) !== 'default';
  const liveRestore = next('live-restore');
  const loopback = info.insecureRegistries.filter((registry) => /^(127\.|::1)/.test(registry));
  const seccomp = next('seccomp-profile');
  const logDriver = next('log-driver');
  const remap = next('userns-remap');
  return {
    ...info,
    liveRestore: reloads('live-restore') && typeof liveRestore === 'boolean' ? liveRestore : info.liveRestore,
    insecureRegistries: reloads('insecure-registries') ? [...loopback, ...strings(next('insecure-registries'))] : info.insecureRegistries,
    registryMirrors: reloads('registry-mirrors') ? strings(next('registry-mirrors')) : info.registryMirrors,
    authorizationPlugins: strings(next('authorization-plugins')),
    debug: reloads('debug') && typeof next('debug') === 'boolean' ? next('debug') === true : info.debug,
    ...(restarted ? {
      loggingDriver: typeof logDriver === 'string' ? logDriver : info.loggingDriver,
      experimental: next('experimental') === true,
      securityOptions: [
        ...info.securityOptions.filter((text) => !/^name=(no-new-privileges|userns)\b/.test(text)).map((text) => text.startsWith('name=seccomp')
          ? text.replace(/profile=.*/, `profile=${typeof seccomp === 'string' && seccomp !== '' ? seccomp : 'default'}`) : text),
        ...(next('no-new-privileges') === true ? ['name=no-new-privileges'] : []),
        ...(typeof remap === 'string' && remap !== '' ? ['name=userns'] : []),
      ],
    } : {}),
  };
}

/** The default bridge is rebuilt at daemon start, unless live-restore finds containers running (moby, initNetworkController). */
function predictNetworks(networks: readonly NetworkFacts[], facts: Facts, liveRestore: boolean): readonly NetworkFacts[] {
  const keepsNetworks = liveRestore && valueOf(networkHolders(facts))?.length !== 0;
  const icc = valueOf(daemonSetting(facts, 'icc'))?.next.value;
  if (keepsNetworks || typeof icc !== 'boolean') return networks;
  return networks.map((network) => network.name === 'bridge' && network.driver === 'bridge'
    ? { ...network, options: { ...network.options, 'com.docker.network.bridge.enable_icc': String(icc) } } : network);
}

function predictFileChanges(facts: Facts, changes: readonly FileChange[]): Facts {
  if (changes.length === 0) return facts;
  const changedAt = later(facts.collectedAt, LATER_MS);
  const restarted = changes.some(({ activations }) => activations.includes('restartDaemon'));
  const reloaded = restarted || changes.some(({ activations }) => activations.includes('reloadDaemon'));
  const texts = new Map(changes.flatMap(({ path, after }) => after.content === null ? [] : [[path, after.content] as const]));
  const configText = texts.get(facts.daemon.configPath);
  const config = configText === undefined ? facts.daemon.config : present(parseConfigFile(configText));
  const replaceText = (current: Observed<string>, path: string): Observed<string> => {
    const text = texts.get(path);
    return text === undefined ? current : present(text);
  };

  const files = predictFiles(facts, changes, Date.parse(changedAt));
  const configured: Facts = {
    ...facts,
    files,
    managed: { ...facts.managed, ...Object.fromEntries([...texts].filter(([path]) => MANAGED_PATHS.includes(path)).map(([path, text]) => [path, present(text)])) },
    daemon: {
      ...facts.daemon,
      config,
      startedWith: restarted ? config : configAtStart(facts),
      environmentFiles: Object.fromEntries(Object.entries(facts.daemon.environmentFiles).map(([path, text]) => [path, replaceText(text, path)])),
      unit: mapObserved(facts.daemon.unit, (unit) => predictUnit(unit, texts)),
      socketUnit: mapObserved(facts.daemon.socketUnit, (unit) => {
        const dropIn = changes.find(({ kind, path }) => kind === 'unit-drop-in' && path.includes('/docker.socket.d/'))?.after.content ?? '';
        const setting = (name: string): string | undefined => new RegExp(`^${name}=(.+)$`, 'm').exec(dropIn)?.[1];
        return {
          ...unit,
          mode: Number.parseInt(setting('SocketMode') ?? unit.mode.toString(8), 8),
          user: setting('SocketUser') ?? unit.user,
          group: setting('SocketGroup') ?? unit.group,
        };
      }),
    },
  };
  const withFiles: Facts = !restarted ? configured : {
    ...configured,
    daemon: {
      ...configured.daemon,
      process: mapObserved(configured.daemon.process, (process) =>
        ({ ...process, startedAt: later(changedAt, LATER_MS), argv: predictArgv(process.argv, configured) })),
    },
  };
  const rules = changes.find(({ kind }) => kind === 'audit-rules')?.after.content ?? null;
  const info = reloaded ? mapObserved(facts.engine.info, (value) => predictInfo(value, withFiles, restarted)) : facts.engine.info;
  const liveRestore = valueOf(info)?.liveRestore === true;
  return {
    ...withFiles,
    audit: rules === null ? facts.audit : predictAudit(facts.audit, rules),
    engine: {
      ...facts.engine,
      info,
      version: restarted
        ? mapObserved(facts.engine.version, (version) => ({ ...version, experimental: valueOf(info)?.experimental ?? version.experimental }))
        : facts.engine.version,
    },
    networks: restarted ? mapObserved(facts.networks, (networks) => predictNetworks(networks, withFiles, liveRestore)) : facts.networks,
  };
}

/**
 * The facts as they would be once the changes are made and activated. Pure; what a change cannot influence stays as read.
 * Evaluating these facts gives the plan's promises.
 */
export function predict(facts: Facts, changes: readonly Change[]): Facts {
  return predictObjects(predictFileChanges(facts, changes.filter(isFileChange)), changes.filter((change) => !isFileChange(change)));
}
