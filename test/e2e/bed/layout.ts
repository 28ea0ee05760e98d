/** Where the bed keeps what outlives one test run: outside the repository, in a directory of its own. */
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

/** The checkout under test; every host sees what it ships, read-only, below /opt/harden. */
export const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

export const CACHE = process.env['HARDEN_E2E_CACHE'] ?? '/var/cache/docker-harden-e2e';

const digest = createHash('sha256').update(CACHE).digest();

/** The outer engine. Bridge name and subnet depend on the cache directory, so that two caches make two engines that do not meet. */
export const ENGINE = {
  directory: join(CACHE, 'engine'),
  socket: join(CACHE, 'engine', 'docker.sock'),
  lock: join(CACHE, 'engine.lock'),
  bridge: `hdn${digest.toString('hex').slice(0, 8)}`,
  bridgeAddress: `10.213.${digest.readUInt8(0)}.1/24`,
  cgroup: `docker-harden-e2e-${digest.toString('hex').slice(0, 8)}`,
} as const;

/** The directory of all audit hosts (there is at most one alive) and the machine-wide lock that its holder process keeps. */
export const AUDIT = { directory: join(CACHE, 'audit'), lock: '/run/lock/docker-harden-e2e-audit.lock' } as const;
