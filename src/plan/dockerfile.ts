import { createTwoFilesPatch } from 'diff';
import { baseOf, instructionsIn, jsonForm, lineAt, stagesOfImage } from '../image/dockerfile.ts';
import type { Dockerfile, DockerfileInstruction } from '../image/dockerfile.ts';
import { secretsOf } from '../image/instruction-secrets.ts';
import { updateAlone } from '../image/packages.ts';
import { secretIn, secretShape } from '../image/secrets.ts';
import { commandsOf } from '../image/shell.ts';
import { maskSecretsInText, PRIVATE_KEY } from '../mask.ts';
import type { Advice, Deferred, Parameters } from '../model.ts';

/** A Dockerfile that the owner says an image is built from. */
export interface GivenDockerfile {
  /** Id of the image. */
  readonly image: string;
  /** As it was given, for messages and for the header of the diff. */
  readonly path: string;
  readonly dockerfile: Dockerfile;
}

/** Replaces [start, end) of the text. Lines that it touches are shown in the diff. */
interface Splice {
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
}

/** What is made of one finding: edits, and what is left to a person. `needs` names the parameter without which nothing can be said. */
interface Answer {
  readonly splices: readonly Splice[];
  readonly notes: readonly string[];
  readonly needs?: string;
}

const CHECKS = ['image.user', 'image.healthcheck', 'image.update-alone', 'image.copy-not-add'] as const;
type AdvisedCheck = (typeof CHECKS)[number];
const isAdvised = (check: string): check is AdvisedCheck => (CHECKS as readonly string[]).includes(check);

/** The number that no distribution gives to an account of its own. */
const DEFAULT_USER = '10001:10001';

/**
 * Advice for the deferred findings of images whose Dockerfile was given: one patch for each Dockerfile and image. The findings stay deferred,
 * since only a new build changes an image, and say what to do with the patch.
 */
export function adviseDockerfiles(
  deferred: readonly Deferred[], given: readonly GivenDockerfile[], parameters: Parameters,
): { readonly advice: readonly Advice[]; readonly deferred: readonly Deferred[] } {
  const advice: Advice[] = [];
  const changed = new Map<Deferred, Deferred>();
  for (const { image, path, dockerfile } of given) {
    const items = deferred.filter(({ check, target }) => target.kind === 'image' && target.id === image && isAdvised(check));
    const target = items[0]?.target;
    if (target === undefined) continue;
    const made = items.map((item) => ({ item, answer: withoutSecrets(dockerfile, answerOf(item.check as AdvisedCheck, dockerfile, parameters)) }));
    const splices = made.flatMap(({ answer }) => answer.splices);
    for (const { item, answer } of made) changed.set(item, advised(item, answer, path));
    advice.push({
      check: made.filter(({ answer }) => answer.splices.length > 0).map(({ item }) => item.check), target, path,
      diff: splices.length === 0 ? '' : patchOf(path, dockerfile, splices),
      notes: [...new Set(made.flatMap(({ answer }) => answer.notes))],
    });
  }
  return { advice, deferred: deferred.map((item) => changed.get(item) ?? item) };
}

/** Why and with what a finding is deferred now that its Dockerfile is known. */
function advised(item: Deferred, { splices, notes, needs }: Answer, path: string): Deferred {
  if (needs !== undefined) return { ...item, reason: 'choice', explanation: [item.explanation, ...notes].join(' '), needs };
  if (splices.length === 0) return { ...item, explanation: [item.explanation, ...notes].join(' ') };
  return {
    ...item,
    explanation: [`A patch for ${path} is in the advice of this plan; harden does not write it.`, ...notes].join(' '),
    needs: `Read the patch, put it in with patch ${path} (the plan as JSON has it in advice[].diff), build the image again with the tag it has, and create its containers from the new one.`,
  };
}

function answerOf(check: AdvisedCheck, dockerfile: Dockerfile, parameters: Parameters): Answer {
  switch (check) {
    case 'image.user': return userAnswer(dockerfile, parameters.images?.user);
    case 'image.healthcheck': return healthAnswer(dockerfile, parameters.images?.healthcheck);
    case 'image.copy-not-add': return copyAnswer(dockerfile);
    case 'image.update-alone': return updateAnswer(dockerfile);
  }
}

const lastStage = (dockerfile: Dockerfile): readonly DockerfileInstruction[] =>
  instructionsIn(dockerfile).filter(({ stage }) => stage === dockerfile.stages - 1);

const lineEnd = ({ text }: Dockerfile): string => (/\r\n/u.test(text) ? '\r\n' : '\n');

/** Lines after the last instruction of the file, which is in its last stage. A file without a final line end keeps none. */
function append(dockerfile: Dockerfile, lines: readonly string[]): Splice {
  const { text } = dockerfile;
  const end = instructionsIn(dockerfile).at(-1)?.end ?? text.length;
  const feed = lineEnd(dockerfile);
  const closed = text.slice(0, end).endsWith('\n');
  return { start: end, end, replacement: closed ? lines.map((line) => line + feed).join('') : lines.map((line) => feed + line).join('') };
}

/** Instructions that neither run as the user nor write files as it. */
const METADATA: ReadonlySet<string> = new Set(['CMD', 'ENTRYPOINT', 'EXPOSE', 'ENV', 'LABEL', 'STOPSIGNAL', 'HEALTHCHECK', 'ARG', 'MAINTAINER', 'ONBUILD']);
const ROOT = /^["']?(?:root|[+-]?0*)(?::|["']?$)/u;

function userAnswer(dockerfile: Dockerfile, chosen: string | undefined): Answer {
  const stage = lastStage(dockerfile);
  const at = stage.findLastIndex(({ name }) => name === 'USER');
  const last = stage[at];
  if (last !== undefined && !ROOT.test(last.args) && !last.args.includes('$')) {
    return { splices: [], notes: [`Line ${lineAt(dockerfile.text, last.start)} of the Dockerfile sets a user already, so the image was not built from it as it is: build it again.`] };
  }
  const create = chosen === undefined ? accountLines(stage) : [];
  const user = chosen ?? DEFAULT_USER;
  const comment = '# What the program writes must belong to this user: COPY --chown, RUN chown, and chown once for existing volumes. Ports below 1024 may be refused.';
  const notes = ['Files and volumes that the program writes must belong to the new user, or it fails; try the new image before it replaces the old one.'];
  if (last !== undefined && create.length === 0 && stage.slice(at + 1).every(({ name }) => METADATA.has(name)) && last.args !== '') {
    const indent = `${comment}${lineEnd(dockerfile)}`;
    return { splices: [{ start: last.start, end: last.start, replacement: indent }, { start: last.argsStart, end: last.contentEnd, replacement: user }], notes };
  }
  return { splices: [append(dockerfile, [...create, comment, `USER ${user}`])], notes };
}

/**
 * The RUN that makes an account, where the base image's name tells the distribution; none otherwise, since a number needs no account.
 * Busybox's adduser and Debian's useradd take different options.
 */
function accountLines(stage: readonly DockerfileInstruction[]): readonly string[] {
  const from = stage[0];
  if (from === undefined || stage.some(({ name }) => name === 'SHELL')) return [];
  const [repository = '', tag = ''] = (baseOf(from).image.split('@')[0] ?? '').split('/').at(-1)?.split(':') ?? [];
  if (repository === 'alpine' || /(?:^|-)alpine(?:$|[\d.-])/u.test(tag)) {
    return ['RUN addgroup -S -g 10001 app && adduser -S -D -H -u 10001 -G app app'];
  }
  if (repository === 'debian' || repository === 'ubuntu' || /(?:^|-)(?:bookworm|bullseye|trixie|jammy|noble)(?:$|-)/u.test(tag)) {
    return ['RUN groupadd --gid 10001 app && useradd --uid 10001 --gid app --no-create-home --shell /usr/sbin/nologin app'];
  }
  return [];
}

function healthAnswer(dockerfile: Dockerfile, command: string | undefined): Answer {
  const own = lastStage(dockerfile).filter(({ name }) => name === 'HEALTHCHECK').at(-1);
  const none = own !== undefined && /^none$/iu.test(own.args);
  if (own !== undefined && !none) {
    return { splices: [], notes: [`Line ${lineAt(dockerfile.text, own.start)} of the Dockerfile has a HEALTHCHECK already, so the image was not built from it as it is: build it again.`] };
  }
  if (command === undefined) {
    return { splices: [], notes: [], needs: 'images.healthcheck: a command that is in the image and succeeds while its program works, such as --set images.healthcheck="/app/healthy"' };
  }
  const line = `HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ${command}`;
  const notes = ['The health check is the command of images.healthcheck: see that it is in this image and succeeds there.'];
  return { splices: [none ? { start: own.nameStart, end: own.contentEnd, replacement: line } : append(dockerfile, [line])], notes };
}

/** What ADD unpacks, by its name; by content it would be known only in the build. */
const ARCHIVE = /\.(?:tar(?:\.\w+)?|t[gbx]z2?|tbz|txz|tzst|gz|bz2|xz|zst|lzma)$/iu;
const REMOTE = /^(?:[a-z][a-z\d+.-]*:\/\/|git@)/iu;
const COPY_FLAGS = /^--(?:chown|chmod|link|exclude)(?:=|$)/u;

/** Why an ADD cannot be a COPY; null when it can. */
function whyAdd({ args, flags, heredocs }: DockerfileInstruction): string | null {
  const other = flags.find((flag) => !COPY_FLAGS.test(flag));
  if (other !== undefined) return `${other.split('=')[0] ?? ''} is for ADD alone`;
  const words = jsonForm(args) ?? args.split(/\s+/u).map((word) => word.replace(/^(["'])(.*)\1$/u, '$2'));
  const sources = words.slice(0, -1).filter((word) => heredocs.length === 0 || !/^\d*<</u.test(word));
  if (words.length < 2) return 'its sources cannot be told';
  if (sources.some((source) => REMOTE.test(source))) return 'it downloads: give it --checksum=sha256:…, or download, check and unpack in one RUN';
  if (sources.some((source) => ARCHIVE.test(source))) return 'it unpacks an archive: COPY it in an earlier stage, unpack it there, and COPY --from what is needed';
  if (sources.some((source) => source.includes('$'))) return 'a variable says what it adds';
  if (sources.some((source) => /[*?[]/u.test(source) && !/\.\w+$/u.test(source))) return 'its pattern may match archives';
  return null;
}

function copyAnswer(dockerfile: Dockerfile): Answer {
  const stages = stagesOfImage(dockerfile);
  const splices: Splice[] = [];
  const notes: string[] = [];
  for (const instruction of instructionsIn(dockerfile)) {
    if (instruction.name !== 'ADD' || !stages.has(instruction.stage)) continue;
    const why = whyAdd(instruction);
    const written = dockerfile.text.slice(instruction.nameStart, instruction.nameEnd);
    if (why === null) splices.push({ start: instruction.nameStart, end: instruction.nameEnd, replacement: written === 'add' ? 'copy' : 'COPY' });
    else notes.push(`Line ${lineAt(dockerfile.text, instruction.start)} stays ADD: ${why}.`);
  }
  if (splices.length > 0) notes.push('ADD also unpacks an archive whose name does not tell; COPY does not.');
  if (splices.length + notes.length === 0) notes.push('No ADD in the stages of the Dockerfile that make the image: it comes with the base image, or the image was built from another Dockerfile.');
  return { splices, notes };
}

/** What changes the shell that runs it, so that the next RUN, which has a shell of its own, would see it once they are one. */
const SHELL_STATE: ReadonlySet<string> = new Set([
  'cd', 'pushd', 'popd', 'export', 'set', 'unset', 'umask', 'ulimit', 'exec', 'source', '.', 'alias', 'trap', 'exit', 'return', 'eval', 'shopt', 'declare', 'readonly', 'local', 'wait',
]);

/** A shell line that is commands joined by && and nothing that could bind them otherwise. */
function isPlainChain(line: string): boolean {
  const bare = line.replace(/\\./gsu, 'x').replace(/"[^"$`]*"|'[^']*'/gu, 'x');
  return !/["'`;#(){}\n]|\|\||<</u.test(bare) && !/(?:^|[^&>])&(?:[^&]|$)/u.test(bare.replaceAll('&&', ' AND ')) && !/&&\s*$/u.test(line)
    && commandsOf(line).every(({ words }) => !['if', 'while', 'for', 'until', 'case', 'function', 'then', 'do', '!'].includes(words[0] ?? ''));
}

const keepsShell = (line: string): boolean => commandsOf(line).every(({ words }) => !SHELL_STATE.has(words[0] ?? '') && words.some((word) => !/^[A-Za-z_]\w*=/u.test(word)));

/** Why a RUN that fetches an index cannot be joined with what comes next; null when the two in one mean what they mean apart. */
function whyApart(first: DockerfileInstruction, second: DockerfileInstruction | undefined): string | null {
  if (second?.name !== 'RUN' || second.stage !== first.stage) return 'no RUN follows it directly';
  if (jsonForm(first.args) !== null || jsonForm(second.args) !== null) return 'one of the two has no shell';
  if (first.heredocs.length + second.heredocs.length > 0) return 'a here-document holds commands';
  if (first.flags.join(' ') !== second.flags.join(' ')) return 'the two have different options';
  if (!isPlainChain(first.args) || !isPlainChain(second.args)) return 'they are more than commands joined by &&';
  if (!keepsShell(first.args)) return 'it changes the shell that the next command would run in';
  return updateAlone(`${first.args} && ${second.args}`) === null ? null : 'the RUN after it installs nothing from that index';
}

function updateAnswer(dockerfile: Dockerfile): Answer {
  const { text, escape } = dockerfile;
  const stages = stagesOfImage(dockerfile);
  const instructions = instructionsIn(dockerfile);
  const splices: Splice[] = [];
  const notes: string[] = [];
  let joined: DockerfileInstruction | undefined;
  for (const [index, first] of instructions.entries()) {
    if (first === joined || first.name !== 'RUN' || !stages.has(first.stage)) continue;
    const script = [...(jsonForm(first.args) ?? [first.args]), first.heredocs.length > 0 ? text.slice(first.contentEnd, first.end) : ''].join(' ');
    if (updateAlone(script) === null) continue;
    const second = instructions[index + 1];
    const why = whyApart(first, second);
    if (why !== null || second === undefined) {
      notes.push(`Line ${lineAt(text, first.start)} stays as it is: ${why ?? ''}. Fetch the index in the RUN that installs.`);
      continue;
    }
    joined = second;
    splices.push({ start: first.contentEnd, end: first.contentEnd, replacement: ` && ${escape}` }, ...between(dockerfile, first, second), joint(dockerfile, second));
  }
  if (splices.length + notes.length === 0) notes.push('No RUN in the stages of the Dockerfile that make the image does so: it comes with the base image, or the image was built from another Dockerfile.');
  return { splices, notes };
}

/** Blank lines between two instructions that become one; comments may stay inside. */
const between = ({ pieces }: Dockerfile, { end: from }: DockerfileInstruction, { start: to }: DockerfileInstruction): readonly Splice[] =>
  pieces.filter(({ kind, start, end }) => kind === 'blank' && start >= from && end <= to).map(({ start, end }) => ({ start, end, replacement: '' }));

/** Takes the RUN away from what goes on in another one; its options stand in the first. */
function joint({ text, escape }: Dockerfile, { start, argsStart }: DockerfileInstruction): Splice {
  // What is on a line of its own stays there: the line with RUN alone goes.
  const head = text.slice(start, argsStart);
  const lineBreak = head.lastIndexOf('\n');
  const rest = lineBreak === -1 ? '' : head.slice(head.indexOf('\n') + 1);
  const firstLine = lineBreak === -1 ? head : head.slice(0, head.indexOf('\n'));
  return lineBreak !== -1 && !rest.includes('--') && firstLine.trimEnd().endsWith(escape)
    ? { start, end: start + head.indexOf('\n') + 1, replacement: '' }
    : { start, end: argsStart, replacement: '    ' };
}

/** The lines that a stretch touches, counted from 0. */
function linesTouched(text: string, { start, end }: Pick<Splice, 'start' | 'end'>): readonly number[] {
  const from = lineAt(text, start) - 1;
  const to = lineAt(text, Math.max(start, end - 1)) - 1;
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Lines that hold, or belong to an instruction that holds, what sounds or looks like a secret: they are never shown. Counted from 0. */
function secretLines(dockerfile: Dockerfile): ReadonlySet<number> {
  const { text, pieces } = dockerfile;
  const found = new Set<number>();
  // A key is several lines, and not all that break them make it one instruction.
  for (const { index, 0: key } of text.matchAll(PRIVATE_KEY)) for (const line of linesTouched(text, { start: index, end: index + key.length })) found.add(line);
  let first = 0;
  for (const piece of pieces) {
    const written = text.slice(piece.start, piece.end);
    const count = written.split('\n').length - (written.endsWith('\n') ? 1 : 0);
    const texts = piece.kind === 'instruction' ? [written, piece.args] : [written];
    const secret = texts.some((shown) => maskSecretsInText(shown) !== shown || secretShape(shown) !== null || namesSecret(shown))
      || (piece.kind === 'instruction' && secretsOf({ name: piece.name, text: piece.args, buildArguments: [], position: 0 }, []).length > 0);
    if (secret) for (let line = first; line < first + count; line += 1) found.add(line);
    first += count;
  }
  return found;
}

/** A name and its value as two words: `ENV DB_PASSWORD x`, --token x, and both in what was commented out. */
function namesSecret(text: string): boolean {
  const words = text.split(/\s+/u);
  return words.some((word, index) => secretIn(`${word.replace(/^-+/u, '')}=${words[index + 1] ?? ''}`) !== null);
}

/** Leaves out the edits of lines that must not be shown. A patch that masks what it changes could not be put in. */
function withoutSecrets(dockerfile: Dockerfile, answer: Answer): Answer {
  const secret = secretLines(dockerfile);
  // An insertion touches no line but its own.
  const hidden = answer.splices.flatMap((splice) => (splice.start === splice.end && /(?:^|\n)$/u.test(dockerfile.text.slice(0, splice.start)) ? [] : linesTouched(dockerfile.text, splice)))
    .filter((line) => secret.has(line));
  if (hidden.length === 0) return answer;
  return {
    splices: [],
    notes: [`Line ${(hidden[0] ?? 0) + 1} of the Dockerfile, which would be part of the patch, holds what sounds or looks like a secret: take that out first, then plan again.`, ...answer.notes],
  };
}

/** The most lines of context that patch(1) and people are used to. */
const CONTEXT = 3;

/** A unified diff without any line that holds a secret: with less context on both sides, so that it applies as it stands. */
function patchOf(path: string, dockerfile: Dockerfile, splices: readonly Splice[]): string {
  const { text } = dockerfile;
  const after = spliced(text, splices);
  const secret = secretLines(dockerfile);
  let patch = '';
  for (let context = CONTEXT; context >= 0; context -= 1) {
    patch = createTwoFilesPatch(path, path, text, after, undefined, undefined, { context }).replace(/^(Index: .*\n)?=+\n/u, '');
    if (!shownLines(patch).some((line) => secret.has(line))) break;
  }
  return patch;
}

/** Lines of the old text that a unified diff shows, counted from 0. */
function shownLines(patch: string): readonly number[] {
  return [...patch.matchAll(/^@@ -(\d+)(?:,(\d+))? /gmu)].flatMap(([, start, count]) =>
    Array.from({ length: Number(count ?? 1) }, (_, index) => Number(start) - 1 + index));
}

/** All at once; at one place in the order given, so that an account is made before it is used. */
function spliced(text: string, splices: readonly Splice[]): string {
  const ordered = [...splices].map((splice, index) => ({ ...splice, index })).sort((a, b) => a.start - b.start || a.end - b.end || a.index - b.index);
  let result = '';
  let end = 0;
  for (const splice of ordered) {
    result += text.slice(end, splice.start) + splice.replacement;
    end = splice.end;
  }
  return result + text.slice(end);
}
