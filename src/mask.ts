import { applyEdits, parseTree } from 'jsonc-parser';
import type { Edit, Node } from 'jsonc-parser';
import type { Json } from './model.ts';

/** What stands in place of a secret. */
const MASK = '***';

/** Names under which a secret is kept: "splunk-token", "MYSQL_PASSWORD", "registryAuth", "awslogs-credentials-endpoint", "private_key". */
const SECRET_NAME = new RegExp([
  'passw(or)?d', 'passwd', 'passphrase', '(^|[^a-z])pass($|[^a-z])', 'pwd', 'secret', 'token', 'credential', 'api[-_.]?key', 'private[-_.]?key', 'access[-_.]?key',
  'key[-_.]?material', 'authorization($|[^a-z-])', '(^|[^a-z])auth($|[^a-z])', 'auth$', 'bearer', 'cookie', '(^|[^a-z])dsn($|[^a-z])',
].join('|'), 'i');

/** Names that look like one and hold none: lists of plugin names, paths of files, switches. */
const PUBLIC_NAME = /^(authorization-plugins?|authorizationPlugins|tlskey|syslog-tls-key)$/i;

const isSecretName = (name: string): boolean => SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);

/** user:password@ of a URL, also where the rest is no valid URL; the user alone may be a token. */
const URL_USERINFO = /([a-z][a-z0-9+.-]*:\/\/)[^\s/?#"'\\]*@/gi;

/** An Authorization header or what follows one, and the secret part of a URL's query. */
const AUTHORIZATION = /\b(authorization["']?\s*[:=]\s*["']?)(?!\*\*\*)[^"'\r\n]+/gi;
const SCHEMES = /\b(bearer|basic)(\s+)(?=\S*[\d=._~+/-])[\w.~+/=-]{8,}/gi;
const WELL_KNOWN = /\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|dckr_pat_[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/g;
const PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** NAME=value and --name value of a secret's name, the value bare or in quotes: environment files, unit files, flags such as --log-opt splunk-token=…. */
const ASSIGNMENT = /([A-Za-z_][\w.-]*)(\s*=\s*)("(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'|[^\s"',;]+)/g;

function maskPatterns(text: string): string {
  return text
    .replace(PEM, MASK)
    .replace(URL_USERINFO, `$1${MASK}@`)
    .replace(AUTHORIZATION, `$1${MASK}`)
    .replace(SCHEMES, `$1$2${MASK}`)
    .replace(WELL_KNOWN, MASK);
}

/**
 * Free text (unit files, environment files, messages) with secrets masked; line breaks outside of private keys stay, so that diffs line up.
 * A quoted list of assignments (Environment="A_TOKEN=x") is looked into.
 */
export function maskSecretsInText(text: string): string {
  return maskPatterns(maskAssignments(text));
}

function maskAssignments(text: string): string {
  return text.replace(ASSIGNMENT, (match: string, name: string, equals: string, value: string) => {
    const quote = /^["']/.exec(value)?.[0] ?? '';
    if (isSecretName(name)) return `${name}${equals}${quote}${MASK}${quote}`;
    const inner = quote === '' ? value : value.slice(1, -1);
    return inner.includes('=') ? `${name}${equals}${quote}${maskAssignments(inner)}${quote}` : match;
  });
}

/** A string as the member `name` of an object; null: an element of a list. */
function maskString(name: string | null, value: string): string {
  if (name !== null && isSecretName(name)) return value === '' ? value : MASK;
  return maskSecretsInText(value);
}

/** A JSON value with secrets masked, by the names of its members and by what its strings look like. Under a secret's name everything is. */
export function maskJson(value: Json): Json {
  return maskMember(null, value);
}

function maskMember(name: string | null, value: Json): Json {
  if (typeof value === 'string') return maskString(name, value);
  if (typeof value === 'number') return name !== null && isSecretName(name) ? MASK : value;
  if (Array.isArray(value)) return value.map((item) => maskMember(name, item));
  if (typeof value !== 'object' || value === null) return value;
  const inherited = name !== null && isSecretName(name) ? name : null;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [maskSecretsInText(key), maskMember(inherited ?? key, member)]));
}

/**
 * The text of a JSON file with the secrets in it masked and its layout kept, so that two masked texts make the diff that the two
 * texts would. What is not JSON is masked as free text.
 */
export function maskSecretsInJsonText(text: string): string {
  let valid = true;
  try {
    JSON.parse(text);
  } catch {
    valid = false;
  }
  const root = valid ? parseTree(text) : undefined;
  if (root === undefined) return maskBrokenJson(text);
  const edits: Edit[] = [];
  collect(root, null, edits);
  return applyEdits(text, edits);
}

/** Members are masked by name even where the file cannot be parsed. */
function maskBrokenJson(text: string): string {
  const named = text.replace(/(["'])([^"'\r\n]*)\1(\s*:\s*)("(?:[^"\\\r\n]|\\.)*"?|'[^'\r\n]*'?|[^\s,}\]]+)/g, (match: string, quote: string, name: string, colon: string) =>
    (isSecretName(name) ? `${quote}${name}${quote}${colon}"${MASK}"` : match));
  return maskSecretsInText(named);
}

function collect(node: Node, name: string | null, edits: Edit[]): void {
  const replace = (masked: Json): void => {
    edits.push({ offset: node.offset, length: node.length, content: JSON.stringify(masked) });
  };
  const [first, second] = node.children ?? [];
  switch (node.type) {
    case 'property':
      if (first !== undefined) collect(first, null, edits);
      if (first !== undefined && second !== undefined) collect(second, name ?? (isSecretName(first.value as string) ? first.value as string : null), edits);
      return;
    case 'string': {
      const value = node.value as string;
      const masked = maskString(name, value);
      if (masked !== value) replace(masked);
      return;
    }
    case 'number':
      if (name !== null) replace(MASK);
      return;
    case 'array':
    case 'object':
      for (const child of node.children ?? []) collect(child, name, edits);
      return;
    case 'boolean':
    case 'null':
  }
}
