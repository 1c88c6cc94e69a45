/** What went wrong, in words that help. */

import {h} from "./dom.ts";
import {showPlace, type Place} from "./place.ts";

/** An error of the gateway, from the API or from a Close frame. */
export interface Failure {
  readonly slug: string;
  readonly sentence: string;
  /** HTTP status or Close code; 0 if there is none. */
  readonly code: number;
  /** When to try again, by the Retry-After header. */
  readonly retrySeconds?: number;
}

/** What to do about each, as text and commands. */
const ADVICE: Readonly<Record<string, (place: Place) => (string | {code: string})[]>> = {
  "blocked": (place) => ["The operator can allow it: ", {code: `--allow ${showPlace(place)}`}, ", or see why not: ", {code: `portofcall check ${showPlace(place).replace(/:(\d+)$/, " $1")}`}, "."],
  "origin-refused": () => ["The operator can allow pages of this origin: ", {code: `--origin ${location.origin}`}, "."],
  "unauthorized": () => ["Enter a ticket (the button above), or sign in with a user and a password when the browser asks for them. ", {code: "portofcall ticket"}, " makes tickets."],
  "too-many-requests": () => ["Wait a little, then try again."],
  "target-busy": () => ["Wait a little, then try again; or the operator raises ", {code: "--max-per-target"}, "."],
  "name-not-found": () => ["Check the spelling. The gateway resolves names, not this browser."],
  "unknown-target": () => ["Choose one of the targets that are offered, or enter host:port."],
  "dns-timeout": () => ["The gateway's name server did not respond in time. Try again."],
  "refused": () => ["The host is there, but no service listens on that port."],
  "unreachable": () => ["Check the address, and the network of the gateway."],
  "connect-timeout": () => ["A firewall may drop the packets, or the host is down."],
  "banner-timeout": () => ["Something listens there, but it does not begin like an SSH server. Try the console."],
  "not-ssh": () => ["Something else than SSH listens there. Try the console."],
  "draining": () => ["The gateway is restarting. Try again in a few seconds."],
  "going-away": () => ["The gateway is restarting. Try again in a few seconds."],
  "lifetime-over": () => ["Tunnels and tickets have a limited lifetime here. Connect again, or get a new ticket."],
  "idle-timeout": () => ["The gateway closes tunnels that carry no data. Connect again."],
  "unreachable-gateway": () => ["Check the network, and whether the gateway runs."],
  "page-outdated": () => ["The gateway may have been updated, or your sign-in has expired. Reload the page."],
  "redirected": () => ["Your sign-in may have expired. Reload the page to sign in again."],
  "upgrade-failed": () => ["A proxy on the way may not forward WebSocket upgrades."],
  "unread-overflow": () => ["Only browsers with WebSocketStream (Chromium) can pause a service that sends faster than this page reads."],
  "connection-lost": () => ["The network or the gateway went away in the middle. Connect again."],
};

/** Show a failure: what happened, its name, and what to do. */
export function failureBox(failure: Failure, place: Place): HTMLElement {
  const advice = (ADVICE[failure.slug]?.(place) ?? []).map((part) =>
    typeof part === "string" ? part : h("code", {}, part.code),
  );
  return h("div", {class: "failure", role: "alert"},
    h("p", {class: "failure-sentence"}, capitalized(failure.sentence)),
    advice.length ? h("p", {class: "failure-advice"}, ...advice) : null,
    h("p", {class: "failure-name"}, failure.code ? `${failure.slug}, ${failure.code}` : failure.slug),
  );
}

const capitalized = (text: string): string => {
  const sentence = text || "The tunnel was closed";
  // A host or an address at the beginning stays as it is.
  const first = /^[a-z]+(?=[ ,.]|$)/.test(sentence) ? sentence[0]!.toUpperCase() + sentence.slice(1) : sentence;
  return /[.!?]$/.test(first) ? first : `${first}.`;
};
