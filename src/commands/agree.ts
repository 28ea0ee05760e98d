import { Declined } from '../errors.ts';
import type { Context } from './context.ts';

/**
 * Asks for the word "yes", unless --yes was given.
 * @throws Declined
 */
export async function agreeTo(what: string, { yes }: { readonly yes?: boolean }, context: Context): Promise<void> {
  if (yes === true) return;
  if (!context.interactive) throw new Declined('Declined: there is no terminal to confirm on. Nothing was changed.\nTo do it all the same, add --yes.');
  const prompter = await context.prompter();
  if ((await prompter.text(`Type yes to ${what}:`)).trim() !== 'yes') throw new Declined('Declined: nothing was changed.');
}
