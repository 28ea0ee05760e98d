import { isScanOf } from '../../src/image/scans.ts';
import type { Check, FixableFlaw, ImageFacts, Policy, Target, Verdict, VulnerabilityScan } from '../../src/model.ts';
import { FLAW_SEVERITIES } from '../../src/model.ts';
import { ageInDays } from '../age.ts';
import { manual, pass, warn } from '../verdict.ts';
import { always, judgeImages } from './images.ts';
import { review } from './reviews.ts';

/** How old a scan may be where the policy does not say: new flaws become known every day, and a month is the longest round that is common. */
const MAX_SCAN_AGE_DAYS = 30;
/** How many flaws a message names. */
const SHOWN = 5;

/** The flaws that are to be fixed, worst first; empty where the image was not scanned, or too long ago. */
export interface ToFix {
  readonly flaws: readonly FixableFlaw[];
}

const rank = ({ severity }: FixableFlaw): number => (severity === 'unknown' ? -1 : FLAW_SEVERITIES.indexOf(severity));

interface Aged extends VulnerabilityScan {
  /** Whole days; null: not said, or of a wrong clock. */
  readonly age: number | null;
}

/** A scan from the future has a wrong clock; less than a day is none. */
function withAge(scan: VulnerabilityScan, now: string): Aged {
  const age = scan.scannedAt === null ? null : ageInDays(scan.scannedAt, now);
  return { ...scan, age: age === null || age < -1 ? null : Math.max(0, age) };
}

/** Without those that a newer scan of the same scanner took the place of. One that did not look at packages takes no place. */
const current = (scans: readonly Aged[]): readonly Aged[] => scans.filter(({ scanner, scannedAt, age }) => age === null || !scans.some((other) =>
  other.scanner === scanner && other.examined && other.age !== null && (other.scannedAt ?? '') > (scannedAt ?? '')));

function judgeScans(scans: readonly Aged[], target: Target, images: Policy['parameters']['images']): Verdict<ToFix> {
  const { maxScanAgeDays: limit = MAX_SCAN_AGE_DAYS, fixSeverity = 'high' } = images ?? {};
  if (scans.length === 0) return warn(target, 'It is unscanned: no report that was given is of it', { flaws: [] });
  const flaws = onlyOnce(current(scans).flatMap(({ fixable }) => fixable));
  const toFix = flaws.filter((flaw) => rank(flaw) >= FLAW_SEVERITIES.indexOf(fixSeverity)).sort((a, b) => rank(b) - rank(a) || a.id.localeCompare(b.id, 'en', { numeric: true }));
  if (toFix.length > 0) return warn(target, `${countsOf(toFix)} with a fix: ${named(toFix)}`, { flaws: toFix });
  const looked = scans.filter(({ examined }) => examined);
  if (looked.length === 0) return manual(target, 'The report lists no packages, so it does not show that flaws were looked for: see how the scanner was started');
  const last = looked.reduce((newest, scan) => (scan.age !== null && (newest.age === null || scan.age < newest.age) ? scan : newest));
  if (last.age === null) return manual(target, `Nothing is to be fixed, but when the scan was made is not said, or is yet to come: see that it is not older than ${limit} days`);
  if (last.age > limit) return warn(target, `The last scan is ${last.age} days old; ${limit} are allowed`, { flaws: [] });
  const unknown = flaws.filter(({ severity }) => severity === 'unknown');
  if (unknown.length > 0) return manual(target, `${unknown.length} with a fix and without a severity: ${named(unknown)}`);
  return pass(target, `${last.scanner} found nothing to fix of severity ${fixSeverity} or above, ${last.age === 0 ? 'today' : `${last.age} ${last.age === 1 ? 'day' : 'days'} ago`}`);
}

const onlyOnce = (flaws: readonly FixableFlaw[]): readonly FixableFlaw[] => {
  const once = new Map<string, FixableFlaw>();
  for (const flaw of flaws) {
    const key = JSON.stringify([flaw.id, flaw.package]);
    const before = once.get(key);
    if (before === undefined || rank(flaw) > rank(before)) once.set(key, flaw);
  }
  return [...once.values()];
};

const countsOf = (flaws: readonly FixableFlaw[]): string => FLAW_SEVERITIES.toReversed()
  .map((severity) => ({ severity, count: flaws.filter((flaw) => flaw.severity === severity).length }))
  .filter(({ count }) => count > 0).map(({ severity, count }) => `${count} ${severity}`).join(', ');

const named = (flaws: readonly FixableFlaw[]): string => {
  const shown = flaws.slice(0, SHOWN).map((flaw) => `${flaw.id} in ${flaw.package}`).join(', ');
  return flaws.length > SHOWN ? `${shown} and ${flaws.length - SHOWN} more` : shown;
};

export const check: Check<ToFix> = {
  id: 'image.scanned',
  title: 'Images are scanned for known flaws and rebuilt with the fixes',
  rationale: 'Flaws become known after an image was built, and only a new build brings the fixes.',
  evidence: 'Reports of Trivy, Grype or Clair (--vulnerabilities FILE), held against images by id and digest, never by tag; policy parameters images.maxScanAgeDays and images.fixSeverity. '
    + 'The engine does not know whether an image was scanned. What a scanner was told to leave out (--severity, ignore files) is not seen',
  passes: 'The newest report of each image is no older than images.maxScanAgeDays (30) and lists nothing with a fix of images.fixSeverity (high) or above. Without any report a person reads the result of a scanner.',
  section: 'images',
  severity: 'high',
  level: 1,
  cis: always('4.4'),
  aliases: ['CIS-DI-0004'],
  evaluate: (facts, { parameters: { images } }) => {
    const { vulnerabilities } = facts;
    if (vulnerabilities === undefined) return review(facts, 'scan them, and rebuild those with fixes');
    return judgeImages<ToFix>(facts, (image: ImageFacts, target) =>
      [judgeScans(vulnerabilities.filter((scan) => isScanOf(scan, image)).map((scan) => withAge(scan, facts.collectedAt)), target, images)]);
  },
};
