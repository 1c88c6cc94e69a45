/** How tunnels end, and the error for those that were cut. */

import type * as api from "./portofcall.js";

/** Slugs of Close codes whose frame has no reason (RFC 6455 section 7.4.1). */
const SLUGS: Readonly<Record<number, string>> = {
  1001: "going-away",
  1002: "protocol-error",
  1006: "connection-lost",
  1007: "not-utf8",
  1008: "policy-violation",
  1009: "message-too-big",
  1011: "internal-error",
};

export class TunnelError extends Error implements api.TunnelError {
  readonly code: number;
  readonly slug: string;
  readonly reason: string;

  constructor(code: number, slug: string, reason: string) {
    super(reason ? `${slug}: ${reason}` : slug);
    this.name = "TunnelError";
    this.code = code;
    this.slug = slug;
    this.reason = reason;
  }
}

/** Take a Close frame apart: its reason is `slug: one sentence`. */
export function parseEnd(code: number, text: string): api.End {
  const match = /^([a-z0-9-]+): (.*)$/s.exec(text);
  if (match) return {code, slug: match[1]!, reason: match[2]!};
  if (code === 1000) return {code, slug: "", reason: text};
  return {code, slug: SLUGS[code] ?? "closed", reason: text};
}

/** Whether everything that the service sent has arrived. */
export const isClean = (end: api.End): boolean => end.code === 1000;

/** The error of what can't be done any more. A clean end has no slug, but an error has one always. */
export const toError = (end: api.End): TunnelError => new TunnelError(end.code, end.slug || "closed", end.reason);
