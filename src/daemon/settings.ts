import type { Facts, Json, Observed } from '../model.ts';
import { unreadable } from '../model.ts';

/** One daemon option: what the running daemon uses, and what its next start will use. */
export interface Setting {
  /** daemon.json key, e.g. "icc", "userland-proxy", "insecure-registries". */
  readonly key: string;
  /** What the next start of the daemon will use; `default` when neither a flag nor the file names the key (value: the engine's default, null when it has none). */
  readonly next: { readonly value: Json; readonly source: 'flag' | 'file' | 'default' };
  /**
   * What the running daemon uses, as far as its flags and the times of daemon.json prove it: a flag always; a file value
   * when the file has not changed since the daemon started. Otherwise unreadable, with the reason.
   * A check that sees the live value elsewhere (GET /info, a network's options) uses that instead.
   */
  readonly now: Observed<Json>;
}

/** unreadable: the daemon's flags or its file could not be read, or the file is not valid JSON. Never absent. */
export function daemonSetting(_facts: Facts, _key: string): Observed<Setting> {
  return unreadable('not built yet');
}
