import { check as cpuSharesCheck } from '../../checks/containers/cpu-shares.ts';
import { execChecks } from '../../checks/containers/execs.ts';
import { check as healthcheckCheck } from '../../checks/containers/healthcheck.ts';
import { check as imagePinningCheck } from '../../checks/containers/image-pinning.ts';
import { check as logRotationCheck } from '../../checks/containers/log-rotation.ts';
import { check as memoryLimitCheck } from '../../checks/containers/memory-limit.ts';
import { check as pidsLimitCheck } from '../../checks/containers/pids-limit.ts';
import { check as readonlyRootfsCheck } from '../../checks/containers/readonly-rootfs.ts';
import { check as restartPolicyCheck } from '../../checks/containers/restart-policy.ts';
import { check as singleProcessCheck } from '../../checks/containers/single-process.ts';
import { check as sshdCheck } from '../../checks/containers/sshd.ts';
import { check as ulimitsCheck } from '../../checks/containers/ulimits.ts';
import { defer, remedy } from '../remedy.ts';
import * as fixes from './fixes.ts';
import type { ContainerRemediation } from './steps.ts';
import { containerRemedy } from './steps.ts';

const sshd = containerRemedy(sshdCheck, {
  effect: 'Nobody gets into it by SSH.',
  steps: { run: 'from an image without the server', compose: 'image without the server', service: '--image IMAGE' },
  because: 'Who uses the server, and for what, only its owner knows; docker exec does the same.',
});

const singleProcess = containerRemedy(singleProcessCheck, {
  effect: 'Each service has a container, with rights and limits of its own.',
  steps: { run: 'once for each service, from an image that starts only that one', compose: 'one service for each program, each with its own image or command', service: '--image IMAGE' },
  because: 'Which programs belong together, only whoever builds the image knows.',
});

const memoryLimit = containerRemedy(memoryLimitCheck, {
  fix: fixes.memoryLimit,
  mode: 'choice',
  parameters: [
    { name: 'container.memory', description: 'The most memory that it may use; memory and swap together are twice that', example: '512m' },
    { name: 'container.memoryOvercommit', description: 'The limits of all containers that run may come to more than four fifths of the memory of the host', example: 'true' },
  ],
  effect: 'A process that goes beyond the limit is ended by the kernel.',
  impact: 'none',
  steps: {
    run: 'with --memory SIZE', compose: 'mem_limit: SIZE', service: '--limit-memory SIZE', live: '--memory SIZE --memory-swap TWICE_THE_SIZE',
  },
  because: 'How much it needs, docker stats shows after some days under load; a limit cannot be taken away again while it runs.',
});

const cpuShares = containerRemedy(cpuSharesCheck, {
  fix: fixes.cpuShares,
  mode: 'choice',
  parameters: [{ name: 'container.cpuShares', description: 'Its weight against other containers', example: '512' }],
  effect: 'When the host is busy it gets less CPU time than before.',
  impact: 'none',
  steps: { run: 'with --cpu-shares 512 or --cpus NUMBER', compose: 'cpu_shares: 512, or cpus: NUMBER', service: '--limit-cpu NUMBER', live: '--cpu-shares 512' },
  because: 'Shares only count against each other: give them to all containers or to none.',
});

const pidsLimit = containerRemedy(pidsLimitCheck, {
  fix: fixes.pidsLimit,
  mode: 'auto',
  parameters: [{ name: 'container.pidsLimit', description: 'The most processes and threads that it may have', example: '2048' }],
  effect: 'Beyond the limit it cannot start processes or threads.',
  impact: 'none',
  risk: 'safe',
  steps: { run: 'with --pids-limit 2048', compose: 'pids_limit: 2048', service: '--limit-pids 2048', live: '--pids-limit 2048' },
  because: 'The limit has to be well above what it uses at its peak (docker stats); 2048 is enough for most.',
});

const restartPolicy = containerRemedy(restartPolicyCheck, {
  fix: fixes.restartPolicy,
  mode: 'choice',
  parameters: [{ name: 'container.restart', description: 'Its restart policy', example: '"on-failure:5"' }],
  effect: 'It stays down when it has failed five times, and after a restart of the daemon or the host if it ended well.',
  impact: 'none',
  steps: { run: 'with --restart on-failure:5', compose: 'restart: on-failure:5', service: '--restart-condition on-failure --restart-max-attempts 5', live: '--restart on-failure:5' },
  because: 'A container that ends with code 0 when the daemon stops does not come back by "on-failure": a server that has to is to be waived.',
});

const readonlyRootfs = containerRemedy(readonlyRootfsCheck, {
  fix: fixes.readonlyRootfs,
  mode: 'choice',
  parameters: [{ name: 'container.tmpfs', description: 'What it may write to besides its volumes', example: '[/tmp, /run]' }],
  effect: 'It can write to its volumes and tmpfs mounts only.',
  steps: {
    run: 'with --read-only, --tmpfs /tmp, --tmpfs /run and a volume for everything that has to stay', compose: 'read_only: true, with tmpfs and volumes for what it writes',
    service: '--read-only',
  },
  because: 'What it writes, docker diff shows; a volume or a tmpfs has to take that first.',
});

const ulimits = containerRemedy(ulimitsCheck, {
  fix: fixes.ulimits,
  mode: 'choice',
  parameters: [{ name: 'container.ulimits', description: 'Its own ulimits; {} leaves it the defaults of the daemon', example: '{ nofile: "1024:4096" }' }],
  effect: 'It is held to the daemon\'s default ulimits.',
  steps: { run: 'without --ulimit', compose: 'remove ulimits', service: '--ulimit-rm NAME' },
  because: 'Somebody chose the limits for it; waive those that are needed.',
});

const healthcheck = containerRemedy(healthcheckCheck, {
  fix: fixes.healthcheck,
  mode: 'choice',
  parameters: [{ name: 'container.healthcheck', description: 'A command that shows that it works', example: '{ test: "wget -q -O /dev/null http://127.0.0.1/", interval: 30s }' }],
  effect: 'The engine runs the command again and again, and shows the result in docker ps.',
  risk: 'safe',
  steps: {
    run: 'with --health-cmd COMMAND (and without --no-healthcheck)', compose: 'healthcheck: { test: COMMAND, interval: 30s, timeout: 5s, retries: 3, start_period: 60s }',
    service: '--health-cmd COMMAND',
  },
  because: 'Which command tells that it works, only its owner knows; of an unhealthy one, docker inspect shows why.',
});

const imagePinning = containerRemedy(imagePinningCheck, {
  fix: fixes.pinImage,
  mode: 'choice',
  parameters: [{ name: 'container.pinImage', description: 'Pin its image to the digest of the one that it runs; what is not pinned is then a WARN', example: 'true' }],
  effect: 'It runs the very image that its digest names, whatever becomes of the tag.',
  steps: { run: 'from the current image, best by digest (NAME@sha256:…)', compose: 'image: NAME@sha256:…', service: '--image NAME@sha256:…' },
  because: 'A new image is a new version of the program: its owner decides when.',
});

const logRotation = containerRemedy(logRotationCheck, {
  fix: fixes.logRotation,
  mode: 'choice',
  parameters: [{ name: 'container.log', description: 'How much of its log is kept', example: '{ maxSize: 50m, maxFile: 5 }' }],
  effect: 'Of its log the newest part is kept.',
  steps: { run: 'with --log-opt max-size=50m --log-opt max-file=5', compose: 'logging: { driver: json-file, options: { max-size: "50m", max-file: "5" } }', service: '--log-opt max-size=50m --log-opt max-file=5' },
  because: 'The log driver is fixed when a container is created; "log-opts" in daemon.json is the default for new ones.',
});

const execs = execChecks.map((check) => remedy(check, {
  mode: 'manual',
  effect: 'Nobody works in containers with more rights than they were made with.',
  impact: 'none',
  risk: 'behaviour',
  parameters: [],
  manual: 'Find out who does it (audit log: ausearch -k docker; docker events --filter type=container --filter event=exec_create), give them a way that needs less, '
    + 'and forbid it with an authorization plugin.',
  propose: ({ target }) => defer('manual', 'Somebody works in the container now, and ending the session may leave that half done.',
    `find out who does it in ${target.name}: docker top, docker events, or the audit log of the docker command`),
}));

/** Limits, restarts, health, images and logs. */
export const operationRemediations: readonly ContainerRemediation[] = [
  sshd, memoryLimit, cpuShares, pidsLimit, restartPolicy, readonlyRootfs, ulimits, healthcheck, imagePinning, logRotation, ...execs, singleProcess,
];
