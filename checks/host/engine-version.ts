import { RELEASE_LINES, RELEASES_AS_OF } from '../../src/engine-releases.ts';
import type { Check } from '../../src/model.ts';
import { ageInDays } from '../age.ts';
import { DAEMON, judge, na, pass, unknown, warn } from '../verdict.ts';

/** Days after which the table is too old to say that a release is current. */
const TABLE_LASTS = 365;

type Version = readonly [major: number, minor: number, patch: number];

function parse(version: string): Version | null {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/u.exec(version) ?? [];
  return major === undefined ? null : [Number(major), Number(minor), Number(patch)];
}

const isOlder = (a: Version, b: Version): boolean => {
  const at = a.findIndex((part, index) => part !== b[index]);
  return at !== -1 && (a[at] ?? 0) < (b[at] ?? 0);
};

/** What distributions append to a version that they patch themselves: +dfsg1, -0ubuntu1, -ce. */
const isDistributions = (version: string): boolean => /\+dfsg|ubuntu|\+deb|-r\d|\.fc\d|\.el\d|\.amzn/u.test(version);

export const check: Check<null> = {
  id: 'host.docker-version',
  title: 'The engine is a release that is still maintained, at its newest patch',
  rationale: 'Flaws of the engine are fixed in releases that are maintained, and nowhere else.',
  evidence: `GET /version Version against a table of releases as of ${RELEASES_AS_OF}; policy parameter engine.supportedReleases for lines that a distribution maintains`,
  passes: 'The release line is maintained, by the table or by engine.supportedReleases, and no newer patch of it is known.',
  section: 'host',
  severity: 'high',
  level: 1,
  cis: {
    'd1.6': '1.6', 'd1.11': '1.5', 'd1.12': '1.5', 'd1.13': '1.3', 'ce1.1.0': '1.3', '1.2.0': '1.1.2',
    '1.3.1': '1.2.2', '1.4.0': '1.2.2', '1.5.0': '1.2.2', '1.6.0': '1.2.2', '1.7.0': '1.2.2', '1.8.0': '1.2.2',
  },
  evaluate: ({ engine, collectedAt }, { parameters }) => judge(DAEMON, engine.version, ({ version, platform }) => {
    if (platform === 'Podman Engine') return [na(DAEMON, `This is Podman ${version}, not Docker Engine`)];
    const parsed = parse(version);
    if (parsed === null) return [unknown(DAEMON, `The engine says that it is "${version}", which is no release`)];
    const [major, minor] = parsed;
    const line = `${major}.${String(minor).padStart(major < 20 ? 2 : 1, '0')}`;
    if (parameters.engine?.supportedReleases?.includes(line) === true) return [pass(DAEMON, `Docker Engine ${version} is of a line that the policy names as supported`)];
    const known = RELEASE_LINES.get(line) ?? RELEASE_LINES.get(String(major));
    if (known === undefined) {
      return [major < 23 ? warn(DAEMON, `Docker Engine ${version} is of a line that ended years ago`, null)
        : unknown(DAEMON, `Docker Engine ${version} is newer than the table of ${RELEASES_AS_OF}`)];
    }
    const ownPatches = isDistributions(version) ? '; this is a distribution\'s build, which may have patches of its own' : '';
    if ('ended' in known) return [warn(DAEMON, `Docker Engine ${version} is of a line that ended on ${known.ended}${ownPatches}`, null)];
    const newest = parse(known.newest);
    if (newest !== null && isOlder(parsed, newest)) return [warn(DAEMON, `Docker Engine ${version} is older than ${known.newest}, the newest of its line on ${RELEASES_AS_OF}${ownPatches}`, null)];
    const age = ageInDays(RELEASES_AS_OF, collectedAt);
    if (age === null || age > TABLE_LASTS) return [unknown(DAEMON, `The table of releases is of ${RELEASES_AS_OF}, too old to say that ${version} is current: update harden`)];
    return [pass(DAEMON, `Docker Engine ${version} is of a maintained line, and no newer patch was out on ${RELEASES_AS_OF}`)];
  }, () => [unknown(DAEMON, 'The version of the engine is not known')]),
};
