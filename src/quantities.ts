/*
 * Sizes and durations as Docker, its client and Compose read and write them: docker/go-units RAMInBytes (units are powers of 1024) and
 * Go's time.ParseDuration.
 */

const SIZE_UNITS = ['b', 'k', 'm', 'g', 't', 'p'];
const SIZE = /^(\+?(?:\d+\.?\d*|\.\d+)(?:e\+?\d{1,2})?) ?(?:([kmgtp])(?:i?b)?|b)?$/iu;

/** Bytes of "512m", "1.5GB", "64 MiB", "1024"; null for what is no size. It may be more than an integer can be. */
export function parseSize(text: string): number | null {
  const [, digits, unit = 'b'] = SIZE.exec(text) ?? [];
  return digits === undefined ? null : Math.trunc(Number(digits) * 1024 ** SIZE_UNITS.indexOf(unit.toLowerCase()));
}

/** The shortest text that is this many bytes: 536870912 is "512m". */
export function sizeText(bytes: number): string {
  const unit = [3, 2, 1].find((power) => bytes !== 0 && bytes % 1024 ** power === 0) ?? 0;
  return `${bytes / 1024 ** unit}${SIZE_UNITS[unit] ?? ''}`;
}

/** Largest first. */
const NANOSECONDS = { h: 3600e9, m: 60e9, s: 1e9, ms: 1e6, us: 1e3, µs: 1e3, μs: 1e3, ns: 1 } as const;
const DURATION = /^\+?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/u;
const DURATION_PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gu;

/** Nanoseconds of "1m30s", "0"; null for what is no duration, or one below 0. */
export function parseDuration(text: string): number | null {
  if (/^[+-]?0$/u.test(text)) return 0;
  if (!DURATION.test(text)) return null;
  return [...text.matchAll(DURATION_PART)].reduce((sum, [, digits, unit]) => sum + Number(digits) * NANOSECONDS[unit as keyof typeof NANOSECONDS], 0);
}

/** The shortest text of one unit that is this long: 90000000000 is "90s". */
export function durationText(nanoseconds: number): string {
  const unit = (['h', 'm', 's', 'ms', 'us'] as const).find((name) => nanoseconds !== 0 && nanoseconds % NANOSECONDS[name] === 0) ?? 'ns';
  return `${nanoseconds / NANOSECONDS[unit]}${unit}`;
}
