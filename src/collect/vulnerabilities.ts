import { UsageError } from '../errors.ts';
import { digestOf } from '../image/scans.ts';
import type { FixableFlaw, Json, VulnerabilityScan } from '../model.ts';
import { FLAW_SEVERITIES } from '../model.ts';
import { escapeLine } from '../render/escape.ts';
import { at, list, object, text, textOrNull, texts } from './json.ts';

/**
 * Reports of scanners, recognised by what is in them: Trivy's JSON (schema 2, since 0.20), Grype's JSON, the vulnerability report of
 * Clair 4, and the SARIF of Trivy and Grype. They are untrusted: read as data, field by field.
 */

/** What to do about a report that cannot be used. */
export const ADVICE = 'Write one with `trivy image --format json -o FILE IMAGE`, `grype IMAGE -o json --file FILE`, or `clairctl report --out json IMAGE`.';

/** Longer than any id, package or version of a real report. */
const MAX_TEXT = 256;
const MAX_FLAWS = 200_000;

/** Why a report cannot be used; `scansIn` adds which one and what to do. */
class Unusable extends Error {}

/**
 * The scans of a report: one, but for SARIF, which may hold several.
 * @throws UsageError for anything that is no such report about an image
 */
export function scansIn(report: Json, source: string): readonly VulnerabilityScan[] {
  try {
    const scans = parse(report);
    if (scans.length === 0) throw new Unusable('holds no scan');
    for (const { imageId, digests } of scans) {
      if (imageId === null && digests.length === 0) throw new Unusable('does not say by digest which image was scanned, and a tag does not prove it');
    }
    return scans;
  } catch (error) {
    if (error instanceof Unusable) throw new UsageError(`${source} ${error.message}.\n${ADVICE}`);
    throw error;
  }
}

function parse(report: Json): readonly VulnerabilityScan[] {
  if (Array.isArray(at(report, 'runs')) && text(at(report, 'version')).startsWith('2.')) return list(at(report, 'runs')).map(sarif);
  if (typeof at(report, 'SchemaVersion') === 'number') return [trivy(report)];
  if (text(at(report, 'descriptor', 'name')).toLowerCase() === 'grype') return [grype(report)];
  if (typeof at(report, 'manifest_hash') === 'string' && at(report, 'package_vulnerabilities') !== undefined) return [clair(report)];
  if (Array.isArray(report) && report.some((item) => at(item, 'Target') !== undefined)) throw new Unusable('is from a Trivy older than 0.20, which does not say which image it scanned');
  throw new Unusable('is not a report of Trivy, Grype or Clair');
}

/** pkg/types/report.go of Trivy. Classes name what was looked at: with --scanners secret there is none for packages. */
function trivy(report: Json): VulnerabilityScan {
  const kind = text(at(report, 'ArtifactType'));
  if (kind !== 'container_image') throw new Unusable(`is a report of Trivy about ${kind === '' ? 'something else' : `a ${escapeLine(kind)}`}, not about an image`);
  const results = list(at(report, 'Results'));
  return {
    scanner: 'Trivy',
    scannedAt: time(at(report, 'CreatedAt')),
    imageId: digestOf(text(at(report, 'Metadata', 'ImageID'))),
    digests: digestsIn(texts(at(report, 'Metadata', 'RepoDigests'))),
    examined: results.some((result) => ['os-pkgs', 'lang-pkgs'].includes(text(at(result, 'Class')))),
    fixable: flaws(results.flatMap((result) => list(at(result, 'Vulnerabilities'))).map((flaw) => ({
      id: at(flaw, 'VulnerabilityID'), package: at(flaw, 'PkgName'), fixedIn: text(at(flaw, 'FixedVersion')), severity: at(flaw, 'Severity'),
    }))),
  };
}

/** grype/presenter/models of Grype. */
function grype(report: Json): VulnerabilityScan {
  const kind = text(at(report, 'source', 'type'));
  if (kind !== 'image') throw new Unusable(`is a report of Grype about ${kind === '' ? 'something else' : `a ${escapeLine(kind)}`}, not about an image`);
  if (!Array.isArray(at(report, 'matches'))) throw new Unusable('is a report of Grype without its matches');
  const target = at(report, 'source', 'target');
  return {
    scanner: 'Grype',
    scannedAt: time(at(report, 'descriptor', 'timestamp')),
    imageId: digestOf(text(at(target, 'imageID'))),
    digests: digestsIn([text(at(target, 'manifestDigest')), ...texts(at(target, 'repoDigests'))]),
    examined: true,
    fixable: flaws(list(at(report, 'matches')).map((match) => {
      const versions = texts(at(match, 'vulnerability', 'fix', 'versions')).join(', ');
      return {
        id: at(match, 'vulnerability', 'id'), package: at(match, 'artifact', 'name'), severity: at(match, 'vulnerability', 'severity'),
        fixedIn: versions === '' && at(match, 'vulnerability', 'fix', 'state') === 'fixed' ? 'a newer version' : versions,
      };
    })),
  };
}

/** claircore's VulnerabilityReport: flaws by package, both by id. It holds no time. */
function clair(report: Json): VulnerabilityScan {
  const hash = digestOf(text(at(report, 'manifest_hash')));
  const packages = at(report, 'packages');
  return {
    scanner: 'Clair',
    scannedAt: null,
    imageId: null,
    digests: hash === null ? [] : [hash],
    examined: Object.keys(object(packages)).length > 0,
    fixable: flaws(Object.entries(object(at(report, 'package_vulnerabilities'))).flatMap(([id, found]) => texts(found).map((name) => {
      const flaw = at(report, 'vulnerabilities', name);
      return {
        id: at(flaw, 'name'), package: at(packages, id, 'name'), fixedIn: clairVersion(text(at(flaw, 'fixed_in_version'))), severity: at(flaw, 'normalized_severity'),
      };
    }))),
  };
}

/** For packages of languages Clair writes "fixed=1.2.3&introduced=0", and no fixed= where there is no fix. */
const clairVersion = (version: string): string => (version.includes('=') ? new URLSearchParams(version).get('fixed') ?? '' : version);

/** A run of Trivy says in its properties which image it is of. Grype does not, unless the image was named by its digest. */
function sarif(run: Json): VulnerabilityScan {
  const name = text(at(run, 'tool', 'driver', 'name'));
  const scanner = /^trivy\b/iu.test(name) ? 'Trivy' : /^(?:grype|anchore container vulnerability report)\b/iu.test(name) ? 'Grype' : null;
  if (scanner === null) throw new Unusable(`holds a run of ${name === '' ? 'a tool without a name' : `the tool "${escapeLine(name.slice(0, MAX_TEXT))}"`}, not of Trivy or Grype`);
  if (!Array.isArray(at(run, 'results'))) throw new Unusable('holds a run without results');
  const rules = new Map(list(at(run, 'tool', 'driver', 'rules')).map((rule) => [text(at(rule, 'id')), rule]));
  const found = list(at(run, 'results')).map((result) => {
    const message = text(at(result, 'message', 'text'));
    const words = scanner === 'Trivy' ? message : text(at(rules.get(text(at(result, 'ruleId'))), 'help', 'text'));
    return {
      message, id: /^Vulnerability (\S+)$/mu.exec(words)?.[1], package: field(words, 'Package'), severity: field(words, 'Severity'),
      fixedIn: field(words, 'Fixed Version') ?? field(words, 'Fix Version') ?? '',
    };
  }).filter(({ id, package: owner }) => id !== undefined && owner !== undefined);
  return {
    scanner,
    scannedAt: time(at(list(at(run, 'invocations'))[0], 'endTimeUtc')),
    imageId: digestOf(text(at(run, 'properties', 'imageID'))),
    digests: digestsIn([...texts(at(run, 'properties', 'repoDigests')), ...found.map(({ message }) => / in image (\S+@sha256:[0-9a-f]{64})(?:\s|$)/u.exec(message)?.[1] ?? '')]),
    examined: found.length > 0,
    fixable: flaws(found),
  };
}

/** The value of "NAME: value" on a line of its own. */
const field = (words: string, name: string): string | undefined =>
  words.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2).trim();

const digestsIn = (references: readonly string[]): string[] => [...new Set(references.map(digestOf).filter((digest) => digest !== null))];

/** Times without a zone, or of the year 1, are none. */
function time(value: Json | undefined): string | null {
  const said = textOrNull(value);
  if (said === null || !/^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:\d\d)$/u.test(said) || said.startsWith('0001-')) return null;
  const date = new Date(said);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

interface Found {
  readonly id: Json | undefined;
  readonly package: Json | undefined;
  readonly fixedIn: string;
  readonly severity: Json | undefined;
}

/** Those with a fix, each once. */
function flaws(found: readonly Found[]): FixableFlaw[] {
  if (found.length > MAX_FLAWS) throw new Unusable(`lists more than ${MAX_FLAWS} flaws: no report about one image does`);
  const once = new Map<string, FixableFlaw>();
  for (const { id, package: owner, fixedIn, severity } of found) {
    if (textOrNull(id) === null) throw new Unusable('lists a flaw without an id');
    if (fixedIn === '') continue;
    const flaw = { id: plain(text(id)), package: plain(text(owner)), fixedIn: plain(fixedIn), severity: severityOf(text(severity)) };
    once.set(JSON.stringify([flaw.id, flaw.package, flaw.fixedIn]), flaw);
  }
  return [...once.values()];
}

function plain(words: string): string {
  if (escapeLine(words) !== words) throw new Unusable(`holds characters that no scanner writes, in ${escapeLine(words).slice(0, MAX_TEXT)}`);
  return words.length > MAX_TEXT ? `${words.slice(0, MAX_TEXT)}…` : words;
}

const severityOf = (word: string): FixableFlaw['severity'] => FLAW_SEVERITIES.find((severity) => severity === word.toLowerCase()) ?? 'unknown';
