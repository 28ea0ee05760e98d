import { readFileSync } from 'node:fs';
import Handlebars from 'handlebars';

const compiled = new Map<string, Handlebars.TemplateDelegate>();

/**
 * Fills templates/NAME.hbs. Nothing is escaped (the texts are not HTML): callers pass what is valid in the target's syntax.
 * A name that the data lacks throws.
 */
export function renderTemplate(name: string, data: object): string {
  let template = compiled.get(name);
  if (template === undefined) {
    const source = readFileSync(new URL(`../templates/${name}.hbs`, import.meta.url), 'utf8');
    template = Handlebars.compile(source, { noEscape: true, strict: true });
    compiled.set(name, template);
  }
  return template(data);
}
