import { readdirSync, readFileSync } from 'node:fs';
import { sha256 } from '../digest.ts';
import type { Facts, Plan } from '../model.ts';
import { IMPACTS, maxImpact } from '../model.ts';
import type { PortablePlan, PortableUnit } from '../portable/model.ts';
import { renderTemplate } from '../templates.ts';
import { escapeBlock, escapeLine } from './escape.ts';
import { renderScript } from './shell.ts';

/** One file of a project, by its path in it. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

const STATIC = new URL('../../templates/ansible/', import.meta.url);
const LIBRARY = 'roles/harden/files/library.sh';

/**
 * The files that are the same for all hosts: playbook, role, configuration of linters.
 * @param checks ids of the checks that changes may answer, each a tag
 */
export function projectFiles(checks: readonly string[]): readonly ProjectFile[] {
  const files = (readdirSync(STATIC, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(STATIC.pathname.length).replace(/^\/+/u, ''));
  return [
    ...files.sort().map((path) => ({ path, text: readFileSync(new URL(path, STATIC), 'utf8') })),
    { path: 'roles/harden/tasks/tags.yml', text: renderTemplate('ansible-tags.yml', { tags: [...SECTIONS, ...IMPACTS, ...[...new Set(checks)].sort()] }) },
    { path: LIBRARY, text: library() },
  ];
}

const library = (): string => `# shellcheck shell=sh disable=SC2034,SC2153,SC2154,SC2317,SC2015,SC2016,SC2119,SC2120\n${renderTemplate('script-library.sh', {})}`;

/** A host's name where it names a file and stands in an inventory: others may hold anything. */
export const inventoryName = (hostname: string): string => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/u.test(hostname) ? hostname
  : `host-${sha256(hostname).slice(0, 12)}`);

/** An inventory of the hosts of which there are variables, for a person to complete. */
export const inventoryExample = (names: readonly string[]): string => [
  '---', '# Copy it to inventory.yml, and say how each host is reached.', 'all:', '  hosts:', ...names.map((name) => `    ${scalar(name)}: {}`), '',
].join('\n');

/**
 * The variables of one host: the script of a portable plan around the library that the role has, and what the tasks need to know of each change. All
 * texts that could be one are `!unsafe`, so that nothing in them is a template to Ansible. Pure.
 */
export function hostVariables(plan: Plan, portable: PortablePlan, facts: Facts): string {
  const script = renderScript(plan, portable, facts);
  const own = renderTemplate('script-library.sh', {});
  const at = script.indexOf(own);
  const lines = (text: string): string[] => text.replace(/\n$/u, '').split('\n').map((line) => `  - ${unsafe(line)}`);
  return [
    '---',
    `# Written by ${plan.tool.name} ${plan.tool.version} from its plan ${plan.id}; make it anew with \`harden generate ansible\` instead of editing it.`,
    '# yamllint disable rule:line-length',
    `harden_plan: ${scalar(plan.id)}`,
    `harden_scanned: ${scalar(facts.collectedAt)}`,
    `harden_library: ${scalar(sha256(library()))}`,
    ...listOf('harden_units', portable.units.flatMap(unitLines)),
    ...listOf('harden_refused', portable.refused.flatMap(({ change, reason }) => [`  - id: ${unsafe(escapeLine(change.id))}`, `    reason: ${unsafe(escapeLine(reason))}`])),
    ...listOf('harden_script_head', lines(script.slice(0, at))),
    ...listOf('harden_script_tail', lines(script.slice(at + own.length))),
    '',
  ].join('\n');
}

const listOf = (name: string, items: readonly string[]): string[] => (items.length === 0 ? [`${name}: []`] : [`${name}:`, ...items]);

function unitLines(unit: PortableUnit): string[] {
  const { changes } = unit;
  const checks = [...new Set(changes.flatMap((change) => change.checks))];
  const section = sectionOf(unit);
  const impact = changes.map((change) => change.impact);
  return [
    `  - id: ${unsafe(escapeLine(changes[0]?.id ?? ''))}`,
    `    title: ${unsafe(escapeLine(changes.map(({ title }) => title).join(', with ')))}`,
    `    section: ${section}`,
    `    tags: [${[section, maxImpact(impact), ...checks].map(scalar).join(', ')}]`,
    `    diff: ${unsafe(changes.map(({ effect, diff }) => escapeBlock(`${effect}\n${diff}`)).join('\n'))}`,
  ];
}

const SECTIONS = ['host', 'files', 'daemon', 'containers', 'operations', 'swarm'] as const;
type Section = (typeof SECTIONS)[number];

function sectionOf({ changes, steps }: PortableUnit): Section {
  if (steps.some(({ kind }) => kind === 'reloadDaemon' || kind === 'restartDaemon')) return 'daemon';
  switch (changes[0]?.kind) {
    case 'container': case 'service': case 'compose-project': return 'containers';
    case 'removed-containers': case 'removed-images': return 'operations';
    case 'swarm-settings': return 'swarm';
    case 'audit-rules': case 'run-directories': case 'group-members': return 'host';
    case 'metadata': case 'daemon-config': case 'daemon-flags': case 'unit-drop-in': case undefined: return 'files';
  }
}

/** In double quotes; all but printable ASCII as an escape, since YAML reads of the others what it likes. */
const scalar = (text: string): string => `"${text.replace(/["\\]|[^ -~]/gu, (character) => {
  if (character === '"' || character === '\\') return `\\${character}`;
  if (character === '\n') return '\\n';
  const code = character.codePointAt(0) ?? 0;
  if (code >= 0xd800 && code < 0xe000) return '\\ufffd';
  return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
})}"`;

/** Such a text is no template; but with the tag, ansible-core 2.19 would read it as if it had no quotes: as a number, a date, nothing. */
const PLAIN = /^(?:[-+.~=<:\w \t]*|[!&*])$/u;
/** A text of a host as a YAML scalar, which Ansible reads as the text and never as a template. */
export const unsafe = (text: string): string => `${PLAIN.test(text) ? '' : '!unsafe '}${scalar(text)}`;
