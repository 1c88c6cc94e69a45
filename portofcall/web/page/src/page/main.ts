/** The page: the field, what can be done with it, and the view of what was done. */

import "./page.css";
import {bannerView} from "./banner.ts";
import {button, find, h, say} from "./dom.ts";
import {failureBox} from "./failure.ts";
import {Failed, loadPart} from "./gateway.ts";
import {Offers} from "./offers.ts";
import {pingView} from "./ping.ts";
import {linkTo, parseLink, parseLogin, parsePlace, PlaceError, showPlace, type Place} from "./place.ts";
import {remember} from "./recent.ts";
import {TicketField} from "./ticket.ts";

interface Surroundings {
  /** From `user@host`; empty if there is none. */
  readonly user: string;
  /** Give the heading another text. */
  rename(text: string): void;
  showSessions(): void;
}

/** Shows what is done with a place, until the signal is aborted. */
type View = (place: Place, container: HTMLElement, signal: AbortSignal, surroundings: Surroundings) => Promise<void>;

interface Action {
  /** As in links: `#tcp/…`. */
  readonly link: string;
  readonly label: string;
  readonly defaultPort?: number;
  /** Whether `user@` belongs to it; others ignore that. */
  readonly withUser?: boolean;
  readonly view: View;
}

const ACTIONS: readonly Action[] = [
  {
    link: "tcp",
    label: "Console",
    view: async (to, container, signal) => (await loadPart(import("./console.ts"))).consoleView(to, container, signal),
  },
  {link: "ping", label: "Ping", view: pingView},
  {
    link: "ssh",
    label: "SSH",
    defaultPort: 22,
    withUser: true,
    view: async (...args) => (await loadSSH()).sshView(...args),
  },
  {link: "banner", label: "SSH banner", defaultPort: 22, view: bannerView},
];

const place = find<HTMLInputElement>("place");
const placeError = find("place-error");
const view = find("view");
const offers = new Offers(choose, (text) => {
  choose(text);
  void start(ACTIONS[0]!);
});
const ticket = new TicketField(() => void offers.load());
let current = new AbortController();
let primary = ACTIONS[0]!;
/** What Enter does. */
let submitted: Action | null = null;

/** SSH for `user@host`; else what the last link asked for. */
function drawActions(): void {
  const first = (parseLogin(place.value).isLogin && ACTIONS.find(({withUser}) => withUser)) || primary;
  if (first === submitted) return;
  submitted = first;
  const buttons = ACTIONS.map((action) => {
    const isPrimary = action === first;
    const made = button(action.label, () => void start(action), {class: isPrimary ? "primary" : "secondary"});
    if (isPrimary) Object.assign(made, {type: "submit", onclick: null});
    return made;
  });
  find("actions").replaceChildren(...buttons);
}

/** Fill in the field, and connect nothing: that takes Enter or a click. */
function choose(text: string): void {
  place.value = text;
  drawActions();
  showFieldError("");
  place.focus();
}

function showFieldError(text: string): void {
  placeError.textContent = text;
  placeError.hidden = !text;
  place.setAttribute("aria-invalid", String(Boolean(text)));
}

async function start(action: Action): Promise<void> {
  const login = parseLogin(place.value);
  let target: Place;
  try {
    target = parsePlace(login.text, action.defaultPort, offers.names);
  } catch (error) {
    if (!(error instanceof PlaceError)) throw error;
    showFieldError(error.message);
    place.focus();
    return;
  }
  showFieldError("");
  const text = (action.withUser && login.user ? `${login.user}@` : "") + showPlace(target);
  remember(text);
  offers.draw();
  const {container, signal, rename} = openView(action, text);
  say(`${action.label}, ${text}`);
  try {
    await action.view(target, container, signal, {user: login.user, rename, showSessions: () => void showSessions(action)});
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Failed)) throw error;
    container.replaceChildren(failureBox(error.failure, target));
  }
}

/** End the view that is shown, and make room for another. */
function openView(action: Action, text: string): {container: HTMLElement; signal: AbortSignal; rename: (text: string) => void} {
  current.abort();
  const {signal} = (current = new AbortController());
  const name = h("span", {class: "mono"});
  const rename = (renamed: string): void => {
    name.textContent = renamed;
    document.title = `${renamed} – Port of Call`;
    const address = new URL(linkTo(action.link, renamed), location.href).href;
    // Browsers limit how often it may be replaced, and sessions in tabs report every change.
    if (address !== location.href) history.replaceState(null, "", address);
  };
  rename(text);
  const heading = h("h2", {tabIndex: -1}, `${action.label} `, name);
  const container = h("div", {class: "view-body"});
  view.replaceChildren(h("div", {class: "view-head"}, heading), container);
  view.hidden = false;
  document.body.classList.add("active");
  heading.focus({preventScroll: true});
  return {container, signal, rename};
}

/** Go back to the SSH sessions, which went on behind another view. */
async function showSessions(action: Action): Promise<void> {
  const {container, signal, rename} = openView(action, "");
  (await loadSSH()).showSessions(container, signal, rename);
}

/** Web Crypto is what SSH needs, and browsers have it in secure contexts alone. */
async function loadSSH(): Promise<typeof import("../ssh/ssh.ts")> {
  if (!isSecureContext) {
    const sentence = "SSH needs a secure context: open this page over https, or from this computer as http://localhost or http://127.0.0.1";
    throw new Failed({slug: "insecure-context", sentence, code: 0});
  }
  return loadPart(import("../ssh/ssh.ts"));
}

function followLink(): void {
  const {hash, pathname, search} = location;
  const link = parseLink(location);
  const action = ACTIONS.find((known) => known.link === link?.action);
  // A ticket is a secret, and the address is stored in the history, also that of a link with a mistake.
  if (hash || search) history.replaceState(null, "", link && action ? link.address : pathname);
  if (!link || !action) {
    if (hash) showFieldError("The link is not valid: expected #tcp/host:port.");
    return;
  }
  ticket.offer(link.ticket);
  primary = action;
  drawActions();
  choose(link.text);
}

find<HTMLFormElement>("dial").addEventListener("submit", (event) => {
  event.preventDefault();
  void start(submitted ?? primary);
});
place.addEventListener("input", () => {
  showFieldError("");
  drawActions();
});
addEventListener("hashchange", followLink);
drawActions();
place.focus();
followLink();
void offers.load();
