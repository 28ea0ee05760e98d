import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { ApplyOptions } from './commands/apply.ts';
import type { CollectOptions } from './commands/collect.ts';
import type { ConfirmOptions } from './commands/confirm.ts';
import type { Context, ExitCode, WhereOptions } from './commands/context.ts';
import type { ExplainOptions } from './commands/explain.ts';
import type { GcOptions } from './commands/gc.ts';
import type { GenerateOptions } from './commands/generate.ts';
import type { HistoryOptions } from './commands/history.ts';
import type { ListOptions } from './commands/list.ts';
import type { PlanOptions } from './commands/plan.ts';
import type { RecoverOptions } from './commands/recover.ts';
import type { RewriteOptions } from './commands/rewrite.ts';
import type { RollbackOptions } from './commands/rollback.ts';
import type { ScanOptions } from './commands/scan.ts';
import type { VerifyOptions } from './commands/verify.ts';
import { isExpected, messageOf, StalePlanError } from './errors.ts';
import { maskSecretsInYamlText } from './mask.ts';
import { EDITIONS, IMPACTS, RISKS } from './model/base.ts';
import { escapeBlock } from './render/escape.ts';
import { TOOL } from './version.ts';

/*
 * Only argv is handled here. Command modules are imported when their command runs: `--help` and `--version` must not wait for
 * the Docker client, the schemas or the catalogue.
 */

/** What each command's exit codes mean, apart from 2, which is the same everywhere. */
const EXITS = {
  scan: '0 no WARN and nothing unknown; 1 some remain (see --fail-on)',
  plan: '0 planned; 1 with --exit-code: there are changes',
  verify: '0 all promises hold and nothing regressed; 1 something is pending, unmet or regressed',
  collect: '0 written',
  history: '0 listed',
  apply: '0 every change is in and every promise holds, or nothing to do; 1 something is pending, unmet or regressed; 3 a change failed and was rolled back; 4 the roll-back did not fully succeed',
  rollback: '0 done, or nothing to do; 4 the roll-back did not fully succeed',
  recover: '0 done, or nothing to do; 4 what was begun could not be undone wholly',
  confirm: '0 it stays, or nothing waits',
  gc: '0 removed, or nothing to remove; 1 something could not be removed',
  generate: '0 written',
  rewrite: '0 nothing to change, or written; 1 changes are proposed',
  list: '0 listed',
  explain: '0 explained',
} as const;

const list = (text: string, before: readonly string[] = []): string[] =>
  [...before, ...text.split(',').map((item) => item.trim()).filter((item) => item !== '')];
/** A list of names; commas within a /expression/ belong to it. */
const names = (text: string, before: readonly string[] = []): string[] =>
  [...before, ...(text.match(/\s*(?:\/.*?\/(?=\s*(?:,|$))|[^,]+)/gsu) ?? []).map((item) => item.trim()).filter((item) => item !== '')];
const collected = (text: string, before: readonly string[] = []): string[] => [...before, text];

function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  return Number(text);
}

function seconds(text: string): number {
  const value = count(text);
  if (value < 1 || value > 86_400) throw new InvalidArgumentError('It must be a number of seconds from 1 to 86400.');
  return value;
}

/** It stands in the journal, in lists and in syslog. */
function ticketText(text: string): string {
  if (!/^[^\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]{1,200}$/u.test(text)) throw new InvalidArgumentError('It must be one line of text without control characters, of at most 200 characters.');
  return text;
}

function levelOf(text: string): 1 | 2 {
  if (text === '1') return 1;
  if (text === '2') return 2;
  throw new InvalidArgumentError('It must be 1 or 2.');
}

const WHERE = 'Where to look:';
const WHAT = 'What to look at:';
const ALLOW = 'What to allow:';
const OUTPUT = 'Output:';

type Extend = (command: Command) => Command;

const stateDir: Extend = (command) => command.addOption(
  new Option('--state-dir <dir>', 'journal, backups and history (default: /var/lib/harden)').helpGroup(WHERE));
const engine: Extend = (command) => stateDir(command.addOption(
  new Option('--docker-host <url>', 'the engine (default: DOCKER_HOST, else the current docker context, else the local socket)').helpGroup(WHERE)));
const snapshot: Extend = (command) => command.addOption(
  new Option('--facts <file>', 'a snapshot from `harden collect` instead of a host').helpGroup(WHERE));
const restart: Extend = (command) => command.addOption(
  new Option('--restart-command <cmd>', 'how the daemon is restarted here, when neither systemd nor `service` is right').helpGroup(WHERE));
const policyFile: Extend = (command) => command.addOption(
  new Option('--policy <file>', 'the policy (default: ./harden.yaml, then /etc/harden/harden.yaml)').helpGroup(WHAT));
const benchmark: Extend = (command) => command.addOption(
  new Option('--benchmark <edition>', `numbers and selection of this edition: ${EDITIONS.join(', ')} (default: 1.8.0)`).helpGroup(WHAT));
const vulnerabilities: Extend = (command) => command.addOption(
  new Option('--vulnerabilities <file>', 'what Trivy, Grype or Clair wrote about an image (JSON or SARIF), for the check of scanned images; may be repeated').argParser(collected).helpGroup(WHAT));
const selection: Extend = (command) => policyFile(benchmark(command
  .addOption(new Option('-c, --check <list>', 'only these: ids, id prefixes, CIS numbers, codes of Dockle').argParser(list).helpGroup(WHAT))
  .addOption(new Option('-e, --exclude <list>', 'not these').argParser(list).helpGroup(WHAT))
  .addOption(new Option('--level <1|2>', 'checks up to this level of the benchmark (default: 2)').argParser(levelOf).helpGroup(WHAT))));
const targets: Extend = (command) => command
  .addOption(new Option('-i, --include <list>', 'of containers and images only these: names with * and ?, or /expressions/').argParser(names).helpGroup(WHAT))
  .addOption(new Option('-x, --exclude-name <list>', 'of containers and images not these').argParser(names).helpGroup(WHAT))
  .addOption(new Option('-t, --label <label>', 'of containers and images only those with this label, KEY or KEY=VALUE; several: with all of them').argParser(collected).helpGroup(WHAT));
const parameters: Extend = (command) => command
  .addOption(new Option('-u, --trusted-users <list>', 'accounts that may be in the docker group').argParser(list).helpGroup(WHAT))
  .addOption(new Option('--set <name=value>', 'a policy parameter: a dotted path, and its value as YAML').argParser(collected).helpGroup(WHAT));
const dockerfile: Extend = (command) => command.addOption(
  new Option('--dockerfile <image=path>', 'the Dockerfile that an image is built from: the plan gives advice on it as a patch, and writes nothing; may be repeated').argParser(collected).helpGroup(WHAT));
const ceilings: Extend = (command) => command
  .addOption(new Option('--max-impact <impact>', 'the most that a change may cost now (default: reload)').choices(IMPACTS).helpGroup(ALLOW))
  .addOption(new Option('--max-risk <risk>', 'whether something that works today may stop working (default: safe)').choices(RISKS).helpGroup(ALLOW));
const deep: Extend = (command) => command.addOption(
  new Option('--deep', 'look inside the files of images, of which the engine writes copies to its disk meanwhile, and at what containers changed of them').helpGroup(WHAT));
const image: Extend = (command) => command.addOption(
  new Option('--image <ref|tar>', 'this image alone: a name, or the path of what `docker save` wrote or of an OCI layout').helpGroup(WHAT));
const ticket: Extend = (command) => command.addOption(
  new Option('--ticket <text>', 'what this is for: kept in the history and in syslog').argParser(ticketText).helpGroup(ALLOW));
const yes = (what: string): Extend => (command) => command.addOption(new Option('--yes', `${what} without asking`).helpGroup(ALLOW));
const output = (formats: string, file: string | null): Extend => (command) => {
  command.addOption(new Option('--format <format>', `${formats}; F=FILE writes to a file, several at once`).argParser(collected).helpGroup(OUTPUT));
  if (file !== null) command.addOption(new Option('-o, --output <file>', file).helpGroup(OUTPUT));
  return command;
};
const limit: Extend = (command) => command.addOption(
  new Option('-n, --limit <count>', 'at most so many items per list in text').argParser(count).helpGroup(OUTPUT));
const common: Extend = (command) => command
  .addOption(new Option('-b, --no-color', 'no colour (also: NO_COLOR)').helpGroup(OUTPUT))
  .addOption(new Option('--debug', 'show the stack trace of an error').helpGroup(OUTPUT));

const extend = (command: Command, ...extensions: readonly Extend[]): Command => extensions.reduce((extended, extension) => extension(extended), command);

/** The commands. Each action stores its exit code through `exit`. */
function build(context: Context, exit: (code: ExitCode) => void): Command {
  const program = new Command('harden')
    .description('Hardens Docker hosts: detects CIS Docker Benchmark warnings, plans the smallest safe change for each, applies it after a confirmation, and rescans to prove it.')
    .version(TOOL.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.err(text),
      outputError: (text, write) => write(escapeBlock(text.replace(/^error: /, 'harden: '))),
      getOutHelpWidth: () => (Number.isFinite(context.layout.width) ? context.layout.width : 100),
      getErrHelpWidth: () => 100,
      getOutHasColors: () => context.layout.color,
      getErrHasColors: () => context.errorLayout.color,
    });
  const command = (name: keyof typeof EXITS, group: string, description: string): Command => program.command(name)
    .helpGroup(group)
    .description(description)
    .showHelpAfterError(`\`harden ${name} --help\` lists what it takes.`)
    .addHelpText('after', `\nExit codes: ${EXITS[name]}; 2 it could not do its job, and nothing was changed.`);
  program.showHelpAfterError('`harden --help` lists the commands.');

  const look = 'Look (nothing is changed):';
  const act = 'Change this host:';
  const know = 'Know the catalogue:';

  extend(
    command('scan', look, 'Judge a host and print the verdicts. Exits 1 while WARN or UNKNOWN remain.'),
    engine, snapshot, selection, targets, vulnerabilities, deep, image, parameters, output('table (default), json or docker-bench', 'write the result to a file'), limit,
    (scan) => scan.addOption(new Option('--fail-on <what>', 'exit 1 when this remains; unknown includes warn').choices(['unknown', 'warn', 'never']).default('unknown').helpGroup(OUTPUT)),
    common,
  ).action(async (options: ScanOptions) => exit(await (await import('./commands/scan.ts')).scan(options, context)));

  extend(
    command('plan', look, 'Scan, then show the changes as diffs, what they promise, and what is deferred and why.'),
    engine, snapshot, restart, selection, targets, vulnerabilities, deep, dockerfile, parameters, ceilings,
    output('text (default) or json', 'save the plan (JSON, mode 0600) for `harden apply FILE`'), limit,
    (plan) => plan.addOption(new Option('--exit-code', 'exit 1 when there are changes').helpGroup(OUTPUT)),
    common,
  ).action(async (options: PlanOptions) => exit(await (await import('./commands/plan.ts')).plan(options, context)));

  extend(
    command('verify', look, 'Rescan and hold the host to a saved plan, a run (default: the last), or an earlier scan: what regressed, what is pending.')
      .argument('[plan]', 'a plan saved by `harden plan -o`')
      .addOption(new Option('--run <id>', 'a run from `harden history`').helpGroup(WHAT))
      .addOption(new Option('--baseline <file>', 'an earlier `harden scan --format json`').helpGroup(WHAT)),
    engine, snapshot, policyFile, vulnerabilities, deep, output('table (default), json or docker-bench (the verdicts as they are now)', 'write the result to a file'), limit, common,
  ).action(async (plan: string | undefined, options: VerifyOptions) => exit(await (await import('./commands/verify.ts')).verify(plan, options, context)));

  extend(
    command('collect', look, 'Write the facts of this host to one JSON file, secrets masked, for `--facts`.')
      .addOption(new Option('-o, --output <file>', 'where to write it (mode 0600); - is standard output').makeOptionMandatory().helpGroup(OUTPUT)),
    engine, policyFile, vulnerabilities, deep, common,
  ).action(async (options: CollectOptions) => exit(await (await import('./commands/collect.ts')).collectFacts(options, context)));

  extend(
    command('history', look, 'The runs on this host, newest first.'),
    stateDir, output('text (default) or json', 'write the result to a file'), limit, common,
  ).action(async (options: HistoryOptions) => exit(await (await import('./commands/history.ts')).history(options, context)));

  extend(
    command('apply', act, 'Plan (or load a saved plan), show the diffs, ask, apply, rescan, and print what became of each finding.')
      .argument('[plan]', 'a plan saved by `harden plan -o`; flags may only lower its ceilings'),
    engine, restart, selection, targets, vulnerabilities, deep, dockerfile, parameters, ceilings, yes('apply'),
    (apply) => apply.addOption(new Option('--confirm-within <seconds>', 'undo it so long after its end unless `harden confirm` is called; also when this process or its login dies').argParser(seconds).helpGroup(ALLOW)), ticket,
    output('text (default) or json', 'write the outcome to a file'), limit, common,
  ).action(async (plan: string | undefined, options: ApplyOptions) => exit(await (await import('./commands/apply.ts')).apply(plan, options, context)));

  extend(
    command('rollback', act, 'Undo a run, after showing what it restores.')
      .argument('[run]', 'a run from `harden history` (default: the last)')
      .addOption(new Option('--all', 'every run, newest first').helpGroup(WHAT)),
    engine, restart, yes('undo'), ticket, common,
  ).action(async (run: string | undefined, options: RollbackOptions) => exit(await (await import('./commands/rollback.ts')).rollback(run, options, context)));

  extend(
    command('recover', act, 'Finish a run that was killed if all its changes are in, else undo it.')
      .addOption(new Option('--undo', 'undo it also when all its changes are in').helpGroup(WHAT)),
    engine, restart, yes('do it'), ticket, common,
  ).action(async (options: RecoverOptions) => exit(await (await import('./commands/recover.ts')).recover(options, context)));

  extend(
    command('confirm', act, 'Keep what `harden apply --confirm-within` did.')
      .argument('[run]', 'a run from `harden history` (default: the one that waits)'),
    stateDir, ticket, common,
  ).action(async (run: string | undefined, options: ConfirmOptions) => exit(await (await import('./commands/confirm.ts')).confirm(run, options, context)));

  // Nobody's command: `apply --confirm-within` starts it.
  extend(program.command('guard', { hidden: true }).argument('<run>'), engine).action(async (run: string, options: WhereOptions) => exit(await (await import('./commands/guard.ts')).guard(run, options, context)));

  extend(
    command('gc', act, 'Remove what is kept for a rollback and old enough, after showing it: replaced containers, layers saved of them, journals and backups of runs. Volumes stay.')
      .argument('[container...]', 'kept containers by name, whatever their age and whatever became of what took their place (default: all that are old enough)')
      .addOption(new Option('--older-than <days>', 'kept for at least so many days; 0: all (default: 7)').argParser(count).helpGroup(WHAT)),
    engine, policyFile, yes('remove'), ticket, output('text (default) or json', 'write the result to a file'), common,
  ).action(async (named: readonly string[], options: GcOptions) => exit(await (await import('./commands/gc.ts')).gc(named, options, context)));

  const generate = command('generate', look, 'Write the plan, or a saved one, as a script that makes its changes without harden.');
  extend(
    generate.command('shell')
      .description('One POSIX sh script for this host: dash, bash and busybox run it, it makes each change by itself, and undoes what it made.')
      .showHelpAfterError('`harden generate shell --help` lists what it takes.')
      .addHelpText('after', `\nExit codes: ${EXITS.generate}; 2 it could not do its job. Those of the script stand in its first lines.`)
      .argument('[plan]', 'a plan saved by `harden plan -o`; flags may only lower its ceilings')
      .addOption(new Option('-o, --output <file>', 'where to write it (mode 0700); - is standard output').makeOptionMandatory().helpGroup(OUTPUT)),
    engine, snapshot, restart, selection, targets, vulnerabilities, deep, parameters, ceilings, common,
  ).action(async (plan: string | undefined, options: GenerateOptions) => exit(await (await import('./commands/generate.ts')).generateShell(plan, options, context)));
  extend(
    generate.command('ansible')
      .description('An Ansible project: one role for all hosts, and the plan as the variables of this one. A project that is there gets one more host.')
      .showHelpAfterError('`harden generate ansible --help` lists what it takes.')
      .addHelpText('after', `\nExit codes: ${EXITS.generate}; 2 it could not do its job.`)
      .argument('[plan]', 'a plan saved by `harden plan -o`; flags may only lower its ceilings')
      .addOption(new Option('-o, --output <directory>', 'the directory of the project; site.yml is its playbook').makeOptionMandatory().helpGroup(OUTPUT)),
    engine, snapshot, restart, selection, targets, vulnerabilities, deep, parameters, ceilings, common,
  ).action(async (plan: string | undefined, options: GenerateOptions) => exit(await (await import('./commands/generate-ansible.ts')).generateAnsible(plan, options, context)));

  extend(
    command('rewrite', look, 'Harden a docker run line or a compose file without an engine, and print what to change.')
      .argument('[file-or-line...]', 'files (- is standard input), or after -- one line: docker run …')
      .addOption(new Option('--write', 'edit the files in place').helpGroup(ALLOW)),
    selection, (rewrite) => rewrite.addOption(new Option('--set <name=value>', 'a policy parameter: a dotted path, and its value as YAML').argParser(collected).helpGroup(WHAT)),
    output('diff (default), text (the new text) or json', 'write the result to a file'), common,
  ).action(async (words: readonly string[], options: RewriteOptions) => exit(await (await import('./commands/rewrite.ts')).rewrite(words, options, context)));

  extend(
    command('list', know, 'The catalogue: every check with its fix, or only those with a fix.')
      .addArgument(new Argument('<what>', 'what to list').choices(['checks', 'remediations'])),
    selection,
    (listing) => listing.addOption(new Option('--checklist <name>', 'the boxes of a checklist (sans), with the checks that answer each').helpGroup(WHAT)),
    output('text (default) or json', 'write the result to a file'), common,
  ).action(async (what: 'checks' | 'remediations', options: ListOptions) => exit(await (await import('./commands/list.ts')).list(what, options, context)));

  extend(
    command('explain', know, 'One check: why, evidence, what passes, what the fix does, costs and risks, its parameters.')
      .argument('<check>', 'an id, a CIS number of the edition, or a code of Dockle'),
    benchmark, policyFile, output('text (default) or json', 'write the result to a file'), common,
  ).action(async (name: string, options: ExplainOptions) => exit(await (await import('./commands/explain.ts')).explain(name, options, context)));

  program.addHelpCommand(new Command('help').argument('[command]').description('Print help for a command.').helpGroup(know));
  return program;
}

/**
 * Runs one command line (without node and script) and never throws.
 * @returns the exit code
 */
export async function run(argv: readonly string[], context: Context): Promise<ExitCode> {
  let code: ExitCode = 0;
  try {
    await build(context, (chosen) => { code = chosen; }).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    context.progress('');
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    report(error, argv.includes('--debug'), context);
    return 2;
  }
}

function report(error: unknown, debug: boolean, context: Context): void {
  // What is wrong is often quoted, and may be what nobody else is to see.
  const text = escapeBlock(maskSecretsInYamlText(messageOf(error)));
  if (error instanceof StalePlanError) context.err(`harden: ${text}\n${escapeBlock(error.comparison)}\n`);
  else if (isExpected(error)) context.err(`harden: ${text}\n`);
  else context.err(`harden: a fault in harden itself: ${text}\nPlease report it, with what --debug prints.\n`);
  if (debug && error instanceof Error) context.err(`${escapeBlock(maskSecretsInYamlText(error.stack ?? ''))}\n`);
}
