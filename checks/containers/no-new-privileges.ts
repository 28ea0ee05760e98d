import { daemonSetting } from '../../src/daemon/settings.ts';
import type { Check, Facts, Observed } from '../../src/model.ts';
import { mapObserved, present, unreadable } from '../../src/model.ts';
import { pass, unknown, warn } from '../verdict.ts';
import type { Container } from './container.ts';
import { asDeclared, eachContainer, heldTo, section5 } from './container.ts';

/** What a container without a choice of its own got: the daemon's default when it was created, which later ones do not change (moby, daemon/create.go). */
function inherited(facts: Facts, { runtime: { applied } }: Container): Observed<boolean> {
  const setting = daemonSetting(facts, 'no-new-privileges');
  if (setting.status !== 'present') return setting;
  const now = mapObserved(setting.value.now, (value) => value === true);
  if (now.status !== 'present' || !now.value) return now;
  const { process } = facts.daemon;
  if (process.status !== 'present') return process;
  const created = Date.parse(applied?.createdAt ?? '');
  return created >= Date.parse(process.value.startedAt) ? present(true)
    : unreadable('The daemon has the option as its default, but the container may have been created before that, and containers keep what they were created with');
}

export const check: Check<null> = {
  id: 'container.no-new-privileges',
  title: 'Processes of the container gain no privileges',
  rationale: 'A setuid program or file capabilities in its image would let a process become more than it was started as.',
  evidence: 'inspect: HostConfig.SecurityOpt, Created; the daemon\'s no-new-privileges and when it started; /proc/PID/status of its first process: NoNewPrivs',
  passes: 'The option is set for the container, or was the daemon\'s default when the container was created, and is in force where it runs.',
  section: 'containers',
  severity: 'medium',
  level: 1,
  cis: section5(26, 'd1.11'),
  evaluate: (facts) => eachContainer(facts, (container) => {
    const { spec: { security: { noNewPrivileges } }, target } = container;
    const held = heldTo(container);
    if (held?.status === 'present' && !held.value.noNewPrivileges) {
      return warn(target, noNewPrivileges === true ? 'Its processes may gain privileges: the option is set for it, but not in force'
        : noNewPrivileges === false ? 'Its processes may gain privileges: the option is switched off for it' : 'Its processes may gain privileges through setuid programs', null);
    }
    if (noNewPrivileges === true) {
      return held?.status === 'unreadable' ? unknown(target, `What is in force is not known: ${held.reason}`) : pass(target, `Its processes gain no privileges${asDeclared(container, held)}`);
    }
    if (noNewPrivileges === false) return warn(target, 'Its processes may gain privileges: the option is switched off for it', null);
    // Containers keep the default that they were created with, so that what holds now holds after the next start.
    if (held?.status === 'present') return pass(target, 'Its processes gain no privileges: the kernel holds it to that since it was started');
    const byDefault = inherited(facts, container);
    if (byDefault.status !== 'present') return unknown(target, byDefault.status === 'unreadable' ? byDefault.reason : 'The daemon\'s default is not known');
    if (byDefault.value && held !== undefined) return unknown(target, `What is in force is not known: ${held.reason}`);
    return byDefault.value ? pass(target, 'Its processes gain no privileges: it was created with the daemon\'s default')
      : warn(target, 'Its processes may gain privileges through setuid programs', null);
  }),
};
