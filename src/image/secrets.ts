import { maskSecretsInText } from '../mask.ts';

/** What a value looks like that is a secret whatever it is called. The order is that of how telling the name is. */
const SHAPES: readonly (readonly [what: string, shape: RegExp])[] = [
  ['a private key', /-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----/u],
  ['an AWS access key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/u],
  ['a GitHub token', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{22,})/u],
  ['a GitLab token', /\bglpat-[\w-]{20,}/u],
  ['a Slack token', /\bxox[abeoprs]-[\w-]{10,}/u],
  ['a Docker Hub token', /\bdckr_(?:pat|oat)_[\w-]{20,}/u],
  ['an npm token', /\bnpm_[A-Za-z0-9]{36}\b/u],
  ['a PyPI token', /\bpypi-AgE[\w-]{40,}/u],
  ['a Stripe key', /\b[sr]k_live_[A-Za-z0-9]{16,}/u],
  ['a Google API key', /\bAIza[\w-]{35}/u],
  ['a SendGrid key', /\bSG\.[\w-]{16,}\.[\w-]{16,}/u],
  ['a Vault token', /\bhv[sbr]\.[\w-]{20,}/u],
  ['a JSON web token', /\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*/u],
  ['a password in a URL', /\b[a-z][a-z\d+.-]{1,20}:\/\/[^\s/:@"']{0,200}:(?!\$|\{\{|<)[^\s/@"']{1,200}@/iu],
  ['a bearer token', /\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)\s+(?!\$|<|\{)[\w.~+/=-]{8,}/iu],
  ['what a snapshot masked', /\*\*\*/u],
];

/** Words of a name that stand for a secret. */
const WORDS: ReadonlySet<string> = new Set([
  'password', 'passwd', 'passphrase', 'pass', 'pw', 'pwd', 'secret', 'secrets', 'token', 'credential', 'credentials', 'apikey', 'privatekey', 'accesskey', 'secretkey',
]);
const KEYS: ReadonlySet<string> = new Set(['api', 'private', 'access', 'secret', 'encryption', 'signing', 'auth', 'master', 'license', 'account', 'ssh', 'shared', 'session', 'app']);
/** What makes a name one that only points at a secret, or describes it. */
const HARMLESS_ENDS: ReadonlySet<string> = new Set([
  'file', 'path', 'dir', 'directory', 'id', 'name', 'url', 'uri', 'endpoint', 'host', 'ttl', 'expiry', 'expiration', 'lifetime', 'timeout', 'length', 'size', 'min', 'max',
  'policy', 'type', 'algorithm', 'header', 'enabled', 'required', 'fingerprint', 'version', 'count', 'limit', 'prefix', 'issuer', 'audience', 'provider', 'store', 'manager', 'mount',
]);
const HARMLESS_NAMES: ReadonlySet<string> = new Set(['pwd', 'oldpwd', 'gpg_key', 'gpg_keys']);

/** Values that are no secret under any name: switches, paths, references, placeholders. */
const HARMLESS_VALUE = /^(?:true|false|yes|no|on|off|none|null|undefined|\/[^\s]*|\.{1,2}\/.*|~\/.*|\$\{?\w+.*|<[^>]*>|file:.*|\s*)$/iu;

/** Words of a name however it is written: DB_PASSWORD, dbPassword, db-password. */
const wordsOf = (name: string): readonly string[] =>
  name.replace(/([a-z\d])([A-Z])/gu, '$1_$2').toLowerCase().split(/[^a-z\d]+/u).filter((word) => word !== '').map((word) => word.replace(/\d+$/u, ''));

function soundsSecret(name: string): boolean {
  const words = wordsOf(name);
  if (HARMLESS_NAMES.has(name.toLowerCase()) || HARMLESS_ENDS.has(words.at(-1) ?? '') || words.includes('public')) return false;
  return words.some((word, index) => WORDS.has(word) || /(?:password|passwd|secret|apikey)$/u.test(word) || (/^keys?$/u.test(word) && KEYS.has(words[index - 1] ?? '')));
}

/** What in a text looks like a secret, or null. The text itself is never part of the answer. */
export const secretShape = (text: string): string | null => SHAPES.find(([, shape]) => shape.test(text))?.[0] ?? null;

/** Names are shown, and anyone can put anything there: what looks like a secret is masked, and a long one is cut. */
const shown = (name: string): string => {
  const safe = secretShape(name) === null ? maskSecretsInText(name) : '***';
  return safe.length > 60 ? `${safe.slice(0, 60)}…` : safe;
};

/**
 * Says what is secret about NAME=value, by the value's shape and by the name: "DB_PASSWORD", "URL (a password in a URL)". null: nothing.
 * `publicNames` are those that the owner declares harmless; only their names are, not a value that looks like a secret.
 */
export function secretIn(assignment: string, publicNames: readonly string[] = []): string | null {
  const equals = assignment.indexOf('=');
  if (equals <= 0) return null;
  const name = assignment.slice(0, equals);
  const value = assignment.slice(equals + 1).replace(/^(["'])([\s\S]*)\1$/u, '$2');
  const shape = secretShape(value);
  if (shape !== null) return `${shown(name)} (${shape})`;
  return soundsSecret(name) && !publicNames.includes(name) && !HARMLESS_VALUE.test(value) ? shown(name) : null;
}
