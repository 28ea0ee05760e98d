import type { Edit } from '../model.ts';
import { renderTemplate } from '../templates.ts';

type UnitEdit = Extract<Edit, { kind: 'unitDropIn' }>;
interface Section { readonly name: string; settings: { readonly name: string; readonly value: string }[] }

/** Sections and settings of a drop-in that harden wrote earlier; comments and blank lines carry nothing. */
function parseDropIn(text: string): Section[] {
  const sections: Section[] = [];
  for (const line of text.split('\n')) {
    const header = /^\[(\w+)\]$/.exec(line);
    if (header?.[1] !== undefined) sections.push({ name: header[1], settings: [] });
    const setting = /^(\w+)=(.*)$/.exec(line);
    if (setting?.[1] !== undefined) sections.at(-1)?.settings.push({ name: setting[1], value: setting[2] ?? '' });
  }
  return sections;
}

/** The text of harden's drop-in for one unit: earlier settings stay, those that the edits name are replaced. */
export function unitDropIn(edits: readonly UnitEdit[], existing: string | null): string {
  const sections = existing === null ? [] : parseDropIn(existing);
  for (const edit of edits) {
    const names = new Set(edit.settings.map(([name]) => name));
    let section = sections.find(({ name }) => name === edit.section);
    if (section === undefined) sections.push((section = { name: edit.section, settings: [] }));
    section.settings = [
      ...section.settings.filter(({ name }) => !names.has(name)),
      ...edit.settings.map(([name, value]) => ({ name, value })),
    ];
  }
  return renderTemplate('unit-drop-in.conf', { sections });
}
