const DAY_MS = 86_400_000;

/** Whole days from one ISO 8601 time to another; null where one of them is none, or is Go's zero time. */
export function ageInDays(from: string, to: string): number | null {
  const age = Math.floor((Date.parse(to) - Date.parse(from)) / DAY_MS);
  return Number.isNaN(age) || from.startsWith('0001-') ? null : age;
}
