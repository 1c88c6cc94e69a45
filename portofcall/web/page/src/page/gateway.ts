/** The gateway that serves this page: its API, its tunnels, and the ticket for both. */

import {open} from "../client/open.ts";
import {TunnelError} from "../client/errors.ts";
import type {Tunnel} from "../client/portofcall.js";
import type {Failure} from "./failure.ts";
import type {Place} from "./place.ts";

/** The root of the gateway, below any path prefix: this module is in static/. */
export const ROOT = new URL("..", import.meta.url);
ROOT.username = ROOT.password = "";

/** Never stored. */
let ticket = "";
/** In sessionStorage: whether this tab has used the gateway with the browser's own credentials. */
const SIGNED_IN = "portofcall.signed-in";
/** Failures for which a cookie or a client certificate may be what is missing. */
const WITHOUT_CREDENTIALS = new Set(["redirected", "http-error", "unreachable-gateway", "certificate-required"]);
/** What a browser prompts for; it can't prompt for a ticket. */
const PROMPTING = /\b(basic|digest|negotiate|ntlm)\b/i;

export function useTicket(text: string): void {
  ticket = text.trim();
}

/** A failure as an exception. */
export class Failed extends Error {
  /** `prompts`: whether the browser would prompt for a password, if the request were made with credentials. */
  constructor(readonly failure: Failure, readonly prompts = false) {
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
export async function ask<T>(path: string, {body, signal, credentials = "same-origin"}: Options = {}): Promise<T> {
  const headers: Record<string, string> = ticket ? {Authorization: `Bearer ${ticket}`} : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  // A redirect is that of a sign-in in front of the gateway, to where this page may not go.
  const init: RequestInit = {headers, cache: "no-store", credentials, redirect: "manual"};
  if (body !== undefined) Object.assign(init, {method: "POST", body: JSON.stringify(body)});
  if (signal) init.signal = signal;
  let response: Response;
  try {
    response = await fetch(new URL(path, ROOT), init);
  } catch {
    signal?.throwIfAborted();
    throw new Failed({slug: "unreachable-gateway", sentence: "the gateway can't be reached", code: 0});
  }
  if (response.type === "opaqueredirect") {
    throw new Failed({slug: "redirected", sentence: "a proxy in front of the gateway redirected the request", code: 0});
  }
  const answer = await parsed(response);
  if (credentials !== "omit" && !ticket && (response.ok || response.status === 401)) remember(SIGNED_IN, response.ok);
  if (response.ok) return answer as T;
  const sentence = typeof answer.error === "string" ? answer.error : `the gateway responded with ${response.status}`;
  const slug = typeof answer.code === "string" ? answer.code : "http-error";
  const retrySeconds = Number(response.headers.get("Retry-After") ?? NaN);
  const failure: Failure = {slug, sentence, code: response.status, ...(retrySeconds >= 0 ? {retrySeconds} : {})};
  throw new Failed(failure, PROMPTING.test(response.headers.get("WWW-Authenticate") ?? ""));
}

/** Ask what the page shows by itself: the browser must not prompt for a password because of it. */
export async function askQuietly<T>(path: string): Promise<T> {
  if (ticket || remembers(SIGNED_IN)) return ask<T>(path);
  try {
    return await ask<T>(path, {credentials: "omit"});
  } catch (error) {
    if (error instanceof Failed && !error.prompts && WITHOUT_CREDENTIALS.has(error.failure.slug)) return ask<T>(path);
    throw error;
  }
}

/** Load a part of the page. It may be gone: after an update of the gateway, or with a sign-in in front of it. */
export async function loadPart<T>(part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch {
    throw new Failed({slug: "page-outdated", sentence: "a part of this page can't be loaded", code: 0});
  }
}

function remembers(key: string): boolean {
  try {
    return sessionStorage.getItem(key) !== null;
  } catch {
    return false; // storage is blocked
  }
}

function remember(key: string, value: boolean): void {
  try {
    if (value) sessionStorage.setItem(key, "1");
    else sessionStorage.removeItem(key);
  } catch {
    // Without storage nothing is remembered.
  }
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
  // The same question: a refusal has its reason here. The browser may prompt for a password now.
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
