import { isIP } from 'node:net';
import type { Json, JsonObject } from '../model.ts';
import { flagValue } from './flags.ts';
import type { DaemonFlag } from './flags.ts';
import { duplicateKeys, isObject, own, parseConfigFile } from './json-edit.ts';
import { compareEngines, daemonKey, field, flagTarget, nestedKeys, NEWEST_ENGINE, settledValue, show, typeProblem, unsupported } from './keys.ts';

/** `fatal`: the daemon refuses to start. `warning`: it starts, but does not do what the file seems to say. */
export interface ConfigProblem {
  readonly severity: 'fatal' | 'warning';
  readonly key: string;
  /** What is wrong, where, and what to do. */
  readonly message: string;
}

export interface ValidationContext {
  /** GET /version Version; "" when it is not known. */
  readonly engineVersion: string;
  /** Of the daemon's next start. */
  readonly flags: readonly DaemonFlag[];
  readonly swarmActive: boolean;
  /** GET /info CgroupDriver: "systemd", "cgroupfs"; left out or null when it is not known. */
  readonly cgroupDriver?: string | null;
}

function problem(severity: ConfigProblem['severity'], key: string, what: string, remedy: string): ConfigProblem {
  return { severity, key, message: `${what} ${remedy.slice(0, 1).toUpperCase()}${remedy.slice(1)}.` };
}

/**
 * What an engine of this version would object to in daemon.json, as far as its text, its flags and the state of the swarm tell. Files
 * that keys name, plugins and addresses are not looked at.
 */
export function validateConfig(config: JsonObject, context: ValidationContext): ConfigProblem[] {
  return [
    ...Object.keys(config).flatMap((key) => keyProblems(config, key, context)),
    ...nestedProblems(config, context),
    ...flagClashes(config, context),
    ...networkProblems(config, context),
    ...swarmProblems(config, context),
    ...logProblems(config, context),
    ...cgroupProblems(config, context),
    ...valueProblems(config),
  ];
}

/** The same for a text: what the engine's decoder objects to, and keys that stand twice. */
export function validateText(raw: string, context: ValidationContext): ConfigProblem[] {
  const { text, bom, parsed } = parseConfigFile(raw);
  const old = (compareEngines(context.engineVersion, '23.0') ?? 0) < 0;
  const encoding = [
    ...(bom && old ? [problem('fatal', '', `The file begins with a byte order mark, which engine ${context.engineVersion} refuses.`, 'save it as UTF-8 without a byte order mark')] : []),
    ...(text.trim() === '' && old ? [problem('fatal', '', `The file is empty, which engine ${context.engineVersion} refuses.`, 'write {} into it, or remove it')] : []),
  ];
  if (!parsed.ok) return [...encoding, problem('fatal', '', `Line ${parsed.line}, column ${parsed.column}: ${parsed.error}.`, 'correct it there')];
  const twice = duplicateKeys(text).map(({ key, line }) =>
    problem('warning', key, `"${key}" stands there twice, again on line ${line}; what is in force is the last value, or the sum of objects.`, 'remove all but one'));
  return [...encoding, ...twice, ...validateConfig(parsed.value, context)];
}

function keyProblems(config: JsonObject, key: string, { engineVersion }: ValidationContext): ConfigProblem[] {
  const row = daemonKey(key);
  const value = own(config, key) ?? null;
  if (row === undefined) {
    const meant = singularOf(key);
    if (meant !== undefined) {
      return [problem('warning', key, `"${key}" is a flag's spelling: the daemon takes it in the file and ignores it.`, meant === key ? 'remove it' : `write "${meant}"`)];
    }
    // An object under an unknown name is judged by its members, as dockerd does.
    return isObject(value) ? [] : [unknownKey(key, engineVersion)];
  }
  const reason = unsupported(key, engineVersion);
  if (reason !== null) return [problem('fatal', key, `The ${reason}.`, `remove "${key}"`)];
  const wrong = typeProblem(row.type, value);
  return wrong === null ? [] : [problem('fatal', key, `"${key}" ${wrong}; it is ${show(value)}.`, `correct the value of "${key}"`)];
}

/** What a flag's name, used as a key, stands for; undefined when no flag is called so. */
function singularOf(key: string): string | undefined {
  return key.length === 1 ? undefined : flagTarget(key)?.key;
}

function unknownKey(key: string, engineVersion: string): ConfigProblem {
  const newer = (compareEngines(engineVersion, NEWEST_ENGINE) ?? 1) > 0;
  return newer
    ? problem('warning', key, `"${key}" is not a key that is known here; whether engine ${engineVersion} takes it was not checked.`, 'look it up in the documentation of this engine')
    : problem('fatal', key, `"${key}" is no key of engine ${engineVersion} (keys are case-sensitive).`, `remove or correct "${key}"`);
}

function nestedProblems(config: JsonObject, { engineVersion }: ValidationContext): ConfigProblem[] {
  return nestedKeys(config).map(({ parent, name }) => (daemonKey(name) === undefined && singularOf(name) === undefined
    ? { ...unknownKey(name, engineVersion), key: parent }
    : problem('warning', name, `"${name}" stands inside "${parent}", where the daemon reads it only in part.`, `move "${name}" to the top level`)));
}

function flagClashes(config: JsonObject, { flags }: ValidationContext): ConfigProblem[] {
  const inFile = new Set([...Object.keys(config).filter((key) => daemonKey(key) !== undefined || flagTarget(key) !== undefined), ...nestedKeys(config).map(({ name }) => name)]);
  const clashing = new Map(flags.filter((flag) => inFile.has(flag.key) && flag.key !== 'runtimes').map((flag) => [flag.key, flag]));
  return [...clashing.values()].map((flag) => problem('fatal', flag.key,
    `"${flag.key}" stands in the file and is also given by the daemon's flag ${flag.flag}; the daemon refuses that even when both are equal.`,
    `keep it in one place: remove "${flag.key}" from the file, or the flag`));
}

/** What the daemon would use, for keys whose values are judged together. */
function inForce(config: JsonObject, key: string, { flags, engineVersion }: ValidationContext): Json {
  const written = own(config, key);
  return flagValue(flags, key) ?? (written === undefined ? daemonKey(key)?.default ?? null : settledValue(key, written, engineVersion));
}

function networkProblems(config: JsonObject, context: ValidationContext): ConfigProblem[] {
  if (inForce(config, 'icc', context) !== false || inForce(config, 'iptables', context) !== false) return [];
  return [problem('fatal', 'icc', 'icc=false needs iptables=true: without iptables the daemon cannot keep containers apart, and refuses to start.', 'set "iptables" to true first, or leave "icc" as it is')];
}

function swarmProblems(config: JsonObject, context: ValidationContext): ConfigProblem[] {
  return context.swarmActive && inForce(config, 'live-restore', context) === true
    ? [problem('fatal', 'live-restore', 'live-restore does not work in swarm mode: a node of a swarm does not start with it.', 'leave "live-restore" off on swarm nodes')]
    : [];
}

const LABELLED = ['env', 'env-regex', 'labels', 'labels-regex', 'tag'];

/** Options per built-in log driver, all engines from 20.10 to 29 together; a driver that is not here is a plugin. */
const LOG_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  awslogs: [
    'awslogs-create-group', 'awslogs-create-stream', 'awslogs-credentials-endpoint', 'awslogs-datetime-format', 'awslogs-endpoint', 'awslogs-force-flush-interval-seconds',
    'awslogs-format', 'awslogs-group', 'awslogs-max-buffered-events', 'awslogs-multiline-pattern', 'awslogs-region', 'awslogs-stream', 'tag',
  ],
  fluentd: [
    ...LABELLED, 'fluentd-address', 'fluentd-async', 'fluentd-async-connect', 'fluentd-async-reconnect-interval', 'fluentd-buffer-limit', 'fluentd-max-retries',
    'fluentd-read-timeout', 'fluentd-request-ack', 'fluentd-retry-wait', 'fluentd-sub-second-precision', 'fluentd-write-timeout',
  ],
  gcplogs: ['env', 'env-regex', 'labels', 'labels-regex', 'gcp-log-cmd', 'gcp-meta-id', 'gcp-meta-name', 'gcp-meta-zone', 'gcp-project'],
  gelf: [...LABELLED, 'gelf-address', 'gelf-compression-level', 'gelf-compression-type', 'gelf-tcp-max-reconnect', 'gelf-tcp-reconnect-delay'],
  journald: LABELLED,
  'json-file': [...LABELLED, 'compress', 'max-file', 'max-size'],
  local: ['compress', 'max-file', 'max-size'],
  logentries: [...LABELLED, 'line-only', 'logentries-token'],
  splunk: [
    ...LABELLED, 'splunk-caname', 'splunk-capath', 'splunk-format', 'splunk-gzip', 'splunk-gzip-level', 'splunk-index', 'splunk-index-acknowledgment', 'splunk-insecureskipverify',
    'splunk-source', 'splunk-sourcetype', 'splunk-token', 'splunk-url', 'splunk-verify-connection',
  ],
  syslog: [...LABELLED, 'syslog-address', 'syslog-facility', 'syslog-format', 'syslog-tls-ca-cert', 'syslog-tls-cert', 'syslog-tls-key', 'syslog-tls-skip-verify'],
};

/** Options that engines before the one named refuse; where only the refusing 26.1 was tried, the next engine. */
const LOG_OPTION_SINCE: Readonly<Record<string, string>> = {
  'awslogs-create-stream': '27.0', 'awslogs-format': '23.0', 'fluentd-async-reconnect-interval': '23.0', 'fluentd-read-timeout': '29.0', 'fluentd-write-timeout': '27.0',
};

const ANY_DRIVER = new Set(['mode', 'max-buffer-size', 'cache-disabled', 'cache-max-size', 'cache-max-file', 'cache-compress']);

function logProblems(config: JsonObject, context: ValidationContext): ConfigProblem[] {
  const driver = inForce(config, 'log-driver', context);
  const options = inForce(config, 'log-opts', context);
  if (typeof driver !== 'string' || !isObject(options)) return [];
  if (driver === 'logentries' && (compareEngines(context.engineVersion, '25.0') ?? -1) >= 0) {
    return [problem('fatal', 'log-driver', `Engine ${context.engineVersion} no longer has the log driver logentries.`, 'choose another one')];
  }
  const known = Object.hasOwn(LOG_OPTIONS, driver) ? LOG_OPTIONS[driver] : undefined;
  const tooNew = (option: string): boolean => Object.hasOwn(LOG_OPTION_SINCE, option) && (compareEngines(context.engineVersion, LOG_OPTION_SINCE[option] ?? '') ?? 0) < 0;
  const foreign = known === undefined ? [] : Object.keys(options).filter((option) => (!known.includes(option) && !ANY_DRIVER.has(option)) || tooNew(option));
  const foreignProblems = foreign.map((option) => problem('fatal', 'log-opts',
    `"${option}" in "log-opts" is no option of the log driver ${driver} of engine ${context.engineVersion}.`,
    'remove it, or replace "log-opts" as a whole when the driver changes'));
  const mode = own(options, 'mode') ?? 'blocking';
  return [
    ...foreignProblems,
    ...(['blocking', 'non-blocking', ''].includes(mode as string) ? [] : [problem('fatal', 'log-opts', `"mode" in "log-opts" is ${show(mode)}.`, 'write "blocking" or "non-blocking"')]),
    ...(own(options, 'max-buffer-size') !== undefined && mode !== 'non-blocking'
      ? [problem('fatal', 'log-opts', '"max-buffer-size" in "log-opts" needs "mode": "non-blocking".', 'add the mode, or remove the size')] : []),
  ];
}

function cgroupProblems(config: JsonObject, context: ValidationContext): ConfigProblem[] {
  const parent = inForce(config, 'cgroup-parent', context);
  return context.cgroupDriver === 'systemd' && typeof parent === 'string' && parent !== '' && !/^[^/]+\.slice$/.test(parent)
    ? [problem('fatal', 'cgroup-parent', `With the systemd cgroup driver "cgroup-parent" must name a slice; it is ${show(parent)}.`, 'write a name that ends in .slice, without "/"')]
    : [];
}

const LEVELS = ['panic', 'fatal', 'error', 'warn', 'warning', 'info', 'debug', 'trace'];

function valueProblems(config: JsonObject): ConfigProblem[] {
  const found: ConfigProblem[] = [];
  const level = own(config, 'log-level');
  if (typeof level === 'string' && level !== '' && !LEVELS.includes(level.toLowerCase())) {
    found.push(problem('fatal', 'log-level', `"log-level" is ${show(level)}.`, 'write debug, info, warn, error or fatal'));
  }
  const ulimits = own(config, 'default-ulimits');
  for (const [name, limit] of isObject(ulimits) ? Object.entries(ulimits) : []) {
    if (!isObject(limit)) continue;
    const [given, soft, hard] = [field(limit, 'name'), field(limit, 'soft'), field(limit, 'hard')];
    if (given !== name) {
      found.push(problem('warning', 'default-ulimits', `"${name}" in "default-ulimits" has ${given === undefined ? 'no "Name"' : `the "Name" ${show(given)}`}: the daemon starts, and every container fails to.`, `write "Name": "${name}" into it`));
    }
    if (typeof soft === 'number' && typeof hard === 'number' && hard !== -1 && (soft > hard || soft === -1)) {
      found.push(problem('warning', 'default-ulimits', `"${name}" in "default-ulimits" has a soft limit above its hard one: the daemon starts, and every container fails to.`, 'correct "Soft" or "Hard"'));
    }
  }
  for (const [key, [least, most]] of Object.entries(RANGES)) {
    const value = own(config, key);
    if (typeof value === 'number' && (value < least || value > most)) found.push(problem('fatal', key, `"${key}" is ${value}.`, `write a number from ${least} to ${most}`));
  }
  for (const [key, choices] of Object.entries(CHOICES)) {
    const value = own(config, key);
    if (typeof value === 'string' && value !== '' && !choices.includes(value)) found.push(problem('fatal', key, `"${key}" is ${show(value)}.`, `write ${choices.map(show).join(' or ')}`));
  }
  for (const key of ['labels', 'node-generic-resources']) {
    for (const item of texts(own(config, key))) {
      if (!item.includes('=')) found.push(problem('fatal', key, `${show(item)} in "${key}" has no value.`, 'write it as "name=value"'));
    }
  }
  for (const key of ['dns', 'ip', 'default-gateway', 'default-gateway-v6', 'host-gateway-ips']) {
    for (const address of texts(own(config, key))) {
      if (address !== '' && isIP(address.trim()) === 0) found.push(problem('fatal', key, `"${key}" holds ${show(address)}, which is no IP address.`, 'write an IP address'));
    }
  }
  return found;
}

const texts = (value: Json | undefined): string[] => (Array.isArray(value) ? value : [value]).filter((item) => typeof item === 'string');

const MOST = 2 ** 31 - 1;
const RANGES: Readonly<Record<string, readonly [number, number]>> = {
  mtu: [0, MOST], 'max-concurrent-downloads': [0, MOST], 'max-concurrent-uploads': [0, MOST], 'max-download-attempts': [0, MOST], 'network-diagnostic-port': [0, 65535],
};
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  'default-ipc-mode': ['private', 'shareable'], 'default-cgroupns-mode': ['host', 'private'], 'log-format': ['text', 'json'], 'firewall-backend': ['iptables', 'nftables'],
};
