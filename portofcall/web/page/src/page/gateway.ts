/** The gateway that serves this page: its API, its tunnels, and the ticket for both. */

import {open} from "../client/open.ts";
import {TunnelError} from "../client/errors.ts";
import type {Tunnel} from "../client/portofcall.js";
import type {Failure} from "./failure.ts";
import type {Place} from "./place.ts";

/** The root of the gateway, below whatever path prefix: this module is in static/. */
export const ROOT = new URL("..", import.meta.url);
ROOT.username = ROOT.password = "";

/** Never stored. */
let ticket = "";

export function useTicket(text: string): void {
  ticket = text.trim();
}

/** A failure as an exception. */
export class Failed extends Error {
  constructor(readonly failure: Failure) {
    super(failure.sentence);
  }
}

interface Options {
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** Without them the browser asks for no password. */
  readonly credentials?: RequestCredentials;
}

/** Ask the API. Throws Failed, or the signal's reason. */
export async function ask<T>(path: string, {body, signal, credentials}: Options = {}): Promise<T> {
  const headers: Record<string, string> = ticket ? {Authorization: `Bearer ${ticket}`} : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const init: RequestInit = {headers, cache: "no-store", credentials: ticket ? "omit" : credentials ?? "same-origin"};
  if (body !== undefined) Object.assign(init, {method: "POST", body: JSON.stringify(body)});
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(new URL(path, ROOT), init);
  } catch {
    signal?.throwIfAborted();
    throw new Failed({slug: "unreachable-gateway", sentence: "the gateway can't be reached", code: 0});
  }
  const answer = await parsed(response);
  if (!response.ok) {
    const sentence = typeof answer.error === "string" ? answer.error : `the gateway responded with ${response.status}`;
    throw new Failed({slug: typeof answer.code === "string" ? answer.code : "http-error", sentence, code: response.status});
  }
  return answer as T;
}

/** The JSON of a response; a proxy's own error pages have none. */
async function parsed(response: Response): Promise<Record<string, unknown>> {
  try {
    return (await response.json()) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Open a tunnel; browsers don't reveal why an upgrade was refused, so the API is asked. Throws Failed. */
export async function openTunnel(place: Place, signal: AbortSignal): Promise<Tunnel> {
  const attempt = (): Promise<Tunnel> => {
    const options = ticket ? {signal, ticket} : {signal};
    if ("target" in place) return open(ROOT, null, null, {...options, target: place.target});
    return open(ROOT, place.host, place.port, options);
  };
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof TunnelError)) throw failed(error);
  }
  // The same question: who is refused here is told why. The browser may ask for a password now.
  await ask("api/ping", {body: place, signal});
  try {
    return await attempt();
  } catch (error) {
    throw failed(error);
  }
}

/** Turn what a tunnel throws into Failed; an abort stays what it is. */
export function failed(error: unknown): unknown {
  if (error instanceof TypeError) return new Failed({slug: "invalid-target", sentence: error.message, code: 0});
  if (!(error instanceof TunnelError)) return error;
  const sentences: Record<string, string> = {
    "upgrade-failed": "the gateway responds, but the WebSocket can't be opened",
    "connection-lost": "the connection to the gateway was lost",
    "going-away": "the gateway is shutting down",
  };
  const sentence = error.reason || sentences[error.slug] || "the tunnel was closed";
  return new Failed({slug: error.slug, sentence, code: error.code});
}
