import type { Check } from '../../src/model.ts';
import { check as age } from './age.ts';
import { check as apkCache } from './apk-cache.ts';
import { check as contentTrust } from './content-trust.ts';
import { check as copyNotAdd } from './copy-not-add.ts';
import { check as distUpgrade } from './dist-upgrade.ts';
import { check as healthcheck } from './healthcheck.ts';
import { check as latestTag } from './latest-tag.ts';
import { check as noSecrets } from './no-secrets.ts';
import { check as noSudo } from './no-sudo.ts';
import { check as packagePins } from './package-pins.ts';
import { emptyPassword, minimal, packageCache, secretFiles, setuid, uniqueAccounts, unneededFiles } from './inside.ts';
import { signedArtifacts } from './reviews.ts';
import { check as scanned } from './scanned.ts';
import { check as trustedBase } from './trusted-base.ts';
import { check as updateAlone } from './update-alone.ts';
import { check as user } from './user.ts';
import { check as verifiedPackages } from './verified-packages.ts';
import { check as volumes } from './volumes.ts';

/** Section 4, in the order of the newest edition; our own last. */
export const imageChecks: readonly Check[] = [
  user, trustedBase, minimal, scanned, contentTrust, healthcheck, updateAlone, setuid, copyNotAdd, noSecrets, verifiedPackages, signedArtifacts,
  packagePins, age, noSudo, volumes, distUpgrade, apkCache, latestTag, secretFiles, emptyPassword, uniqueAccounts, packageCache, unneededFiles,
];

/** Those that say something about one image alone: what people set on the host is not about it. */
export const ofOneImage: readonly Check[] = imageChecks.filter((check) => check !== contentTrust);
