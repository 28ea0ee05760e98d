import type { Json } from './model.ts';

/** What stands in place of a secret. */
const MASK = '***';

/** Names under which a secret is kept: "splunk-token", "MYSQL_PASSWORD", "registryAuth", "awslogs-credentials-endpoint", "private_key". */
const SECRET_NAME = new RegExp([
  'passw(or)?d', 'passwd', 'passphrase', '(^|[^a-z])pass($|[^a-z])', 'pwd', 'secret', 'token', 'credential', 'api[-_.]?key', 'private[-_.]?key', 'access[-_.]?key',
  'key[-_.]?material', 'authorization($|[^a-z-])', '(^|[^a-z])auth($|[^a-z])', 'auth$', 'basic-?auth', 'bearer', 'cookie', '(^|[^a-z])dsn($|[^a-z])',
].join('|'), 'i');

/** Names that look like one and hold none: lists of plugin names, paths of files, switches. */
const PUBLIC_NAME = /^(authorization-plugins?|authorizationPlugins|tlskey|syslog-tls-key)$/i;

const isSecretName = (name: string): boolean => SECRET_NAME.test(name) && !PUBLIC_NAME.test(name);

/*
 * Texts are as long as whoever wrote them likes: no expression may look through the same run of characters from each place in it, so
 * that one that takes any of a run begins where the run begins.
 */

/** What may hold a URL in a text. */
const WORD = /(?:\\"|[^\s"])+/g;

/** user:password@ of a URL, up to the last "@" of the word, because passwords hold "/" and "@" unescaped; the user alone may be a token. */
function maskUserinfo(word: string): string {
  const end = word.lastIndexOf('@');
  let scheme = word.indexOf('://');
  while (scheme !== -1 && !/[a-z0-9+.-]/i.test(word.charAt(scheme - 1))) scheme = word.indexOf('://', scheme + 1);
  return scheme === -1 || end < scheme ? word : `${word.slice(0, scheme)}://${MASK}${word.slice(end)}`;
}

/** The same for a string that is all URL, where quotes and blanks belong to it too. */
const WHOLE_URL_USERINFO = /^([a-z][a-z0-9+.-]*:\/\/)[\s\S]*@/i;

/** An Authorization header or what follows one, and the secret part of a URL's query. */
const AUTHORIZATION = /\b(authorization["']?\s*[:=]\s*["']?)(?!\*\*\*)[^"'\r\n]+/gi;
const SCHEMES = /\b(bearer|basic)(\s+)(?=\S*[\d=._~+/-])[\w.~+/=-]{8,}/gi;
const WELL_KNOWN = /\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|dckr_pat_[\w-]{16,}|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)/g;
/** Options by which well-known clients take a password, where commands of health checks name them: curl -u NAME:…, mysqladmin -p…, redis-cli -a …, sshpass -p …. */
const CLIENT_OPTIONS: readonly RegExp[] = [
  /(\bcurl\b[^\r\n|;&]{0,120}?\s(?:-u|--user|-U|--proxy-user)[ =]?["']?[^\s:"']*:)[^\s"']+/g,
  /((?<![\w-])(?:mysql|mariadb)[\w-]{0,30}[^\r\n|;&]{0,120}?\s-p)[^\s"'][^\s]*/g,
  /(\bredis-cli\b[^\r\n|;&]{0,120}?\s-a\s+)\S+/g,
  /(\bsshpass\s+-p\s*)\S+/g,
];
/** The environment that an option of `docker run` gives: its value, whatever its name. */
const ENV_OPTION = /((?:^|\s)(?:-e|--env)[ =])(?:(["'])([A-Za-z_]\w*)=(?:(?!\2)[^\\]|\\[\s\S]){0,1000}\2|([A-Za-z_]\w*)=(?:"(?:[^"\\]|\\[\s\S])*"|'[^']*'|\\[^\r\n]|[^\s"'\\])+)/g;
/** From the first line of a private key to its last, or to the end. */
export const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** NAME=value and --name value of a secret's name, the value bare or in quotes: environment files, unit files, flags such as --log-opt splunk-token=…. */
const ASSIGNMENT = /(?<![\w.-])([\d.-]*)([A-Za-z_][\w.-]*)(\s*=\s*)("(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'|[^\s"',;]+)/g;

/** An option of a secret's name and the word after it, which `maskArguments` masks in a list of words: --password x, "--password", "x". */
const OPTION = /(?<![\w.-])(--?)([A-Za-z][\w.-]*)(?:([ \t]+)(?!-)((?:"(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'|\\.|[^\s"'\\])+)|(["'][ \t]*,[ \t]*)(?!["']-)("(?:[^"\\\r\n]|\\.)*"|'[^'\r\n]*'))/g;

function maskOption(match: string, dashes: string, name: string, blank = '', word = '', comma = '', listed = ''): string {
  const quote = /^["']/.exec(word + listed)?.[0] ?? '';
  return isSecretName(name) ? `${dashes}${name}${blank}${comma}${quote}${MASK}${quote}` : match;
}

function maskPatterns(text: string): string {
  return CLIENT_OPTIONS.reduce((masked, option) => masked.replace(option, `$1${MASK}`), text)
    .replace(OPTION, maskOption)
    .replace(ENV_OPTION, (_, option: string, quote = '', quoted = '', bare = '') => `${option}${quote}${quoted}${bare}=${MASK}${quote}`)
    .replace(PRIVATE_KEY, MASK)
    .replace(WORD, maskUserinfo)
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

/** Assignments within assignments; what is deeper is nobody's setting, and goes as a whole. */
const MAX_NESTED = 8;

function maskAssignments(text: string, nested = 0): string {
  if (nested > MAX_NESTED) return MASK;
  return text.replace(ASSIGNMENT, (match: string, before: string, name: string, equals: string, value: string) => {
    const quote = /^["']/.exec(value)?.[0] ?? '';
    if (isSecretName(name)) return `${before}${name}${equals}${quote}${MASK}${quote}`;
    const inner = quote === '' ? value : value.slice(1, -1);
    return inner.includes('=') ? `${before}${name}${equals}${quote}${maskAssignments(inner, nested + 1)}${quote}` : match;
  });
}

/** A string as the member `name` of an object; null: an element of a list. */
function maskString(name: string | null, value: string): string {
  if (name !== null && isSecretName(name)) return value === '' ? value : MASK;
  return maskSecretsInText(value.replace(WHOLE_URL_USERINFO, `$1${MASK}@`));
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

/** An entry of a container's environment: whatever a variable is called, its value is not for others. An empty one stays. */
export const maskEnvironment = (entry: string): string => entry.replace(/=[\s\S]+/, `=${MASK}`);

/**
 * The words of a command. A secret may stand in one word (--token=x), in the word after its option (--token x), or in what an option of a
 * well-known client takes (redis-cli -a x).
 */
export function maskArguments(argv: readonly string[]): string[] {
  const client = CLIENTS.find(({ program }) => program.test(argv[argv[0] === 'CMD' ? 1 : 0] ?? ''));
  return argv.map((word, index) => {
    const before = argv[index - 1] ?? '';
    if (client?.next?.test(before) === true) return word.replace(client.secret, MASK);
    if (client?.joined?.test(word) === true) return word.slice(0, 2) + MASK;
    const name = /^--?([A-Za-z][\w.-]*)$/.exec(before)?.[1];
    const option = /^(--?[\w.-]+)=([\s\S]*)$/.exec(word);
    const alone = option === null ? maskSecretsInText(word) : `${option[1] ?? ''}=${maskString((option[1] ?? '').replace(/^-+/, ''), option[2] ?? '')}`;
    return name === undefined || word.startsWith('-') ? alone : maskString(name, alone);
  });
}

/** The same options where a command is a list of words. `secret`: the part of the word that is one. */
const CLIENTS: readonly { readonly program: RegExp; readonly next: RegExp | null; readonly secret: RegExp; readonly joined?: RegExp }[] = [
  { program: /(^|\/)curl$/, next: /^(-u|--user|-U|--proxy-user)$/, secret: /(?<=:)[\s\S]+/ },
  { program: /(^|\/)(mysql|mariadb)[\w-]*$/, next: null, secret: /[\s\S]+/, joined: /^-p./ },
  { program: /(^|\/)redis-cli$/, next: /^-a$/, secret: /[\s\S]+/ },
  { program: /(^|\/)sshpass$/, next: /^-p$/, secret: /[\s\S]+/, joined: /^-p./ },
];

/** Strings (closed or not), comments, punctuation, and whatever else stands together. */
const TOKEN = /"(?:[^"\\\r\n]|\\.)*"?|'[^'\r\n]*'?|\/\/[^\r\n]*|\/\*[\s\S]*?(?:\*\/|$)|[{}[\],:]|[^\s{}[\],:"']+/g;

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** What a token that is no punctuation says, quotes and escapes taken off. */
function wordOf(token: string): string {
  const value = token.startsWith('"') ? parsed(token) : undefined;
  return typeof value === 'string' ? value : token.replace(/^["']|["']$/g, '');
}

/**
 * The text of a JSON file with the secrets in it masked and its layout kept, so that two masked texts make the diff that the two
 * texts would. Works token by token, so that a file that cannot be parsed lets nothing through either.
 */
export function maskSecretsInJsonText(text: string): string {
  const tokens = [...text.matchAll(TOKEN)];
  const enclosing: boolean[] = [];
  let named = false;
  let result = '';
  let end = 0;
  for (const [i, match] of tokens.entries()) {
    const [token] = match;
    let shown = token;
    if (token === '{' || token === '[') {
      enclosing.push(named || enclosing.at(-1) === true);
      named = false;
    } else if (token === '}' || token === ']') {
      enclosing.pop();
      named = false;
    } else if (token === ',') {
      named = false;
    } else if (/^\/[/*]/.test(token)) {
      shown = maskSecretsInText(token);
    } else if (token !== ':') {
      const word = wordOf(token);
      const isName = tokens[i + 1]?.[0] === ':';
      const secret = named || enclosing.at(-1) === true;
      if (isName) named = isSecretName(word);
      const masked = isName ? maskSecretsInText(word) : maskValue(token, word, secret);
      if (masked !== word) shown = JSON.stringify(masked);
    }
    result += text.slice(end, match.index) + shown;
    end = match.index + token.length;
  }
  result += text.slice(end);
  return parsed(text) === undefined ? maskSecretsInText(result) : result;
}

function maskValue(token: string, word: string, secret: boolean): string {
  if (!secret) return maskString(null, word);
  return word === '' || ['true', 'false', 'null'].includes(token) ? word : MASK;
}

/** NAME: value, in a block or between braces, the value bare or in quotes. */
const YAML_MEMBER = /(^|[\s{,"'-])(["']?)([A-Za-z_][\w.-]*)\2(\s*:[ \t]+)("(?:[^"\\\r\n]|\\.)*"?|'[^'\r\n]*'?|[^\s,{}[\]#&*!|>"'][^,{}\r\n]*|[|>][^\r\n]*)/g;

/** A variable of a compose file's `environment`, as a member or as NAME=VALUE: all but its value. */
const YAML_VARIABLE = /^(\s*(?:-\s+)?["']?[A-Za-z_][\w.-]*["']?(?:\s*:[ \t]+|=))(?=\S)[^\r]*/;

/** The sections of a compose file whose members have names of the user's own. */
const SECTIONS = /^["']?(?:services|networks|volumes|configs|secrets)["']?\s*:\s*(?:#.*)?$/;

/**
 * The text of a YAML file with the secrets in it masked and its lines kept, so that two masked texts make the diff that the two texts would.
 * Under `environment` every value is one. What a file calls its services and networks are names, whatever they sound like.
 */
export function maskSecretsInYamlText(text: string): string {
  let below: number | null = null;
  let environment: number | null = null;
  /** Where the variables of the environment begin: what is further in belongs to the value of one. */
  let variables: number | null = null;
  /** Below a top-level section of names, and how far in these begin. */
  let named = false;
  let names: number | null = null;
  return text.split('\n').map((line) => {
    const indent = /^[ -]*/.exec(line)?.[0].length ?? 0;
    // The lines of a block scalar, a list or a mapping under a secret's name.
    if (below !== null && (line.trim() === '' || indent > below)) return line.replace(/\S[^\r]*/, MASK);
    below = null;
    if (environment !== null && (line.trim() === '' || indent > environment)) {
      if (line.trim() !== '') variables ??= indent;
      if (variables !== null && indent > variables && line.trim() !== '') return line.replace(/\S[^\r]*/, MASK);
      const variable = line.replace(YAML_VARIABLE, `$1${MASK}`);
      return /^\s*(#|$)|^\s*(-\s+)?["']?[A-Za-z_][\w.-]*["']?\s*:?\s*$/.test(line) || YAML_VARIABLE.test(line) ? maskSecretsInText(variable) : line.replace(/\S[^\r]*/, MASK);
    }
    const opened = /^([ -]*)["']?([A-Za-z_][\w.-]*)["']?\s*:\s*(?:[|>][-+0-9]*)?\s*(?:#.*)?$/.exec(line);
    const name = opened?.[2]?.toLowerCase() ?? '';
    environment = name === 'environment' ? (opened?.[1]?.length ?? 0) : null;
    variables = null;
    if (/^[^\s#]/.test(line)) [named, names] = [SECTIONS.test(line), null];
    else if (named && /^\s*[^\s#]/.test(line)) names ??= indent;
    const isName = named && indent === names && !/[|>]/.test(opened?.[0] ?? '');
    below = isSecretName(name) && name !== 'secrets' && !isName ? (opened?.[1]?.length ?? 0) : null;
    return maskSecretsInText(line
      .replace(/(^|[\s{,])(["']?environment["']?\s*:\s*)([{[&*][^\r]*)/, `$1$2${MASK}`)
      .replace(YAML_MEMBER, (match: string, before: string, quote: string, member: string, colon: string) =>
        (isSecretName(member) && member.toLowerCase() !== 'secrets' ? `${before}${quote}${member}${quote}${colon}${MASK}` : match)));
  }).join('\n');
}
