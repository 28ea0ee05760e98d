import { check } from '../../checks/host/engine-version.ts';
import { hardened as hardenedCheck, retiredHostReviews } from '../../checks/reviews.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';

export const engineVersion = byHand(check, {
  effect: 'The engine is a release that gets fixes; its containers restart unless live-restore bridges the upgrade.',
  why: 'A new release of the engine is for the package manager to install, after a look at its release notes.',
  steps: 'Read the release notes between the two versions; save what must not be lost; then upgrade with the package manager (apt-get install docker-ce docker-ce-cli containerd.io, apt-get install docker.io, '
    + 'dnf upgrade docker-ce). live-restore keeps containers running over patch releases only. Where the distribution maintains the line, name it in engine.supportedReleases.',
  impact: 'restart',
  parameters: [{ name: 'engine.supportedReleases', description: 'Release lines that somebody else maintains, such as the distribution', example: '["20.10"]' }],
});

export const hostReviews: readonly Remediation[] = [
  byHand(hardenedCheck, {
    effect: 'The host gives an intruder less to work with.',
    why: 'The rest of the host is not what harden changes.',
    steps: 'Run the benchmark of the distribution (oscap xccdf eval with its profile, or lynis audit system), fix what it finds, and repeat after upgrades.',
  }),
  ...retiredHostReviews.map((check) => byHand(check, {
    effect: 'The host runs and holds only what its containers need.',
    why: 'What is needed on this host is for its owner to say.',
    steps: 'systemctl list-unit-files --state=enabled and the package manager\'s list show what is there; remove what nothing needs. Older editions of the benchmark ask for it.',
  })),
];
