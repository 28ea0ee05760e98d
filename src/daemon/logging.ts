import type { Json } from '../model.ts';
import { isObject, own } from './json-edit.ts';

export interface LogDestination {
  /** `unclear`: handed to a collector on this host, or to a plugin; whether that sends it on cannot be seen. */
  readonly kind: 'remote' | 'unclear' | 'local-only';
  readonly says: string;
}

/** "log-opts" of daemon.json; also "key=value" strings, as the flag has them. */
function valueIn(options: Json, name: string): string {
  const value = Array.isArray(options)
    ? options.filter((item) => typeof item === 'string').findLast((item) => item.startsWith(`${name}=`))?.slice(name.length + 1)
    : isObject(options) ? own(options, name) : undefined;
  return typeof value === 'string' ? value : '';
}

/** The host of an address such as udp://10.0.0.5:514, [::1]:24224 or localhost; "" for a unix socket and for none. */
function hostOf(address: string): string {
  const rest = address.replace(/^[a-z+]+:\/\//i, '');
  if (rest === '' || /^unix/i.test(address) || rest.startsWith('/')) return '';
  return (/^\[([^\]]*)\]/.exec(rest)?.[1] ?? rest.split(/[:/]/)[0] ?? '').toLowerCase();
}

const isThisHost = (address: string): boolean => {
  const host = hostOf(address);
  return host === '' || host === 'localhost' || host === '::1' || host === '0.0.0.0' || host.startsWith('127.');
};

/** The log option that holds the address, for drivers that send to one. */
const ADDRESS_OPTION: Readonly<Record<string, string>> = {
  syslog: 'syslog-address', gelf: 'gelf-address', fluentd: 'fluentd-address', splunk: 'splunk-url',
};

/** Drivers of hosted services, which need no address. */
const SERVICES: readonly string[] = ['awslogs', 'gcplogs', 'logentries'];

/** What each driver that keeps logs on the host does with them. */
const LOCAL_ONLY: Readonly<Record<string, string>> = {
  'json-file': 'Logs stay in files on this host: the log driver is json-file',
  local: 'Logs stay in files on this host: the driver "local" compresses them, but sends them nowhere',
  none: 'Logs are thrown away: the log driver is "none"',
};

/** The built-in drivers that can take logs off this host; journald if the journal is forwarded. */
export const REMOTE_DRIVERS: readonly string[] = ['journald', ...Object.keys(ADDRESS_OPTION), ...SERVICES];

/** Where the default log driver sends to. */
export function logDestination(driver: string, options: Json): LogDestination {
  const local = Object.hasOwn(LOCAL_ONLY, driver) ? LOCAL_ONLY[driver] : undefined;
  if (local !== undefined) return { kind: 'local-only', says: local };
  if (driver === 'journald') return { kind: 'unclear', says: 'Logs go to this host\'s journal: whether that is forwarded cannot be seen' };
  if (SERVICES.includes(driver)) return { kind: 'remote', says: `Logs go to the service behind the log driver ${driver}` };
  const addressOption = Object.hasOwn(ADDRESS_OPTION, driver) ? ADDRESS_OPTION[driver] : undefined;
  if (addressOption === undefined) return { kind: 'unclear', says: `Logs go to the plugin ${driver}: where it sends them cannot be seen` };
  const address = valueIn(options, addressOption);
  return isThisHost(address)
    ? { kind: 'unclear', says: `Logs go to a ${driver} collector on this host: whether it forwards them cannot be seen` }
    : { kind: 'remote', says: `Logs go to ${hostOf(address)} (log driver ${driver})` };
}

const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  awslogs: ['awslogs-group'], gelf: ['gelf-address'], logentries: ['logentries-token'], splunk: ['splunk-url', 'splunk-token'],
};

/** Options without which the daemon takes a driver as its default, and then starts no container. */
export const missingLogOptions = (driver: string, options: Readonly<Record<string, string>>): readonly string[] =>
  (Object.hasOwn(REQUIRED, driver) ? REQUIRED[driver] ?? [] : []).filter((name) => !Object.hasOwn(options, name) || options[name] === '');
