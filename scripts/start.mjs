// `npm start`: a plan for whoever has just cloned the repository. Reads only. On this machine when an engine answers, else on a
// recorded host.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const cli = path('dist/src/cli.js');
const recorded = path('fixtures/hosts/debian-12.json');

if (!existsSync(cli)) {
  process.stderr.write('Building first (npm run build) …\n');
  const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: path('.'), stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' });
  if (built.status !== 0) process.exit(built.status ?? 1);
}

/** True when the engine that harden would choose answers within a few seconds. */
async function engineAnswers() {
  try {
    const { connectEngine } = await import('../dist/src/host/engine.js');
    const engine = await connectEngine();
    const timeout = new Promise((resolve) => setTimeout(resolve, 3000, false).unref());
    return await Promise.race([engine.version().then(() => true), timeout]).finally(() => engine.close());
  } catch {
    return false;
  }
}

const here = await engineAnswers();
process.stderr.write(here
  ? 'An engine answers: planning on this machine. Nothing is changed.\n\n'
  : 'No engine answers here: planning on a recorded Debian host (fixtures/hosts/debian-12.json) instead. This machine is not looked at.\n\n');

const { status } = spawnSync(process.execPath, [cli, 'plan', ...(here ? [] : ['--facts', recorded])], { stdio: 'inherit' });
process.stderr.write(status !== 0 ? '\nThat did not work; the reason stands above.\n'
  : here ? '\nNext: `node dist/src/cli.js --help`, then `sudo node dist/src/cli.js apply` asks before it changes anything.\n'
    : '\nNext: `node dist/src/cli.js --help`. With a Docker host at hand, the same command plans on it.\n');
process.exitCode = status ?? 1;
