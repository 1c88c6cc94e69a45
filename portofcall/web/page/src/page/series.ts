/** A series of pings: what became of each, and what is known of them all. */

import type {Failure} from "./failure.ts";
import {summarize, type Summary} from "./units.ts";

/** The plot, the minimum, the median and p99 are those of the last pings; an hour of them. */
export const RECENT = 3600;
/** How many of the last pings are kept for the CSV file; a day of them. */
export const KEPT = 86_400;

export interface Sample {
  /** When the ping was sent, in milliseconds since 1970. */
  readonly at: number;
  /** The round trip in milliseconds; null if there was no answer. */
  readonly trip: number | null;
  /** Why there was none. */
  readonly slug: string;
}

/** What a failure is to a series: a lost ping, a pause before the next, or a reason to stop. */
export type Verdict = "lost" | "wait" | "stop";

/** A later ping may not fail like this, whether the target or the gateway did. */
const LOST = new Set([
  "refused", "unreachable", "connect-timeout", "target-busy", "dns-timeout", "name-not-found", "tls-failed",
  "unreachable-gateway", "draining", "internal-error", "request-timeout",
]);

export function judge({slug, code}: Failure): Verdict {
  if (slug === "too-many-requests") return "wait"; // there was no ping
  if (LOST.has(slug) || (slug === "http-error" && code >= 500)) return "lost";
  return "stop";
}

export class Series {
  private samples: Sample[] = [];
  private sent = 0;
  private lost = 0;

  add(sample: Sample): void {
    this.sent++;
    if (sample.trip === null) this.lost++;
    this.samples.push(sample);
    if (this.samples.length > KEPT) this.samples.shift();
  }

  get last(): Sample | undefined {
    return this.samples.at(-1);
  }

  /** The last pings. */
  get recent(): readonly Sample[] {
    return this.samples.slice(-RECENT);
  }

  /** `sent` and `lost` count all pings, the others are about `recent`. */
  get summary(): Summary {
    return {...summarize(this.recent.map(({trip}) => trip)), sent: this.sent, lost: this.lost};
  }

  /** What does not cover all pings; empty while everything does. */
  get limits(): string {
    if (this.sent <= RECENT) return "";
    const file = this.sent > KEPT ? `, the CSV file has the last ${KEPT}` : "";
    return `Sent and loss count all pings; the plot and the other figures are about the last ${RECENT}${file}.`;
  }

  get csv(): string {
    const rows = this.samples.map(({at, trip, slug}) => `${new Date(at).toISOString()},${trip ?? ""},${slug}\r\n`);
    return ["time,rtt_ms,error\r\n", ...rows].join("");
  }
}
