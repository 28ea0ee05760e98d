// node scripts/bench-collect.mjs [SOCKET] [RUNS]: how long `collect` takes on this host, against the floor: a Node process that does
// nothing but the same Engine API reads over 16 sockets. Whole processes are timed in turn: wall clock, and CPU time, which a busy
// machine disturbs less. Only the ratios travel to other machines.
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

const [socket = '/var/run/docker.sock', runs = '9'] = process.argv.slice(2);
const collectModule = pathToFileURL(resolve(process.env.HARDEN_DIST ?? 'dist', 'src/collect.js')).href;

const programs = {
  'node alone': '',
  floor: `
    const { Agent, get } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    const read = (path) => new Promise((resolve, reject) => get({ socketPath: ${JSON.stringify(socket)}, path, agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk)).on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    }).on('error', reject));
    const containers = read('/containers/json?all=1').then((all) => Promise.all(all.map(({ Id }) => read('/containers/' + Id + '/json'))));
    const images = read('/images/json').then((all) => Promise.all(all.flatMap(({ Id }) => [read('/images/' + Id + '/json'), read('/images/' + Id + '/history')])));
    await Promise.all([containers, images, ...['/version', '/info', '/networks', '/volumes'].map(read)]);
    agent.destroy();`,
  collect: `
    const { collect } = await import(${JSON.stringify(collectModule)});
    const facts = await collect({ dockerHost: ${JSON.stringify(`unix://${socket}`)} });
    process.stdout.write(facts.containers.value?.length + ' containers');`,
};

const REPORT = "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write(String((user + system) / 1000)); });";
const wall = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
const cpu = structuredClone(wall);
let found = '';
// The first turn warms the page cache and the engine, and does not count.
for (let turn = 0; turn <= Number(runs); turn += 1) {
  for (const [name, program] of Object.entries(programs)) {
    const start = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', REPORT + program], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${name}: ${stderr}`);
    found ||= stdout;
    if (turn === 0) continue;
    wall[name].push(performance.now() - start);
    cpu[name].push(Number(stderr));
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const column = (times, name) => `${median(times[name]).toFixed(0).padStart(6)} ms ${(median(times[name]) / median(times.floor)).toFixed(2)} x`;
process.stdout.write(`${found}, median of ${runs} runs\n${''.padEnd(12)}    wall, x floor     CPU, x floor\n`);
for (const name of Object.keys(programs)) process.stdout.write(`${name.padEnd(12)} ${column(wall, name)} ${column(cpu, name)}\n`);
