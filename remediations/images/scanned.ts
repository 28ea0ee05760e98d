import { check } from '../../checks/images/scanned.ts';
import type { FixableFlaw } from '../../src/model.ts';
import { defer, remedy } from '../remedy.ts';

const REBUILD = 'Build the image again, and create its containers from the new one.';
const SCAN = 'Scan each image (trivy image --format json -o FILE IMAGE, grype IMAGE -o json --file FILE), give the reports to harden with --vulnerabilities FILE, and repeat on a schedule.';

/** How many packages the steps name. */
const SHOWN = 10;

/** Packages with the versions that fix them; the versions of one package stand together. */
function upgrades(flaws: readonly FixableFlaw[]): string {
  const versions = new Map<string, Set<string>>();
  for (const { package: name, fixedIn } of flaws) versions.set(name, (versions.get(name) ?? new Set()).add(fixedIn));
  const shown = [...versions].slice(0, SHOWN).map(([name, fixedIn]) => `${name} to ${[...fixedIn].join(' or ')}`).join('; ');
  return versions.size > SHOWN ? `${shown}; and ${versions.size - SHOWN} more` : shown;
}

export const scanned = remedy(check, {
  mode: 'manual',
  effect: 'Known flaws in images are found and fixed.',
  impact: 'recreate',
  risk: 'behaviour',
  parameters: [
    { name: 'images.maxScanAgeDays', description: 'How old a scan may be; 30 days where nothing is said', example: '7' },
    { name: 'images.fixSeverity', description: 'From which severity on flaws with a fix are to be fixed: negligible, low, medium, high or critical; high where nothing is said', example: 'critical' },
  ],
  manual: `${SCAN} Raise the base image and the packages with fixes. ${REBUILD}`,
  propose: ({ detail: { flaws } }) => (flaws.length === 0
    ? defer('manual', 'harden has no database of flaws.', SCAN)
    : defer('manual', 'An image is changed where it is built: in its Dockerfile.', `Raise the base image, or ${upgrades(flaws)}. ${REBUILD}`)),
});
