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

type Advice = (place: Place) => (string | {code: string})[];

const RELOAD: Advice = () => ["The gateway may have been updated since this page was opened. Reload the page."];
const AGAIN: Advice = () => ["Connect again. If that does not help, the gateway's log says more."];

/** What to do about each, as text and commands. */
const ADVICE: Readonly<Record<string, Advice>> = {
  "blocked": (place) => ["The operator can allow it: ", {code: `--allow ${showPlace(place)}`}, ", or see why not: ", {code: `portofcall check ${showPlace(place).replace(/:(\d+)$/, " $1")}`}, "."],
  "origin-refused": () => ["The operator can allow pages of this origin: ", {code: `--origin ${location.origin}`}, "."],
  "invalid-target": () => ["Enter ", {code: "host:port"}, ", or the name of a target. The sentence says what the gateway does not accept."],
  "unauthorized": () => ["Enter a ticket (the button above), or sign in with a user and a password when the browser asks for them. ", {code: "portofcall ticket"}, " makes tickets."],
  "certificate-required": () => ["Import the client certificate that you were given into this browser, then reload the page."],
  "too-many-requests": () => ["Wait a little, then try again."],
  "target-busy": () => ["Wait a little, then try again; or the operator raises ", {code: "--max-per-target"}, "."],
  "name-not-found": () => ["Check the spelling. The gateway resolves names, not this browser."],
  "unknown-target": () => ["Choose one of the targets that are offered, or enter host:port."],
  "dns-timeout": () => ["The gateway's name server did not respond in time. Try again."],
  "refused": () => ["The host is there, but no service listens on that port."],
  "unreachable": () => ["Check the address, and the network of the gateway."],
  "tls-failed": () => ["The operator has configured TLS to this target: its certificate, the name expected in it and the CA have to match. The gateway's log says more."],
  "connect-timeout": () => ["A firewall may drop the packets, or the host is down."],
  "banner-timeout": () => ["Something listens there, but it does not begin like an SSH server. Try the console."],
  "not-ssh": () => ["Something else than SSH listens there. Try the console."],
  "closed-early": () => ["The service accepted the connection and closed it at once: it may be overloaded, or accept no connections from the gateway's address."],
  "request-timeout": () => ["The network to the gateway is slow. Try again."],
  "not-found": () => ["A proxy in front of the gateway may change the path."],
  "http-error": () => ["The response is not the gateway's: a proxy in front of it may be misconfigured, or can't reach it."],
  "internal-error": () => ["This is a defect of the gateway. Its log says more, at the time of this message."],
  "draining": () => ["The gateway is restarting. Try again in a few seconds."],
  "going-away": () => ["The gateway is restarting. Try again in a few seconds."],
  "lifetime-over": () => ["Tunnels and tickets have a limited lifetime here. Connect again, or get a new ticket."],
  "idle-timeout": () => ["The gateway closes tunnels that carry no data. Connect again."],
  "insecure-context": () => ["The operator can serve the gateway with TLS (", {code: "--listen ssl:…"}, ", or behind a proxy with a certificate). Everything else on this page works without."],
  "unreachable-gateway": () => ["Check the network, and whether the gateway runs."],
  "page-outdated": () => ["The gateway may have been updated, or your sign-in has expired. Reload the page."],
  "redirected": () => ["Your sign-in may have expired. Reload the page to sign in again."],
  "upgrade-failed": () => ["A proxy on the way may not forward WebSocket upgrades."],
  "ended-by-operator": () => ["Ask the operator before you connect again."],
  "backend-reset": () => ["The service, or a firewall before it, cut the connection. The service's log may say why."],
  "backend-stuck": () => ["The service accepted no more data, and was given up. Its machine may be overloaded."],
  "backend-gone": () => ["The machine of the service does not respond any more. Check it, and the network of the gateway."],
  "ping-timeout": () => ["This browser did not respond to the gateway for a while: it may have been asleep. Connect again."],
  "no-half-close": () => ["This gateway can't end one direction alone. Disconnect instead."],
  "closed": AGAIN,
  "policy-violation": AGAIN,
  "protocol-error": RELOAD,
  "message-too-big": RELOAD,
  "not-utf8": RELOAD,
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
