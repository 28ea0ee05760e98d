// node scripts/record-host.mjs > fixtures/raw/systemd/NAME.json: everything that `collect` reads on this host, as it was read: the engine's raw
// answers and the result of each request to the host. For throw-away hosts (npm run host): nothing is masked.
// node scripts/record-host.mjs inspect > fixtures/raw/inspect/ENGINE.json: creates the containers of fixtures/raw/inspect/cases.json, and prints
// what the engine says of them. Cases that this engine refuses are left out, with a word on stderr.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { collect } from '../dist/src/collect.js';
import { connectEngine } from '../dist/src/host/engine.js';
import { createLocalReader } from '../dist/src/host/local-reader.js';

const print = (value) => process.stdout.write(`${JSON.stringify(value, null, 1)}\n`);
const docker = (...args) => execFileSync('docker', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();

async function recordHost() {
  const reads = [];
  const local = createLocalReader();
  const reader = {
    observe: async (requests) => {
      const results = await local.observe(requests);
      results.forEach((result, index) => reads.push({ request: requests[index], result }));
      return results;
    },
  };
  await collect({ reader });
  const engine = await connectEngine();
  const [version, info, images, networks, containers, volumes] = await Promise.all(
    [engine.version(), engine.info(), engine.images(), engine.networks(), engine.containers(), engine.volumes()],
  );
  engine.close();
  print({ engine: { version, info, images: images.map(({ listed }) => listed), networks, volumes, containers: containers.map(({ raw }) => raw.value) }, reads });
}

function recordInspect() {
  const { setup, cases } = JSON.parse(readFileSync(new URL('../fixtures/raw/inspect/cases.json', import.meta.url), 'utf8'));
  const recorded = {};
  const made = [];
  for (const command of setup) docker(...command);
  for (const { name, args, after = [] } of cases) {
    try {
      docker('create', '--name', name, ...args);
      made.push(name);
      for (const command of after) docker(...command);
      [recorded[name]] = JSON.parse(docker('inspect', name));
    } catch (error) {
      process.stderr.write(`${name}: ${String(error.stderr ?? error).split('\n')[0]}\n`);
    }
  }
  if (made.length > 0) docker('rm', '--force', '--volumes', ...made);
  print(recorded);
}

if (process.argv[2] === 'inspect') recordInspect();
else await recordHost();
