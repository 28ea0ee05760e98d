import { describe, expect, it } from 'vitest';
import { parseConfigFile } from '../src/daemon/json-edit.ts';
import { configAtStart, daemonSetting, explicitRollback, flagEdit, setDaemonKeys, validateCandidate } from '../src/daemon/settings.ts';
import { commandLine, locateFlag } from '../src/daemon/unit.ts';
import type { EngineInfo, Facts, FileStat, Json, JsonObject, Observed, ServiceManager } from '../src/model.ts';
import { absent, present, unreadable } from '../src/model.ts';

const CONFIG = '/etc/docker/daemon.json';
const UNIT = '/lib/systemd/system/docker.service';
const STARTED = Date.parse('2026-03-01T10:00:00.000Z');
const VENDOR = `[Unit]
Description=Docker

[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
ExecReload=/bin/kill -s HUP $MAINPID
`;

interface Host {
  readonly config?: string | null;
  readonly version?: string;
  readonly argv?: readonly string[];
  readonly unit?: string | null;
  readonly dropIns?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, Observed<string>>>;
  readonly environmentFiles?: readonly string[];
  readonly manager?: ServiceManager;
  readonly swarm?: string;
  readonly securityOptions?: readonly string[];
  readonly remote?: boolean;
  readonly file?: Partial<FileStat>;
  readonly directory?: Partial<FileStat> | null;
  readonly unitFile?: Partial<FileStat>;
  readonly startedWith?: string;
}

const stat = (path: string, over: Partial<FileStat>): FileStat => ({
  type: 'file', realPath: path, mode: 0o644, uid: 0, gid: 0, dev: 1, ino: 1, nlink: 1, mtimeMs: STARTED - 5000, ctimeMs: STARTED - 5000, ...over,
});

/** Facts of a host with one systemd unit, as far as the daemon's configuration goes. */
function host(over: Host = {}): Facts {
  const {
    config = null, version = '26.1.5', argv = ['/usr/sbin/dockerd', '-H', 'fd://'], unit = VENDOR, dropIns = {}, environment = { '/etc/default/docker': absent },
    environmentFiles = ['/etc/default/docker'], manager = 'systemd', swarm = 'inactive', securityOptions = [], remote = false, file = {}, directory = {}, unitFile = {}, startedWith,
  } = over;
  const facts = {
    host: { serviceManager: present(manager) },
    engine: {
      local: remote ? absent : present({ pid: 1 }),
      version: present({ version }),
      info: present({ swarm: { state: swarm, manager: false }, securityOptions, cgroupDriver: 'systemd' } as unknown as EngineInfo),
    },
    daemon: {
      configPath: CONFIG,
      config: config === null ? absent : present(parseConfigFile(config)),
      ...(startedWith === undefined ? {} : { startedWith: present(parseConfigFile(startedWith)) }),
      process: present({ pid: 1, uid: 0, argv, startedAt: new Date(STARTED).toISOString() }),
      unit: unit === null ? absent : present({
        name: 'docker.service', fragmentPath: UNIT, dropInPaths: Object.keys(dropIns), mainPid: 1, killMode: 'process', canReload: true,
        sources: [{ path: UNIT, text: unit }, ...Object.entries(dropIns).map(([path, text]) => ({ path, text }))],
        environmentFiles: environmentFiles.map((path) => ({ path, optional: true })),
      }),
      environmentFiles: environment,
    },
    files: {
      ...Object.fromEntries([UNIT, ...Object.keys(dropIns)].map((path) => [path, present(stat(path, unitFile))])),
      '/etc/default/docker': absent,
      ...(config === null ? {} : { [CONFIG]: present(stat(CONFIG, file)) }),
      '/etc/docker': directory === null ? absent : present(stat('/etc/docker', { type: 'directory', ...directory })),
    },
  };
  return facts as unknown as Facts;
}

const OPTS = (text: string): Partial<Host> => ({ environment: { '/etc/default/docker': present(text) } });
const flagsOf = (facts: Facts): unknown => {
  const line = commandLine(facts);
  return line.status === 'present' ? line.value.flags.map(({ key, value }) => [key, value]) : line;
};

describe('the command line of the next start', () => {
  const FD = ['hosts', ['fd://']];
  const CONTAINERD = ['containerd', '/run/containerd/containerd.sock'];
  it.each<[string, Host, unknown]>([
    ['the packaged unit', {}, [FD, CONTAINERD]],
    ['a variable of its own is split', OPTS('# icc\nDOCKER_OPTS="--icc=false \\\n  --log-opt tag=x"\n'), [FD, CONTAINERD, ['icc', false], ['log-opts', { tag: 'x' }]]],
    ['a drop-in resets', { dropIns: { '/etc/systemd/system/docker.service.d/o.conf': '[Service]\nExecStart=\nExecStart=-/usr/bin/dockerd \\\n  # why\n  --icc=false \\\n  "--label=a=b c"\n' } }, [['icc', false], ['labels', ['a=b c']]]],
    ['${NAME} stays one word, %% and $$ are themselves', { unit: '[Service]\nEnvironment="L=deb ug" R=%%\nExecStart=/usr/bin/dockerd --log-level=${L} --label=%%=$$ --label=%n=${NONE}\n' },
      [['log-level', 'deb ug'], ['labels', ['%=$']], ['labels', ['docker.service=']]]],
    ['no substitution after ":"', { unit: '[Service]\nExecStart=:/usr/bin/dockerd --label=a=$X\n' }, [['labels', ['a=$X']]]],
    ['other sections do not count', { unit: '[Service]\nExecStart=/usr/bin/dockerd -D\n[X-Mine]\nExecStart=/usr/bin/dockerd --icc=false\n' }, [['debug', true]]],
    ['a wrapper: that of the process', { unit: '[Service]\nExecStart=/bin/sh -c "exec dockerd $X"\n', argv: ['dockerd', '--icc=false'] }, [['icc', false]]],
    ['a wrapper, and the unit changed since', { unit: '[Service]\nExecStart=/bin/sh -c "exec dockerd $X"\n', argv: ['dockerd', '--icc=false'], unitFile: { mtimeMs: STARTED + 1 } }, unreadable('docker.service starts the daemon through /bin/sh, and /lib/systemd/system/docker.service may say something else since')],
    ['started by hand', { unit: null, manager: 'none', argv: ['dockerd', '-D'] }, [['debug', true]]],
    ['sysvinit', { unit: null, manager: 'sysvinit', ...OPTS("DOCKER_OPTS='-D'\n") }, [['debug', true]]],
    ['sysvinit, made by the shell', { unit: null, manager: 'sysvinit', ...OPTS('DOCKER_OPTS="$DOCKER_OPTS -D"\n') }, unreadable('DOCKER_OPTS in /etc/default/docker is made by the shell')],
    ['an environment file that cannot be read', { environment: { '/etc/default/docker': unreadable('EACCES') } }, unreadable('the command line of docker.service cannot be told: /etc/default/docker: EACCES')],
    ['several ExecStart=', { dropIns: { '/etc/x.conf': '[Service]\nExecStart=/usr/bin/dockerd\n' } }, unreadable('docker.service has several ExecStart= lines')],
    ['an unknown specifier', { unit: '[Service]\nExecStart=/usr/bin/dockerd --label=a=%b\n' }, unreadable('the command line of docker.service cannot be told: the specifier %b is not resolved here')],
  ])('%s', (_, over, expected) => {
    expect(flagsOf(host(over))).toEqual(expected);
  });
});

describe('flagEdit', () => {
  const OVERRIDE = '/etc/systemd/system/docker.service.d/override.conf';
  const override = (text: string): Host => ({ dropIns: { [OVERRIDE]: text } });

  /** The text of a file after all splices of it. */
  function spliced(over: Host, path: string, text: string, key: string, value: Json): string {
    const edit = flagEdit(host(over), key, value);
    if ('unclear' in edit) throw new Error(edit.unclear);
    return [...edit.edits].reverse().reduce((result, change) => {
      if (change.kind !== 'spliceText' || change.path !== path) throw new Error(`unexpected ${change.kind}`);
      expect(result.slice(change.offset, change.offset + change.expected.length)).toBe(change.expected);
      return result.slice(0, change.offset) + change.replacement + result.slice(change.offset + change.expected.length);
    }, text);
  }

  const unit = '[Service]\r\nExecStart=\r\nExecStart=/usr/bin/dockerd -H fd:// \\\r\n  --icc=true \\\r\n  --log-level debug # not a comment\r\n';
  const defaults = 'X=1\nDOCKER_OPTS="--insecure-registry a --icc  --insecure-registry=b" # all\n';
  it.each<[string, Host, string, string, string, Json, string]>([
    ['in a drop-in', override(unit), OVERRIDE, unit, 'icc', false, unit.replace('--icc=true', '--icc=false')],
    ['two words', override(unit), OVERRIDE, unit, 'log-level', 'info', unit.replace('--log-level debug', '--log-level=info')],
    ['removed with the blanks before it', override(unit), OVERRIDE, unit, 'icc', null, unit.replace('  --icc=true', '')],
    ['in an environment file', OPTS(defaults), '/etc/default/docker', defaults, 'icc', false, defaults.replace('--icc ', '--icc=false ')],
    ['all of a list', OPTS(defaults), '/etc/default/docker', defaults, 'insecure-registries', ['c', 'd'], 'X=1\nDOCKER_OPTS="--insecure-registry=c --insecure-registry=d --icc" # all\n'],
    ['a list emptied', OPTS(defaults), '/etc/default/docker', defaults, 'insecure-registries', [], 'X=1\nDOCKER_OPTS=" --icc" # all\n'],
  ])('%s', (_, over, path, text, key, value, expected) => {
    expect(spliced(over, path, text, key, value)).toBe(expected);
  });

  it('overrides a packaged unit with a drop-in that keeps its variables', () => {
    const packaged = { unit: VENDOR.replace('-H fd://', '-H fd:// --icc  --label a=b --icc=true') };
    expect(flagEdit(host(packaged), 'icc', false)).toEqual({ edits: [{
      kind: 'unitDropIn', unit: 'docker.service', section: 'Service',
      settings: [['ExecStart', ''], ['ExecStart', '/usr/sbin/dockerd -H fd:// --icc=false  --label a=b --containerd=/run/containerd/containerd.sock $DOCKER_OPTS']],
    }] });
  });

  it.each<[string, Host, string, Json, string]>([
    ['a value that needs quotes', override(unit), 'log-level', 'a b', 'needs quoting'],
    ['a quoted word', override('[Service]\nExecStart=\nExecStart=/usr/bin/dockerd "--icc"\n'), 'icc', false, 'quotes'],
    ['combined letters', override('[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -Dldebug\n'), 'debug', false, 'one-letter flags'],
    ['a packaged drop-in', { dropIns: { '/usr/lib/systemd/system/docker.service.d/v.conf': '[Service]\nExecStart=\nExecStart=/usr/bin/dockerd --icc\n' } }, 'icc', false, 'belongs to a package'],
    ['a running process only', { unit: null, manager: 'none', argv: ['dockerd', '--icc'] }, 'icc', false, 'no file is known'],
  ])('is unclear about %s', (_, over, key, value, reason) => {
    const edit = flagEdit(host(over), key, value);
    expect(edit).toMatchObject({ unclear: expect.stringContaining(reason) as string });
  });

  it('says the line of a flag and what to write by hand', () => {
    const facts = host({ dropIns: { [OVERRIDE]: '[Service]\nExecStart=\nExecStart=/usr/bin/dockerd \\\n --icc\n' } });
    const line = commandLine(facts);
    const [flag] = line.status === 'present' ? line.value.flags : [];
    expect(flag && locateFlag(facts, flag)).toMatchObject({ kind: 'splice', path: OVERRIDE, line: 4, expected: '--icc', gap: ' ' });
    expect(flagEdit(host({ unit: null, manager: 'none', argv: ['dockerd', '--icc'] }), 'icc', false)).toMatchObject({ line: 'write "--icc=false" instead of "--icc" where the daemon is started' });
  });
});

describe('daemonSetting', () => {
  const setting = (over: Host, key = 'icc'): unknown => daemonSetting(host(over), key);
  const later = STARTED + 60_000;

  it.each<[string, Host, string, Json, string, unknown]>([
    ['no file', {}, 'icc', true, 'default', present(true)],
    ['no directory', { directory: null }, 'icc', true, 'default', present(true)],
    ['an old file', { config: '{"icc":false}' }, 'icc', false, 'file', present(false)],
    ['old links to an old file', { config: '{"icc":false}', file: { realPath: '/srv/daemon.json', linksChangedMs: STARTED - 1 } }, 'icc', false, 'file', present(false)],
    ['a flag of the next start and of the process', { ...OPTS('DOCKER_OPTS=--icc=false'), argv: ['dockerd', '--icc=true'] }, 'icc', false, 'flag', present(true)],
    ['a null bool', { config: '{"icc":null}' }, 'icc', false, 'file', present(false)],
    ['an empty string', { config: '{"log-driver":""}' }, 'log-driver', 'json-file', 'file', present('json-file')],
    ['ip6tables before 27', {}, 'ip6tables', false, 'default', present(false)],
    ['ip6tables from 27 on', { version: '27.0.3' }, 'ip6tables', true, 'default', present(true)],
    ['a reload since, noted', { config: '{"icc":false}', file: { mtimeMs: later }, startedWith: '{}' }, 'icc', false, 'file', present(true)],
  ])('%s', (_, over, key, value, source, now) => {
    expect(setting(over, key)).toEqual(present({ key, next: { value, source }, now }));
  });

  it.each<[string, Host, string]>([
    ['a write since', { config: '{}', file: { mtimeMs: later } }, 'changed after the daemon started'],
    ['an old file put in place since', { config: '{}', file: { ctimeMs: later }, directory: { mtimeMs: later } }, 'replaced after the daemon started'],
    ['a chmod, or cp -p over it', { config: '{}', file: { ctimeMs: later } }, 'replaced after the daemon started'],
    ['a link that points elsewhere now', { config: '{}', file: { realPath: '/srv/daemon.json', linksChangedMs: later } }, 'symbolic links'],
    ['a link of which no time is known', { config: '{}', file: { realPath: '/srv/daemon.json' } }, 'symbolic links'],
    ['a removal since', { directory: { mtimeMs: later } }, 'removed after the daemon started'],
  ])('does not know what is in force after %s', (_, over, reason) => {
    expect(setting(over)).toMatchObject({ value: { now: { status: 'unreadable', reason: expect.stringContaining(reason) as string } } });
    expect(configAtStart(host(over)).status).toBe('unreadable');
  });

  it.each<[string, Host, string]>([
    ['broken JSON', { config: '{\n  "icc": false,\n}' }, '/etc/docker/daemon.json, line 3, column 1'],
    ['a key inside another', { config: '{"x":{"icc":false}}' }, 'stands inside "x"'],
    ['unread environment', { environment: {} }, 'was not read'],
  ])('is unreadable with %s', (_, over, reason) => {
    expect(setting(over)).toMatchObject({ status: 'unreadable', reason: expect.stringContaining(reason) as string });
  });
});

describe('setDaemonKeys', () => {
  const cost = { impact: 'none', risk: 'safe', undo: 'reload' } as const;
  const propose = (over: Host, patch: JsonObject): unknown => setDaemonKeys(host(over), patch, cost);

  it('writes to the file, and to a flag where a flag sets the key', () => {
    const text = 'DOCKER_OPTS="--icc"\n';
    expect(propose({ config: '{}', ...OPTS(text) }, { icc: false, 'live-restore': true, debug: null })).toEqual({
      edits: [
        { kind: 'spliceText', path: '/etc/default/docker', offset: 13, expected: '--icc', replacement: '--icc=false', impact: 'restart', risk: 'safe', undo: 'restart' },
        { kind: 'mergeJson', path: CONFIG, patch: { 'live-restore': true }, ...cost },
      ],
      parameters: [],
    });
  });

  it.each<[string, Host, JsonObject, string, string]>([
    ['a remote engine', { remote: true }, { icc: false }, 'guard', 'not proven to run on this host'],
    ['broken JSON', { config: '{"icc": false,}' }, { icc: false }, 'guard', 'line 1, column 15'],
    ['icc without iptables', { config: '{"iptables": false}' }, { icc: false }, 'guard', 'icc=false needs iptables=true'],
    ['icc without iptables, by flag', OPTS('DOCKER_OPTS=--iptables=false'), { icc: false }, 'guard', 'icc=false needs iptables=true'],
    ['a swarm', { swarm: 'active' }, { 'live-restore': true }, 'guard', 'swarm'],
    ['another key that stops the daemon', { config: '{"icc": "false"}' }, { 'live-restore': true }, 'guard', '"icc" must be true or false'],
    ['options of another driver', { config: '{"log-opts": {"max-size": "1m"}}' }, { 'log-driver': 'syslog' }, 'guard', '"max-size" in "log-opts"'],
    ['a key that stands twice', { config: '{"icc": true, "icc": true}' }, { icc: false }, 'guard', 'more than once'],
    ['a key of later engines', {}, { 'firewall-backend': 'nftables' }, 'unsupported', 'does not know "firewall-backend"'],
    ['a rootless engine with the system\'s file', { securityOptions: ['name=rootless'] }, { icc: false }, 'guard', 'rootless'],
    ['two flags of the packaged unit', { unit: VENDOR.replace('-H', '--icc --live-restore=false -H') }, { icc: false, 'live-restore': true }, 'guard', 'Several flags'],
    ['a flag given by hand', { unit: null, manager: 'none', argv: ['dockerd', '--icc'] }, { icc: false }, 'guard', 'no file is known'],
  ])('defers for %s', (_, over, patch, reason, explanation) => {
    expect(propose(over, patch)).toMatchObject({ defer: reason, explanation: expect.stringContaining(explanation) as string });
  });

  it('replaces the options together with the driver', () => {
    const patch = { 'log-driver': 'journald', 'log-opts': { 'max-size': null, tag: 'x' } };
    expect(propose({ config: '{"log-opts": {"max-size": "1m"}}' }, patch)).toMatchObject({ edits: [{ kind: 'mergeJson', patch }] });
  });
});

describe('apply', () => {
  it('validates a candidate with the flags of the unit', () => {
    expect(validateCandidate('{"hosts": ["fd://"]}', host()).map(({ severity, key }) => [severity, key])).toEqual([['fatal', 'hosts']]);
    expect(validateCandidate('{"icc": false}', host())).toEqual([]);
  });

  it('goes back explicitly where a reload keeps the running value', () => {
    expect(explicitRollback({ labels: ['a=b'] }, { labels: ['c=d'], 'live-restore': true, 'insecure-registries': ['r'], icc: false })).toEqual({ 'insecure-registries': [], 'live-restore': false });
    expect(explicitRollback({ 'live-restore': false }, { 'live-restore': true })).toEqual({});
  });
});
