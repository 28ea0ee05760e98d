import { createRequire, Module } from 'node:module';
import type Dockerode from 'dockerode';

/**
 * Loads dockerode without the libraries that it loads for what harden never does: gRPC and protobuf for BuildKit sessions, ssh2 for engines
 * behind ssh, tar-fs for build contexts. They are four fifths of its loading time, a fifth of a second on a small machine, and more than
 * all reads of a scan take. Where they are not found (another layout of node_modules), they are simply loaded.
 */
export function loadDockerode(): typeof Dockerode {
  const here = createRequire(import.meta.url);
  const inDockerode = createRequire(here.resolve('dockerode'));
  const inModem = createRequire(inDockerode.resolve('docker-modem'));
  const unused = [
    ...['@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs', 'tar-fs'].flatMap((name) => resolved(inDockerode, name)),
    ...resolved(inModem, 'ssh2'),
  ].filter((file) => here.cache[file] === undefined);
  for (const file of unused) {
    const empty = new Module(file);
    empty.loaded = true;
    here.cache[file] = empty;
  }
  try {
    return here('dockerode') as typeof Dockerode;
  } finally {
    // Whoever else needs one of them gets the real one.
    for (const file of unused) Reflect.deleteProperty(here.cache, file);
  }
}

function resolved(require: NodeJS.Require, name: string): string[] {
  try {
    return [require.resolve(name)];
  } catch {
    return [];
  }
}
