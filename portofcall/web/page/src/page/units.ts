/** Numbers as people read them. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) {
    count /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(count) : count.toFixed(count < 10 ? 2 : count < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

export const rate = (bytesPerSecond: number): string => `${bytes(bytesPerSecond)}/s`;

export const milliseconds = (value: number): string => `${value.toFixed(value < 100 ? 2 : 0)} ms`;

/** The value below which `share` of the sorted values are; nearest rank. */
export function percentile(sorted: readonly number[], share: number): number {
  if (!sorted.length) return NaN;
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

export interface Summary {
  readonly sent: number;
  readonly lost: number;
  readonly min: number;
  readonly median: number;
  readonly p99: number;
}

/** Sum up round trips; null is a ping that was lost. */
export function summarize(trips: readonly (number | null)[]): Summary {
  const sorted = trips.filter((trip): trip is number => trip !== null).sort((a, b) => a - b);
  return {
    sent: trips.length,
    lost: trips.length - sorted.length,
    min: percentile(sorted, 0),
    median: percentile(sorted, 0.5),
    p99: percentile(sorted, 0.99),
  };
}
