/** `npm run host -- …`: the hosts that the end-to-end tests run on, made by hand. They stay up until `down`. */
import { spawn } from 'node:child_process';
import { Command, Option } from 'commander';
import { bed, skipReason, type HostKind, type Suite } from './host.ts';

const program = new Command('npm run host --')
  .description('Real Docker hosts on this machine to try harden on. Needs root; `down` removes every trace of a host.')
  .enablePositionalOptions()
  .showHelpAfterError();

program
  .command('up')
  .description('boot a host')
  .argument('<name>', 'its name and hostname')
  .addOption(
    new Option('--kind <kind>', 'systemd: boots systemd, as many as you like; audit: no systemd, but real kernel audit rules, one at a time')
      .choices(['systemd', 'audit'])
      .default('systemd'),
  )
  .addOption(
    new Option('--suite <suite>', 'Debian release: bookworm has Docker 20.10, trixie has Docker 26.1')
      .choices(['bookworm', 'trixie'])
      .default('bookworm'),
  )
  .action(async (name: string, { kind, suite }: { kind: HostKind; suite: Suite }) => {
    const reason = skipReason(kind);
    if (reason !== null) throw new Error(`this machine cannot run ${kind} hosts: ${reason}`);
    const host = await (kind === 'systemd' ? bed.systemdHost({ name, suite }) : bed.auditHost({ name, suite }));
    await host.loadBusybox();
    print(`${name} is up${'address' in host ? ` at ${host.address}` : ''}, with the image busybox:latest and the built harden.`);
    print(`A shell in it: npm run host -- sh ${name}`);
  });

program
  .command('sh')
  .description('run a command in a host, or a shell')
  .argument('<name>')
  .argument('[command...]')
  .passThroughOptions()
  .action(async (name: string, command: string[]) => {
    const host = await existing(name);
    const { argv, env } = host.entry(command.length === 0 ? ['bash', '-l'] : command, { stdin: true, tty: process.stdin.isTTY });
    const [file = '', ...args] = argv;
    const child = spawn(file, args, { env: { ...env, TERM: process.env['TERM'] }, stdio: 'inherit' });
    process.exitCode = await new Promise<number>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve(code ?? 1));
    });
  });

program
  .command('down')
  .description('remove a host')
  .argument('<name>')
  .action(async (name: string) => {
    await (await existing(name)).down();
    await bed.stopEngine();
  });

program
  .command('list')
  .description('what is up, also of test runs')
  .action(async () => {
    for (const { name, kind, state, run } of await bed.list()) print([name, kind, state, run].join('\t'));
  });

async function existing(name: string) {
  const host = await bed.find(name);
  if (host === undefined) {
    const names = (await bed.list()).map((entry) => entry.name);
    throw new Error(`there is no host ${name}; ${names.length === 0 ? 'none is up' : `up are: ${names.join(', ')}`}`);
  }
  return host;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
