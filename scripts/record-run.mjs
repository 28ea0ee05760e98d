// node scripts/record-run.mjs DOCKER… : gives every command line of fixtures/raw/docker-run/cases.json to each docker client, with an engine that
// only writes down what it is asked, and prints fixtures/raw/docker-run/recorded.json: by client's version what it asks the engine to create,
// or the words with which it refuses. Values that mean "not set" are left out.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/raw/docker-run/cases.json', import.meta.url), 'utf8'));
const directory = mkdtempSync(join(tmpdir(), 'harden-record-'));
const socket = join(directory, 'docker.sock');
let asked = null;

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('Api-Version', '1.50');
    response.setHeader('Ostype', 'linux');
    response.setHeader('Content-Type', 'application/json');
    if (request.url.includes('/containers/create')) {
      asked = JSON.parse(Buffer.concat(chunks).toString('utf8').replaceAll(socket, '/var/run/docker.sock'));
      response.statusCode = 201;
      response.end(JSON.stringify({ Id: 'a'.repeat(64), Warnings: [] }));
    } else if (request.url.endsWith('/start')) {
      response.statusCode = 204;
      response.end();
    } else response.end('{}');
  });
}).listen(socket);

/** Values that the engine takes for "not set", apart from those where 0, false or [] is a choice. */
const CHOICES = new Set(['MemorySwappiness', 'StopTimeout', 'Init', 'MaskedPaths', 'ReadonlyPaths', 'Entrypoint', 'PidsLimit']);
const isSet = (name, value) => CHOICES.has(name) ? value !== null
  : !(value === null || value === '' || value === 0 || value === false || (typeof value === 'object' && Object.keys(value).length === 0));
const pruned = (value) => typeof value !== 'object' || value === null || Array.isArray(value) ? value
  : Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, pruned(inner)]).filter(([name, inner]) => isSet(name, inner)));
/** Names of labels, ports and volumes are no fields: their empty values stay. */
const withNames = (asks, { Labels, ExposedPorts, Volumes, HostConfig, NetworkingConfig }) => ({
  ...asks,
  ...Object.fromEntries(Object.entries({ Labels, ExposedPorts, Volumes }).filter(([name, inner]) => isSet(name, inner))),
  HostConfig: {
    ...asks.HostConfig,
    ...Object.fromEntries(Object.entries({
      Annotations: HostConfig.Annotations, StorageOpt: HostConfig.StorageOpt, Tmpfs: HostConfig.Tmpfs, PortBindings: HostConfig.PortBindings, Sysctls: HostConfig.Sysctls,
      LogConfig: HostConfig.LogConfig,
    }).filter(([name, inner]) => isSet(name, inner) && (name !== 'LogConfig' || inner.Type !== '' || isSet('', inner.Config)))),
  },
  ...(NetworkingConfig?.EndpointsConfig && {
    NetworkingConfig: { EndpointsConfig: Object.fromEntries(Object.entries(NetworkingConfig.EndpointsConfig).map(([name, endpoint]) => [name, pruned(endpoint)])) },
  }),
});

const run = (docker, args) => new Promise((resolve) => {
  asked = null;
  const child = execFile(docker, args, { cwd: '/', timeout: 10_000, env: { PATH: process.env.PATH, HOME: directory, DOCKER_HOST: `unix://${socket}` } }, (error, _, stderr) => {
    resolve(asked !== null ? { asks: withNames(pruned(asked), asked) } : { refuses: stderr.split('\n').find((line) => line !== '') ?? String(error?.message) });
  });
  child.stdin.end();
});

const recorded = {};
for (const docker of process.argv.slice(2)) {
  const version = await new Promise((resolve) => { execFile(docker, ['--version'], (_, stdout) => resolve(/version (\d+\.\d+\.\d+)/.exec(stdout)[1])); });
  recorded[version] = {};
  for (const { name, argv } of cases) recorded[version][name] = await run(docker, argv.slice(1));
}
server.close();
server.closeAllConnections();
rmSync(directory, { recursive: true });
process.stdout.write(`${JSON.stringify(recorded, null, 0).replaceAll(/"(?=[^"]+":\{"(?:asks|refuses)")/g, '\n"')}\n`);
