import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type Handlebars from 'handlebars';

const require = createRequire(import.meta.url);
const compiled = new Map<string, Handlebars.TemplateDelegate>();

/**
 * Fills templates/NAME.hbs. Nothing is escaped (the texts are not HTML): callers pass what is valid in the target's syntax.
 * A name that the data lacks throws.
 */
export function renderTemplate(name: string, data: object): string {
  let template = compiled.get(name);
  if (template === undefined) {
    // Loaded when the first template is filled: most commands fill none.
    const { compile } = require('handlebars') as typeof Handlebars;
    const source = readFileSync(new URL(`../templates/${name}.hbs`, import.meta.url), 'utf8');
    template = compile(source, { noEscape: true, strict: true });
    compiled.set(name, template);
  }
  return template(data);
}
