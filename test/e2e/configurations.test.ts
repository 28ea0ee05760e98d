/** Daemon configurations that trip tools up: a clear plan or a clear error, and a daemon that still starts. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bed, skipReason, titled, type SystemdHost } from './host.ts';
import { CEILINGS, harden, hardenJson, outcomes, plan, scan, type OutcomesDocument } from './support.ts';

const CONFIG = '/etc/docker/daemon.json';
const DROP_IN = '/etc/systemd/system/docker.service.d/flags.conf';

describe.skipIf(skipReason('systemd') !== null)(titled('configurations', 'systemd'), () => {
  let host: SystemdHost;
  beforeAll(async () => {
    host = await bed.systemdHost({ name: 'configurations' });
  });
  afterAll(() => host.down());
  beforeEach(async () => {
    await host.exec(`rm -rf ${CONFIG} /etc/docker/real.json /etc/systemd/system/docker.service.d /var/lib/harden; : > /etc/default/docker; systemctl daemon-reload`, { check: true });
    await restart();
  });

  const restart = async (): Promise<void> => {
    await host.exec('systemctl reset-failed docker.service docker.socket; systemctl restart docker', { check: true });
  };
  const flags = (line: string): Promise<void> => host.writeFile(DROP_IN, `[Service]\nExecStart=\nExecStart=${line}\n`);
  const apply = (...args: string[]): Promise<OutcomesDocument> => hardenJson(host, ['apply', '--yes', ...CEILINGS, ...args], [0]);
  const daemonRuns = async (): Promise<void> => {
    expect((await host.exec(['docker', 'version'])).code).toBe(0);
    await restart();
    expect((await host.exec(['docker', 'version'])).code).toBe(0);
  };

  test('a flag in a drop-in of the owner is changed where it stands, never put in the file', async () => {
    await flags('/usr/sbin/dockerd -H fd:// --icc=true $DOCKER_OPTS');
    await host.exec('systemctl daemon-reload', { check: true });
    await restart();
    await apply('-c', 'daemon.icc,daemon.live-restore');
    expect(await host.readFile(DROP_IN)).toContain('ExecStart=/usr/sbin/dockerd -H fd:// --icc=false $DOCKER_OPTS\n');
    expect(await host.readFile(CONFIG)).not.toContain('icc');
    expect(outcomes(await scan(host))).toMatchObject({ 'daemon.icc': 'pass', 'daemon.live-restore': 'pass' });
    await daemonRuns();
    expect((await harden(host, ['rollback', '--yes'])).code).toBe(0);
    expect(await host.readFile(DROP_IN)).toContain('--icc=true');
    expect(outcomes(await scan(host))['daemon.icc']).toBe('warn');
  });

  test('a flag in the packaged unit gets a drop-in, and the unit stays the package\'s', async () => {
    const unit = '/lib/systemd/system/docker.service';
    const packaged = await host.readFile(unit);
    await host.writeFile(unit, packaged.replace(/^ExecStart=.*$/m, 'ExecStart=/usr/sbin/dockerd -H fd:// --icc=true $DOCKER_OPTS'));
    await host.exec('systemctl daemon-reload', { check: true });
    await restart();
    const edited = await host.readFile(unit);
    await apply('-c', 'daemon.icc');
    expect(await host.readFile(unit)).toBe(edited);
    expect(outcomes(await scan(host))['daemon.icc']).toBe('pass');
    expect((await harden(host, ['rollback', '--yes'])).code).toBe(0);
    expect((await host.exec(['ls', '/etc/systemd/system/docker.service.d'])).code).not.toBe(0);
    expect(outcomes(await scan(host))['daemon.icc']).toBe('warn');
    await host.writeFile(unit, packaged);
  });

  test('a flag in /etc/default/docker is changed there', async () => {
    await host.writeFile('/etc/default/docker', '# kept\nDOCKER_OPTS="--icc=true --log-level=info"\n');
    await restart();
    await apply('-c', 'daemon.icc');
    expect(await host.readFile('/etc/default/docker')).toBe('# kept\nDOCKER_OPTS="--icc=false --log-level=info"\n');
    expect(outcomes(await scan(host))['daemon.icc']).toBe('pass');
  });

  const kept: Record<string, { before: string; after: string }> = {
    'an empty object': { before: '{}\n', after: '{\n  "live-restore": true\n}\n' },
    'tabs, CRLF, an order of its own and no final newline': {
      before: '{\r\n\t"log-level": "info",\r\n\t"debug": false\r\n}',
      after: '{\r\n\t"log-level": "info",\r\n\t"debug": false,\r\n\t"live-restore": true\r\n}',
    },
  };
  for (const [name, { before, after }] of Object.entries(kept)) {
    test(`${name}: the file keeps its own layout`, async () => {
      await host.writeFile(CONFIG, before, { mode: 0o600 });
      await restart();
      await apply('-c', 'daemon.live-restore');
      expect(await host.readFile(CONFIG)).toBe(after);
      expect((await host.exec(['stat', '-c', '%a', CONFIG])).stdout).toBe('600\n');
      await daemonRuns();
    });
  }

  test('a symlinked daemon.json stays a link and its end is written', async () => {
    await host.writeFile('/etc/docker/real.json', '{}\n');
    await host.exec(['ln', '-s', 'real.json', CONFIG], { check: true });
    await restart();
    await apply('-c', 'daemon.live-restore');
    expect((await host.exec(['readlink', CONFIG])).stdout).toBe('real.json\n');
    expect(await host.readFile('/etc/docker/real.json')).toContain('"live-restore": true');
    await daemonRuns();
  });

  test('a string for a boolean, which would stop the next start, is corrected by the fix of its check', async () => {
    await host.writeFile(CONFIG, '{"icc": "false"}\n');
    await apply('-c', 'daemon.icc');
    expect(await host.readFile(CONFIG)).toBe('{"icc": false}\n');
    await daemonRuns();
  });

  const broken: Record<string, { text: string; says: RegExp }> = {
    'a trailing comma': { text: '{\n  "debug": false,\n}\n', says: /line 3/ },
    'an unknown key': { text: '{"no-such-key": 1}\n', says: /no-such-key/ },
  };
  for (const [name, { text, says }] of Object.entries(broken)) {
    test(`${name}: the plan says where, and nothing is written`, async () => {
      await host.writeFile(CONFIG, text);
      const document = await plan(host, '-c', 'daemon', ...CEILINGS);
      expect(document.changes.filter(({ kind }) => kind === 'daemon-config')).toEqual([]);
      expect(JSON.stringify(document.deferred)).toMatch(says);
      expect(await host.readFile(CONFIG)).toBe(text);
      const stopped = await host.exec('systemctl stop docker.socket docker.service; systemctl reset-failed docker.service docker.socket; systemctl start docker; true');
      const down = await harden(host, ['scan']);
      expect({ code: down.code, stopped: stopped.code }).toEqual({ code: 2, stopped: 0 });
      await host.exec(`rm ${CONFIG}; systemctl reset-failed docker.service docker.socket; systemctl start docker`, { check: true });
    });
  }
});
