import { at, number } from '../collect/json.ts';
import type { Json } from '../model.ts';

/** No health check is waited for longer than that. */
const MAX_HEALTH_SECONDS = 600;
const NS = 1e9;

/** Until when a health check must have passed: as the engine would give up, with some time to spare. Defaults as in `docker run --help`. */
export function healthSeconds(check: Json | undefined): number {
  const seconds = (field: string, otherwise: number): number => (number(at(check, field)) || otherwise * NS) / NS;
  const retries = number(at(check, 'Retries')) || 3;
  return Math.min(MAX_HEALTH_SECONDS, seconds('StartPeriod', 0) + (retries + 1) * (seconds('Interval', 30) + seconds('Timeout', 30)));
}
