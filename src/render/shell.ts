import type { Facts, Plan } from '../model.ts';
import { valueOf } from '../model.ts';
import type { Guard, PortablePlan, PortableStep, PortableUnit, Splice, Word } from '../portable/model.ts';
import { shellLine, shellWord } from '../quote.ts';
import { renderTemplate } from '../templates.ts';
import { escapeBlock, escapeLine } from './escape.ts';

/** A function of the script, by its lines. */
interface ShellFunction {
  readonly name: string;
  readonly lines: readonly string[];
}

/**
 * A portable plan as one POSIX sh script (templates/script.sh.hbs). Every word that comes from a host or a plan passes `shellWord`, and what is
 * printed passes `escapeLine` before. Pure.
 */
export function renderScript(plan: Plan, portable: PortablePlan, facts: Facts): string {
  const { daemon } = portable;
  const configUnit = portable.units.findIndex(({ steps }) => steps.some((step) => 'path' in step && step.path === daemon.configPath));
  return renderTemplate('script.sh', {
    tool: `${plan.tool.name} ${plan.tool.version}`, host: escapeLine(plan.host.hostname), quotedHost: quoted(plan.host.hostname), machine: machineOf(facts), plan: plan.id, scanned: escapeLine(facts.collectedAt),
    maxImpact: plan.inputs.maxImpact, maxRisk: plan.inputs.maxRisk,
    endpoint: quoted(daemon.endpoint), daemonUnit: quoted(daemon.unit ?? ''), pidFile: quoted(daemon.pidFile), configPath: quoted(daemon.configPath), validates: daemon.validates ? 'yes' : 'no',
    units: portable.units.map((_, index) => index + 1).join(' '), configUnit: configUnit === -1 ? '' : String(configUnit + 1),
    library: renderTemplate('script-library.sh', {}),
    unit: portable.units.map((unit, index) => ({
      number: index + 1, title: quoted(titleOf(unit)), comment: titleOf(unit), mixes: unit.steps.every(({ kind }) => kind !== 'createReplacement') ? 'yes' : 'no',
      words: shellLine(['--', ...new Set(unit.changes.flatMap(({ id, checks }) => [escapeLine(id), ...checks]))]).replace(/^-- ?/u, ''),
      shows: quoted(unit.changes.map(({ effect, diff }) => escapeBlock(`${effect}\n${diff}`)).join('').replace(/^/gmu, '    ').replace(/ +$/u, '')),
      functions: functionsOf(index + 1, unit, portable),
    })),
    refused: portable.refused.map(({ change, reason }) => ({ title: quoted(escapeLine(`${change.id}: ${change.title}`)), reason: quoted(escapeLine(reason)) })),
  });
}

/** "" where it is not known, as in a snapshot of an earlier version, and in one that somebody wrote anything into. */
function machineOf({ host: { machine } }: Facts): string {
  const digest = machine === undefined ? undefined : valueOf(machine);
  return digest !== undefined && /^[0-9a-f]{64}$/u.test(digest) ? digest : '';
}

/** One word, whatever is in it; a NUL, which none can hold, is left out. */
const quoted = (text: string): string => shellWord(text.replaceAll('\0', ''));

const titleOf = ({ changes }: PortableUnit): string => escapeLine(changes.map(({ id, title }) => `${id} (${title})`).join(', with '));

const octal = (mode: number): string => mode.toString(8);
const yes = (value: boolean): string => (value ? 'yes' : 'no');

function functionsOf(number: number, { steps }: PortableUnit, { daemon }: PortablePlan): ShellFunction[] {
  const helpers: ShellFunction[] = [];
  const calls: { step: PortableStep; line: string; sub: string }[] = [];
  let count = 0;
  const call = (step: PortableStep, kind: string, args: readonly string[]): void => {
    count += 1;
    calls.push({ step, sub: String(count), line: shellLine(['step', String(count), kind, ...args]) });
  };
  const helper = (lines: readonly string[]): string => {
    const name = `u${number}_${helpers.length + 1}`;
    helpers.push({ name, lines });
    return name;
  };
  for (const step of steps) addStep(step, { call, helper });
  const back = [...calls].reverse();
  const config = calls.find(({ step }) => step.kind === 'changeFile' && step.path === daemon.configPath);
  const restart = calls.find(({ step }) => step.kind === 'restartDaemon');
  const reload = calls.find(({ step }) => step.kind === 'reloadDaemon');
  const isFile = ({ step: { kind } }: (typeof calls)[number]): boolean => kind === 'changeFile' || kind === 'setMetadata';
  // As apply takes a run back: files but the daemon's first, then what re-reads them, the daemon, and its own file last; Compose after its files.
  const order = steps.some(({ kind }) => kind === 'changeComposeProject' || kind === 'systemdReload' || kind === 'loadAudit' || kind === 'reloadDaemon' || kind === 'restartDaemon')
    ? [...back.filter((one) => isFile(one) && one !== config), ...back.filter((one) => !isFile(one))] : back.filter((one) => one !== config);
  const daemonBack = restart === undefined && reload === undefined ? [] : [
    `STEP_RESTART=${restart?.sub ?? 'none'} STEP_RELOAD=${reload?.sub ?? 'none'}`,
    daemonUndo(config, daemon, helper),
  ];
  return [
    ...helpers,
    { name: `unit_${number}`, lines: calls.map(({ line }) => `${line} || return 1`) },
    { name: `unit_${number}_back`, lines: [...order.map(({ line }) => line), ...daemonBack, ...(config === undefined ? [] : [config.line]), 'return 0'] },
  ];
}

type Helper = (lines: readonly string[]) => string;

function daemonUndo(config: { readonly step: PortableStep; readonly sub: string } | undefined, daemon: PortablePlan['daemon'], helper: Helper): string {
  const way = config?.step.kind === 'changeFile' ? config.step.wayBack : null;
  const on = (splices: readonly Splice[]): string => helper([spliceLine(splices)]);
  const method = daemon.method === null ? ['none', ''] : methodWords(daemon.method);
  return shellLine(['daemon_undo', config?.sub ?? 'none', daemon.configPath, yes(way?.keepContainers === true), yes((way?.reload.length ?? 0) > 0), on(way?.restart ?? []), on(way?.reload ?? []), ...method]);
}

const methodWords = (method: NonNullable<PortablePlan['daemon']['method']>): string[] => {
  switch (method.kind) {
    case 'systemd': return ['systemd', method.unit];
    case 'sysvinit': return ['sysvinit', method.service];
    case 'command': return ['command', method.command];
  }
};

const spliceLine = (splices: readonly Splice[]): string => `splice "$1" ${shellLine(splices.flatMap(({ offset, length, text }) => [String(offset), String(length), text]))}`.trimEnd();

interface Adding {
  readonly call: (step: PortableStep, kind: string, args: readonly string[]) => void;
  readonly helper: Helper;
}

function addStep(step: PortableStep, { call, helper }: Adding): void {
  switch (step.kind) {
    case 'changeFile': {
      const { path, before, after, splices } = step;
      const old = before === null ? ['-', '-', '-', '-'] : [before.sha256, octal(before.mode), String(before.uid), String(before.gid)];
      call(step, 'file', [helper([spliceLine(splices)]), path, ...old, after.sha256, octal(after.mode), String(after.uid), String(after.gid)]); return;
    }
    case 'setMetadata': {
      const { path, before, after } = step;
      call(step, 'mode', [path, ...[before, after].flatMap(({ mode, uid, gid }) => [octal(mode), String(uid), String(gid)])]); return;
    }
    case 'systemdReload': { call(step, 'systemd', []); return; }
    case 'loadAudit': {
      const rules = helper(step.rules.map(({ words, listed }) => `"$1" ${shellLine(words)} -- ${shellLine(listed)} || return 1`));
      call(step, 'audit', [step.path, rules, step.augenrules ? 'augenrules' : 'auditctl']); return;
    }
    case 'reloadDaemon': { call(step, 'reload', [step.liveRestore === null ? '-' : String(step.liveRestore)]); return; }
    case 'restartDaemon': { call(step, 'restart', methodWords(step.method)); return; }
    case 'awaitHealthy': { call(step, 'healthy', [yes(step.containersSurvive), yes(step.toleratesIpv6Loss)]); return; }
    case 'removeGroupMember': { call(step, 'group', [step.group, step.user, step.members.join(','), step.members.filter((member) => member !== step.user).join(',')]); return; }
    case 'updateContainer': {
      const { container, name, state: { format, before, after }, update, undo } = step;
      const line = (words: readonly string[]): string => shellLine(['c_update', ...words, '--', container]);
      call(step, 'update', [container, name, format, before[0] ?? '', after[0] ?? '', after[1] ?? after[0] ?? '', helper([line(update)]), helper([undo.map(line).join(' && ')])]); return;
    }
    case 'createReplacement': {
      const { container, name, replacement, kept, words, connect, same, env, labels, guards } = step;
      const create = helper([
        'set --', ...wordLines(words), 'create_with "$@" || return 1',
        ...connect.map((command) => `asked network connect ${shellLine(command)} || return 1`),
      ]);
      call(step, 'create', [container, name, replacement, kept, create, same, String(env), String(labels)]);
      for (const { of, subject, format, otherwise, expected } of guards satisfies readonly Guard[]) call(step, 'guard', [of, subject, format, otherwise, ...expected]);
      return;
    }
    case 'retireContainer': { call(step, 'retire', [step.container, step.name, step.restart]); return; }
    case 'stopContainer': { call(step, 'stop', [step.container, step.name]); return; }
    case 'swapContainers': { call(step, 'swap', [step.container, step.name, step.replacement, step.kept]); return; }
    case 'startReplacement': { call(step, 'start', [step.container, step.name, `harden-new-${step.container.slice(0, 12)}`, String(step.watchSeconds), String(step.healthSeconds)]); return; }
    case 'changeComposeProject': {
      for (const file of step.files) addStep(file, { call, helper });
      const [tool = ''] = step.make;
      const up = helper(['case $1 in', `  rehearse) ${shellLine(step.rehearse)} ;;`, `  make) ${shellLine(step.make)} ;;`, `  start) ${step.start === null ? ':' : shellLine(step.start)} ;;`, 'esac']);
      const members = helper(step.containers.map(({ container, name, start, healthSeconds }) => shellLine(['printf', '%s %s %s %s\\n', container, name, yes(start), String(healthSeconds)])));
      const others = helper(step.others.length === 0 ? [':'] : [shellLine(['printf', '%s\\n', ...step.others])]);
      call(step, 'compose', [step.project, tool, up, members, others, String(step.watchSeconds)]); return;
    }
    case 'updateService': {
      const { service, name, state: { format, before, after }, update, watchSeconds } = step;
      call(step, 'service', [service, name, format, before[0] ?? '', after[0] ?? '', helper([shellLine(['c_service', ...update, '--', service])]), String(watchSeconds)]); return;
    }
    case 'setSwarmCertificates': { call(step, 'certificates', [String(step.before), String(step.after)]); return; }
    case 'lockSwarm': { call(step, 'lock', [step.keyFile]); return; }
    case 'removeContainer': { call(step, 'gone', [step.container, step.name, step.finishedAt]); return; }
    case 'removeImage': { call(step, 'image', [step.image, step.name, ...step.references]); return; }
  }
}

/** Words added to "$@", one by one where they are read on the host. */
const wordLines = (words: readonly Word[]): string[] => words.flatMap((word) => (typeof word === 'string' ? [`set -- "$@" ${shellWord(word)}`]
  : [`word ${shellLine([word.container, word.format])} || return 1`, 'set -- "$@" "$WORD"']));
