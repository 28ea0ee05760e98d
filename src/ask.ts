import type { CeilingOffer } from './ceilings.ts';
import { ceilingOffers } from './ceilings.ts';
import { Declined, UsageError } from './errors.ts';
import type { Ask, Change, Deferred, Plan, Report } from './model.ts';
import { findingKey, isFileChange, sameTarget } from './model.ts';
import type { Answer } from './policy.ts';
import { targetName } from './render/common.ts';
import { escapeBlock, escapeLine } from './render/escape.ts';
import type { Layout } from './render/layout.ts';
import { paragraph, plural } from './render/layout.ts';
import { namer, renderChange, renderPlan } from './render/plan.ts';

export interface Choice<T> {
  readonly value: T;
  /** One line, safe to print. */
  readonly name: string;
}

/** Asks a person. Each method throws Declined when the person leaves (Ctrl-C). */
export interface Prompter {
  select<T>(message: string, choices: readonly Choice<T>[]): Promise<T>;
  pick(message: string, choices: readonly Choice<string>[], checked: readonly string[]): Promise<readonly string[]>;
  text(message: string): Promise<string>;
}

/** A plan with the report it comes from, as the planner gives them. */
export interface Planned {
  readonly plan: Plan;
  readonly report: Report;
}

/** What a person may change about a plan before agreeing to it. */
export interface Wish {
  readonly maxImpact: Plan['inputs']['maxImpact'];
  readonly maxRisk: Plan['inputs']['maxRisk'];
  readonly picks: readonly string[] | null;
  /** Values of parameters that were asked for, in the order in which they were given. */
  readonly answers: readonly Answer[];
}

export interface Conversation {
  readonly prompter: Prompter;
  /** Plans again from the same facts. */
  readonly replan: (wish: Wish) => Planned;
  /** What was typed for a parameter, given the answers before it. Throws UsageError with what is wrong with it. */
  readonly read: (ask: Ask, text: string, answers: readonly Answer[]) => Promise<Answer>;
  /** Prints to where questions are asked. */
  readonly show: (text: string) => void;
  readonly layout: Layout;
}

type Action =
  | { readonly kind: 'apply' | 'pick' | 'look' | 'settle' | 'leave' }
  | { readonly kind: 'raise'; readonly offer: CeilingOffer };

/**
 * Lets a person look at a plan, pick from it, give the values that it lacks, raise its ceilings, and agree to it by typing `yes`.
 * @returns the plan that was agreed to, just as it was last shown
 * @throws Declined when it was not
 */
export async function confirmPlan(first: Planned, conversation: Conversation): Promise<Planned & { readonly wish: Wish }> {
  const { prompter, replan, show, layout } = conversation;
  let { maxImpact, maxRisk, picks } = first.plan.inputs;
  let answers: Wish['answers'] = [];
  let whole = first;
  let current = first;
  for (;;) {
    const action = await prompter.select<Action>('What next?', menu(current.plan, whole.plan));
    switch (action.kind) {
      case 'apply': {
        const duties = dutiesOf(current.plan);
        for (const duty of duties) show(`${paragraph(duty, layout, 0).join('\n')}\n`);
        const answer = await prompter.text(`Type yes to make ${plural(current.plan.changes.length, 'change')} on ${escapeLine(current.plan.host.hostname)}${duties.length === 0 ? '' : ', and to see to that'}:`);
        if (answer.trim() === 'yes') return { ...current, wish: { maxImpact, maxRisk, picks, answers } };
        show('Not applied: only "yes" applies.\n');
        break;
      }
      case 'pick': {
        const chosen = await prompter.pick('Which changes?', whole.plan.changes.map(changeChoice), current.plan.changes.map(({ id }) => id));
        picks = chosen.length === whole.plan.changes.length ? null : chosen;
        current = replan({ maxImpact, maxRisk, picks, answers });
        show(renderPlan(current.plan, current.report, layout, null));
        break;
      }
      case 'look': {
        const id = await prompter.select('Which change?', current.plan.changes.map(changeChoice));
        const change = current.plan.changes.find((candidate) => candidate.id === id);
        if (change !== undefined) show(lookAt(change, current.report, layout));
        break;
      }
      case 'raise': {
        ({ maxImpact, maxRisk } = action.offer);
        picks = null;
        whole = replan({ maxImpact, maxRisk, picks, answers });
        current = whole;
        show(renderPlan(current.plan, current.report, layout, null));
        break;
      }
      case 'settle': {
        const keys = await prompter.pick('Which findings do you want to give a value for?', askable(current.plan).map(askableChoice(current.report)), []);
        for (const key of keys) answers = await settle(key, { maxImpact, maxRisk, picks: null, answers }, conversation);
        whole = replan({ maxImpact, maxRisk, picks: null, answers });
        // Who answered for a finding picked it.
        const settled = whole.plan.changes.filter(({ because }) => because.some((reference) => keys.includes(findingKey(reference)))).map(({ id }) => id);
        picks = picks === null ? null : [...new Set([...picks, ...settled])];
        current = picks === null ? whole : replan({ maxImpact, maxRisk, picks, answers });
        show(renderPlan(current.plan, current.report, layout, null));
        break;
      }
      case 'leave': throw new Declined('Declined: nothing was changed.');
    }
  }
}

/** Findings that the value of a parameter would settle. */
export const askable = ({ deferred }: Pick<Plan, 'deferred'>): readonly (Deferred & { readonly asks: readonly Ask[] })[] =>
  deferred.flatMap((item) => (item.asks === undefined || item.asks.length === 0 ? [] : [{ ...item, asks: item.asks }]));

const askableChoice = (report: Report) => (item: Deferred): Choice<string> =>
  ({ value: findingKey(item), name: `${targetName(item.target)}: ${namer(report)(item.check)} ${report.results.find(({ check }) => check === item.check)?.title ?? ''}` });

/** Asks for what one finding lacks until nothing is left to ask of it; whoever leaves a question open leaves all of it as it was. */
async function settle(key: string, wish: Wish, { prompter, replan, read, show, layout }: Conversation): Promise<Wish['answers']> {
  let { answers } = wish;
  for (;;) {
    const { plan, report } = replan({ ...wish, answers });
    const item = askable(plan).find((candidate) => findingKey(candidate) === key);
    if (item === undefined) return answers;
    show(`${[askableChoice(report)(item).name, ...paragraph(item.explanation, layout, 2)].join('\n')}\n`);
    for (const ask of item.asks) {
      const answer = await answerTo(item.explanation.includes(ask.evidence) ? { ...ask, evidence: '' } : ask, ask, answers);
      if (answer === null) return wish.answers;
      answers = [...answers, answer];
    }
  }

  async function answerTo({ parameter, suggested, evidence }: Ask, ask: Ask, given: Wish['answers']): Promise<Answer | null> {
    if (evidence !== '') show(`${paragraph(`${evidence}.`, layout, 2).join('\n')}\n`);
    for (;;) {
      const typed = (await prompter.text(`${escapeLine(parameter.join('.'))} ${suggested === null ? '(empty leaves it open)' : `[${escapeLine(suggested)}] (- leaves it open)`}:`)).trim();
      const text = typed === '' ? suggested : typed;
      if (text === null || text === '-') return null;
      try {
        return await read(ask, text, given);
      } catch (error) {
        if (!(error instanceof UsageError)) throw error;
        show(`${escapeBlock(error.message)}\n`);
      }
    }
  }
}

/** What somebody has to do that harden cannot: a yes takes it on. */
const dutiesOf = ({ changes }: Plan): string[] => changes.flatMap((change) => (isFileChange(change) ? [] : change.actions)).flatMap((action) => action.kind === 'lockSwarm'
  ? [`The unlock key of the swarm will be in ${escapeLine(action.keyFile)}. Carry it off this host and keep it: a manager that restarts waits for it (docker swarm unlock), and without it the swarm is lost.`] : []);

/** One change with its diff, and for each check behind it what is wrong and why that matters. */
function lookAt(change: Change, report: Report, layout: Layout): string {
  const name = namer(report);
  const why = change.because.flatMap(({ check, target }) => {
    const result = report.results.find((candidate) => candidate.check === check);
    const finding = result?.findings.find((candidate) => sameTarget(candidate.target, target));
    return [...paragraph(`${name(check)}: ${result?.title ?? ''}`, layout, 2), ...paragraph(finding?.message ?? '', layout, 4)];
  });
  return `${[...renderChange(change, name, layout, null), '', '  Why', ...why].join('\n')}\n`;
}

const changeChoice = ({ id, target, title, impact, risk }: Change): Choice<string> =>
  ({ value: id, name: `${targetName(target)}: ${escapeLine(title)} (${impact}, ${risk})` });

function menu(plan: Plan, whole: Plan): Choice<Action>[] {
  const some = plan.changes.length > 0;
  return [
    ...(some ? [{ value: { kind: 'apply' as const }, name: `Apply ${plural(plan.changes.length, 'change')}` }] : []),
    ...(some ? [{ value: { kind: 'look' as const }, name: 'Look at one change: its diff, and why' }] : []),
    ...(whole.changes.length > 1 ? [{ value: { kind: 'pick' as const }, name: 'Pick changes' }] : []),
    ...(askable(plan).length > 0 ? [{ value: { kind: 'settle' as const }, name: `Give values that are for you to choose (${plural(askable(plan).length, 'finding')})` }] : []),
    ...ceilingOffers(plan).map((offer) => ({
      value: { kind: 'raise' as const, offer }, name: `Raise the ceiling: ${offer.flags} (releases ${plural(offer.adds.length, 'finding')})`,
    })),
    { value: { kind: 'leave' as const }, name: 'Leave, change nothing' },
  ];
}

/** Questions on the terminal, on stderr so that stdout holds results only. */
export async function terminalPrompter(): Promise<Prompter> {
  const { default: inquirer } = await import('inquirer');
  const prompt = inquirer.createPromptModule({ output: process.stderr });
  const leaving = async <T>(question: Promise<{ readonly answer: T }>): Promise<T> => {
    try {
      return (await question).answer;
    } catch (error) {
      if (error instanceof Error && error.name === 'ExitPromptError') throw new Declined('Declined: nothing was changed.');
      throw error;
    }
  };
  return {
    select: async (message, choices) => {
      const numbered = choices.map(({ name }, value) => ({ name, value }));
      const chosen = choices[await leaving<number>(prompt([{ type: 'select', name: 'answer', message, choices: numbered, loop: false }]))];
      if (chosen === undefined) throw new Declined('Declined: nothing was changed.');
      return chosen.value;
    },
    pick: (message, choices, checked) => leaving<readonly string[]>(prompt([{
      type: 'checkbox', name: 'answer', message, loop: false, choices: choices.map((choice) => ({ ...choice, checked: checked.includes(choice.value) })),
    }])),
    text: (message) => leaving<string>(prompt([{ type: 'input', name: 'answer', message }])),
  };
}
