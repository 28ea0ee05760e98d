import { check as age } from '../../checks/images/age.ts';
import { check as apkCache } from '../../checks/images/apk-cache.ts';
import { check as contentTrust } from '../../checks/images/content-trust.ts';
import { check as copyNotAdd } from '../../checks/images/copy-not-add.ts';
import { check as distUpgrade } from '../../checks/images/dist-upgrade.ts';
import { check as healthcheck } from '../../checks/images/healthcheck.ts';
import { check as latestTag } from '../../checks/images/latest-tag.ts';
import { check as noSecrets } from '../../checks/images/no-secrets.ts';
import { check as noSudo } from '../../checks/images/no-sudo.ts';
import { check as packagePins } from '../../checks/images/package-pins.ts';
import { emptyPassword, minimal, packageCache, secretFiles, setuid, uniqueAccounts, unneededFiles } from '../../checks/images/inside.ts';
import { signedArtifacts } from '../../checks/images/reviews.ts';
import { check as trustedBase } from '../../checks/images/trusted-base.ts';
import { check as updateAlone } from '../../checks/images/update-alone.ts';
import { check as verifiedPackages } from '../../checks/images/verified-packages.ts';
import { check as volumes } from '../../checks/images/volumes.ts';
import type { Remediation } from '../../src/model.ts';
import { byHand } from '../by-hand.ts';
import { scanned } from './scanned.ts';
import { userRemediation } from './user.ts';

const BUILT = 'An image is changed where it is built: in its Dockerfile.';
const ANEW = 'create it anew from its image (docker compose up --force-recreate, or docker rm and docker run), which drops all that it wrote outside of volumes';
const REBUILD = 'Build the image again, and create its containers from the new one.';

/** Section 4, in the order of its checks. */
export const imageRemediations: readonly Remediation[] = [
  userRemediation,
  byHand(trustedBase, {
    effect: 'Images come only from sources that were approved.',
    why: 'Which sources are trusted is for the owner of the host to say.',
    steps: 'Add the repository to images.trustedSources if it is to be trusted ("docker.io/library/*", "registry.example.com/base/*"); otherwise build from a trusted base with its digest '
      + '(FROM debian:12@sha256:…), record it in the label org.opencontainers.image.base.name, and create the containers again.',
    impact: 'recreate',
    parameters: [{ name: 'images.trustedSources', description: 'Repositories that images may come from; * stands for anything', example: '["docker.io/library/*"]' }],
  }),
  byHand(minimal, {
    effect: 'Images hold what their program needs and nothing else.',
    why: 'Which packages a program needs is for whoever builds the image to say.',
    steps: 'List what is in the image (docker run --rm --network none --entrypoint dpkg-query IMAGE -W, or apk info). Build in one stage and copy the result into a slim or distroless one; '
      + `install with --no-install-recommends. ${REBUILD} images.maxPackages says how many are too many.`,
    impact: 'recreate',
    parameters: [{ name: 'images.maxPackages', description: 'How many packages an image may have (needs --deep)', example: '120' }],
  }),
  scanned,
  byHand(contentTrust, {
    effect: 'Pulls of images work again, and are pinned by digest where that matters.',
    why: 'The variable stands in files of people\'s logins, and what it was to protect needs another means.',
    steps: 'Remove DOCKER_CONTENT_TRUST from the named file, and log in again. Docker retired content trust: pin images by digest instead (docker buildx imagetools inspect NAME:TAG shows it; '
      + 'image: NAME:TAG@sha256:… in Compose, FROM NAME:TAG@sha256:… in Dockerfiles), or verify signatures with cosign or notation before deploying.',
    risk: 'safe',
  }),
  byHand(healthcheck, {
    effect: 'The engine notices when the program hangs.',
    why: 'How a program shows that it works is for whoever builds the image to say.',
    steps: `Add HEALTHCHECK --interval=30s --timeout=5s --retries=3 CMD … to the Dockerfile, with a command that is in the image (not curl just for this). ${REBUILD} `
      + 'For images of others, set it where the container is created (--health-cmd, healthcheck: in Compose) and waive the finding.',
    impact: 'recreate',
    parameters: [{ name: 'images.healthcheck', description: 'What advice on a Dockerfile (--dockerfile) writes as health check: a command that is in the image', example: '/app/healthy' }],
  }),
  byHand(updateAlone, {
    effect: 'Every build installs from an index of the same moment.',
    why: BUILT,
    steps: `Join the fetching of the index with the installation: RUN apt-get update && apt-get install -y --no-install-recommends PACKAGE=VERSION && rm -rf /var/lib/apt/lists/*. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(setuid, {
    effect: 'Fewer programs in the image change their user.',
    why: 'Which of the files are needed is for whoever builds the image or wrote them to say.',
    steps: 'harden scan --deep lists them. Add to the last stage of the Dockerfile, while it is still root, RUN find / -xdev -perm /6000 -type f -exec chmod a-s {} +, with exceptions for what is '
      + `needed (su, sudo and passwd stop working for other users). ${REBUILD} Name what stays in images.setuidFiles.`,
    inContainer: `find out who wrote it (docker diff CONTAINER); docker exec -u 0 CONTAINER chmod a-s PATH takes the bit away now. Then ${ANEW}.`,
    impact: 'recreate',
    parameters: [{ name: 'images.setuidFiles', description: 'Setuid and setgid files that images may have; * stands for anything', example: '[/usr/bin/su, /usr/bin/passwd]' }],
  }),
  byHand(copyNotAdd, {
    effect: 'Only files of the build context come into the image as they are.',
    why: BUILT,
    steps: 'Write COPY for files. For a download use RUN with curl, a checksum and the removal of the archive in one instruction, or ADD --checksum=sha256:…; for an archive of your own unpack it in '
      + `an earlier stage. Where ADD is meant, or comes with a base image of others, waive the finding. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(noSecrets, {
    effect: 'Secrets are given to containers when they start, and are not in the image.',
    why: 'A secret that was in an image is known, and has to be replaced where it is used.',
    steps: 'Replace the secret where it is valid: everybody who could pull the image may have it. For builds use RUN --mount=type=secret; at run time give a file (NAME_FILE, Compose or swarm secrets). '
      + `${REBUILD} Remove the old image here and from registries. If a name only sounds like a secret, add it to images.publicNames.`,
    impact: 'recreate',
    parameters: [{ name: 'images.publicNames', description: 'Names of variables and build arguments that hold no secret', example: '[PASSWORD_HASH_ROUNDS]' }],
  }),
  byHand(verifiedPackages, {
    effect: 'What is installed is what its publisher signed.',
    why: BUILT,
    steps: 'Remove the switch. Install the publisher\'s key (signed-by= of apt, gpgkey= of dnf); for a download write it to a file, check its sha256 or its signature, and only then run it; '
      + `add a missing CA certificate instead of switching the check off. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(signedArtifacts, {
    effect: 'Only images with a valid signature are deployed.',
    why: 'Signatures are verified before an image gets to this host.',
    steps: 'Sign images when they are built (cosign sign, notation sign), and verify them where they are deployed (cosign verify --key … IMAGE@sha256:…) before docker pull; deploy by digest.',
  }),
  byHand(packagePins, {
    effect: 'Two builds of one Dockerfile give the same packages.',
    why: BUILT,
    steps: 'Name versions (apt-get install curl=7.88.1-10+deb12u8, apk add curl=~8.9, pip install requests==2.32.3), and raise them when fixes come out; or build against a snapshot of the '
      + `distribution's archive. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(age, {
    effect: 'Images carry the fixes of their packages.',
    why: 'An image gets younger only where it is built.',
    steps: 'Build the image again with docker build --pull --no-cache, or pull its current release; then create its containers again. images.maxAgeDays says how old an image may be.',
    impact: 'recreate',
    parameters: [{ name: 'images.maxAgeDays', description: 'Days after which an image counts as stale', example: '90' }],
  }),
  byHand(noSudo, {
    effect: 'Processes of the image cannot make themselves root by sudo.',
    why: BUILT,
    steps: 'Drop sudo from RUN: before USER the build is root already; write USER root and USER APP around what needs it. At run time start as the user that the program needs, or let the '
      + `entrypoint go down from root with setpriv --reuid, gosu or su-exec. Remove the package (apt-get purge -y sudo, apk del sudo). ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(volumes, {
    effect: 'Directories of the system come from the kernel and the image only.',
    why: BUILT,
    steps: 'Remove the path from VOLUME in the Dockerfile, or that of the base image (an inherited VOLUME cannot be taken back: build from another base), and keep data in a directory of its own '
      + `(/var/lib/APP). ${REBUILD} Copy what the old anonymous volume holds first (docker cp), if it is needed.`,
    impact: 'recreate',
  }),
  byHand(distUpgrade, {
    effect: 'The packages of the base image are those that its publisher tested together.',
    why: BUILT,
    steps: `Build from a newer release of the base image (FROM debian:13 in place of an upgrade to it), with docker build --pull for its fixes; where a fix is not there yet, install that one package. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(apkCache, {
    effect: 'The image is smaller, and installs only from a fresh index.',
    why: BUILT,
    steps: `Write apk add --no-cache PACKAGE, without apk update before it. ${REBUILD} Where RUN --mount=type=cache,target=/var/cache/apk keeps the cache out of the layer, waive the finding: the history does not show it.`,
    impact: 'recreate',
  }),
  byHand(latestTag, {
    effect: 'It can be said which version runs, and the one before can be had back.',
    why: 'Which version an image is, whoever builds or pulls it has to say.',
    steps: 'Tag the image with its version (docker tag NAME:latest NAME:1.4.2; docker build -t NAME:1.4.2), or pull a version by name; name that tag, or better its digest, in Compose files and docker run, '
      + 'and create the containers again. Then docker rmi NAME:latest takes only the tag away.',
    impact: 'recreate',
  }),
  byHand(secretFiles, {
    effect: 'Keys and credentials are given to containers when they start, and are in no layer.',
    why: 'A secret that was in an image is known, and has to be replaced where it is used.',
    steps: 'Replace the key or password where it is valid: everybody who could pull the image may have it. Then keep it out of the build: name it in .dockerignore, use RUN --mount=type=secret,id=NAME '
      + 'for builds, and a mount or a secret at run time. RUN rm in a later instruction does not help: the layer below keeps the file. Keys that a package makes when it is installed (etc/ssh/ssh_host_*_key, '
      + `etc/ssl/private/ssl-cert-snakeoil.key) go in the same RUN. ${REBUILD} Remove the old image here and from registries. Name test keys in images.publicFiles.`,
    inContainer: `replace the secret where it is valid if others may have read it; give it as a file in a mount (a Compose or swarm secret, a tmpfs), and ${ANEW}. docker commit would put it into an image.`,
    impact: 'recreate',
    parameters: [{ name: 'images.publicFiles', description: 'Files of images that hold no secret although they look like it; * stands for anything', example: '["*/test/fixtures/*.pem"]' }],
  }),
  byHand(emptyPassword, {
    effect: 'Nobody becomes another user without a password.',
    why: 'An image is changed where it is built, and who wrote the account of a container has to be found out.',
    steps: `Lock the account in the Dockerfile: RUN passwd -l NAME (shadow), or RUN sed -i 's/^NAME::/NAME:!:/' /etc/shadow (anywhere); where the empty field is in /etc/passwd, put x into it. ${REBUILD}`,
    inContainer: `find out who added it; docker exec -u 0 CONTAINER passwd -l NAME locks the account now. Then ${ANEW}.`,
    impact: 'recreate',
  }),
  byHand(uniqueAccounts, {
    effect: 'Each user and each group of the image is one of its own.',
    why: 'Which of the two is to keep the number, and the files that have it, is for whoever builds the image to say.',
    steps: `Give one of them another number in the Dockerfile (RUN usermod -u 10001 NAME, RUN groupmod -g 10001 NAME) and its files with it (chown), or remove it (RUN userdel NAME). ${REBUILD} `
      + 'Volumes with files of the old number need chown once.',
    inContainer: `find out who added it; docker exec -u 0 CONTAINER deluser NAME (or userdel) takes it away now. Then ${ANEW}.`,
    impact: 'recreate',
  }),
  byHand(packageCache, {
    effect: 'The image is smaller.',
    why: BUILT,
    risk: 'safe',
    steps: 'Remove the cache in the RUN that makes it, since a later one only hides it: && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin (apt; Debian\'s images run apt-get clean by themselves), apk add --no-cache, && dnf clean all, '
      + `&& zypper clean --all; or RUN --mount=type=cache,target=/var/cache/apt. ${REBUILD}`,
    impact: 'recreate',
  }),
  byHand(unneededFiles, {
    effect: 'The image holds what its program needs.',
    why: 'Whether a program needs a file is for whoever builds the image to say.',
    steps: 'Name the files in .dockerignore, or COPY only what is needed instead of all of the context; remove temporary files and caches (&& rm -rf /tmp/* ~/.cache) in the RUN that makes them, or '
      + `build in one stage and copy the result into another. ${REBUILD} If the program needs them, waive the finding.`,
    impact: 'recreate',
  }),
];
