import { at, list, object, text } from '../collect/json.ts';
import type { ContainerSpec, Json, MountSpec } from '../model.ts';
import { apiMinor, primaryOf } from './to-create.ts';

/**
 * What of a specification is lost on the way to the engine's API, or to a `docker run` line, by field and why. What inspect shows and the
 * specification has no place for is in ContainerFacts.unmodelled; both together are what defers a change.
 * For a line it is asked about the specification that is printed: what the image gives needs no flag.
 */
export function inexpressible(spec: ContainerSpec, target: 'api' | 'run', apiVersion: string): string[] {
  return target === 'api' ? tooNew(spec, apiVersion) : [...tooNew(spec, apiVersion), ...beyondFlags(spec, apiVersion)];
}

/**
 * Networks of a container on which inspect does not show whether an address was chosen for it (EndpointSettings.MacAddress, from API 1.44 on): those
 * beside its first, while it does not run; from Docker 28 on, whose own addresses look like any other, always.
 */
export function unseenMacs(spec: ContainerSpec, isRunning: boolean, apiVersion: string): readonly string[] {
  const minor = apiMinor(apiVersion);
  return minor < 44 || (isRunning && minor < 48) ? [] : Object.keys(spec.network.attachments).filter((name) => name !== primaryOf(spec));
}

/** Fields that an older engine ignores without a word, by the first API that has them. */
function tooNew(spec: ContainerSpec, apiVersion: string): string[] {
  const minor = apiMinor(apiVersion);
  const attachments = Object.entries(spec.network.attachments);
  const primary = primaryOf(spec);
  const details = spec.mounts.map((mount) => mount.details);
  const needs: readonly (readonly [number, boolean, string])[] = [
    [43, Object.keys(spec.annotations).length > 0, 'HostConfig.Annotations'],
    [44, (spec.healthcheck?.startInterval ?? 0) !== 0, 'Config.Healthcheck.StartInterval'],
    ...attachments.map(([name, { macAddress }]): readonly [number, boolean, string] =>
      [44, macAddress !== null && !(name === primary && macAddress === spec.network.macAddress), `NetworkSettings.Networks[${name}].MacAddress`]),
    [44, details.some((detail) => at(detail, 'BindOptions', 'ReadOnlyNonRecursive') === true || at(detail, 'BindOptions', 'ReadOnlyForceRecursive') === true), 'HostConfig.Mounts: BindOptions of read-only mounts'],
    [45, details.some((detail) => text(at(detail, 'VolumeOptions', 'Subpath')) !== ''), 'HostConfig.Mounts: VolumeOptions.Subpath'],
    [48, attachments.some(([, { gatewayPriority }]) => gatewayPriority !== null), 'NetworkSettings.Networks: GwPriority'],
    [48, spec.mounts.some(({ kind }) => kind === 'image'), 'HostConfig.Mounts of the type image'],
  ];
  return needs.flatMap(([since, used, field]) => (used && minor < since ? [`${field} (needs API 1.${since})`] : []));
}

function beyondFlags(spec: ContainerSpec, apiVersion: string): string[] {
  const { healthcheck, security, resources, network } = spec;
  const test = healthcheck?.test ?? [];
  const others = Object.entries(network.attachments).filter(([name]) => name !== primaryOf(spec));
  return [
    ...(test.length === 0 || (test.length === 2 && test[0] === 'CMD-SHELL' && test[1] !== '') || (test.length === 1 && test[0] === 'NONE') ? [] : ['Config.Healthcheck.Test (--health-cmd takes a shell\'s line only)']),
    ...(test[0] === 'NONE' && [healthcheck?.interval, healthcheck?.timeout, healthcheck?.startPeriod, healthcheck?.startInterval, healthcheck?.retries].some((value) => value !== 0)
      ? ['Config.Healthcheck (--no-healthcheck takes no times)'] : []),
    ...(security.seccomp?.startsWith('{') === true ? ['HostConfig.SecurityOpt (--security-opt seccomp= takes the path of a profile: write it to a file)'] : []),
    ...badNames('Config.Labels', Object.keys(spec.labels), /[=\s]/),
    ...badNames('HostConfig.Annotations', Object.keys(spec.annotations), /[=\s]/),
    ...badNames('HostConfig.LogConfig.Config', Object.keys(spec.log?.options ?? {}), /=/),
    ...badNames('HostConfig.Sysctls', Object.keys(network.sysctls), /=/),
    ...badNames('HostConfig.StorageOpt', Object.keys(spec.storageOptions), /=/),
    ...badNames('Config.Env', spec.env.map((entry) => entry.split('=')[0] ?? ''), /^$/),
    ...(spec.stdinOnce && !spec.openStdin ? ['Config.StdinOnce'] : []),
    ...(spec.entrypoint?.length === 0 || ((spec.entrypoint?.length ?? 0) > 1 && spec.entrypoint?.[0] === '') ? ['Config.Entrypoint'] : []),
    ...resources.devices.filter(({ host, container, permissions }) => [host, container].some((path) => path === '' || path.includes(':')) || permissions === '')
      .map(({ host }) => `HostConfig.Devices[${host}]`),
    ...resources.deviceRequests.filter((request) => !isGpus(request) && !isCdi(request)).map(() => 'HostConfig.DeviceRequests'),
    ...spec.mounts.filter((mount) => !isFlag(mount)).map(({ target }) => `HostConfig.Mounts[${target}]`),
    ...(apiMinor(apiVersion) < 44 ? others : []).filter(([, { macAddress }]) => macAddress !== null).map(([name]) => `NetworkSettings.Networks[${name}].MacAddress`),
  ];
}

const badNames = (field: string, names: readonly string[], bad: RegExp): string[] =>
  names.filter((name) => name === '' || bad.test(name)).map((name) => `${field}[${name}]`);

/** One set of capabilities with "gpu" in it, which --gpus always adds. */
const isGpus = (request: Json): boolean => {
  const sets = list(at(request, 'Capabilities'));
  return sets.length === 1 && list(sets[0]).includes('gpu');
};

export const isCdi = (request: Json): boolean => at(request, 'Driver') === 'cdi' && list(at(request, 'Capabilities')).length === 0;

/** The fields of --mount that there are flags for, by the object that holds them. */
const DETAILS: Readonly<Record<string, readonly string[]>> = {
  BindOptions: ['Propagation', 'NonRecursive', 'ReadOnlyNonRecursive', 'ReadOnlyForceRecursive'],
  VolumeOptions: ['NoCopy', 'Labels', 'DriverConfig', 'Subpath'],
  TmpfsOptions: ['SizeBytes', 'Mode'],
};

function isFlag({ via, target, details, source }: MountSpec): boolean {
  if (via === 'tmpfs') return !target.includes(':');
  if (via !== 'mounts') return true;
  const known = Object.entries(object(details)).every(([name, value]) =>
    name === 'Consistency' || value === null || (Object.hasOwn(DETAILS, name) && Object.entries(object(value)).every(([field, set]) => DETAILS[name]?.includes(field) === true || set === false || set === null)));
  // The client's CSV reader makes "\n" of "\r\n".
  return known && !JSON.stringify([source, target, details]).includes('\\r');
}
