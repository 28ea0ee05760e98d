import type { Instruction } from '../../src/image/history.ts';
import { placeOf } from '../../src/image/history.ts';
import type { Check } from '../../src/model.ts';
import { pass, warn } from '../verdict.ts';
import { judgeHistories, sinceD112 } from './images.ts';

/** What an ADD writes to: the last word, without the trailing blanks of the classic builder ("file:… in / "). */
const destination = ({ text }: Instruction): string => text.trim().split(/\s+/u).at(-1) ?? '';

/** Instructions that make layers. */
const LAYERS: ReadonlySet<string> = new Set(['ADD', 'COPY', 'RUN', '']);

/**
 * The ADD that unpacks the root file system of a base image: the first layer of all, written to /. COPY cannot do that, and it is not of
 * whoever builds on it. A later ADD counts whoever wrote it, since the image holds what it brought.
 */
const isRootFileSystem = (instruction: Instruction, all: readonly Instruction[]): boolean =>
  all.find(({ name }) => LAYERS.has(name)) === instruction && destination(instruction) === '/';

export const check: Check<null> = {
  id: 'image.copy-not-add',
  title: 'Files come into images by COPY, not by ADD',
  rationale: 'ADD also downloads from addresses and unpacks archives, so that a changed server or a crafted archive decides what the image holds.',
  evidence: 'GET /images/ID/history, ADD instructions; the first layer is exempt where it is the root file system of the base image',
  passes: 'No layer but a base image\'s root file system was made by ADD.',
  section: 'images',
  severity: 'low',
  level: 1,
  cis: sinceD112('4.9'),
  aliases: ['CIS-DI-0009'],
  evaluate: (facts) => judgeHistories(facts, (instructions, target) => {
    const added = instructions.filter((instruction) => instruction.name === 'ADD' && !isRootFileSystem(instruction, instructions));
    const [first] = added;
    if (first === undefined) return [pass(target, 'The image uses no ADD')];
    const remote = added.some(({ text }) => /^(?:https?|ftp|git):\/\//iu.test(text)) ? ' from an address' : '';
    return [warn(target, `${added.length} ADD${remote}: ${placeOf(first)} writes to ${destination(first)}`, null)];
  }),
};
