import type { Json } from '../model.ts';

/** The strings of a list option of daemon.json; none for anything else. */
export const stringList = (value: Json): readonly string[] => Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];

/** A host with an optional port, or a CIDR block, that lies within 127.0.0.0/8 or ::1, or is called localhost. */
export function isLoopbackRegistry(registry: string): boolean {
  const [address = '', bits] = registry.split('/');
  if (bits !== undefined) {
    return /^127(\.\d{1,3}){3}$/.test(address) ? Number(bits) >= 8 : address === '::1' && Number(bits) === 128;
  }
  return /^(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d+)?$/i.test(address) || address === '::1';
}
